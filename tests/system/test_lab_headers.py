"""The header-protection matrix on real packets: what an attack does to each protection there."""

from __future__ import annotations

import pytest

from tools.lab.cell import Cell
from tools.lab.expected import HARMLESS
from tools.lab.headers import MATRIX
from tools.lab.judging import LEAKED, RESET, WRONG

pytestmark = pytest.mark.tun

# An attack, what it is aimed at, and what it does to a connection without protection.
ATTACKS = (("inject-rst", "rst", RESET), ("inject-data", "payload", WRONG), ("change", "payload", WRONG))


def outcome(attack: str, field: str, mode: str) -> str:
    parameters: dict[str, str | int | float | bool] = {"field": field, "attack": attack, "phase": "established"}
    found = MATRIX.run(Cell("headers", parameters | {"mode": mode, "real": True}, 1))
    assert found.evidence["acts"], found.evidence
    return found.outcome


@pytest.mark.parametrize(("attack", "field", "harm"), ATTACKS)
def test_what_harms_plain_connections_does_not_harm_protected_ones(attack: str, field: str, harm: str) -> None:
    assert outcome(attack, field, "none") == harm
    for mode in ("ao", "ao-enc-dh"):
        assert outcome(attack, field, mode) in HARMLESS, mode


def test_what_is_encrypted_cannot_be_read() -> None:
    assert outcome("read", "payload", "ao") == LEAKED
    assert outcome("read", "payload", "ao-enc-dh") in HARMLESS


def test_each_attack_is_tried_once() -> None:
    cells = MATRIX.real_cells(seed=1)
    assert all(cell.parameters["real"] for cell in cells)
    assert {"inject-rst", "change", "downgrade", "guess-rst", "icmp-unreachable"} < {
        cell.parameters["attack"] for cell in cells
    }
    assert len(cells) == len({str(dict(cell.parameters)) for cell in cells})
