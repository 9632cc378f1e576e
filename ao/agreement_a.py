"""Role A of a key agreement, the active opener: a hello, a second one where B asks for it (profile.md §4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import Enum
from typing import Final

from .groups import GROUPS, BadShare
from .messages import NO_GROUP, NO_TICKET, VERSION, Answer, Hello, Message, MessageKind, Refuse, RefuseReason, Retry
from .octets import Random
from .outcome import NotAgreed, Outcome, OutcomeKind
from .role import FROM_EITHER, IGNORED, Ends, Refusal, Role, check_copies, refuse, refused
from .schedule import Schedule
from .sessions import Session
from .suite import Suite


class _State(Enum):
    HELLO_SENT = "hello sent"
    RETRIED = "second hello sent"
    KEYS = "has keys"
    ENDED = "ended"


class AgreementA(Role):
    """The active opener's part: it has made its hello, and takes an answer.

    ``isn`` is S_A (32 bits), ``eno`` the whole TCP-ENO option of the SYN, ``suites`` and ``groups`` (codes) are in
    order of preference; the share sent is of the first group. ``sessions`` are offered by their tickets, and
    without ``fresh`` no share goes with them. ``flags`` are this side's permissions, and, once there are keys,
    those of both sides; ``demanded`` are those that B has to give. ``random`` is called for the hello's 32 octets,
    then for the share, and again for the share of a second hello. Raises ValueError for an empty list and for what
    is not available.

    ``hello`` is the first hello; ``sending`` is the message to be repeated until B answers, with its kind.
    """

    __slots__ = ("_entries", "_isn", "_sent", "_sessions", "_state", "hello", "sending")

    def __init__(
        self,
        *,
        isn: int,
        eno: bytes,
        suites: Sequence[Suite],
        groups: Sequence[int],
        flags: int,
        random: Random,
        sessions: Sequence[Session] = (),
        fresh: bool = True,
        demanded: int = 0,
    ) -> None:
        super().__init__(suites, groups, flags, random, demanded)
        self._isn = isn
        self._sessions = tuple(sessions)
        octets = random(32)
        group, share = NO_GROUP, b""
        if fresh or not sessions:
            group = groups[0]
            self._own = GROUPS[group].generate(random)
            share = self._own.public
        tickets = tuple(session.ticket for session in sessions)
        self._sent = Hello(self.flags, octets, isn, eno, self._suites, self._groups, group, share, tickets)
        self.hello = self._sent.encode()
        self.sending: tuple[MessageKind, bytes] = (MessageKind.HELLO, self.hello)
        self._entries: list[tuple[MessageKind, bytes]] = [self.sending]
        self._state = _State.HELLO_SENT

    def take(self, kind: int, message: bytes, *, peer_isn: int, peer_eno: bytes) -> Outcome:
        """Take a whole message of B; ``peer_isn`` and ``peer_eno`` are those of the SYN-ACK."""
        parsed = self._parsed(kind, message, _FROM_B)
        if isinstance(parsed, Outcome):
            return parsed
        action = _TABLE.get((self._state, MessageKind(kind)))
        if action is None:
            return IGNORED
        try:
            outcome = action(self, parsed, message, Ends(self._isn, self._sent.eno, peer_isn, peer_eno))
        except Refusal as refusal:
            self._end()
            outcome = refuse(refusal.reason)
        return self._stand(kind, message, outcome)

    def _end(self) -> None:
        self._state = _State.ENDED
        self._standing.clear()
        self._own = None

    def _take_answer(self, answer: Message, octets: bytes, ends: Ends) -> Outcome:
        assert isinstance(answer, Answer)
        if answer.version != VERSION:
            raise Refusal(RefuseReason.VERSION)
        check_copies(answer, ends)
        self._check_flags(answer.flags)
        if answer.suite not in self._suites:
            raise Refusal(RefuseReason.SUITE)
        if self._own is not None and answer.group not in (self._sent.group, NO_GROUP):
            raise Refusal(RefuseReason.GROUP)
        session = self._session(answer.ticket_index)
        secret = b"" if session is None else session.resume
        own = self._own
        if own is None:
            # Without a share of ours there is none of B's, and then there has to be a session.
            if answer.group != NO_GROUP or answer.share or session is None:
                raise Refusal(RefuseReason.SHARE)
            group = session.group
        else:
            if answer.group == NO_GROUP:
                raise Refusal(RefuseReason.SHARE)
            group = answer.group
            try:
                secret += own.secret(answer.share)
            except BadShare:
                raise Refusal(RefuseReason.SHARE) from None
        self._schedule = Schedule.from_messages([*self._entries, (MessageKind.ANSWER, octets)], secret)
        self._own = None
        self.resumed = session
        self._settle(answer.suite, group, answer.flags)
        self._state = _State.KEYS
        return Outcome(OutcomeKind.keys)

    def _session(self, index: int) -> Session | None:
        """The session that B took, by its place in the hello."""
        if index == NO_TICKET:
            return None
        if index >= len(self._sent.tickets):
            raise Refusal(RefuseReason.SHARE)
        return self._sessions[index]

    def _take_retry(self, retry: Message, octets: bytes, ends: Ends) -> Outcome:
        assert isinstance(retry, Retry)
        if retry.version != VERSION:
            raise Refusal(RefuseReason.VERSION)
        if retry.eno != ends.peer_eno:
            raise Refusal(RefuseReason.ENO)
        if retry.group == self._sent.group or retry.group not in self._groups:
            raise Refusal(RefuseReason.GROUP)
        self._own = GROUPS[retry.group].generate(self._random)
        self._sent = replace(self._sent, group=retry.group, share=self._own.public, tickets=())
        self.sending = (MessageKind.SECOND_HELLO, self._sent.encode())
        self._entries += [(MessageKind.RETRY, octets), self.sending]
        self._state = _State.RETRIED
        return Outcome(OutcomeKind.retry, reply=self.sending[1], reply_kind=MessageKind.SECOND_HELLO)

    def _take_refuse(self, refusal: Message, _octets: bytes, _ends: Ends) -> Outcome:
        assert isinstance(refusal, Refuse)
        self._end()
        return refused(refusal)

    def wipe(self) -> None:
        super().wipe()
        self._sessions = ()
        self._entries = []

    def schedule(self) -> Schedule:
        """Return the keys; raises NotAgreed while there are none."""
        if self._schedule is None:
            raise NotAgreed("there are no keys")
        return self._schedule


_FROM_B: Final = FROM_EITHER | {MessageKind.ANSWER, MessageKind.RETRY}

# Every other pair is ignored: in particular nothing clear ends an agreement that has keys.
_TABLE: Final[dict[tuple[_State, MessageKind], Callable[[AgreementA, Message, bytes, Ends], Outcome]]] = {
    (_State.HELLO_SENT, MessageKind.ANSWER): AgreementA._take_answer,
    (_State.HELLO_SENT, MessageKind.RETRY): AgreementA._take_retry,
    (_State.HELLO_SENT, MessageKind.REFUSE): AgreementA._take_refuse,
    (_State.RETRIED, MessageKind.ANSWER): AgreementA._take_answer,
    (_State.RETRIED, MessageKind.REFUSE): AgreementA._take_refuse,
}
