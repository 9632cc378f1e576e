"""Packets that were chosen to cost their receiver as much as possible, by family; each to a connection that stands.

A family is a function of the victim's arena and a number, which gives so many packets, one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from edo.codepoints import DEFAULT
from edo.messages import encode
from edo.options import Fragment, Options
from edo.plan import Form, Plan
from edo.syneos import option as syn_eos_option
from stack.checksum import checksum
from stack.icmp import too_big
from stack.ip import ICMP, Ip, IpTemplate, parse
from stack.run import ACK, RST, SYN, Run
from stack.sealer import Sealer
from tests.fuzz.arena import PEER_PORT, PORT, Arena, pattern

Family = Callable[[Arena, int], Iterator[bytes]]
_NOP: Final = b"\x01"
RECORDS_FULL: Final = 340
"""So many packets of ``sack_blocks`` make as many records as a scoreboard has."""


def pieces_of_one_octet(arena: Arena, count: int) -> Iterator[bytes]:
    """Clear segments with 130 pieces of a hello, an octet each, of which all but a few came before."""
    for number in range(count):
        pieces = (encode(Fragment(1, 4000, (number * 7 + at) % 150, b"x")) for at in range(130))
        yield _message(arena, b"".join(pieces))


def pieces_that_differ(arena: Arena, count: int) -> Iterator[bytes]:
    """Clear segments with pieces that say different things of the same octets, the last first."""
    for number in range(count):
        octets = bytes((number & 0xFF,)) * 246
        pieces = (encode(Fragment(1 + (at & 1), 4000, 3000 - 200 * at, octets)) for at in range(5))
        yield _message(arena, b"".join(pieces))


def messages_of_many_kinds(arena: Arena, count: int) -> Iterator[bytes]:
    """Clear segments with a piece of every kind of message that there could be."""
    for _ in range(count):
        yield _message(arena, b"".join(encode(Fragment(kind, 2, 0, b"x")) for kind in range(130)))


def _message(arena: Arena, behind: bytes) -> bytes:
    """A clear segment with a message where profile.md §5 has it."""
    behind += _NOP * (-len(behind) % 4)
    inside = DEFAULT.extension(Form.SHORT, 28 + len(behind)) + bytes((69, 2))
    return segment(arena, -len(behind), inside=inside, behind=behind)


def segment(
    arena: Arena,
    seq: int,
    *,
    flags: int = ACK,
    ack: int = 0,
    inside: bytes = b"",
    behind: bytes = b"",
    payload: bytes = b"",
    window: int = 1000,
    port: int = PEER_PORT,
) -> bytes:
    """A segment of the peer's: ``seq`` from RCV.NXT when the flood began, ``ack`` from SND.UNA then."""
    inside += _NOP * (-len(inside) % 4)
    rcv_nxt, snd_una = arena.marks
    run = Run(
        rcv_nxt + seq,
        snd_una + ack,
        flags,
        window,
        Options(),
        [memoryview(payload)] if payload else (),
        len(payload),
    )
    out: list[bytes] = []
    local, _, remote, _ = arena.key
    Sealer(remote, port, local, PORT).seal(run, Plan(inside + behind, 20 + len(inside)), 65535, out)
    return out[0]


def _stamped(arena: Arena, options: bytes = b"") -> bytes:
    """Timestamps as the connection has them, and more options."""
    flow = arena.flow
    assert flow is not None
    return _NOP * 2 + bytes((8, 10)) + flow.connection.ts_recent.to_bytes(4) + bytes(4) + options


def nops(arena: Arena, count: int) -> Iterator[bytes]:
    """Timestamps, and NOPs for the rest."""
    for _ in range(count):
        yield segment(arena, 0, inside=_stamped(arena, _NOP * 28))


def small_options(arena: Arena, count: int) -> Iterator[bytes]:
    """Timestamps, and fourteen options of two octets that nobody knows."""
    for number in range(count):
        yield segment(arena, 0, inside=_stamped(arena, bytes((100 + number % 64, 2)) * 14))


def behind_data_offset(arena: Arena, count: int) -> Iterator[bytes]:
    """Some 690 options of two octets in extended option space."""
    for _ in range(count):
        behind = bytes((100, 2)) * 690
        inside = _stamped(arena, DEFAULT.extension(Form.SHORT, 20 + 20 + len(behind)) + _NOP * 2)
        yield segment(arena, 0, inside=inside, behind=behind)


def known_options(arena: Arena, count: int) -> Iterator[bytes]:
    """Options that have values, again and again: SACK, timestamps, pieces of messages, TCP-ENO."""
    piece = encode(Fragment(1, 4000, 0, b"x"))
    for _ in range(count):
        behind = (bytes((5, 10)) + bytes(8) + bytes((69, 2)) + piece + bytes((8, 10)) + bytes(8)) * 40
        behind += _NOP * (-len(behind) % 4)
        inside = _stamped(arena, DEFAULT.extension(Form.SHORT, 20 + 20 + len(behind)) + _NOP * 2)
        yield segment(arena, 0, inside=inside, behind=behind)


def sack_blocks(arena: Arena, count: int) -> Iterator[bytes]:
    """Three blocks in each acknowledgment, an octet each, at every second octet of what is in flight."""
    _, una = arena.marks
    for number in range(count):
        edges = (una + 1500 + 6 * number + 2 * each for each in range(3))
        blocks = b"".join((at & 0xFFFFFFFF).to_bytes(4) + (at + 1 & 0xFFFFFFFF).to_bytes(4) for at in edges)
        yield segment(arena, 0, inside=_stamped(arena, bytes((5, 26)) + blocks))


def sack_gaps(arena: Arena, count: int) -> Iterator[bytes]:
    """As ``sack_blocks`` until no more records are made, then the octets between them, the last first."""
    _, una = arena.marks
    yield from sack_blocks(arena, min(count, RECORDS_FULL))
    for number in range(count - RECORDS_FULL):
        edges = (una + 1500 + 6 * (RECORDS_FULL // 2 - number) + 2 * each + 1 for each in range(3))
        blocks = b"".join((at & 0xFFFFFFFF).to_bytes(4) + (at + 1 & 0xFFFFFFFF).to_bytes(4) for at in edges)
        yield segment(arena, 0, inside=_stamped(arena, bytes((5, 26)) + blocks))


def sack_everything(arena: Arena, count: int) -> Iterator[bytes]:
    """Blocks that leave out an octet here and there, so that records are joined and cut again and again."""
    _, una = arena.marks
    for number in range(count):
        middle = una + 2000 + 17 * number % 9000
        edges = ((una + 1, middle), (middle + 1, middle + 5000), (una + 30_000, una + 30_001))
        blocks = b"".join((a & 0xFFFFFFFF).to_bytes(4) + (b & 0xFFFFFFFF).to_bytes(4) for a, b in edges)
        yield segment(arena, 0, inside=_stamped(arena, bytes((5, 26)) + blocks))


def acknowledgments(arena: Arena, count: int) -> Iterator[bytes]:
    """An acknowledgment for each octet."""
    for number in range(count):
        yield segment(arena, 0, ack=number + 1, inside=_stamped(arena))


def duplicate_acknowledgments(arena: Arena, count: int) -> Iterator[bytes]:
    """The same acknowledgment, with another window each time."""
    for number in range(count):
        yield segment(arena, 0, inside=_stamped(arena), window=1000 + number % 2)


def every_second_octet(arena: Arena, count: int) -> Iterator[bytes]:
    """Segments of one octet, far beyond a hole and not next to each other."""
    for number in range(count):
        at = 50_000 + 2 * ((number * 7919) % 8192)
        yield segment(arena, at, payload=pattern(at, 1), inside=_stamped(arena))


def backwards(arena: Arena, count: int) -> Iterator[bytes]:
    """Segments of one octet, each just before the one that came last."""
    for number in range(count):
        at = 60_000 - number
        yield segment(arena, at, payload=pattern(at, 1), inside=_stamped(arena))


def overlapping(arena: Arena, count: int) -> Iterator[bytes]:
    """Segments beyond a hole that share all octets but one."""
    for number in range(count):
        at = 1000 + number
        yield segment(arena, at, payload=pattern(at, 100), inside=_stamped(arena))


def single_octets(arena: Arena, count: int) -> Iterator[bytes]:
    """A stream in segments of one octet, in order."""
    for number in range(count):
        yield segment(arena, number, payload=pattern(number, 1), inside=_stamped(arena))


def resets(arena: Arena, count: int) -> Iterator[bytes]:
    """Resets and SYNs in the window, which ask for challenge ACKs."""
    for number in range(count):
        yield segment(arena, 5 + number % 1000, flags=RST if number & 1 else SYN, inside=_stamped(arena))


def syns(arena: Arena, count: int) -> Iterator[bytes]:
    """SYNs of as many connections."""
    for number in range(count):
        yield segment(arena, number * 1000, flags=SYN, inside=bytes((2, 4, 5, 180)), port=5000 + number)


def out_of_band(arena: Arena, count: int) -> Iterator[bytes]:
    """Stray out-of-band segments full of small options."""
    for number in range(count):
        payload = bytes((100, 2)) * 700
        yield segment(arena, number, flags=0, inside=syn_eos_option(), payload=payload, port=5000 + number % 100)


def fragments(arena: Arena, count: int) -> Iterator[bytes]:
    """Fragments of eight octets, of datagrams that never become whole."""
    own, other = arena.ends
    for number in range(count):
        yield _fragment(other, own, number // 120, 8 * (number % 120) + 8, bytes(8), more=True)


def overlapping_fragments(arena: Arena, count: int) -> Iterator[bytes]:
    """Fragments that overlap, from the last to the first, and again."""
    own, other = arena.ends
    for number in range(count):
        yield _fragment(other, own, number // 100 % 300, 8 * (100 - number % 100), bytes(16), more=True)


def whole_by_fragments(arena: Arena, count: int) -> Iterator[bytes]:
    """Datagrams that become whole of fragments of eight octets, the first one last."""
    own, other = arena.ends
    for number in range(count):
        at = 99 - number % 100
        yield _fragment(other, own, number // 100, 8 * at, bytes(8), more=at != 99)


def extension_headers(arena: Arena, count: int) -> Iterator[bytes]:
    """IPv6 headers of destination options, full of padding of one octet."""
    source, destination = bytes((0xFD, *bytes(14), 9)), bytes((0xFD, *bytes(14), 8))
    for _ in range(count):
        headers = b"".join(bytes((following, 20)) + bytes(166) for following in (60, 60, 60, 60, 60, 60, 6))
        yield IpTemplate(source, destination, protocol=60).header(len(headers) + 20) + headers + bytes(20)


def echoes(arena: Arena, count: int) -> Iterator[bytes]:
    """Echo requests without an octet of data."""
    own, other = arena.ends
    message = bytearray(bytes((8, 0, 0, 0, 1, 1, 1, 1)))
    message[2:4] = checksum(message).to_bytes(2)
    for _ in range(count):
        yield IpTemplate(other, own, protocol=ICMP).header(8) + bytes(message)


def icmp_errors(arena: Arena, count: int) -> Iterator[bytes]:
    """Packet Too Big about what is in flight, smaller each time."""
    own, other = arena.ends
    _, una = arena.marks
    for number in range(count):
        header = PORT.to_bytes(2) + PEER_PORT.to_bytes(2) + (una & 0xFFFFFFFF).to_bytes(4) + bytes(12)
        quoted = IpTemplate(own, other).header(len(header)) + header
        ip = parse(quoted)
        assert isinstance(ip, Ip)
        yield too_big(ip, quoted, 1400 - number % 800, other)


def _fragment(source: bytes, destination: bytes, number: int, start: int, octets: bytes, *, more: bool) -> bytes:
    head = bytearray(IpTemplate(source, destination).header(len(octets), number & 0xFFFF))
    head[6:8] = (more << 13 | start >> 3).to_bytes(2)
    head[10:12] = bytes(2)
    head[10:12] = checksum(head).to_bytes(2)
    return bytes(head) + octets


FAMILIES: Final[tuple[Family, ...]] = (
    *(
        nops,
        small_options,
        behind_data_offset,
        known_options,
        sack_blocks,
        sack_gaps,
        sack_everything,
        acknowledgments,
    ),
    *(duplicate_acknowledgments, every_second_octet, backwards, overlapping, single_octets, resets, syns),
    *(out_of_band, fragments, overlapping_fragments, whole_by_fragments, extension_headers, echoes, icmp_errors),
)

MESSAGES: Final[tuple[Family, ...]] = (pieces_of_one_octet, pieces_that_differ, messages_of_many_kinds)
"""Families for a victim that waits for a hello."""

EXTENDED: Final = frozenset({behind_data_offset, known_options})
"""Families that need a connection with extended option space."""
