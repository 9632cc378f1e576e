"""New keys under the old ones, as messages in and messages out: rekeying (profile.md §7).

Nothing here knows a segment or a timer. Generations are counted without end; on the wire stand their last 8 bits.
"""

from __future__ import annotations

from typing import Final

from .groups import GROUPS, BadShare, PrivateShare
from .messages import VERSION, MalformedMessage, MessageKind, Refuse, RefuseReason, Rekey, decode
from .octets import Random
from .outcome import NotAgreed, Outcome, OutcomeKind
from .reasons import AoDrop
from .schedule import Schedule
from .sessions import Session

_IGNORED: Final = Outcome(OutcomeKind.ignored)
_MALFORMED: Final = Outcome(OutcomeKind.malformed, drop=AoDrop.ke_malformed)
_DIFFERENT: Final = Outcome(OutcomeKind.ignored, drop=AoDrop.ke_repeated_differently)


class Rekeying:
    """The rekeying of one connection, from its first keys on.

    ``schedule`` is that of generation 0, ``group`` the code of the connection's group; ``is_a``: this side opened
    actively. ``random`` is called for a message's 32 octets, then for the share. ``newest`` is the last generation
    that there are keys of. ``ended``: a message was refused, so that the keys there are have to last.
    """

    __slots__ = (
        "_answered",
        "_chain",
        "_group",
        "_is_a",
        "_own",
        "_random",
        "_refused",
        "_rekey",
        "_schedule",
        "ended",
        "newest",
    )

    def __init__(self, schedule: Schedule, group: int, *, is_a: bool, random: Random) -> None:
        self._schedule = schedule
        self._chain = schedule.chain
        self._group = group
        self._is_a = is_a
        self._random = random
        # Our own rekey while it is not answered.
        self._own: PrivateShare | None = None
        self._rekey = b""
        # The rekey that this side has answered, and its answer.
        self._answered: tuple[bytes, bytes] | None = None
        # The message that this side has refused, and the refusal, which may be lost.
        self._refused: tuple[bytes, Outcome] | None = None
        self.newest = 0
        self.ended = False

    @property
    def open(self) -> bool:
        """Whether this side has a rekey under way, or has answered one under whose keys nothing has come yet."""
        return self._own is not None or self._answered is not None

    @property
    def asks(self) -> bool:
        """Whether our own rekey is not answered yet."""
        return self._own is not None

    def start(self) -> bytes:
        """Return a rekey for the generation after ``newest``; raises NotAgreed where one is open or none may be."""
        if self.open or self.ended:
            raise NotAgreed("rekeying is under way or has ended")
        fresh = self._random(32)
        self._own = GROUPS[self._group].generate(self._random)
        self._rekey = Rekey((self.newest + 1) & 0xFF, fresh, self._group, self._own.public).encode()
        return self._rekey

    def take(self, kind: int, message: bytes, under: int, current: int, *, held: bool = False) -> Outcome:
        """Take a whole message that came in a segment with a good MAC under generation ``under``.

        ``current`` is the generation under which this side sends; ``held``: there still is an older key with the
        KeyID of the next, so that no rekey is answered. The outcome is ``answer`` with the answer, or
        ``keys``: ``schedule`` has the new keys then; ``repeated`` with the answer again; ``refuse`` with the
        refusal, or ``refused``: rekeying has ended.
        """
        if kind == MessageKind.REKEY:
            outcome = self._take_rekey(message, under, current, held)
        elif kind == MessageKind.REKEY_ANSWER:
            outcome = self._take_answer(message, under)
        elif kind == MessageKind.REFUSE:
            outcome = self._take_refuse(message)
        else:
            outcome = _MALFORMED
        if outcome.kind in (OutcomeKind.refuse, OutcomeKind.refused):
            self.ended = True
            self._own = self._answered = None
            if outcome.reply is not None:
                again = Outcome(OutcomeKind.repeated, reply=outcome.reply, reply_kind=outcome.reply_kind)
                self._refused = (message, again)
        return outcome

    def _take_rekey(self, message: bytes, under: int, current: int, held: bool) -> Outcome:
        rekey = _parse(MessageKind.REKEY, message)
        if rekey is None:
            return _MALFORMED
        if self._answered is not None and under == self.newest - 1:
            first, answer = self._answered
            if message != first:
                return _DIFFERENT
            return Outcome(OutcomeKind.repeated, reply=answer, reply_kind=MessageKind.REKEY_ANSWER)
        if self._refused is not None and message == self._refused[0]:
            return self._refused[1]
        if self.ended or held or not under == current == self.newest or rekey.generation != (current + 1) & 0xFF:
            return _IGNORED
        if self._own is not None and self._is_a:
            return _IGNORED
        self._own = None
        reason = self._fault(rekey)
        if reason is not None:
            return _refuse(reason)
        fresh = self._random(32)
        try:
            own = GROUPS[self._group].respond(self._random, rekey.share)
            secret = own.secret(rekey.share)
        except BadShare:
            return _refuse(RefuseReason.SHARE)
        answer = Rekey(rekey.generation, fresh, self._group, own.public).encode()
        self._agree(message, answer, secret)
        self._answered = (message, answer)
        return Outcome(OutcomeKind.answer, reply=answer, reply_kind=MessageKind.REKEY_ANSWER)

    def _take_answer(self, message: bytes, under: int) -> Outcome:
        answer = _parse(MessageKind.REKEY_ANSWER, message)
        if answer is None:
            return _MALFORMED
        own = self._own
        if own is None or under != self.newest or answer.generation != (under + 1) & 0xFF:
            return _IGNORED
        reason = self._fault(answer)
        if reason is not None:
            return _refuse(reason)
        try:
            secret = own.secret(answer.share)
        except BadShare:
            return _refuse(RefuseReason.SHARE)
        self._own = None
        self._agree(self._rekey, message, secret)
        return Outcome(OutcomeKind.keys)

    def _take_refuse(self, message: bytes) -> Outcome:
        try:
            refuse = decode(MessageKind.REFUSE, message)
        except MalformedMessage:
            return _MALFORMED
        assert isinstance(refuse, Refuse)
        if not self.open:
            return _IGNORED
        known = refuse.reason in RefuseReason._value2member_map_
        return Outcome(OutcomeKind.refused, reason=RefuseReason(refuse.reason) if known else None)

    def _fault(self, message: Rekey) -> RefuseReason | None:
        if message.version != VERSION:
            return RefuseReason.VERSION
        return RefuseReason.GROUP if message.group != self._group else None

    def _agree(self, rekey: bytes, answer: bytes, secret: bytes) -> None:
        session = self._schedule.session
        self._schedule = Schedule.rekeyed(session, self._chain, rekey, answer, secret)
        self._chain = self._schedule.chain
        self.newest += 1

    def session(self) -> Session:
        """What both sides may keep for a later connection; raises NotAgreed once the first chain is gone."""
        if self.newest or self.ended:
            raise NotAgreed("the first keys are past")
        return Session.of(self._chain, self._group)

    def schedule(self) -> Schedule:
        """Return the keys of generation ``newest``; wiping them is the caller's."""
        return self._schedule

    def confirmed(self) -> None:
        """A good segment under the newest generation came: what this side answered needs no repetition."""
        self._answered = None

    def retract(self) -> None:
        """The newest generation's keys will not be used: the peer has refused them."""
        self.newest -= 1

    def wipe(self) -> None:
        """Forget every secret; nothing can be agreed on any more."""
        self._chain = b""
        self._own = None
        self._answered = None
        self._schedule.wipe()
        self.ended = True


def _parse(kind: MessageKind, message: bytes) -> Rekey | None:
    try:
        parsed = decode(kind, message)
    except MalformedMessage:
        return None
    assert isinstance(parsed, Rekey)
    return parsed


def _refuse(reason: RefuseReason) -> Outcome:
    return Outcome(OutcomeKind.refuse, reply=Refuse(reason).encode(), reply_kind=MessageKind.REFUSE, reason=reason)
