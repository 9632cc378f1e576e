"""When messages of rekeying are sent, and what becomes of the keys (profile.md §7, Rekeying)."""

from __future__ import annotations

import errno
import math
from typing import Final, Protocol

from ao.agreement import Outcome, OutcomeKind, Suite
from ao.keys import Key, agreed_key
from ao.messages import MessageKind
from ao.reasons import AoDrop
from ao.traffic_keys import SocketPair
from edo.messages import Inbox, Took

from .. import closing
from ..flow import Flow
from ..renewal import Renewal
from ..run import Run
from ..states import State
from .agreed_protection import AgreedProtection
from .keylog import log_keys

# Repetitions of a rekey by timer; after them it goes again when a good segment comes, at most this often (seconds).
_TRIES: Final = 6
_AGAIN: Final = 60.0
# How long a key is kept after the peer has turned to the next, seconds.
_GIVEN_UP: Final = 60.0
# B's keys last so much longer than A's, so that both do not begin at once.
_PATIENCE_OF_B: Final = 1.1
_NEVER: Final = math.inf


class Carriage(Protocol):
    """What takes a message to the peer under the MAC."""

    def carry(self, kind: MessageKind, message: bytes) -> None:
        """Send a whole message with what leaves next, or in an ACK of its own."""

    def forget(self, kind: MessageKind) -> None:
        """Do not send what waits of this kind."""

    def rearm(self) -> None:
        """A deadline may be another."""


class Renewer:
    """Rekeying on one connection: ``next_deadline`` is when ``advance`` has something to do, infinite for never.

    ``wanted``: new keys are due or were asked for; they are agreed on as soon as that is possible. ``permitted``:
    both sides allow rekeying; if not the limits hold all the same.
    """

    __slots__ = (
        "_began",
        "_carriage",
        "_due_at",
        "_flags",
        "_flow",
        "_from",
        "_generation",
        "_give_up_at",
        "_inboxes",
        "_interval",
        "_is_a",
        "_limits",
        "_message",
        "_protection",
        "_rekeying",
        "_renewal",
        "_repeat_at",
        "_repeated_at",
        "_repeats",
        "_ring",
        "_seconds",
        "_stopped_at",
        "_suite",
        "exhausted",
        "permitted",
        "wanted",
    )

    def __init__(
        self,
        flow: Flow,
        carriage: Carriage,
        protection: AgreedProtection,
        suite: Suite,
        flags: int,
        renewal: Renewal,
        *,
        is_a: bool,
        permitted: bool,
    ) -> None:
        self._flow = flow
        self._carriage = carriage
        self._protection = protection
        self._ring = protection.generations
        self._rekeying = protection.rekeying
        self._suite = suite
        self._flags = flags
        self._is_a = is_a
        self._renewal = renewal
        self._seconds = renewal.seconds * (1.0 if is_a else _PATIENCE_OF_B)
        self.permitted = permitted
        self.wanted = False
        self.exhausted = False
        self._inboxes: dict[int, Inbox] = {}
        self._due_at = _NEVER
        self._repeat_at = _NEVER
        self._interval = 0.0
        self._repeats = 0
        self._repeated_at = 0.0
        self._message = b""
        self._give_up_at: dict[int, float] = {}
        self._generation = 0
        self._from = self._began = (0, 0)
        self._limits: list[int] = []
        self._stopped_at = _NEVER
        self._ring.changed = self._changed
        protection.exceeded = self._exceeded
        self._new_keys(flow.stack.now)

    # --- in ----------------------------------------------------------------------------------------------

    @property
    def sending(self) -> int:
        """The generation under which this side sends."""
        return self._ring.sending

    def generation_of(self, key: Key) -> int:
        """The generation of a key of this connection."""
        return self._ring.generation_of(key)

    def inbox(self, generation: int) -> Inbox:
        """Where fragments of messages 5 and 6 are put together that came under ``generation``."""
        return self._inboxes.setdefault(generation, Inbox())

    def take(self, kind: MessageKind, message: bytes, took: Took, under: int, now: float) -> bool:
        """Take a whole message of rekeying from a segment under generation ``under``; False where it is none."""
        if took is Took.DIFFERS:
            self._flow.drop(AoDrop.ke_repeated_differently)
            return True
        # No KeyID stands for two keys: 256 changes may take the peer less time than an old key is kept.
        held = self._ring.find((self._rekeying.newest + 1) & 0xFF) is not None
        outcome = self._rekeying.take(kind, message, under, self._ring.sending, held=held)
        if outcome.drop is not None:
            self._flow.drop(outcome.drop)
        match outcome.kind:
            case OutcomeKind.answer | OutcomeKind.keys:
                self._stop_asking()
                self._announce()
                self._answer(outcome)
            case OutcomeKind.repeated:
                self._answer(outcome)
            case OutcomeKind.refuse | OutcomeKind.refused:
                self._refused(outcome)
        self.try_start(now)
        return outcome.kind is not OutcomeKind.malformed

    def _announce(self) -> None:
        """Both messages are there: accept and announce the next generation."""
        connection = self._flow.connection
        schedule = self._rekeying.schedule()
        generation = self._rekeying.newest
        key = agreed_key(
            schedule,
            self._suite,
            self._flags,
            SocketPair(*self._flow.key),
            connection.iss & 0xFFFFFFFF,
            connection.irs & 0xFFFFFFFF,
            generation & 0xFF,
        )
        log_keys(self._flow, schedule, self._suite, self._flags, generation, is_a=self._is_a)
        schedule.wipe()
        self._ring.announce(key, generation)
        self._changed()
        # One protected ACK at once tells the peer.
        connection.ack_now = True
        self._flow.stack.touch(self._flow)

    def _answer(self, outcome: Outcome) -> None:
        if outcome.reply is None or outcome.reply_kind is None:
            return
        # The answer travels under the generation of the rekey alone; who announced the next has the answer.
        if outcome.reply_kind is MessageKind.REFUSE or self._ring.sending < self._rekeying.newest:
            self._carriage.carry(outcome.reply_kind, outcome.reply)

    def _refused(self, outcome: Outcome) -> None:
        self._stop_asking()
        self.wanted = False
        if self._rekeying.newest > self._ring.sending and self._ring.retract():
            self._rekeying.retract()
        if outcome.reply is not None:
            self._carriage.carry(MessageKind.REFUSE, outcome.reply)
        self._flow.stack.counters["rekeys_refused"] += 1

    def _stop_asking(self) -> None:
        self._repeat_at = _NEVER
        self._repeats = 0
        self._message = b""
        self._carriage.forget(MessageKind.REKEY)

    def _changed(self) -> None:
        """A good segment said something new of keys, or there are new ones."""
        ring = self._ring
        now = self._flow.stack.now
        newest = self._rekeying.newest
        if ring.newest_heard == newest:
            self._rekeying.confirmed()
            if ring.heard_rnext == newest & 0xFF:
                for generation in ring.generations.values():
                    if generation < newest:
                        self._give_up_at.setdefault(generation, now + _GIVEN_UP)
        if ring.sending != self._generation:
            self._new_keys(now)
        self.try_start(now)
        self._flow.stack.touch(self._flow)
        self._carriage.rearm()

    # --- out ---------------------------------------------------------------------------------------------

    def ask(self) -> bool:
        """Have new keys agreed on as soon as that is possible; False where it never is."""
        if not self.permitted or self._rekeying.ended or not self._lives:
            return False
        # Not at once: who asks may not know the time.
        self._due_at = -_NEVER
        self._carriage.rearm()
        return True

    @property
    def _lives(self) -> bool:
        """Whether there may be octets to send: a FIN that is queued behind them is a state of its own already."""
        return State.ESTABLISHED <= self._flow.connection.state < State.TIME_WAIT

    def try_start(self, now: float) -> None:
        """Send a rekey if one is wanted and both ends stand at one generation."""
        ring = self._ring
        rekeying = self._rekeying
        if not self.wanted or not ring.agreed or rekeying.open or rekeying.ended:
            return
        if ring.find((rekeying.newest + 1) & 0xFF) is not None or not self._lives:
            return
        self._message = rekeying.start()
        self._repeats = _TRIES
        self._interval = self._flow.connection.rtt.rto
        self._repeat_at = now + self._interval
        self._send(now)

    def _send(self, now: float) -> None:
        self._repeated_at = now
        self._carriage.carry(MessageKind.REKEY, self._message)

    @property
    def asks(self) -> bool:
        """Whether a rekey of ours waits for its answer."""
        return self._rekeying.asks

    def good_segment(self, now: float) -> None:
        """A good segment came while our rekey is open: once the timer has given up, it is sent again by that."""
        if self._message and self._repeat_at == _NEVER and now - self._repeated_at >= _AGAIN:
            self._send(now)

    # --- limits and time ---------------------------------------------------------------------------------

    def _new_keys(self, now: float) -> None:
        """This side has begun to send under new keys: time and octets are counted anew."""
        connection = self._flow.connection
        self._generation = self._flow.handshake.facts.generation = self._ring.sending
        self.wanted = False
        renewable = self.permitted and not self._rekeying.ended
        self._due_at = now + self._seconds if renewable else _NEVER
        # What was not acknowledged yet goes again under these keys.
        self._from = (connection.snd_una, connection.rcv_nxt)
        self._began = (connection.snd_nxt, connection.rcv_nxt)
        self._limits = [self._renewal.octets, self._renewal.most] if renewable else [self._renewal.most]
        self._next_limit()

    def _next_limit(self) -> None:
        octets = self._limits.pop(0)
        self._protection.send_limit = float(self._from[0] + octets)
        self._protection.receive_limit = float(self._from[1] + octets)

    def _exceeded(self, run: Run) -> bool:
        """Whether a run beyond a limit may be sent: new keys are due at each but the last, which is the end."""
        protection = self._protection
        while self._limits:
            self._next_limit()
            self._due_at = -_NEVER
            self._carriage.rearm()
            if run.seq + run.length <= protection.send_limit and run.ack <= protection.receive_limit:
                return True
        self.exhausted = True
        self._carriage.rearm()
        if run.length:
            self._stopped_at = min(self._stopped_at, run.seq)
        # What carries no octet of the stream uses no keystream; the reset that is to come is such.
        return not run.length

    def _due(self, now: float) -> None:
        """The time has come; keys under which nothing was said yet wait until something is."""
        connection = self._flow.connection
        by_time, self._due_at = self._due_at > -_NEVER, _NEVER
        if by_time and self._began == (connection.snd_nxt, connection.rcv_nxt):
            self._limits.insert(0, self._renewal.octets)
            self._protection.send_limit, self._protection.receive_limit = map(float, self._began)
        elif self.permitted and self._lives:
            self.wanted = True
            self.try_start(now)

    @property
    def next_deadline(self) -> float:
        """When ``advance`` has something to do, seconds; infinite for never."""
        if self.exhausted:
            return -_NEVER
        return min(self._due_at, self._repeat_at, min(self._give_up_at.values(), default=_NEVER))

    def advance(self, now: float) -> None:
        """Run what is due."""
        if self.exhausted:
            self._abort(now)
            return
        if self._due_at <= now:
            self._due(now)
        if self._repeat_at <= now:
            if self._repeats and self._lives:
                self._repeats -= 1
                self._interval *= 2
                self._repeat_at = now + self._interval
                self._send(now)
            else:
                self._repeat_at = _NEVER
        for generation, at in tuple(self._give_up_at.items()):
            if at <= now:
                del self._give_up_at[generation]
                self._ring.give_up(generation)
                self._inboxes.pop(generation, None)

    def _abort(self, now: float) -> None:
        connection = self._flow.connection
        connection.now = now
        self._due_at = self._repeat_at = _NEVER
        self.exhausted = False
        # The number that the peer expects next, if it has all that was sent.
        connection.send_reset(int(min(connection.snd_nxt, self._stopped_at)))
        most = self._renewal.most
        closing.fail(connection, errno.EKEYEXPIRED, f"{most} octets in one direction and no new key")
