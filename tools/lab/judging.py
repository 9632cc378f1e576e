"""What became of a conversation that was attacked, by what both applications saw, beside one without attack."""

from __future__ import annotations

import errno
from collections import Counter
from typing import Final

from stack.batch import Octets
from stack.box import Direction, Emission

from .cell import Outcome
from .conversation import Program, Spoken

NO_EFFECT: Final = "no effect"
DROPPED: Final = "dropped"
REPAIRED: Final = "repaired"
STALLED: Final = "stalled"
RESET: Final = "reset"
WRONG: Final = "delivered wrong data"
LEAKED: Final = "leaked"
OUTCOMES: Final = {
    NO_EFFECT: "both applications saw what they would have seen, and nothing was dropped",
    DROPPED: "both applications saw what they would have seen; segments were dropped and counted",
    REPAIRED: "everything arrived, later than without the attack",
    STALLED: "not everything arrived, and the connection waited until it gave up or nobody waited any longer",
    RESET: "an application was told of an error before everything was done",
    WRONG: "an application was given octets that were not sent, or an end where there was none",
    LEAKED: "octets of a connection that encrypts could be read on the path",
}
"""The outcomes from harmless to worst, and what each means."""

TOLERANCE: Final = 0.002
"""Later by no more is not later, seconds: a segment more or less on the line."""

_PIECE: Final = 16  # octets that nobody finds by chance
_EVERY: Final = 500
_KEPT: Final = 1 << 22


class Wiretap:
    """A box that changes nothing and keeps what goes by (4 MiB), to be searched for plaintext."""

    next_deadline: float | None = None  # nothing waits here

    def __init__(self) -> None:
        self._seen = bytearray()

    def process(self, packets: list[Octets], direction: Direction, now: float) -> list[Emission]:
        """Keep and pass on."""
        if len(self._seen) < _KEPT:
            for packet in packets:
                self._seen += packet
        return [(now, direction, packet) for packet in packets]

    def found(self, plaintext: bytes) -> bool:
        """Whether any piece of ``plaintext`` went by."""
        pieces = (plaintext[at : at + _PIECE] for at in range(0, len(plaintext) - _PIECE, _EVERY))
        return any(piece in self._seen for piece in pieces)


def judge(spoken: Spoken, base: Spoken, *, visible: bool, secret: bool, tolerance: float = TOLERANCE) -> Outcome:
    """The outcome of ``spoken`` beside ``base``, the same without attack; evidence is what shows it.

    ``visible``: plaintext was seen on the path; ``secret``: it must not be; ``tolerance``: seconds of no delay.
    """
    evidence: dict[str, object] = {
        "seconds": round(spoken.seconds, 6),
        "without attack": round(base.seconds, 6),
        "counters": _grown(spoken, base),
        "visible": visible,
    }
    changed = _changed(spoken, base)
    if changed:
        evidence["changed"] = changed
    evidence.update(spoken.told())
    return Outcome(_word(spoken, base, visible=visible, secret=secret, tolerance=tolerance), evidence)


def _word(spoken: Spoken, base: Spoken, *, visible: bool, secret: bool, tolerance: float) -> str:
    twice = [program for program in spoken.servers if program.received]
    if any(program.wrong for program in spoken.programs) or len(twice) > 1:
        return WRONG
    if visible and secret:
        return LEAKED
    errors = [program.error.errno for program in spoken.programs if program.error is not None]
    if any(number != errno.ETIMEDOUT for number in errors):
        return RESET
    if not spoken.whole:
        return STALLED
    if spoken.seconds > base.seconds + tolerance:
        return REPAIRED
    return DROPPED if _grown(spoken, base) else NO_EFFECT


def _grown(spoken: Spoken, base: Spoken) -> dict[str, int]:
    """Which counters of drops, of both ends and hosts, are higher than without attack, and by how much."""
    return dict(sorted((_counted(spoken) - _counted(base)).items()))


def _counted(spoken: Spoken) -> Counter[str]:
    counts = Counter(spoken.stack_drops)
    for program in spoken.programs:
        counts.update(program.drops)
    return counts


def _changed(spoken: Spoken, base: Spoken) -> dict[str, object]:
    """What the ends agreed on in the opening otherwise than without attack, as (now, without attack)."""
    changed: dict[str, object] = {}
    for name, now, then in (
        ("client", spoken.client, base.client),
        ("server", spoken.servers[0] if spoken.servers else None, base.servers[0]),
    ):
        if now is None:
            continue
        for what, value in _agreed(now).items():
            before = _agreed(then)[what]
            if value != before:
                changed[f"{name} {what}"] = [value, before]
    return changed


def _agreed(program: Program) -> dict[str, object]:
    connection = program.attempt.flow.connection
    report = program.attempt.security()
    return {
        "mode": report["mode"],
        "placement": report["placement"],
        "edo": report["edo"],
        "sack": connection.sack_ok,
        "timestamps": connection.timestamps,
        "send window scale": connection.snd_wscale,
        "receive window scale": connection.rcv_wscale,
    }
