"""What both roles of a key agreement share: the offer, messages that stand, checks, keys (profile.md §4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .cipher import CIPHERS, NO_CIPHER
from .groups import GROUPS, PrivateShare
from .macs import by_number
from .messages import (
    Answer,
    Flag,
    Hello,
    MalformedMessage,
    Message,
    MessageKind,
    Refuse,
    RefuseReason,
    decode,
)
from .octets import Random
from .outcome import Outcome, OutcomeKind
from .reasons import AoDrop
from .schedule import Schedule
from .sessions import Session
from .suite import Suite

IGNORED: Final = Outcome(OutcomeKind.ignored)
MALFORMED: Final = Outcome(OutcomeKind.malformed, drop=AoDrop.ke_malformed)
DIFFERENT: Final = Outcome(OutcomeKind.ignored, drop=AoDrop.ke_repeated_differently)
FROM_EITHER: Final = frozenset({MessageKind.REKEY, MessageKind.REKEY_ANSWER, MessageKind.REFUSE})

# What made something new leads, repeated, only to the same reply.
_NEW: Final = frozenset({OutcomeKind.answer, OutcomeKind.keys, OutcomeKind.retry})


class Refusal(Exception):
    """A message that can be parsed and not be accepted."""

    def __init__(self, reason: RefuseReason) -> None:
        super().__init__(reason)
        self.reason = reason


class Ends:
    """What both sides know of their SYNs: ISNs (32 bits) and whole TCP-ENO options."""

    __slots__ = ("eno", "isn", "peer_eno", "peer_isn")

    def __init__(self, isn: int, eno: bytes, peer_isn: int, peer_eno: bytes) -> None:
        self.isn = isn
        self.eno = eno
        self.peer_isn = peer_isn
        self.peer_eno = peer_eno


def check_copies(message: Hello | Answer, ends: Ends) -> None:
    """Compare what the message says of its sender's SYN with what came of it."""
    if message.eno != ends.peer_eno:
        raise Refusal(RefuseReason.ENO)
    # Equal ISNs would not tell the two directions' keys apart once addresses count as zero (profile.md §9).
    if message.isn != ends.peer_isn or message.isn == ends.isn:
        raise Refusal(RefuseReason.ISN)


def _check_offer(suites: Sequence[Suite], groups: Sequence[int]) -> None:
    if not suites or not groups:
        raise ValueError("an agreement needs at least one suite and one group")
    for suite in suites:
        if by_number(suite.mac) is None or (suite.cipher != NO_CIPHER and suite.cipher not in CIPHERS):
            raise ValueError(f"suite {suite.mac} {suite.cipher} is not available")
    for group in groups:
        if group not in GROUPS:
            raise ValueError(f"group {group} is not available")


class Role:
    """The offer, the peer's messages that stand, and the keys; the peer has to permit the flags ``demanded``.

    ``resumed`` is the session from which the keys come, None without one.
    """

    __slots__ = (
        "_demanded",
        "_groups",
        "_own",
        "_random",
        "_schedule",
        "_standing",
        "_suites",
        "flags",
        "group",
        "resumed",
        "suite",
    )

    def __init__(
        self, suites: Sequence[Suite], groups: Sequence[int], flags: int, random: Random, demanded: int = 0
    ) -> None:
        _check_offer(suites, groups)
        self._suites = tuple(Suite(*suite) for suite in suites)
        self._groups = tuple(groups)
        self._random = random
        self._own: PrivateShare | None = None
        self._schedule: Schedule | None = None
        # Of each kind the message that stands, and what a repetition of it gets.
        self._standing: dict[int, tuple[bytes, Outcome]] = {}
        self.flags = flags & Flag.KNOWN
        self._demanded = demanded
        self.suite: Suite | None = None
        self.resumed: Session | None = None
        self.group: int | None = None

    def _parsed(self, kind: int, message: bytes, allowed: frozenset[MessageKind]) -> Message | Outcome:
        """The message if it is new; else what it leads to: a repetition, another one, or none of the kind."""
        standing = self._standing.get(kind)
        if standing is not None and standing[0] == message:
            return standing[1]
        if kind not in allowed:
            return MALFORMED
        try:
            parsed = decode(kind, message)
        except MalformedMessage:
            return MALFORMED
        return parsed if standing is None else DIFFERENT

    def _stand(self, kind: int, message: bytes, outcome: Outcome) -> Outcome:
        """Let ``message`` stand; a repetition leads to the same end, or only to the same reply."""
        again = outcome
        if outcome.kind in _NEW:
            again = Outcome(OutcomeKind.repeated, reply=outcome.reply, reply_kind=outcome.reply_kind)
        self._standing[kind] = (message, again)
        return outcome

    def _check_flags(self, flags: int) -> None:
        """Refuse a peer that does not permit what is demanded."""
        if self._demanded & ~flags:
            raise Refusal(RefuseReason.POLICY)

    def _settle(self, suite: Suite, group: int, flags: int) -> None:
        self.suite = suite
        self.group = group
        self.flags &= flags

    def wipe(self) -> None:
        """Forget shares, keys and messages: it is over. ``schedule`` raises NotAgreed from now on."""
        self._own = None
        self._standing = {}
        self.resumed = None
        if self._schedule is not None:
            self._schedule.wipe()
            self._schedule = None


def refuse(reason: RefuseReason) -> Outcome:
    """This side ends the attempt."""
    reply = Refuse(reason).encode()
    return Outcome(OutcomeKind.refuse, reply=reply, reply_kind=MessageKind.REFUSE, reason=reason)


def refused(message: Refuse) -> Outcome:
    """The peer ended the attempt."""
    known = message.reason in RefuseReason._value2member_map_
    return Outcome(OutcomeKind.refused, reason=RefuseReason(message.reason) if known else None)
