"""From a run to IP packets: cutting, encryption, MAC, checksum, in this order (architecture: one segment's way)."""

from __future__ import annotations

import struct
from typing import Protocol

from ao.auth import SegmentMac
from ao.octets import Octets
from edo.plan import Plan

from .checksum import fold, ones_complement_sum, pseudo_header_sum
from .fastpath.cut import cut, cuts
from .ip import IpTemplate
from .ip_options import laid_out
from .offload import LARGEST, bulk, unfinished
from .run import ACCURATE, CWR, FIN, PSH, SYN, URG, Keystream, Run

_FIXED = struct.Struct("!HHIIBBHHH")
_SHORT = struct.Struct("!H")
_MASK = 0xFFFFFFFF
_IPV6 = 40  # octets of its header
_NOT_LAST = ~(FIN | PSH)
# Fewer whole segments than this are made one by one.
_ENOUGH = 3
# From so many octets on a view of a payload costs less than its copy.
_LONG = 4096


class Signer(Protocol):
    """What signs the segments of one direction: ``ao.auth.SegmentMac``, ``ao.md5.Md5Signature``."""

    def tag(self, sne: int, header: Octets, rest: Octets, keep: tuple[tuple[int, int], ...] = (), /) -> bytes:
        """Return what stands in the header where the plan has ``mac_offset``."""


class Sealer:
    """Makes the packets of one direction of one connection.

    Addresses are 4 or 16 octets each and of one family; ``ttl`` (1-255) and ``dscp`` (0-63) stand in every packet
    (RFC 9293 §3.9.2). ``ip_options`` are IPv4's as the application gives them; the checksum covers the destination
    that ends a source route among them (RFC 9293 §3.1). ``alike``: segments that are alike are made together;
    ``offload``: the device finishes the checksum of all but SYNs, and cuts where the segments of a run have the
    same options (``stack.offload``).
    """

    __slots__ = (
        "_alike",
        "_bulk",
        "_destination_port",
        "_ecn",
        "_ip",
        "_ip_header",
        "_ip_size",
        "_pseudo",
        "_source_port",
        "_unfinished",
    )

    def __init__(
        self,
        source: bytes,
        source_port: int,
        destination: bytes,
        destination_port: int,
        *,
        ttl: int = 64,
        dscp: int = 0,
        ip_options: bytes = b"",
        alike: bool = True,
        offload: bool = False,
    ) -> None:
        first, options = laid_out(ip_options, destination) if ip_options else (destination, b"")
        self._ip = IpTemplate(source, first, ttl=ttl, dscp=dscp, options=options)
        self._ecn = 0
        self._source_port = source_port
        self._destination_port = destination_port
        self._pseudo = pseudo_header_sum(source, destination, 0)
        self._ip_size = -1
        self._ip_header = b""
        self._alike = alike
        # The device's header before a segment, where it finishes the checksum; and whether it may cut.
        self._unfinished = unfinished(self._ip.header_octets) if offload else b""
        self._bulk = offload and not options

    def seal(
        self,
        run: Run,
        plan: Plan,
        room: int,
        out: list[bytes],
        sign: Signer | None = None,
        encrypt: Keystream | None = None,
        cover_options: bool = True,
    ) -> None:
        """Append the packets of ``run`` to ``out``; ``room`` is the most payload octets of a segment (>= 1).

        FIN and PSH stand on the last segment only. The octets are encrypted once for the whole run, by position;
        the MAC covers the ciphertext (draft-touch-tcp-ao-encrypt §4), the checksum comes last.
        """
        seq = run.seq
        length = run.length
        if run.ecn != self._ecn:
            self._mark(run.ecn)
        if length == 0:
            self._packet(run, seq, run.flags, b"", plan, out, sign, cover_options)
            return
        payload = run.payload
        octets: Octets = payload[0] if len(payload) == 1 else b"".join(payload)
        if encrypt is not None:
            octets = encrypt.apply(seq + ((run.flags & SYN) >> 1), octets)
        if length <= room:
            self._packet(run, seq, run.flags, octets, plan, out, sign, cover_options)
            return
        view = memoryview(octets)
        flags = run.flags & _NOT_LAST
        last = run.flags
        start = 0
        if flags & (CWR | ACCURATE) == CWR:
            # On the first segment only (RFC 3168 §6.1.2).
            self._packet(run, seq, flags, view[:room], plan, out, sign, cover_options)
            flags &= ~CWR
            last &= ~CWR
            start = room
        if sign is None and self._bulk and not run.urgent and not flags & (CWR | SYN) and plan.repeats:
            self._in_bulk(run, start, view, flags, last, plan, room, out)
            return
        if self._alike and not run.urgent and (sign is None or isinstance(sign, SegmentMac)):
            whole = (length - start - (last != flags)) // room
            end = start + whole * room
            if whole >= _ENOUGH and cuts(seq + start, end - start, room, sign, plan.mac_offset):
                self._whole(run, seq + start, flags, view[start:end], plan, room, out, sign)
                start = end
                if start == length:
                    return
        while length - start > room:
            self._packet(run, seq + start, flags, view[start : start + room], plan, out, sign, cover_options)
            start += room
        self._packet(run, seq + start, last, view[start:], plan, out, sign, cover_options)

    def _whole(
        self,
        run: Run,
        seq: int,
        flags: int,
        view: memoryview,
        plan: Plan,
        room: int,
        out: list[bytes],
        mac: SegmentMac | None,
    ) -> None:
        """Append the packets of octets that fill segments of ``room`` octets each."""
        header = self._header(run, 0, flags, 0, plan)
        size = len(header) + room
        if plan.segment_length_offset >= 0:
            _SHORT.pack_into(header, plan.segment_length_offset, size)
        pseudo = fold(self._pseudo + size)
        unfinished = bool(self._unfinished)
        front = self._unfinished + self._ip.header(size, 0)
        # Short slices of bytes are cheaper to make and to join than views, by more than a copy of all costs.
        octets = bytes(view) if room < _LONG else view
        cut(front, bytes(header), seq, octets, room, mac, plan.mac_offset, pseudo, unfinished, out)

    def _in_bulk(
        self,
        run: Run,
        start: int,
        view: memoryview,
        flags: int,
        last: int,
        plan: Plan,
        room: int,
        out: list[bytes],
    ) -> None:
        """Append the octets from ``start``, as many at once as a packet may have, for the device to cut.

        What has CWR never goes so: kernels disagree whether it is to stand on the first segment alone.
        """
        length = len(view)
        ip_octets = self._ip.header_octets
        most = max((LARGEST - ip_octets - plan.header_octets) // room, 1) * room
        header = bulk(ip_octets, plan.header_octets, room, ipv6=ip_octets == _IPV6)
        while length - start > room:
            end = min(start + most, length)
            piece = view[start:end]
            offload = header if end - start > room else b""
            self._packet(
                run, run.seq + start, last if end == length else flags, piece, plan, out, None, True, offload
            )
            start = end
        if start < length:
            self._packet(run, run.seq + start, last, view[start:], plan, out, None, True)

    @property
    def ip_octets(self) -> int:
        """Octets of each packet's IP header."""
        return self._ip.header_octets

    def _mark(self, ecn: int) -> None:
        """The packets that follow have ``ecn`` in their IP header (RFC 3168 §5)."""
        self._ecn = ecn
        self._ip.set_ecn(ecn)
        self._ip_size = -1

    def _header(self, run: Run, seq: int, flags: int, urgent: int, plan: Plan) -> bytearray:
        """The TCP header of a segment of ``run``; zero are checksum, MAC and Segment_Length."""
        header = bytearray(
            _FIXED.pack(
                self._source_port,
                self._destination_port,
                seq & _MASK,
                run.ack & _MASK,
                plan.data_offset << 2 | flags >> 8 & 9,  # AE, and the reserved bit of edo.rivals.four_way
                flags & 0xFF,
                run.window,
                0,
                urgent,
            )
        )
        header += plan.octets
        return header

    def _packet(
        self,
        run: Run,
        seq: int,
        flags: int,
        piece: Octets,
        plan: Plan,
        out: list[bytes],
        sign: Signer | None,
        cover_options: bool,
        offload: bytes = b"",
    ) -> None:
        urgent = run.urgent
        if urgent:
            # The pointer is counted from each segment's own number; further than 16 bits it is told step by step.
            urgent = min(max(run.urgent - (seq - run.seq), 0), 0xFFFF)
            flags = flags | URG if urgent else flags
        header = self._header(run, seq, flags, urgent, plan)
        size = len(header) + len(piece)
        if plan.segment_length_offset >= 0:
            _SHORT.pack_into(header, plan.segment_length_offset, size)
        if sign is not None:
            keep = () if cover_options else plan.kept()
            if plan.data_offset == plan.header_octets:
                tag = sign.tag(seq >> 32, header, piece, keep)
            else:
                tag = sign.tag(
                    seq >> 32, header[: plan.data_offset], bytes(header[plan.data_offset :]) + piece, keep
                )
            start = plan.mac_offset
            header[start : start + len(tag)] = tag
        if size != self._ip_size:
            self._ip_header = self._ip.header(size, 0)
            self._ip_size = size
        if self._unfinished and not flags & SYN:
            # Never 0 either, since addresses are not, whatever the device does with it.
            _SHORT.pack_into(header, 16, fold(self._pseudo + size))
            out.append(b"".join((offload or self._unfinished, self._ip_header, header, piece)))
            return
        # The header's length is a multiple of four, so the sums of header and payload may simply be added.
        total = fold(ones_complement_sum(header) + ones_complement_sum(piece) + self._pseudo + size)
        if total == 0xFFFF and sign is not None:
            # Linux takes a segment with TCP-AO whose checksum is 0 for one that it sends itself, hashes the
            # addresses the other way round and drops it, as often as it comes (6.7 and later, net/ipv4/tcp_ao.c,
            # tcp_ao_hash_pseudoheader). 0xFFFF is the other zero of ones' complement: it is right at every
            # receiver that adds up (RFC 1071 §1), and no MAC covers the field.
            total = 0
        _SHORT.pack_into(header, 16, 0xFFFF - total)
        out.append(b"".join((self._ip_header, header, piece)))
