"""What goes on beside the stream of a connection with agreed keys: messages under the MAC (profile.md §7, §8).

Once the connection is confirmed nothing of this is on the way of a segment that carries no message: the flow shows
segments again only while ``Afterwards`` has something under way.
"""

from __future__ import annotations

import math
from typing import Final, Protocol

from ao.keys import Key
from ao.messages import MessageKind
from ao.reasons import AoDrop
from edo.messages import Took, cut, spread

from ..flow import Flow
from ..run import ACK, RST, SYN, Run, head_of
from ..segment import Segment
from .rekeying import Renewer

# What the peer may say under the MAC.
_KINDS: Final = frozenset({MessageKind.REKEY, MessageKind.REKEY_ANSWER, MessageKind.REFUSE})
_NEVER: Final = math.inf


class Shown(Protocol):
    """A handshake that decides whether it is shown segments."""

    settled: bool
    next_deadline: float | None


class Afterwards:
    """One connection's messages after its handshake."""

    def __init__(self, flow: Flow, handshake: Shown) -> None:
        self._flow = flow
        self._handshake = handshake
        self._waiting: dict[MessageKind, tuple[int, bytes]] = {}
        self.renewer: Renewer | None = None

    def begin(self, renewer: Renewer) -> None:
        """The connection is confirmed."""
        self.renewer = renewer
        self.rearm()

    # --- in ----------------------------------------------------------------------------------------------

    def take(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        """Take a segment while something is under way."""
        if key is None:
            self.clear(segment, number, now)
        elif self._flow.read_behind(segment):
            if segment.options.ke:
                self.exchange(segment, key, now)
            self._flow.collect(segment, number, key)
            if self.renewer is not None:
                self.renewer.good_segment(now)
            self.rearm()

    def clear(self, segment: Segment, number: int, now: float) -> None:
        """Take a segment without a MAC."""
        self._flow.drop(AoDrop.clear_segment)

    def exchange(self, segment: Segment, key: Key, now: float) -> None:
        """Take the messages of a segment whose MAC was good under ``key``."""
        renewer = self.renewer
        if renewer is None:
            return
        if not renewer.permitted:
            self._flow.drop(AoDrop.ke_malformed)
            return
        under = renewer.generation_of(key)
        inbox = renewer.inbox(under)
        took = inbox.take(segment.options.ke, _KINDS)
        if took is None:
            self._flow.drop(AoDrop.ke_malformed)
            return
        for kind, result in took:
            message = inbox.message(kind)
            if message is not None and result is not Took.MORE:
                renewer.take(MessageKind(kind), message, result, under, now)
        self.rearm()

    # --- out ---------------------------------------------------------------------------------------------

    def carry(self, kind: MessageKind, message: bytes) -> None:
        """Send a whole message under the present key with what leaves next, or in an ACK of its own."""
        assert self.renewer is not None
        self._waiting[kind] = (self.renewer.sending, message)
        self._flow.connection.ack_now = True
        self._flow.stack.touch(self._flow)
        self.rearm()

    def forget(self, kind: MessageKind) -> None:
        """Do not send what waits of this kind."""
        self._waiting.pop(kind, None)

    def dress(self, run: Run, out: list[bytes]) -> None:
        """Send a run of the connection, and what waits with it."""
        flow = self._flow
        if not self._waiting or run.flags & (SYN | RST):
            flow.send(run, out)
            return
        parts = self._parts(run)
        if parts and self._rides(run, parts[0]):
            riders = parts.pop(0)
            first, rest = head_of(run, max(self._room(run, riders), 1))
            flow.send(first, out, riders)
            if rest is not None:
                flow.send(rest, out)
        else:
            flow.send(run, out)
        for riders in parts:
            flow.send(flow.connection.segment(ACK), out, riders)
        self.rearm()

    def _parts(self, run: Run) -> list[tuple[bytes, ...]]:
        """What waits as whole options, by segment; a message is not sent under another key than it was made for."""
        assert self.renewer is not None
        sending = self.renewer.sending
        points = self._flow.edo.dialect.points
        connection = self._flow.connection
        header = self._flow.plan(run.options, ACK).header_octets
        area = min(connection.path_mtu_octets - connection.config.ip_header - header, connection.peer_mss) & ~3
        parts: list[tuple[bytes, ...]] = []
        for kind, (generation, message) in self._waiting.items():
            if generation == sending:
                whole = cut(kind, message, points=points)
                one = sum(map(len, whole)) <= area
                parts.extend([whole] if one else spread(kind, message, area, points=points))
        self._waiting.clear()
        return parts

    def _room(self, run: Run, riders: tuple[bytes, ...]) -> int:
        """Octets of the stream that a segment of ``run`` has room for beside ``riders``."""
        options = self._flow.plan(run.options, run.flags, riders).header_octets - 20
        return run.segment_size + self._flow.overhead - options

    def _rides(self, run: Run, riders: tuple[bytes, ...]) -> bool:
        """Whether a message goes with a run: it leaves half of a segment, which is no probe for the path's MTU."""
        if not run.length:
            return True
        size = self._flow.connection.segment_size
        return run.segment_size <= size and 2 * self._room(run, riders) >= size

    # --- time --------------------------------------------------------------------------------------------

    def advance(self, now: float) -> None:
        """Run what is due."""
        if self.renewer is not None:
            self.renewer.advance(now)
        self.rearm()

    def rearm(self) -> None:
        """Set when this has to be called again, and whether segments are to be shown."""
        renewer = self.renewer
        handshake = self._handshake
        at = _NEVER if renewer is None else renewer.next_deadline
        handshake.next_deadline = None if at == _NEVER else at
        handshake.settled = not self._waiting and (renewer is None or not renewer.asks)
