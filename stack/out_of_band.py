"""What a listener does with out-of-band segments (OOB) of SYN-EOS: SYNs wait for theirs, strays are dropped.

draft-touch-tcpm-tcp-syn-ext-opt; the rules' numbers are those of docs/syn-eos.md. An OOB that belongs to no SYN
makes no state and draws no answer, on open and closed ports (profile.md §1).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Protocol

from ao.messages import MessageKind
from ao.reasons import AoDrop
from edo.fast import read_options
from edo.reasons import EdoDrop
from edo.syneos import MOST_JOINED

from .ground import Ground
from .handshake.agreed_b import takes
from .handshake.syn_eos_answer import Joined, read_joined
from .listener import OOB_WAIT, Listener, PendingSyn, message_out_of_band
from .memory import PENDING_SYN
from .ports import FlowKey
from .protection import Protection
from .ratelimit import RateLimit
from .run import ACK, RST, SYN
from .segment import Segment

# OOBs that came before their SYN and are kept where a listener wants that, and for how long, seconds.
_EARLY_LIMIT: Final = 256
_EARLY_LIFE: Final = 1.0


class Opens(Protocol):
    """Who opens connections: ``stack.passive``."""

    def judge(
        self, listener: Listener, key: FlowKey, segment: Segment, now: float
    ) -> tuple[Protection | None, bool]:
        """The configured protection that a SYN verified under, if any, and whether the SYN may go on."""

    def refuse(self, key: FlowKey, reason: AoDrop | EdoDrop) -> None:
        """Drop a segment of no connection, silently."""

    def open(
        self,
        listener: Listener,
        key: FlowKey,
        segment: Segment,
        hello: bytes | None,
        octets: int,
        now: float,
        joined: Joined | None = None,
    ) -> None:
        """Make the connection that a SYN asks for."""


class OutOfBand:
    """SYNs that wait for their OOB, and OOBs that come: for the listeners of one stack.

    ``agreements`` bounds those with addresses that have proven nothing.
    """

    def __init__(self, stack: Ground, passive: Opens) -> None:
        self._stack = stack
        self._passive = passive
        most = stack.config.unproven_agreements
        self.agreements = RateLimit(most, max(int(most), 1))
        self._early = EarlyOobs(stack)

    def awaits(self, listener: Listener, key: FlowKey, segment: Segment, now: float) -> bool:
        """Keep a SYN, its options read, that announces an OOB, or drop it; False: go on as if it announced none.

        So it is too where memory is short, the backlog half full, and where OOBs did not come before.
        """
        stack = self._stack
        security = listener.security
        if not segment.options.syn_eos or (security.syn_eos is None and not security.agrees):
            return False
        if listener.crowded or stack.memory.held > stack.memory.pressure:
            return False
        remembers = (listener.config or stack.config).remember_edo
        if not security.agrees and remembers and stack.peers.edo_is_damaged(key[2], now):
            return False
        if security.agrees and takes(security, segment, out_of_band=True) is not None:
            return False
        protection = None
        if security.keyed:
            # A SYN that does not verify holds no place.
            protection, may_go_on = self._passive.judge(listener, key, segment, now)
            if not may_go_on:
                return True
        early = self._early.take(key, segment.seq)
        if early is None and not stack.peers.awaits_oob(key[2], now):
            return False
        wait = min(OOB_WAIT, stack.config.rto_initial / 4)
        pending = listener.await_out_of_band(key, segment, now + wait)
        if pending is None:
            return False
        pending.protection = protection
        stack.arm(pending)
        if early is not None:
            self._arrived(pending, early, now)
        return True

    def takes(self, listener: Listener | None, key: FlowKey, segment: Segment, now: float) -> bool:
        """Take a segment of no connection if it is an OOB, or a LISTEN state is to drop it (RFC 9293 §3.10.7.2)."""
        if segment.flags & (SYN | ACK | RST):
            return False
        stack = self._stack
        points = stack.edo.dialect.points if listener is None else stack.edo.points(listener.security)
        segment.options = read_options(segment.tcp, segment.spans, points)
        pending = None if listener is None else listener.pending(key)
        if pending is not None:
            self._arrived(pending, segment, now)
            return True
        if not segment.options.syn_eos and listener is None:
            return False
        settings = None if listener is None else listener.security.syn_eos
        early = settings is not None and settings.early and segment.options.syn_eos
        if not early or not self._early.keep(key, segment):
            stack.note(EdoDrop.STRAY_OOB)
        return True

    def drops(self, listener: Listener, segment: Segment) -> bool:
        """Drop an OOB with ACK for which there is no connection, instead of resetting it.

        Its SYN may have been answered with a cookie, which SYN-EOS has no part in; the last ACK is still to come.
        """
        exid = self._stack.edo.points(listener.security).syn_eos_exid
        if not any(span[1] == exid for span in segment.spans):
            return False
        self._stack.note(EdoDrop.STRAY_OOB)
        return True

    def _arrived(self, pending: PendingSyn, segment: Segment, now: float) -> None:
        """The OOB of a pending SYN came: both together open the connection (S2, S8)."""
        stack = self._stack
        if not segment.options.syn_eos or segment.seq != pending.segment.seq:
            stack.note(EdoDrop.STRAY_OOB)
            return
        protection = pending.protection
        if protection is not None:
            # It has no ACK: its key is that of the SYN. Nothing else is taken beside a SYN that was signed.
            verdict = protection.open(segment, segment.seq)
            if isinstance(verdict, AoDrop | EdoDrop):
                self._passive.refuse(pending.key, verdict)
                return
        listener = pending.listener
        syn = pending.segment
        listener.release(pending)
        hello = joined = None
        points = stack.edo.points(listener.security)
        if listener.security.agrees:
            hello = message_out_of_band(points, segment, MessageKind.HELLO)
            if hello is not None and not self.agreements.allow(now):
                hello = None
        else:
            ao_octets = 0 if protection is None else protection.ao_octets
            dialect = listener.security.dialect or stack.edo.dialect
            joined = read_joined(segment, syn.options, syn.spans, ao_octets, dialect)
            if joined is None:
                stack.note(EdoDrop.MALFORMED_OPTION)
        octets = syn.ip_octets + segment.ip_octets
        self._passive.open(listener, pending.key, syn, hello, octets, now, joined)


class EarlyOobs:
    """OOBs that came before their SYN: the first of each (S8), by socket pair and number, for a second."""

    def __init__(self, stack: Ground) -> None:
        self.scheduled: float | None = None
        self.over = False
        self._stack = stack
        self._kept: OrderedDict[tuple[FlowKey, int], tuple[Segment, float]] = OrderedDict()

    def keep(self, key: FlowKey, segment: Segment) -> bool:
        """Keep a segment of which there is none yet, the oldest giving way; False where memory is short.

        One with more than could be joined to a SYN's options is of no use.
        """
        stack = self._stack
        if (key, segment.seq) in self._kept or stack.memory.held > stack.memory.pressure:
            return False
        if len(segment.tcp) - segment.data_offset > MOST_JOINED:
            return False
        while len(self._kept) >= _EARLY_LIMIT:
            self._forget_oldest()
        # A packet's memory is not ours beyond its batch.
        segment.tcp = memoryview(bytes(segment.tcp))
        self._kept[key, segment.seq] = segment, stack.now + _EARLY_LIFE
        stack.memory.charge(PENDING_SYN)
        stack.arm(self)
        return True

    def take(self, key: FlowKey, seq: int) -> Segment | None:
        """The segment that came before this SYN, if it is still kept."""
        kept = self._kept.pop((key, seq), None)
        if kept is None:
            return None
        self._stack.memory.charge(-PENDING_SYN)
        return kept[0]

    @property
    def next_deadline(self) -> float | None:
        """When the oldest has been kept long enough."""
        return next(iter(self._kept.values()))[1] if self._kept else None

    def advance(self, now: float) -> None:
        """Forget what was kept long enough."""
        while (due := self.next_deadline) is not None and due <= now:
            self._forget_oldest()
            self._stack.note(EdoDrop.STRAY_OOB)

    def _forget_oldest(self) -> None:
        self._kept.popitem(last=False)
        self._stack.memory.charge(-PENDING_SYN)
