"""The header-protection matrix: what is promised of protected connections, cell by cell; attacks that are real."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache

import pytest

from tools.attacks.registry import ATTACKS
from tools.lab.cell import Cell, Outcome
from tools.lab.expected import HARMLESS, RULES, expected
from tools.lab.headers import MATRIX
from tools.lab.judging import LEAKED, NO_EFFECT, OUTCOMES, RESET, STALLED, WRONG
from tools.lab.protections import PROTECTIONS
from tools.lab.sweep import run_cell

SEED = 7
HELD = ("ao", "ao-enc-dh")
# What comes late comes so much later at most: a SYN is sent again thrice, seconds.
LATE = 10.0


@cache
def outcome(field: str, attack: str, phase: str, mode: str) -> Outcome:
    found, _ = run_cell(cell(field, attack, phase, mode))
    return found


def cell(field: str, attack: str, phase: str, mode: str) -> Cell:
    return Cell("headers", {"field": field, "attack": attack, "phase": phase, "mode": mode}, SEED)


def cells(**only: str) -> Iterator[tuple[str, str, str, str]]:
    for one in MATRIX.cells(reduced=True, seed=SEED):
        if all(one.parameters[name] == value for name, value in only.items()):
            field, attack, phase, mode = (str(value) for value in one.parameters.values())
            yield field, attack, phase, mode


@pytest.mark.parametrize("attack", list(ATTACKS))
@pytest.mark.parametrize("mode", HELD)
def test_no_attack_on_a_protected_connection_does_more_than_is_said(attack: str, mode: str) -> None:
    """Every cell of the reduced matrix; ``tools.lab.expected`` has what the profile leaves open."""
    wrong = []
    for where in cells(attack=attack, mode=mode):
        found, wanted = outcome(*where), expected(*where)
        late = float(str(found.evidence["seconds"])) - float(str(found.evidence["without attack"]))
        if found.outcome not in wanted.outcomes or (found.outcome in HARMLESS and late > LATE):
            wrong.append(f"{' '.join(where)}: {found.outcome} by {late:.3f} s, seed {SEED}: {found.evidence}")
    assert not wrong, "\n".join(wrong)


def test_each_exception_is_one() -> None:
    """What the profile leaves open happens, or it would be promised."""
    for rule in RULES:
        harm = rule.expected.outcomes - HARMLESS
        held = [where for where in cells() if where[3] in HELD and expected(*where) is rule.expected]
        # Not all of those that change each segment are run again here.
        assert any(outcome(*where).outcome in harm for where in held[:12]), rule


@pytest.mark.parametrize(
    ("field", "attack", "phase", "becomes"),
    [
        ("seq", "change", "established", WRONG),
        ("payload", "change", "established", WRONG),
        ("fin", "set", "established", WRONG),
        ("rst", "set", "established", RESET),
        ("ack", "optimistic-ack", "established", STALLED),
        ("payload", "inject-data", "established", WRONG),
        ("payload", "insert", "established", WRONG),
        ("payload", "splice", "established", WRONG),
        ("fin", "inject-fin", "established", WRONG),
        ("rst", "inject-rst", "established", RESET),
        ("rst", "inject-rst", "syn", RESET),
        ("segment", "replay-moved", "established", WRONG),
        ("window", "zero-window", "established", STALLED),
        ("tsval", "set", "syn", STALLED),
        ("payload", "read", "established", LEAKED),
        ("icmp", "icmp-unreachable", "syn", RESET),
        ("seq", "translate", "established", NO_EFFECT),
    ],
)
def test_without_protection_attacks_succeed(field: str, attack: str, phase: str, becomes: str) -> None:
    """Else the lab would show nothing by their failing."""
    found = outcome(field, attack, phase, "none")
    assert found.outcome == becomes, (found, SEED)
    assert found.evidence["acts"]


def test_what_strips_the_offer_of_who_prefers_makes_him_leak() -> None:
    found = outcome("eno", "downgrade-eno", "syn", "ao-enc-dh-prefer")
    assert found.outcome == LEAKED
    assert found.evidence["changed"]["client mode"] == ["none", "ao-enc-dh"]  # type: ignore[index]


@pytest.mark.parametrize("attack", ["change", "clear"])
def test_a_syn_ack_that_lost_its_ack_gives_who_prefers_no_options_for_text(attack: str) -> None:
    """It is a SYN that crosses then, and what stood behind Data Offset is a message of key exchange."""
    found = outcome("ack-flag", attack, "syn", "ao-enc-dh-prefer")
    assert found.outcome != WRONG, found
    assert found.evidence["acts"]


def test_options_outside_the_mac_may_be_changed() -> None:
    assert outcome("tsecr", "always", "established", "ao").outcome == STALLED
    assert outcome("tsecr", "always", "established", "ao-bare").outcome == NO_EFFECT
    assert outcome("sack", "always", "established", "md5").outcome == NO_EFFECT


@pytest.mark.parametrize(
    ("mode", "becomes"),
    [("none", NO_EFFECT), ("md5", STALLED), ("ao", STALLED), ("ao-nat", NO_EFFECT), ("ao-enc-dh", NO_EFFECT)],
)
def test_who_lives_behind_a_translator(mode: str, becomes: str) -> None:
    """RFC 6978, and profile.md §9 of agreed keys."""
    for field in ("source-address", "source-port"):
        found = outcome(field, "translate", "established", mode)
        # A server that knows its key by the client's address has none for another one.
        allowed = {becomes} | ({RESET} if becomes is STALLED else set())
        assert found.outcome in allowed, (field, found, SEED)


def test_a_cell_is_a_function_of_itself_and_of_its_seed() -> None:
    first = cell("segment", "replay", "established", "ao-enc-dh")
    one, two = MATRIX.run(first), MATRIX.run(first)
    assert asdict(one) == asdict(two)
    other = MATRIX.run(Cell("headers", first.parameters, SEED + 1))
    assert other.evidence["client"]["session_id"] != one.evidence["client"]["session_id"]  # type: ignore[index]


def test_evidence_says_what_was_seen_and_is_json() -> None:
    found = outcome("ao-mac", "change", "established", "ao")
    assert json.loads(json.dumps(found.evidence)) == found.evidence
    assert found.evidence["counters"] == {"ao_bad_mac": 6}
    assert found.evidence["acts"] == 6
    assert found.evidence["visible"] is True
    client = found.evidence["client"]
    assert isinstance(client, dict)
    assert (client["received"], client["of"], client["error"]) == (24_000, 24_000, None)
    found = outcome("ao-mac", "change", "established", "ao-enc-dh")
    assert found.evidence["visible"] is False
    assert found.evidence["client"]["session_id"] == found.evidence["server"]["session_id"]  # type: ignore[index]


def test_rows_have_every_field_and_the_reduced_matrix_is_part_of_the_whole() -> None:
    whole = {one.key for one in MATRIX.cells(reduced=False, seed=1)}
    reduced = {one.key for one in MATRIX.cells(reduced=True, seed=1)}
    assert reduced < whole
    # The rest is other protections, and the connection of 2^32 octets.
    rows = {one.key for one in MATRIX.cells(reduced=False, seed=1) if one.parameters["mode"] == "none"}
    assert len(whole) == len(rows) * len(PROTECTIONS)
    assert len(reduced) == 3 * (len(rows) - 1)
    assert set(OUTCOMES) >= {one for rule in RULES for one in rule.expected.outcomes}
