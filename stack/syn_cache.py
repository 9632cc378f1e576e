"""SYN cache: of a connection in SYN-RECEIVED no more is kept than its SYN said (RFC 4987 §3.3).

A record becomes a connection again for whatever happens to it: a segment, a timer, ICMP. So there is one set of
rules, that of the connection; what is kept says the same to it as the SYN did.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

from edo.options import Options

from .config import TcpConfig
from .flow import Flow
from .ground import Ground
from .handshake.base import Handshake
from .handshake.syn_eos_answer import Answerer
from .listener import Listener
from .memory import CONNECTION, HALF_OPEN, RESERVE
from .ports import FlowKey
from .run import SYN, Run
from .states import State

# Records of one stack. A flood that holds this many costs about three megabytes.
_LIMIT: Final = 4096
# While there are no more than so many, the connections are kept beside the records: most SYNs are followed by their
# ACK within a moment. Where there are more it may be a flood, in which hardly one is.
_WHOLE: Final = 64
_WHOLE_OCTETS: Final = CONNECTION - RESERVE


class HalfOpen:
    """The record of one SYN: numbers of 32 bits, the window as in the field, times in seconds.

    ``config`` is what the connection was offered with, ``began`` when the SYN came; our answer was repeated
    ``retries`` times for want of an acknowledgment, ``transmissions`` for any reason, and is again at
    ``next_deadline``. What the SYN did not have is -1.
    """

    __slots__ = (
        "_cache",
        "_ecn",
        "_edo_supported",
        "_flags",
        "_mss",
        "_sack_permitted",
        "_syn_eos",
        "_ts_val",
        "_user_timeout",
        "_window",
        "_wscale",
        "began",
        "config",
        "irs",
        "iss",
        "key",
        "listener",
        "next_deadline",
        "over",
        "retries",
        "scheduled",
        "transmissions",
        "whole",
    )

    def __init__(self, cache: SynCache, listener: Listener, flow: Flow, syn: Run) -> None:
        connection = flow.connection
        options = syn.options
        self._cache = cache
        self.listener = listener
        self.key = flow.key
        self.config: TcpConfig = connection.config
        self.began = flow.started
        self.irs = syn.seq
        self.iss = connection.iss
        self._window = syn.window
        self._flags = syn.flags
        self._ecn = syn.ecn
        self._mss = -1 if options.mss is None else options.mss
        self._wscale = -1 if options.wscale is None else options.wscale
        self._sack_permitted = options.sack_permitted
        self._ts_val = -1 if options.ts_val is None else options.ts_val
        self._user_timeout = -1 if options.user_timeout is None else options.user_timeout
        self._edo_supported = options.edo_supported
        self._syn_eos = options.syn_eos
        self.scheduled: float | None = None
        self.over = False
        self.retries = self.transmissions = 0
        self.next_deadline: float | None = None
        # The connection itself, as long as there are few and nothing has happened to it.
        self.whole: Flow | None = None
        self.keep(flow)

    def repeated(self, options: Options) -> None:
        """The SYN came again: of a late one EDO's offer may be missing, and the answer follows it (N8)."""
        self._edo_supported = options.edo_supported

    def keep(self, flow: Flow) -> None:
        """What has changed since the SYN: our answer was sent, and when it is repeated."""
        connection = flow.connection
        if not connection.ecn and not connection.accurate:
            # A repetition without the offer took it back (RFC 3168 §6.1.1.1).
            self._flags = SYN
        self.retries = connection.retries
        self.transmissions = connection.transmission
        self.next_deadline = connection.next_deadline
        # The flow is no more than a means; nobody else knows it.
        flow.over = True

    def thaw(self) -> Flow:
        """The connection as it was when it was kept."""
        if self.whole is not None:
            flow = self.whole
            flow.over = False
            return flow
        flow = self._cache.stack.new_flow(
            self.key, self.listener.security, active=False, now=self.began, iss=self.iss, config=self.config
        )
        options = Options(
            mss=_or_none(self._mss),
            wscale=_or_none(self._wscale),
            sack_permitted=self._sack_permitted,
            ts_val=_or_none(self._ts_val),
            edo_supported=self._edo_supported,
            user_timeout=_or_none(self._user_timeout),
        )
        connection = flow.connection
        connection.accept(Run(self.irs, 0, self._flags, self._window, options, ecn=self._ecn), self.began)
        connection.out.clear()
        connection.answered_before(self.retries, self.transmissions, self.next_deadline)
        flow.edo.take_syn(self._edo_supported)
        flow.handshake = handshake = Handshake(flow, self.listener.security.protect)
        settings = self.listener.security.syn_eos
        if self._syn_eos and settings is not None:
            # Its OOB may still come, with ACK.
            Answerer(handshake, settings, options, (), 0, None)
        return flow

    def advance(self, now: float) -> None:
        """Our answer was not acknowledged in time: again, or no more."""
        self._cache.act(self, lambda flow: flow.advance(now), now)


def _or_none(value: int) -> int | None:
    return None if value < 0 else value


class SynCache:
    """The half-open connections of a stack that are kept as records, oldest first; at most ``limit`` of them.

    While there are no more than ``most_whole`` the connections are kept beside them, which spares making them anew.
    """

    __slots__ = ("_records", "_whole", "limit", "most_whole", "stack")

    def __init__(self, stack: Ground, limit: int = _LIMIT) -> None:
        self.stack = stack
        self.limit = limit
        self.most_whole = _WHOLE
        self._records: OrderedDict[FlowKey, HalfOpen] = OrderedDict()
        self._whole: dict[HalfOpen, None] = {}

    def __len__(self) -> int:
        return len(self._records)

    @property
    def charged(self) -> int:
        """What they take of the stack's account, octets."""
        return HALF_OPEN * len(self._records) + _WHOLE_OCTETS * len(self._whole)

    def room(self) -> bool:
        """Whether one more can be kept.

        Of a full cache the oldest goes if its answer had to be repeated: who did not acknowledge it within an RTO
        is hardly there (RFC 4987 §3.4). Otherwise the newcomer has to do with a cookie.
        """
        if len(self._records) < self.limit:
            return True
        oldest = next(iter(self._records.values()))
        if not oldest.retries:
            return False
        self._drop(oldest)
        self.stack.counters["half_open_recycled"] += 1
        return True

    def put(self, listener: Listener, flow: Flow, syn: Run) -> None:
        """Keep the record of a flow whose SYN-ACK was sent, instead of the flow."""
        record = HalfOpen(self, listener, flow, syn)
        self._records[record.key] = record
        listener.kept += 1
        self.stack.memory.charge(HALF_OPEN)
        self.stack.arm(record)
        # A record says all that there is to say, but for what Fast Open and SYN-EOS remember of the SYN.
        if len(self._records) > self.most_whole:
            for other in list(self._whole):
                self._reduce(other)
        elif flow.connection.opening is None and not syn.options.syn_eos:
            record.whole = flow
            self._whole[record] = None
            self.stack.memory.charge(_WHOLE_OCTETS)

    def keys(self) -> Iterable[FlowKey]:
        """The socket pairs, in the order in which their SYNs came."""
        return self._records.keys()

    def find(self, key: FlowKey) -> HalfOpen | None:
        """The record of a socket pair."""
        return self._records.get(key)

    def act(self, record: HalfOpen, do: Callable[[Flow], None], now: float) -> None:
        """Have something happen to the connection, and keep what remains of it."""
        self._reduce(record)
        flow = record.thaw()
        do(flow)
        flow.take_output(now, self.stack.out)
        if flow.over or flow.connection.state is not State.SYN_RECEIVED:
            self._drop(record)
        else:
            record.keep(flow)
            self.stack.arm(record)

    def revive(self, key: FlowKey) -> Flow | None:
        """The connection of a socket pair instead of its record, from now on one of the stack's.

        None where there is no record, or no memory for more than that.
        """
        record = self._records.get(key)
        if record is None or not self.stack.memory.admits():
            return None
        flow = record.thaw()
        self._drop(record)
        self.stack.add_flow(flow)
        record.listener.opened(flow)
        return flow

    def forget(self, listener: Listener) -> None:
        """The listener is closed: its half-open connections are reset (RFC 9293 §3.10.4, §3.10.5)."""
        for record in [record for record in self._records.values() if record.listener is listener]:
            self.act(record, lambda flow: flow.abort(), self.stack.now)

    def _reduce(self, record: HalfOpen) -> None:
        """Keep no more than the record."""
        if record.whole is not None:
            record.whole = None
            del self._whole[record]
            self.stack.memory.charge(-_WHOLE_OCTETS)

    def _drop(self, record: HalfOpen) -> None:
        record.over = True
        self._reduce(record)
        if self._records.pop(record.key, None) is not None:
            record.listener.kept -= 1
            self.stack.memory.charge(-HALF_OPEN)
