"""What fits where, and what more room is worth: each answer is a run, and these must not change."""

from __future__ import annotations

import json
import pickle

import pytest

from tools.lab import space_fits
from tools.lab.cell import Cell
from tools.lab.space import MATRIX, QUESTIONS

CELLS = MATRIX.cells(reduced=False, seed=1)


def run(question: str, case: str, space: str, seed: int = 1) -> tuple[str, dict[str, object]]:
    found = MATRIX.run(Cell("space", {"question": question, "case": case, "space": space}, seed))
    json.dumps(found.evidence)
    return found.outcome, found.evidence


def test_cells_are_apart_and_the_reduced_ones_are_among_them() -> None:
    keys = [cell.key for cell in CELLS]
    assert len(set(keys)) == len(keys)
    reduced = MATRIX.cells(reduced=True, seed=1)
    assert {cell.key for cell in reduced} < set(keys)
    assert {cell.parameters["question"] for cell in reduced} == set(QUESTIONS)
    assert pickle.loads(pickle.dumps(CELLS[0])) == CELLS[0]


@pytest.mark.parametrize(
    ("case", "space", "left_out"),
    [
        # Three blocks beside timestamps and no more: 40 octets (RFC 2018 §3).
        ("usual + 3 SACK blocks", "legacy", []),
        ("usual + 4 SACK blocks", "legacy", ["data: sack:4"]),
        ("usual + 31 SACK blocks", "edo short", []),
        ("usual + 31 SACK blocks", "compact", ["syn: ws", "syn: sackok", "syn: ts", "data: sack:31"]),
        # 20 of TCP-AO and 19 of TCP leave no room for EDO Supported; timestamps yield (profile.md §1).
        ("TCP-AO 128 bits + usual", "legacy", []),
        ("TCP-AO 128 bits + usual", "edo long", ["syn: ts", "syn-ack: ts"]),
        ("TCP-AO 128 bits + usual", "syn-eos", []),
        ("share of x25519 alone", "compact", []),
        ("ENO + x25519 + usual", "legacy", ["syn: ke:x25519", "syn-ack: ke:x25519"]),
        ("ENO + x25519 + usual", "syn-eos", []),
        ("ENO + X25519MLKEM768 + usual", "late", []),
        ("usual + 64 octets of telemetry", "edo short", []),
        ("usual + 64 octets of telemetry", "legacy", ["data: raw:64"]),
    ],
)
def test_what_has_room(case: str, space: str, left_out: list[str]) -> None:
    outcome, evidence = run("fits", case, space)
    assert evidence["left_out"] == left_out
    assert outcome == ("leaves out" if left_out else "fits")


def test_every_set_is_laid_out_in_every_space() -> None:
    for case, space in space_fits.cases(False):
        run("fits", case, space)


def test_many_blocks_repair_many_holes_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one acknowledgment in 20 ms comes back and a fifth of all is lost: medians of 5 bursts."""
    monkeypatch.setattr("tools.lab.space_repair._RUNS", 5)
    _, few = run("sack", "20% lost; one ACK in 20 ms", "legacy")
    _, many = run("sack", "20% lost; one ACK in 20 ms", "edo 31 blocks")
    assert many["value"] < few["value"]  # type: ignore[operator]
    assert many["sent again for each lost"] < few["sent again for each lost"]  # type: ignore[operator]
    assert run("sack", "20% lost; one ACK in 20 ms", "edo 31 blocks") == ("exact", many)


@pytest.mark.parametrize(
    ("mac", "space", "blocks"),
    [
        ("none", "legacy", 3),
        ("aes-128-cmac-96", "legacy", 1),
        ("hmac-sha256-128", "legacy", 1),
        ("none", "edo", 31),
    ],
)
def test_a_mac_takes_the_room_of_blocks(mac: str, space: str, blocks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.lab.space_repair._RUNS", 1)
    assert run("mac", mac, space)[1]["SACK blocks beside it"] == blocks


@pytest.mark.parametrize(
    ("group", "placement", "outcome", "round_trips"),
    [
        ("x25519", "syn", "agreed", 1),
        ("x25519", "late", "agreed", 2),
        ("x25519", "compact", "agreed", 1),
        ("secp256r1", "compact", "does not fit", None),
        ("ffdhe3072", "late", "agreed", 2),
        ("ffdhe3072", "syn", "not agreed", None),
    ],
)
def test_keys_by_size_and_placement(group: str, placement: str, outcome: str, round_trips: int | None) -> None:
    found, evidence = run("keys", group, placement)
    if found == "not in this library":
        pytest.skip(f"{group} is not in this library")
    assert (found, evidence.get("round trips")) == (outcome, round_trips)


def test_telemetry_costs_what_it_takes_of_each_segment() -> None:
    values = [run("telemetry", f"{octets} octets", "edo")[1]["value"] for octets in (0, 128)]
    # 1,440 and 1,308 octets of a segment of 1,500 are payload; slow start takes its share of both.
    assert 0.88 < values[1] / values[0] < 0.94  # type: ignore[operator]
    assert run("telemetry", "128 octets", "legacy")[0] == "left out"
