"""IPv4 and IPv6: headers, options, extension headers, and fragments that are put together in bounded memory."""

from __future__ import annotations

from stack.checksum import checksum
from stack.ip import TCP, Ip, IpDrop, IpTemplate, parse
from stack.ip_options import check, laid_out, target, way_back
from stack.memory import Memory
from stack.reassembly import LIFETIME, FragmentDrop, Reassembler
from tests.fuzz.choices import Choices

_SOURCE, _DESTINATION = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))
_SOURCE_6, _DESTINATION_6 = b"\xfd" + bytes(14) + b"\x01", b"\xfd" + bytes(14) + b"\x02"
_MOST_STEPS = 60
_LIMIT, _DATAGRAMS, _PIECES = 8192, 6, 8


def run(data: bytes) -> None:
    """A header as it comes, or a row of fragments."""
    choices = Choices(data)
    (_header, _fragments)[choices.below(2)](choices)


def _header(choices: Choices) -> None:
    how = choices.below(4)
    packet = bytearray(choices.rest())
    if how and len(packet) >= 20:
        packet[0] = (0x40, 0x45, 0x60)[how - 1] | (packet[0] & (0x0F if how == 1 else 0))
        if how < 3:
            size = max((packet[0] & 0x0F) << 2, 20)
            packet += bytes(max(size - len(packet), 0))
            packet[2:4] = len(packet).to_bytes(2)
            packet[10:12] = bytes(2)
            packet[10:12] = checksum(packet[:size]).to_bytes(2)
        elif len(packet) >= 40:
            packet[4:6] = (len(packet) - 40).to_bytes(2)
    found = parse(bytes(packet))
    if isinstance(found, Ip):
        assert 20 <= found.header_octets <= found.total_octets <= len(packet)
        assert len(found.source) == len(found.destination) == (4 if found.version == 4 else 16)
        assert len(found.payload(packet)) == found.total_octets - found.header_octets
        if found.version == 4:
            _options(bytes(packet[20 : found.header_octets]))
    else:
        assert isinstance(found, IpDrop)


def _options(options: bytes) -> None:
    route = way_back(options)
    if route is not None:
        # What is sent back by has to be something that can be sent.
        check(route)
        first, octets = laid_out(route, _DESTINATION)
        assert len(octets) <= 40
        assert not len(octets) % 4
        IpTemplate(_SOURCE, first, options=octets).header(0)
    assert len(target(options, _DESTINATION)) == 4


def _fragments(choices: Choices) -> None:
    """What becomes whole is what was sent; what is held is within its bounds, and nothing after its time."""
    memory = Memory(1 << 20)
    reassembler = Reassembler(_LIMIT, _DATAGRAMS, _PIECES, memory=memory)
    now = 100.0
    version = 6 if choices.flag() else 4
    for _ in range(_MOST_STEPS):
        if not choices.left:
            break
        packet = fragment(choices, version)
        if parse(packet) is IpDrop.FRAGMENT:
            taken = reassembler.take(packet, now)
            if isinstance(taken, bytes):
                found = parse(taken)
                assert isinstance(found, Ip | IpDrop)
                assert found is not IpDrop.CHECKSUM
                if isinstance(found, Ip) and found.protocol == TCP and version == 4:
                    payload = bytes(found.payload(taken))
                    assert payload == content(0, len(payload))
            else:
                assert taken is None or isinstance(taken, FragmentDrop)
        now += choices.one_of((0.0, 0.0, 0.5, 20.0))
        reassembler.expire(now)
        assert reassembler.held <= _LIMIT
        assert memory.held <= _LIMIT + _DATAGRAMS * (_PIECES * 128 + 1024)
        deadline = reassembler.next_deadline
        assert deadline is None or deadline > now
    reassembler.expire(now + LIFETIME)
    assert reassembler.held == memory.held == 0
    assert reassembler.next_deadline is None


def content(start: int, size: int) -> bytes:
    """The octets of every datagram's payload, by their place."""
    return bytes((at * 7 + (at >> 8)) & 0xFF for at in range(start, start + size))


def fragment(choices: Choices, version: int) -> bytes:
    """A fragment of one of four datagrams, mostly as it should be."""
    how = choices.octet()
    start = choices.one_of((0, 8, 16, 24, 32, 64, 128, 1024, 8000, 65512, 65528)) + (8 if how & 1 else 0)
    size = choices.one_of((8, 16, 24, 32, 8, 16, 64, 512, 1280, 1, 7, 9, 0))
    more = not how & 2
    identification = how >> 2 & 3
    payload = content(start, size)
    if version == 4:
        options = b"\x01" * (how >> 6 << 2) if how & 16 else b""
        head = bytearray(
            IpTemplate(_SOURCE, _DESTINATION, options=options, ecn=how >> 4 & 3).header(size, identification)
        )
        head[6:8] = (more << 13 | start >> 3).to_bytes(2)
        head[10:12] = bytes(2)
        head[10:12] = checksum(head).to_bytes(2)
        return bytes(head) + payload
    inner = TCP if how & 16 else choices.octet()
    extension = bytes((inner, 0)) + (start & 0xFFF8 | more).to_bytes(2) + identification.to_bytes(4)
    before = bytes((44, 0, 1, 4)) + bytes(4) if how & 32 else b""
    template = IpTemplate(_SOURCE_6, _DESTINATION_6, protocol=60 if before else 44, ecn=how >> 4 & 3)
    return template.header(len(before) + 8 + size) + before + extension + payload


def seeds() -> list[bytes]:
    """A packet of each version, and fragments in order and overlapping."""
    return [
        b"\x00\x00"
        + IpTemplate(_SOURCE, _DESTINATION, options=b"\x83\x07\x04\x0a\x00\x00\x03\x00").header(4)
        + bytes(4),
        b"\x00\x00" + IpTemplate(_SOURCE_6, _DESTINATION_6, protocol=0).header(8) + b"\x06\x00\x01\x04" + bytes(4),
        b"\x01\x00" + bytes((0, 0, 0, 0, 0, 1, 0, 0, 2, 2, 0, 0)),
        b"\x01\x01" + bytes((16, 0, 2, 0, 16, 1, 0, 0, 18, 2, 0, 0)),
    ]
