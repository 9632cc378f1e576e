"""Role B of a key agreement, the passive opener: an answer, or a retry and then an answer (profile.md §4)."""

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
    LISTENING = "listening"
    RETRY_SENT = "retry sent"
    ANSWERED = "answered"
    ENDED = "ended"


class AgreementB(Role):
    """The passive opener's part: it takes a hello, a second one after its retry, and a refusal of its answer.

    ``suites`` and ``groups`` (codes) are what it accepts; A's order decides unless ``own_order``. ``flags`` are
    this side's permissions and, once answered, those of both sides; ``demanded`` are those that A has to give.
    ``find`` gives the session of a ticket that can be taken. ``random`` is called when a hello is accepted: for the
    answer's 32 octets, then for the share. Raises ValueError for an empty list and for what is not available.

    ``sending`` is the message to be repeated until A has gone on, with its kind: the retry, then the answer. While
    A is ``unproven``, so that anybody may have sent the hello, a group whose shares cost much is refused (5).
    """

    __slots__ = (
        "_entries",
        "_find",
        "_first",
        "_own_order",
        "_peer_share",
        "_state",
        "answer",
        "sending",
        "unproven",
    )

    def __init__(
        self,
        *,
        suites: Sequence[Suite],
        groups: Sequence[int],
        flags: int,
        random: Random,
        own_order: bool = False,
        find: Callable[[bytes], Session | None] = lambda _ticket: None,
        demanded: int = 0,
    ) -> None:
        super().__init__(suites, groups, flags, random, demanded)
        self.answer: bytes | None = None
        self.sending: tuple[MessageKind, bytes] | None = None
        self.unproven = False
        self._own_order = own_order
        self._find = find
        self._first: Hello | None = None
        self._entries: list[tuple[MessageKind, bytes]] = []
        self._peer_share = b""
        self._state = _State.LISTENING

    @property
    def answered(self) -> bool:
        """Whether the answer stands."""
        return self._state is _State.ANSWERED

    def take(self, kind: int, message: bytes, *, isn: int, eno: bytes, peer_isn: int, peer_eno: bytes) -> Outcome:
        """Take a whole message of A; ``isn``, ``eno`` are the SYN-ACK's, ``peer_isn``, ``peer_eno`` the SYN's."""
        parsed = self._parsed(kind, message, _FROM_A)
        if isinstance(parsed, Outcome):
            # Once the second hello is there the first means nothing any more.
            past = kind == MessageKind.HELLO and MessageKind.SECOND_HELLO in self._standing
            return IGNORED if past and parsed.kind is OutcomeKind.repeated else parsed
        action = _TABLE.get((self._state, MessageKind(kind)))
        if action is None:
            return IGNORED
        try:
            outcome = action(self, parsed, message, Ends(isn, eno, peer_isn, peer_eno))
        except Refusal as refusal:
            self._end()
            outcome = refuse(refusal.reason)
        return self._stand(kind, message, outcome)

    def _end(self) -> None:
        self._state = _State.ENDED
        self._standing.clear()
        self.wipe()

    def _take_hello(self, hello: Message, octets: bytes, ends: Ends) -> Outcome:
        assert isinstance(hello, Hello)
        # A later version's hello that still reads as one is answered with the highest version there is here.
        if hello.version < VERSION:
            raise Refusal(RefuseReason.VERSION)
        check_copies(hello, ends)
        self._check_flags(hello.flags)
        suite = self._choose_suite(hello)
        if (hello.group == NO_GROUP) != (not hello.share):
            raise Refusal(RefuseReason.SHARE)
        if hello.group != NO_GROUP and hello.group not in hello.groups:
            raise Refusal(RefuseReason.GROUP)
        if hello.group == NO_GROUP or hello.group in self._groups:
            for index, ticket in enumerate(hello.tickets):
                session = self._find(ticket)
                if session is not None:
                    self._entries.append((MessageKind.HELLO, octets))
                    return self._answer(hello, suite, ends, session, index)
        group = self._choose_group(hello)
        self._entries.append((MessageKind.HELLO, octets))
        if group == hello.group:
            return self._answer(hello, suite, ends)
        self._first = hello
        self._state = _State.RETRY_SENT
        self.sending = (MessageKind.RETRY, Retry(self.flags, ends.eno, group).encode())
        self._entries.append(self.sending)
        return Outcome(OutcomeKind.retry, reply=self.sending[1], reply_kind=MessageKind.RETRY)

    def _take_second_hello(self, hello: Message, octets: bytes, ends: Ends) -> Outcome:
        assert isinstance(hello, Hello)
        first = self._first
        assert first is not None
        check_copies(hello, ends)
        if hello.tickets:
            raise Refusal(RefuseReason.SHARE)
        if hello.group != self._choose_group(first):
            raise Refusal(RefuseReason.GROUP)
        if replace(hello, group=first.group, share=first.share, tickets=first.tickets) != first:
            raise Refusal(RefuseReason.POLICY)
        self._entries.append((MessageKind.SECOND_HELLO, octets))
        return self._answer(hello, self._choose_suite(hello), ends)

    def _choose_suite(self, hello: Hello) -> Suite:
        mine, theirs = (self._suites, hello.suites) if self._own_order else (hello.suites, self._suites)
        suite = next((suite for suite in mine if suite in theirs), None)
        if suite is None:
            raise Refusal(RefuseReason.SUITE)
        return suite

    def _choose_group(self, hello: Hello) -> int:
        """The group of A's share if it is accepted, else the one to ask for."""
        if self._own_order:
            group = next((group for group in self._groups if group in hello.groups), None)
        elif hello.group in self._groups:
            group = hello.group
        else:
            group = next((group for group in hello.groups if group in self._groups), None)
        if group is None:
            raise Refusal(RefuseReason.GROUP)
        return group

    def _answer(
        self, hello: Hello, suite: Suite, ends: Ends, session: Session | None = None, index: int = NO_TICKET
    ) -> Outcome:
        self.resumed = session
        fresh, share, group = self._random(32), b"", hello.group
        if group != NO_GROUP:
            if self.unproven and GROUPS[group].costly:
                raise Refusal(RefuseReason.POLICY)
            try:
                self._own = GROUPS[group].respond(self._random, hello.share)
            except BadShare:
                raise Refusal(RefuseReason.SHARE) from None
            share = self._own.public
        self.answer = Answer(self.flags, fresh, ends.isn, ends.eno, suite, group, share, index).encode()
        self.sending = (MessageKind.ANSWER, self.answer)
        self._entries.append(self.sending)
        self._peer_share = hello.share
        self._settle(suite, group if session is None or group != NO_GROUP else session.group, hello.flags)
        self._state = _State.ANSWERED
        return Outcome(OutcomeKind.answer, reply=self.answer, reply_kind=MessageKind.ANSWER)

    def _take_refuse(self, refusal: Message, _octets: bytes, _ends: Ends) -> Outcome:
        assert isinstance(refusal, Refuse)
        self._end()
        return refused(refusal)

    def schedule(self) -> Schedule:
        """Return the keys; the secret is computed by the first call, which a forged hello never brings about.

        Raises NotAgreed while there is no answer, BadShare for a share whose fault only the computation shows.
        """
        if self._schedule is None:
            if (self._own is None and self.resumed is None) or not self.answered:
                raise NotAgreed("there are no keys")
            secret = b"" if self.resumed is None else self.resumed.resume
            if self._own is not None:
                secret += self._own.secret(self._peer_share)
            self._schedule = Schedule.from_messages(self._entries, secret)
            self._own = None
        return self._schedule

    def wipe(self) -> None:
        super().wipe()
        self._first = None
        self._entries = []


_FROM_A: Final = FROM_EITHER | {MessageKind.HELLO, MessageKind.SECOND_HELLO}

# Every other pair is ignored: a second hello has its place behind a retry only.
_TABLE: Final[dict[tuple[_State, MessageKind], Callable[[AgreementB, Message, bytes, Ends], Outcome]]] = {
    (_State.LISTENING, MessageKind.HELLO): AgreementB._take_hello,
    (_State.RETRY_SENT, MessageKind.SECOND_HELLO): AgreementB._take_second_hello,
    (_State.LISTENING, MessageKind.REFUSE): AgreementB._take_refuse,
    (_State.RETRY_SENT, MessageKind.REFUSE): AgreementB._take_refuse,
    (_State.ANSWERED, MessageKind.REFUSE): AgreementB._take_refuse,
}
