"""A lane: how the segments of one flow look that carry nothing but octets of the stream, and their loop.

What the options are, and where, is learned from a segment that the plain path has taken. From then on two things
are known without looking: a segment with these octets in these places is judged by the plain path as that one was,
and a neighbour that differs in number, MAC and TSval alone is merged with the one before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hmac import compare_digest
from struct import Struct
from typing import Final

from ao.keys import Key, KeyRing
from edo.negotiation import EdoState
from edo.options import Options

from ..batch import Batch, Checksum, Octets
from ..checksum import ones_complement_sum, pseudo_header_sum
from ..flow import Flow
from ..merging import room
from ..protection import Protection
from ..run import ACK, PSH, Run
from ..segment import Segment
from ..seqnum import extend
from ..states import State
from .sums import right

_MASK: Final = 0xFFFFFFFF
_NOT_PSH: Final = ~PSH
# A run that begins so far from RCV.NXT is not gone on with: its next number might be nearer to another epoch.
_FAR: Final = 1 << 30
_CHECKSUM: Final = bytes(2)
_URGENT: Final = 18  # Where the last field of the fixed header stands.
_NO_OPTIONS: Final = Options()

_V4 = Struct("!BBH2xHxB2x")
_V6 = Struct("!IHB")
_FIXED = Struct("!IBBH")
_VALUES = Struct("!II")

_UNFINISHED: Final = Checksum.UNFINISHED
_ESTABLISHED: Final = State.ESTABLISHED

Pieces = tuple[bytes, int, bytes, bytes, bytes, bytes]


class Shape:
    """Where in a segment's header everything stands, as it was found by the plain path.

    ``ts_offset`` and ``ao_offset`` count octets from the start of the TCP header, -1 where there is none;
    ``header_octets`` is Data Offset, behind which nothing stands but octets of the stream.
    """

    __slots__ = ("ao_offset", "header_octets", "mac_octets", "ts_offset")

    def __init__(self, header_octets: int, ts_offset: int, ao_offset: int, mac_octets: int) -> None:
        self.header_octets = header_octets
        self.ts_offset = ts_offset
        self.ao_offset = ao_offset
        self.mac_octets = mac_octets


class Lane:
    """The segments of ``flow`` that look like ``segment``, which was verified under ``key`` (None: clear).

    ``name`` is what is the same in every packet of the flow: addresses and ports as they stand in it.
    """

    __slots__ = (
        "_after",
        "_before",
        "_check_from",
        "_connection",
        "_covered",
        "_data_offset",
        "_ecn",
        "_edo_state",
        "_fixed",
        "_header",
        "_ip",
        "_ip_octets",
        "_key",
        "_mac_stop",
        "_middle",
        "_options",
        "_protection",
        "_pseudo",
        "_rest",
        "_ring",
        "_rnext",
        "_size",
        "_split",
        "_values",
        "flow",
        "name",
    )

    def __init__(self, flow: Flow, segment: Segment, shape: Shape, key: Key | None, ring: KeyRing | None) -> None:
        self.flow = flow
        self._connection = flow.connection
        self._protection: Protection = flow.protection
        self._edo_state: EdoState = flow.edo.state
        tcp = segment.tcp
        self.name: bytes = segment.source + segment.destination + bytes(tcp[:4])
        ip_octets = 20 if len(segment.source) == 4 else 40
        self._ip_octets: int = ip_octets
        self._pseudo = pseudo_header_sum(segment.source, segment.destination, 0)
        header = shape.header_octets
        self._header: int = ip_octets + header
        self._data_offset: int = tcp[12]
        middle_stop = 20
        stop = 20
        if key is not None:
            middle_stop = shape.ao_offset + 4
            stop = middle_stop + shape.mac_octets
        self._middle: bytes = bytes(tcp[_URGENT:middle_stop])
        self._mac_stop: int = ip_octets + stop
        self._values: int = -1 if shape.ts_offset < 0 else shape.ts_offset + 2 - stop
        rest = bytes(tcp[stop:header])
        self._before: bytes = rest[: self._values] if self._values >= 0 else rest
        self._after: bytes = rest[self._values + 8 :] if self._values >= 0 else b""
        self._split: Callable[[Octets], Pieces] = Struct(
            f"!{ip_octets + 4}sI8s2x{middle_stop - _URGENT}s{stop - middle_stop}s{header - stop}s"
        ).unpack_from
        self._key: Key | None = key
        self._ring: KeyRing | None = ring
        self._rnext = 0
        self._check_from = 0
        self._covered = b""
        if key is not None:
            self._rnext = tcp[shape.ao_offset + 3]
            self._check_from = ip_octets + key.check.skip
            self._covered = b"".join((_CHECKSUM, self._middle, bytes(stop - middle_stop)))
        # The segment that was taken last.
        self._ip = b""
        self._size = 0
        self._ecn = 0
        self._fixed = b""
        self._rest = b""
        self._options: Options = _NO_OPTIONS

    @property
    def holds(self) -> bool:
        """Whether nothing has changed since that could make the plain path judge otherwise."""
        flow = self.flow
        if (
            flow.over
            or self._connection.state < _ESTABLISHED
            or flow.protection is not self._protection
            or flow.edo.state is not self._edo_state
            or not flow.handshake.settled
        ):
            return False
        key = self._key
        if key is None:
            return True
        ring = self._ring
        # What says something new about keys is for the plain path.
        if ring is None or ring.heard is not key or ring.heard_rnext != self._rnext:
            return False
        return ring.find(key.recv_id) is key

    def take(self, packet: Octets, state: Checksum) -> bool:
        """Take one packet of the flow, with octets of the stream or without; False: it is for the plain path."""
        size = len(packet)
        header = self._header
        if size < header or not self.holds:
            return False
        ip, seq, fixed, middle, mac, rest = self._split(packet)
        if middle != self._middle or not ((ip == self._ip and size == self._size) or self._judge(ip, size)):
            return False
        ack, offset, flags, window = _FIXED.unpack(fixed)
        if offset != self._data_offset or flags & _NOT_PSH != ACK:
            return False
        values = self._values
        if rest != self._rest:
            if values < 0:
                if rest != self._before:
                    return False
            else:
                if rest[:values] != self._before or rest[values + 8 :] != self._after:
                    return False
                ts_val, ts_ecr = _VALUES.unpack_from(rest, values)
                self._options = Options(ts_val=ts_val, ts_ecr=ts_ecr)
            self._rest = rest
        if state is not _UNFINISHED and (
            state is not Checksum.FINISHED
            or (ones_complement_sum(memoryview(packet)[self._ip_octets :]) + self._pseudo + size - self._ip_octets)
            % 0xFFFF
        ):
            return False
        connection = self._connection
        number = extend(seq, connection.rcv_nxt)
        key = self._key
        if key is not None:
            if number < 0 or not compare_digest(self._tags([packet], number >> 32, size)[0], mac):
                return False
            key.tally.good += 1
            assert self._ring is not None
            self._ring.learn(key, self._rnext)
        self._fixed = fixed
        length = size - header
        self.flow.add(
            Run(
                number,
                extend(ack, connection.snd_nxt),
                flags,
                window,
                self._options,
                [packet[header:]] if length else (),
                length,
                ecn=self._ecn,
                cipher=key.decrypt if key is not None else None,
            )
        )
        return True

    def follow(self, batch: Batch, at: int) -> int:
        """Merge as many packets, from index ``at`` on, with the one taken last as go on where it ended."""
        last = self.flow.merged
        if last is None:
            return 0
        size = self._size
        header = self._header
        length = size - header
        number = last.seq + last.length
        if length <= 0 or not -_FAR < number - self._connection.rcv_nxt < _FAR:
            return 0
        states = batch.checksums
        sizes = batch.gso_sizes
        split = self._split
        expected_ip = self._ip
        expected_fixed = self._fixed
        expected_middle = self._middle
        expected_rest = self._rest
        expected = number & _MASK
        packets: list[Octets] = []
        macs: list[bytes] = []
        most = at + room(last, length)
        for packet in batch.packets[at:most]:
            if len(packet) != size:
                break
            ip, seq, fixed, middle, mac, rest = split(packet)
            if seq != expected or ip != expected_ip or fixed != expected_fixed or middle != expected_middle:
                break
            if rest != expected_rest:
                if not self._later(rest, last.options):
                    break
                expected_rest = rest
            packets.append(packet)
            macs.append(mac)
            expected += length
            if expected > _MASK:
                # The next number has another SNE.
                break
        count = len(packets)
        if count and states is None:
            pseudo = self._pseudo + size - self._ip_octets
            count = right(packets, size, expected_ip[: self._ip_octets], pseudo)
        elif states is not None:
            count = _finished_later(states, at, count)
        if count and sizes is not None:
            count = _single(sizes, at, count)
        if not count:
            return 0
        if count < len(packets):
            del packets[count:]
        key = self._key
        if key is not None:
            count = _equal(self._tags(packets, number >> 32, size), macs)
            key.tally.good += count
            if count < len(packets):
                del packets[count:]
        last.payload.extend([packet[header:] for packet in packets])  # type: ignore[attr-defined]  # as in ``merging``
        last.length += count * length
        last.segments += count
        last.flags |= expected_fixed[5]
        return count

    def _judge(self, ip: bytes, size: int) -> bool:
        """Whether a header of IP, which has the flow's addresses and ports, is one that ``stack.ip`` passes."""
        if self._ip_octets == 20:
            first, tos, total, fragment, protocol = _V4.unpack_from(ip)
            if (
                first != 0x45
                or total != size
                or protocol != 6
                or fragment & 0x3FFF
                or int.from_bytes(ip[:20], "big") % 0xFFFF
            ):
                return False
            self._ecn = tos & 3
        else:
            start, octets, protocol = _V6.unpack_from(ip)
            if start >> 28 != 6 or octets + 40 != size or protocol != 6:
                return False
            self._ecn = start >> 20 & 3
        self._ip = ip
        self._size = size
        return True

    def _later(self, rest: bytes, first: Options) -> bool:
        """Whether options differ from the ones before in TSval alone, which has not gone back since ``first``."""
        values = self._values
        if values < 0 or rest[:values] != self._before or rest[values + 8 :] != self._after:
            return False
        ts_val: int
        ts_ecr: int
        ts_val, ts_ecr = _VALUES.unpack_from(rest, values)
        return ts_ecr == first.ts_ecr and (ts_val - (first.ts_val or 0)) & _MASK <= 0x7FFFFFFF

    def _tags(self, packets: list[Octets], sne: int, size: int) -> list[bytes]:
        """The MACs that packets, all of ``size`` octets and of one SNE, should have."""
        key = self._key
        assert key is not None
        check = key.check
        copy = check.prefixed(sne, size - self._ip_octets).copy
        octets = key.mac_octets
        start = self._check_from
        stop = self._ip_octets + 16
        behind = self._mac_stop
        covered = self._covered
        tags: list[bytes] = []
        for packet in packets:
            running = copy()
            running.update(b"".join((packet[start:stop], covered)))
            running.update(packet[behind:])
            tags.append(running.finalize()[:octets])
        return tags


def _finished_later(states: Sequence[Checksum], at: int, count: int) -> int:
    """How many of ``count`` packets, in a row from index ``at``, have a checksum that is not to be looked at."""
    for index in range(count):
        if states[at + index] is not _UNFINISHED:
            return index
    return count


def _single(sizes: Sequence[int], at: int, count: int) -> int:
    """How many of ``count`` packets, in a row from index ``at``, are one segment each."""
    for index in range(count):
        if sizes[at + index]:
            return index
    return count


def _equal(tags: list[bytes], macs: list[bytes]) -> int:
    """How many tags, in a row from the first, are right; compared in constant time."""
    if compare_digest(b"".join(tags), b"".join(macs[: len(tags)])):
        return len(tags)
    for index, tag in enumerate(tags):
        if not compare_digest(tag, macs[index]):
            return index
    raise AssertionError("joined tags differ, and none of them does")
