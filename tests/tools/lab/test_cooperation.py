"""A box with keys for headers: the table of docs/guides/cooperating-box.md, cell by cell."""

from __future__ import annotations

import json

import pytest

from stack.security import Security
from tools.lab.cell import Cell, Outcome
from tools.lab.cooperation import MATRIX, PROTECTIONS, WINDOW


def run(protection: str, box: str) -> Outcome:
    found = MATRIX.run(Cell("cooperation", {"protection": protection, "box": box}, 1))
    json.dumps(found.evidence)
    return found


@pytest.mark.parametrize("protection", PROTECTIONS)
def test_with_keys_it_lowers_windows_and_nobody_drops_anything(protection: str) -> None:
    found = run(protection, "lowers windows; keys")
    evidence = found.evidence
    assert found.outcome == "works"
    assert evidence["largest window told"] in (WINDOW, WINDOW // 256 * 256)
    assert evidence["largest window sent"] > WINDOW  # type: ignore[operator]
    assert evidence["payload can be read on the path"] is ("enc" not in protection)
    for end in ("client", "server"):
        told = evidence[end]
        assert isinstance(told, dict)
        assert told["drops"] == {}
        if "dh" in protection and "compact" not in protection:
            assert told["generation"] > 2
    # It is slower, since the window is what lets a sender go on.
    seconds = run(protection, "none").evidence["seconds"]
    assert evidence["seconds"] > seconds  # type: ignore[operator]


@pytest.mark.parametrize("protection", [name for name in PROTECTIONS if name != "none"])
def test_without_keys_nothing_that_it_changed_is_accepted(protection: str) -> None:
    found = run(protection, "lowers windows; no keys")
    assert found.outcome == "fails"
    client = found.evidence["client"]
    assert isinstance(client, dict)
    assert client["received"] == 0
    expected = "connection timed out" if protection == "ao" else "keys agreed but nothing verifies"
    assert client["error"] == expected


@pytest.mark.parametrize("protection", PROTECTIONS)
def test_integrity_is_what_it_was_given(protection: str) -> None:
    assert run(protection, "flips a bit; keys").outcome == "delivered wrong data"
    without = run(protection, "flips a bit; no keys")
    assert without.outcome == ("delivered wrong data" if protection == "none" else "works")


def test_equal_cells_have_equal_results() -> None:
    assert run("ao-enc-dh late", "lowers windows; keys") == run("ao-enc-dh late", "lowers windows; keys")


def test_the_protections_are_what_they_are_called() -> None:
    for name, make in PROTECTIONS.items():
        security = make()
        assert isinstance(security, Security)
        assert security.protect == name.split(" ", maxsplit=1)[0]
