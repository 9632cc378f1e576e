"""The lanes of one stack: packets in order, as far as they go the fast way."""

from __future__ import annotations

from typing import Final

from ao.keys import Key
from edo.codepoints import TIMESTAMPS
from edo.extended import find_extension
from edo.negotiation import EdoState

from ..batch import Batch, Checksum
from ..flow import Flow
from ..ports import Carrier, FlowKey
from ..run import ACK, PSH
from ..segment import Segment
from ..states import State
from .lane import Lane, Shape

_NOT_PSH: Final = ~PSH
# Lanes are kept for so many flows at most, those that had segments last.
_MOST: Final = 1024
_TIMESTAMPS_OCTETS: Final = 10
_AO_HEAD: Final = 4
_FINISHED: Final = Checksum.FINISHED


class Lanes:
    """Finds the lane of a packet, and learns lanes from segments that the plain path has taken.

    ``taken`` counts the packets that went this way.
    """

    __slots__ = ("_lanes", "taken")

    def __init__(self) -> None:
        self._lanes: dict[bytes, Lane] = {}
        self.taken = 0

    def take(self, batch: Batch, at: int, received: dict[Carrier, None]) -> int:
        """Take packets from index ``at`` on; return the index of the first that is for the plain path.

        Flows that got something are noted in ``received``, whose batch is to be finished.
        """
        lanes = self._lanes
        if not lanes:
            return at
        packets = batch.packets
        states = batch.checksums
        sizes = batch.gso_sizes
        count = len(packets)
        first = at
        while at < count:
            if sizes is not None and sizes[at]:
                break
            packet = packets[at]
            name = bytes(packet[12:24] if packet[:1] == b"\x45" else packet[8:44])
            lane = lanes.get(name)
            if lane is None or not lane.take(packet, _FINISHED if states is None else states[at]):
                break
            at += 1
            received[lane.flow] = None
            if at < count and len(packets[at]) == len(packet):
                at += lane.follow(batch, at)
        self.taken += at - first
        return at

    def learn(self, flow: Carrier, segment: Segment, key: Key | None) -> None:
        """Remember how ``segment`` looks, which the plain path has taken, if all that follow may look so."""
        if segment.flags & _NOT_PSH != ACK or flow.__class__ is not Flow:
            return
        shape = _shape(flow, segment, key)
        ring = flow.protection.keys
        if shape is None or (key is None) != (ring is None):
            return
        lanes = self._lanes
        if len(lanes) >= _MOST:
            # Rather all of them than a list of who came when: each costs its flow one segment to learn again.
            lanes.clear()
        lane = Lane(flow, segment, shape, key, ring)
        lanes[lane.name] = lane

    def forget(self, key: FlowKey) -> None:
        """The flow is over."""
        local, local_port, remote, remote_port = key
        self._lanes.pop(remote + local + remote_port.to_bytes(2) + local_port.to_bytes(2), None)


def _shape(flow: Flow, segment: Segment, key: Key | None) -> Shape | None:
    """Where everything stands in a segment that has timestamps, TCP-AO and a short Extension, or less."""
    tcp = segment.tcp
    header = segment.data_offset
    state = flow.edo.state
    if (
        segment.header_end != header
        or segment.urgent
        or tcp[12] & 0x0F
        or flow.connection.state < State.ESTABLISHED
        or not (state is EdoState.OFF or state is EdoState.CONFIRMED)
    ):
        return None
    dialect = flow.edo.dialect
    points = dialect.points
    extension = find_extension(tcp, segment.spans, header, dialect)
    if (extension is not None) != (state is EdoState.CONFIRMED):
        return None
    ts_offset = ao_offset = -1
    mac_octets = 0
    for kind, _, offset, octets in segment.spans:
        if kind == TIMESTAMPS:
            if ts_offset >= 0 or octets != _TIMESTAMPS_OCTETS:
                return None
            ts_offset = offset
        elif kind == points.ao:
            if ao_offset >= 0 or ts_offset >= 0 or key is None:
                return None
            ao_offset = offset
            mac_octets = octets - _AO_HEAD
        elif extension is None or offset != extension[0] or octets != dialect.short_octets:
            return None
    if key is not None and (ao_offset < 0 or mac_octets != key.mac_octets or not key.check.whole):
        return None
    return Shape(header, ts_offset, ao_offset, mac_octets)
