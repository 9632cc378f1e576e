"""What the profile promises of attacks on protected connections, and what it leaves open, with the reasons.

Whatever an attacker does, a protected connection is not reset, gives its applications nothing wrong and leaks
nothing. Exceptions are listed here, one by one; tests hold every cell of the matrix to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .judging import DROPPED, LEAKED, NO_EFFECT, REPAIRED, RESET, STALLED

HARMLESS: Final = frozenset((NO_EFFECT, DROPPED, REPAIRED))
_DENIED: Final = HARMLESS | {STALLED}
_AGREED: Final = ("ao-dh", "ao-enc-dh")
_CONFIGURED: Final = ("ao", "ao-nat", "ao-enc")

PROMISED: Final = _CONFIGURED + _AGREED
"""The protections that this holds for."""


@dataclass(frozen=True, slots=True)
class Expected:
    """The outcomes that a cell may have, and why they are not all harmless (empty where they are)."""

    outcomes: frozenset[str]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Rule:
    """Cells by mode, phase, attack and field; None stands for any."""

    modes: tuple[str, ...]
    phases: tuple[str, ...] | None
    attacks: tuple[str, ...] | None
    fields: tuple[str, ...] | None
    expected: Expected

    def holds(self, field: str, attack: str, phase: str, mode: str) -> bool:
        found = ((self.modes, mode), (self.phases, phase), (self.attacks, attack), (self.fields, field))
        return all(names is None or name in names for names, name in found)


def _opening(attacks: tuple[str, ...], fields: tuple[str, ...] | None, reason: str) -> _Rule:
    """An attempt to agree on keys that ends with an error before there are any."""
    return _Rule(_AGREED, ("syn",), attacks, fields, Expected(frozenset((RESET,)), reason))


_ALTERING: Final = ("change", "set", "clear", "always", "strip")

RULES: Final = (
    _Rule(
        ("ao", "ao-nat", "ao-dh"),
        None,
        ("read",),
        None,
        Expected(frozenset((LEAKED,)), "this mode authenticates and does not encrypt"),
    ),
    _opening(("inject-rst",), None, "before there are keys a reset counts as RFC 9293 has it"),
    _opening(("change", "set"), ("rst",), "before there are keys a reset counts as RFC 9293 has it"),
    _opening(
        ("change", "clear"),
        ("ack-flag",),
        "a SYN-ACK without ACK is a SYN that crosses, and without the right offer `require` refuses it",
    ),
    _opening(_ALTERING, ("edo",), "a confirmed SYN-EOS without an answer in the SYN-ACK ends the attempt"),
    _opening((*_ALTERING, "downgrade-eno"), ("eno",), "without the offer there are no keys, and `require` refuses"),
    _opening(("downgrade",), None, "without the offer there are no keys, and `require` refuses"),
    _opening(("icmp-unreachable",), None, "before there are keys ICMP counts as RFC 5927 has it"),
    _opening(
        ("reflect",), None, "a SYN with one's own initial number ends the attempt (RFC 8547 has no role then)"
    ),
    _Rule(
        _AGREED,
        None,
        ("translate",),
        ("seq",),
        Expected(
            frozenset((RESET,)), "the keys come from both initial numbers, and the peer tells that they differ"
        ),
    ),
    _Rule(
        PROMISED,
        None,
        ("always", "strip", "insert", "translate", "drop-all", "downgrade", "downgrade-ao"),
        None,
        Expected(
            _DENIED, "who changes each segment might as well drop each, and nobody can do anything about that"
        ),
    ),
)
"""The exceptions; of several that hold for a cell the first counts."""


def expected(field: str, attack: str, phase: str, mode: str) -> Expected:
    """What may become of a cell under one of ``PROMISED``."""
    for rule in RULES:
        if rule.holds(field, attack, phase, mode):
            return rule.expected
    return Expected(HARMLESS)
