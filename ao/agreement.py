"""Key agreement as messages in and messages out: the roles A and B (profile.md §4).

Nothing here knows an option, a segment or a timer: how a message travelled changes no key. Each role is a table
from (state, message kind) to what is done. The first complete message stands: the same octets again get the same
reply, other octets change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Final

from .cipher import CIPHERS, NO_CIPHER
from .groups import GROUPS, BadShare, PrivateShare
from .macs import by_number
from .messages import (
    NO_GROUP,
    NO_TICKET,
    VERSION,
    Answer,
    Flag,
    Hello,
    MalformedMessage,
    Message,
    MessageKind,
    Refuse,
    RefuseReason,
    Retry,
    decode,
)
from .octets import Random
from .outcome import NotAgreed, Outcome, OutcomeKind
from .reasons import AoDrop
from .schedule import Schedule
from .suite import Suite

__all__ = ["AgreementA", "AgreementB", "NotAgreed", "Outcome", "OutcomeKind", "Suite"]


class _Refusal(Exception):
    """A message that can be parsed and not be accepted."""

    def __init__(self, reason: RefuseReason) -> None:
        super().__init__(reason)
        self.reason = reason


class _Ends:
    """What both sides know of their SYNs: ISNs (32 bits) and whole TCP-ENO options."""

    __slots__ = ("isn", "peer_eno", "peer_isn")

    def __init__(self, isn: int, peer_isn: int, peer_eno: bytes) -> None:
        self.isn = isn
        self.peer_isn = peer_isn
        self.peer_eno = peer_eno


_IGNORED: Final = Outcome(OutcomeKind.ignored)
_MALFORMED: Final = Outcome(OutcomeKind.malformed, drop=AoDrop.ke_malformed)
_DIFFERENT: Final = Outcome(OutcomeKind.ignored, drop=AoDrop.ke_repeated_differently)


def _check_copies(message: Hello | Answer, ends: _Ends) -> None:
    """Compare what the message says of its sender's SYN with what came of it."""
    if message.eno != ends.peer_eno:
        raise _Refusal(RefuseReason.ENO)
    # Equal ISNs would not tell the two directions' keys apart once addresses count as zero (profile.md §9).
    if message.isn != ends.peer_isn or message.isn == ends.isn:
        raise _Refusal(RefuseReason.ISN)


def _check_offer(suites: Sequence[Suite], groups: Sequence[int]) -> None:
    if not suites or not groups:
        raise ValueError("an agreement needs at least one suite and one group")
    for suite in suites:
        if by_number(suite.mac) is None or (suite.cipher != NO_CIPHER and suite.cipher not in CIPHERS):
            raise ValueError(f"suite {suite.mac} {suite.cipher} is not available")
    for group in groups:
        if group not in GROUPS:
            raise ValueError(f"group {group} is not available")


class _Role:
    """What both roles share: the offer, the peer's message that stands, and the keys."""

    __slots__ = ("_first", "_groups", "_own", "_random", "_schedule", "_suites", "flags", "group", "suite")

    def __init__(self, suites: Sequence[Suite], groups: Sequence[int], flags: int, random: Random) -> None:
        _check_offer(suites, groups)
        self._suites = tuple(Suite(*suite) for suite in suites)
        self._groups = tuple(groups)
        self._random = random
        self._own: PrivateShare | None = None
        self._schedule: Schedule | None = None
        # The message that settled or ended the attempt, its kind, and what a repetition of it gets.
        self._first: tuple[int, bytes, Outcome] | None = None
        self.flags = flags & Flag.KNOWN
        self.suite: Suite | None = None
        self.group: int | None = None

    def _decode(self, kind: int, message: bytes, allowed: frozenset[MessageKind]) -> Message | None:
        if kind not in allowed:
            return None
        try:
            return decode(kind, message)
        except MalformedMessage:
            return None

    def _repetition(self, kind: int, message: bytes) -> Outcome | None:
        """What the message that stands led to, if this is that message again."""
        if self._first is None or kind != self._first[0] or message != self._first[1]:
            return None
        return self._first[2]

    def _has_one_of(self, kind: int) -> bool:
        return self._first is not None and self._first[0] == kind

    def _stand(self, kind: int, message: bytes, outcome: Outcome) -> Outcome:
        """Let ``message`` stand; a repetition leads to the same end, or only to the same reply."""
        again = outcome
        if outcome.kind in (OutcomeKind.answer, OutcomeKind.keys):
            again = Outcome(OutcomeKind.repeated, reply=outcome.reply, reply_kind=outcome.reply_kind)
        self._first = (kind, message, again)
        return outcome

    def _settle(self, suite: Suite, group: int, flags: int) -> None:
        self.suite = suite
        self.group = group
        self.flags &= flags

    def wipe(self) -> None:
        """Forget shares and keys; ``schedule`` raises NotAgreed from now on."""
        self._own = None
        if self._schedule is not None:
            self._schedule.wipe()
            self._schedule = None


def _refuse(reason: RefuseReason) -> Outcome:
    reply = Refuse(reason).encode()
    return Outcome(OutcomeKind.refuse, reply=reply, reply_kind=MessageKind.REFUSE, reason=reason)


def _refused(message: Refuse) -> Outcome:
    known = message.reason in RefuseReason._value2member_map_
    return Outcome(OutcomeKind.refused, reason=RefuseReason(message.reason) if known else None)


class _StateA(Enum):
    HELLO_SENT = "hello sent"
    KEYS = "has keys"
    ENDED = "ended"


class AgreementA(_Role):
    """The active opener's part: it has made its hello, and takes an answer.

    ``isn`` is S_A (32 bits), ``eno`` the whole TCP-ENO option of the SYN, ``suites`` and ``groups`` (codes) are in
    order of preference; the share sent is of the first group. ``flags`` are this side's permissions, and, once
    there are keys, those of both sides. ``random`` is called for the hello's 32 octets, then for the share.
    Raises ValueError for an empty list and for what is not available.
    """

    __slots__ = ("_hello", "_isn", "_state", "hello")

    def __init__(
        self,
        *,
        isn: int,
        eno: bytes,
        suites: Sequence[Suite],
        groups: Sequence[int],
        flags: int,
        random: Random,
    ) -> None:
        super().__init__(suites, groups, flags, random)
        self._isn = isn
        fresh = random(32)
        self._own = GROUPS[groups[0]].generate(random)
        self._hello = Hello(self.flags, fresh, isn, eno, self._suites, self._groups, groups[0], self._own.public)
        self.hello = self._hello.encode()
        self._state = _StateA.HELLO_SENT

    def take(self, kind: int, message: bytes, *, peer_isn: int, peer_eno: bytes) -> Outcome:
        """Take a whole message of B; ``peer_isn`` and ``peer_eno`` are those of the SYN-ACK."""
        repetition = self._repetition(kind, message)
        if repetition is not None:
            return repetition
        parsed = self._decode(kind, message, _FROM_B)
        if parsed is None:
            return _MALFORMED
        if self._has_one_of(kind):
            return _DIFFERENT
        action = _TABLE_A.get((self._state, MessageKind(kind)))
        if action is None:
            return _IGNORED
        try:
            return self._stand(kind, message, action(self, parsed, message, _Ends(self._isn, peer_isn, peer_eno)))
        except _Refusal as refusal:
            self._end()
            return self._stand(kind, message, _refuse(refusal.reason))

    def _end(self) -> None:
        self._state = _StateA.ENDED
        self._own = None

    def _take_answer(self, answer: Message, octets: bytes, ends: _Ends) -> Outcome:
        assert isinstance(answer, Answer)
        own = self._own
        assert own is not None
        if answer.version != VERSION:
            raise _Refusal(RefuseReason.VERSION)
        _check_copies(answer, ends)
        if answer.suite not in self._suites:
            raise _Refusal(RefuseReason.SUITE)
        if answer.group not in (self._hello.group, NO_GROUP):
            raise _Refusal(RefuseReason.GROUP)
        if answer.group == NO_GROUP or answer.ticket_index != NO_TICKET:
            raise _Refusal(RefuseReason.SHARE)
        try:
            secret = own.secret(answer.share)
        except BadShare:
            raise _Refusal(RefuseReason.SHARE) from None
        entries = ((MessageKind.HELLO, self.hello), (MessageKind.ANSWER, octets))
        self._schedule = Schedule.from_messages(entries, secret)
        self._own = None
        self._settle(answer.suite, answer.group, answer.flags)
        self._state = _StateA.KEYS
        return Outcome(OutcomeKind.keys)

    def _take_retry(self, retry: Message, _octets: bytes, ends: _Ends) -> Outcome:
        assert isinstance(retry, Retry)
        if retry.eno != ends.peer_eno:
            raise _Refusal(RefuseReason.ENO)
        # One share is made per attempt; a request for another group cannot be met.
        raise _Refusal(RefuseReason.GROUP)

    def _take_refuse(self, refuse: Message, _octets: bytes, _ends: _Ends) -> Outcome:
        assert isinstance(refuse, Refuse)
        self._end()
        return _refused(refuse)

    def schedule(self) -> Schedule:
        """Return the keys; raises NotAgreed while there are none."""
        if self._schedule is None:
            raise NotAgreed("there are no keys")
        return self._schedule


_FROM_EITHER: Final = frozenset({MessageKind.REKEY, MessageKind.REKEY_ANSWER, MessageKind.REFUSE})
_FROM_B: Final = _FROM_EITHER | {MessageKind.ANSWER, MessageKind.RETRY}

# Every other pair is ignored: in particular nothing clear ends an agreement that has keys.
_TABLE_A: Final[dict[tuple[_StateA, MessageKind], Callable[[AgreementA, Message, bytes, _Ends], Outcome]]] = {
    (_StateA.HELLO_SENT, MessageKind.ANSWER): AgreementA._take_answer,
    (_StateA.HELLO_SENT, MessageKind.RETRY): AgreementA._take_retry,
    (_StateA.HELLO_SENT, MessageKind.REFUSE): AgreementA._take_refuse,
}


class _StateB(Enum):
    LISTENING = "listening"
    ANSWERED = "answered"
    ENDED = "ended"


class AgreementB(_Role):
    """The passive opener's part: it takes a hello, and a refusal of its answer.

    ``suites`` and ``groups`` (codes) are what it accepts; A's order decides. ``flags`` are this side's
    permissions and, once answered, those of both sides. ``random`` is called when a hello is accepted: for the
    answer's 32 octets, then for the share. Raises ValueError for an empty list and for what is not available.
    """

    __slots__ = ("_hello", "_peer_share", "_state", "answer")

    def __init__(self, *, suites: Sequence[Suite], groups: Sequence[int], flags: int, random: Random) -> None:
        super().__init__(suites, groups, flags, random)
        self.answer: bytes | None = None
        self._hello = b""
        self._peer_share = b""
        self._state = _StateB.LISTENING

    def take_hello(self, message: bytes, *, isn: int, eno: bytes, peer_isn: int, peer_eno: bytes) -> Outcome:
        """Take a whole hello; ``isn`` and ``eno`` are of the SYN-ACK, ``peer_isn`` and ``peer_eno`` of the SYN."""
        return self.take(MessageKind.HELLO, message, isn=isn, eno=eno, peer_isn=peer_isn, peer_eno=peer_eno)

    def take(self, kind: int, message: bytes, *, isn: int, eno: bytes, peer_isn: int, peer_eno: bytes) -> Outcome:
        """Take a whole message of A; the other arguments are as in ``take_hello``."""
        repetition = self._repetition(kind, message)
        if repetition is not None:
            return repetition
        parsed = self._decode(kind, message, _FROM_A)
        if parsed is None:
            return _MALFORMED
        if self._has_one_of(kind):
            return _DIFFERENT
        action = _TABLE_B.get((self._state, MessageKind(kind)))
        if action is None:
            return _IGNORED
        try:
            outcome = action(self, parsed, message, _Ends(isn, peer_isn, peer_eno), eno)
        except _Refusal as refusal:
            self._end()
            outcome = _refuse(refusal.reason)
        return self._stand(kind, message, outcome)

    def _end(self) -> None:
        self._state = _StateB.ENDED
        self.wipe()

    def _take_hello(self, hello: Message, octets: bytes, ends: _Ends, eno: bytes) -> Outcome:
        assert isinstance(hello, Hello)
        # A later version's hello that still reads as one is answered with the highest version there is here.
        if hello.version < VERSION:
            raise _Refusal(RefuseReason.VERSION)
        _check_copies(hello, ends)
        suite = next((suite for suite in hello.suites if suite in self._suites), None)
        if suite is None:
            raise _Refusal(RefuseReason.SUITE)
        if (hello.group == NO_GROUP) != (not hello.share):
            raise _Refusal(RefuseReason.SHARE)
        if hello.group not in hello.groups or hello.group not in self._groups:
            raise _Refusal(RefuseReason.GROUP)
        fresh = self._random(32)
        try:
            self._own = GROUPS[hello.group].respond(self._random, hello.share)
        except BadShare:
            raise _Refusal(RefuseReason.SHARE) from None
        self.answer = Answer(self.flags, fresh, ends.isn, eno, suite, hello.group, self._own.public).encode()
        self._hello = octets
        self._peer_share = hello.share
        self._settle(suite, hello.group, hello.flags)
        self._state = _StateB.ANSWERED
        return Outcome(OutcomeKind.answer, reply=self.answer, reply_kind=MessageKind.ANSWER)

    def _take_refuse(self, refuse: Message, _octets: bytes, _ends: _Ends, _eno: bytes) -> Outcome:
        assert isinstance(refuse, Refuse)
        self._end()
        return _refused(refuse)

    def schedule(self) -> Schedule:
        """Return the keys; the secret is computed by the first call, which a forged hello never brings about.

        Raises NotAgreed while there is no answer, BadShare for a share whose fault only the computation shows.
        """
        if self._schedule is None:
            if self._own is None or self.answer is None:
                raise NotAgreed("there are no keys")
            secret = self._own.secret(self._peer_share)
            entries = ((MessageKind.HELLO, self._hello), (MessageKind.ANSWER, self.answer))
            self._schedule = Schedule.from_messages(entries, secret)
            self._own = None
        return self._schedule


_FROM_A: Final = _FROM_EITHER | {MessageKind.HELLO, MessageKind.SECOND_HELLO}

# Every other pair is ignored. A second hello has no place: it follows a retry, and none is sent.
_TABLE_B: Final[
    dict[tuple[_StateB, MessageKind], Callable[[AgreementB, Message, bytes, _Ends, bytes], Outcome]]
] = {
    (_StateB.LISTENING, MessageKind.HELLO): AgreementB._take_hello,
    (_StateB.LISTENING, MessageKind.REFUSE): AgreementB._take_refuse,
    (_StateB.ANSWERED, MessageKind.REFUSE): AgreementB._take_refuse,
}
