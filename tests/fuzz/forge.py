"""Segments for a connection of the arena: fields near what they should be, checksums right, signed with a key."""

from __future__ import annotations

from typing import Final

from ao.wiped import KeysWiped
from edo.codepoints import DEFAULT
from edo.options import Options
from edo.plan import Form, Plan
from edo.syneos import option as syn_eos_option
from stack.checksum import checksum, pseudo_header_sum
from stack.ip import Ip, IpTemplate, parse
from stack.ports import Carrier
from stack.run import ACK, SYN, Run
from stack.sealer import Sealer
from tests.fuzz.arena import PEER_PORT, PORT, Arena, pattern
from tests.fuzz.choices import Choices
from tests.fuzz.oracle import View, view

_FLAGS: Final = (0x10, 0x18, 0x10, 0x11, 0x04, 0x14, 0x02, 0x12, 0x00, 0x01, 0x29, 0x30, 0x50, 0x90, 0xD0, 0xC2)
_WINDOWS: Final = (65535, 1000, 0, 1, 10, 256, 29200, 8192)
_USERS: Final = b"\xfe\x0c\xe0\xc0" + bytes((0, 0, 0, 1, 0, 0, 0, 2))
_SIZES: Final = (0, 0, 1, 2, 100, 536, 1000, 1460)
_SHIFTS: Final = (0, 0, 0, 1, -1, 2, 100, -100, 500, -500, 1460, 4380, 65535, 1 << 31, -(1 << 31), 1 << 20)


def forge(choices: Choices, arena: Arena, signer: Carrier | None, *, oob: bool = False) -> bytes:
    """A segment of the peer's, under its key if ``signer`` has one: mostly plausible, checksums always good."""
    seen = view(arena.flow or arena.victim.half_open.find(arena.key))
    flags = 0 if oob else choices.one_of(_FLAGS)
    seq, ack = _numbers(choices, seen, flags)
    size = choices.one_of(_SIZES)
    begins = seq + (flags >> 1 & 1)
    first = begins if seen is None or flags & SYN else seen.irs + 1
    before = min(max(first - begins, 0), size)
    payload = bytes(before) + pattern(max(begins - first, 0), size - before)
    inside, behind = _options(choices, arena, seen)
    if oob:
        inside, payload = syn_eos_option() + inside, choices.octets(255)
    window = choices.one_of(_WINDOWS)
    urgent = choices.one_of((0, 1, 10, 1000)) if flags & 0x20 else 0
    run = Run(
        *(seq, ack, flags & ~0x20, window, Options()),
        *([memoryview(payload)] if payload else (), len(payload)),
        urgent=urgent,
        ecn=choices.one_of((0, 0, 2, 3)),
    )
    out: list[bytes] = []
    extended = signer is not None and arena.flow is not None and arena.flow.edo.on and not flags & SYN
    try:
        plan = _plan(inside, behind if extended else None, signer)
        if signer is not None:
            signer.protection.seal(Sealer(*signer.key), run, plan, 65535, out)
    except KeysWiped:
        out.clear()
    if out:
        arena.vouch(out[0])
    else:
        local, _, remote, _ = arena.key
        Sealer(remote, PEER_PORT, local, PORT).seal(run, _plan(inside, None, None), 65535, out)
    return out[0]


def _numbers(choices: Choices, seen: View | None, flags: int) -> tuple[int, int]:
    """SEQ and ACK near the edges of what is acceptable, or anywhere."""
    where = choices.octet()
    if seen is None:
        return choices.number(2) << 12 | where, choices.number(2) if flags & ACK else 0
    bases = (
        seen.rcv_nxt,
        seen.rcv_nxt,
        seen.rcv_adv,
        seen.irs,
        seen.irs + 1,
        seen.rcv_nxt,
        seen.rcv_nxt,
        seen.rcv_nxt,
    )
    acks = (
        seen.snd_nxt,
        seen.snd_nxt,
        seen.snd_una,
        seen.iss,
        seen.iss + 1,
        seen.snd_una + 1,
        seen.snd_nxt,
        seen.snd_una,
    )
    seq = bases[where & 7] + choices.one_of(_SHIFTS)
    ack = acks[where >> 3 & 7] + choices.one_of(_SHIFTS)
    if where >> 6 == 3:
        seq += choices.number(2)
        ack += choices.number(1)
    return max(seq, 0), max(ack, 0) if flags & ACK else 0


def _options(choices: Choices, arena: Arena, seen: View | None) -> tuple[bytes, bytes]:
    """Options inside Data Offset and behind it: timestamps as they should be, SACK blocks, anything."""
    how = choices.octet()
    inside = b""
    if not how & 1:
        recent = 0 if seen is None else seen.ts_recent
        flow = arena.flow
        clock = 0 if flow is None else flow.connection.clock_offset
        value = recent + choices.one_of((0, 0, 1, 1000, -1, -1000, 1 << 31, 1 << 30))
        echo = int(arena.now * 1000) + clock - choices.one_of((0, 10, 1000, -1000))
        inside += bytes((1, 1, 8, 10)) + (value & 0xFFFFFFFF).to_bytes(4) + (echo & 0xFFFFFFFF).to_bytes(4)
    if how & 2 and seen is not None:
        inside += _blocks(choices, seen)
    if how & 4:
        inside += choices.one_of(
            (b"\x02\x04\x05\xb4", b"\x02\x04\x00\x01", b"\x03\x03\x07", b"\x04\x02", b"\x1c\x04\x00\x01", _USERS)
        )
    if how & 8:
        inside += choices.octets(20)
    behind = choices.octets(64) if how & 16 else b""
    if how & 32 and seen is not None:
        behind += _blocks(choices, seen)
    return inside, behind


def _blocks(choices: Choices, seen: View) -> bytes:
    """SACK blocks around what is unacknowledged."""
    octets = b""
    for _ in range(choices.below(4) + 1):
        left = seen.snd_una + choices.one_of((0, 1, 100, 500, 1448, 2896, 4000, -100, 1 << 31))
        right = left + choices.one_of((1, 100, 500, 1448, 2896, 0, -1, 1 << 16))
        octets += (left & 0xFFFFFFFF).to_bytes(4) + (right & 0xFFFFFFFF).to_bytes(4)
    return bytes((5, 2 + len(octets))) + octets


def _plan(inside: bytes, behind: bytes | None, signer: Carrier | None) -> Plan:
    """Lay the octets out as they are: the signature first, the Extension, and what then fits into Data Offset."""
    front, marks = b"", {}
    if signer is not None:
        protection = signer.protection
        if protection.ao_octets:
            front = bytes((29, protection.ao_octets, *protection.key_ids)) + bytes(protection.ao_octets - 4)
            marks = {"ao_offset": 20, "ao_octets": protection.ao_octets}
        elif protection.md5:
            front = bytes((19, 18)) + bytes(16)
            marks = {"mac_offset": 22}
    extension = 6 if behind is not None else 0
    inside = inside[: 40 - len(front) - extension]
    inside += b"\x01" * (-(len(front) + extension + len(inside)) % 4)
    behind = behind or b""
    behind += b"\x01" * (-len(behind) % 4)
    offset = 20 + len(front) + extension + len(inside)
    middle = DEFAULT.extension(Form.SHORT, offset + len(behind)) if extension else b""
    return Plan(front + middle + inside + behind, offset, **marks)


def changed(choices: Choices, packet: bytes) -> bytes:
    """The packet with some octets changed, cut or added; its checksums are right again (mostly)."""
    octets = bytearray(packet)
    for _ in range(choices.below(4) + 1):
        at = choices.octet()
        if at < len(octets):
            octets[at] = choices.octet()
    if choices.flag():
        octets += choices.octets(16)
    elif choices.flag():
        del octets[max(choices.octet(), 20) :]
    return repaired(bytes(octets)) if choices.octet() & 3 else bytes(octets)


def repaired(packet: bytes) -> bytes:
    """The packet with length and checksums as they should be."""
    octets = bytearray(packet)
    if octets[0] >> 4 == 4 and len(octets) >= 20:
        header = max((octets[0] & 15) << 2, 20)
        if header <= len(octets):
            octets[2:4] = len(octets).to_bytes(2)
            octets[10:12] = bytes(2)
            octets[10:12] = checksum(octets[:header]).to_bytes(2)
    elif octets[0] >> 4 == 6 and len(octets) >= 40:
        octets[4:6] = (len(octets) - 40).to_bytes(2)
    ip = parse(bytes(octets))
    if isinstance(ip, Ip) and ip.total_octets - ip.header_octets >= 20 and ip.protocol == 6:
        at, end = ip.header_octets, ip.total_octets
        octets[at + 16 : at + 18] = bytes(2)
        total = checksum(octets[at:end], initial=pseudo_header_sum(ip.source, ip.destination, end - at))
        octets[at + 16 : at + 18] = total.to_bytes(2)
    return bytes(octets)


def fragmented(choices: Choices, packet: bytes) -> list[bytes]:
    """The packet in up to four fragments, in order, turned round, overlapping or with one missing."""
    six = packet[0] >> 4 == 6
    head = 40 if six else 20
    payload = packet[head:]
    cuts = sorted({0, *((choices.octet() * 8) % max(len(payload), 8) for _ in range(choices.below(3) + 1))})
    identification = choices.below(4)
    pieces = []
    for index, start in enumerate(cuts):
        last = index == len(cuts) - 1
        end = len(payload) if last else cuts[index + 1] + (8 if choices.below(16) == 15 else 0)
        pieces.append(_fragment(packet[:head], payload[start:end], start, identification, more=not last))
    if choices.flag():
        pieces.reverse()
    if choices.below(8) == 7:
        del pieces[0]
    return pieces


def _fragment(head: bytes, piece: bytes, start: int, identification: int, *, more: bool) -> bytes:
    if len(head) == 20:
        octets = bytearray(head)
        octets[4:6] = identification.to_bytes(2)
        octets[6:8] = (more << 13 | start >> 3).to_bytes(2)
        octets[2:4] = (20 + len(piece)).to_bytes(2)
        octets[10:12] = bytes(2)
        octets[10:12] = checksum(octets).to_bytes(2)
        return bytes(octets) + piece
    extension = bytes((6, 0)) + (start | more).to_bytes(2) + identification.to_bytes(4)
    return IpTemplate(head[8:24], head[24:40], protocol=44).header(8 + len(piece)) + extension + piece
