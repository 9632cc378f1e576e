"""Every field and option of a TCP segment as an attacker changes it: other than it is, set, cleared.

``change`` makes the value another one close to it, ``set`` gives it all ones or adds the option, ``clear`` makes it
zero or takes the option away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from edo.codepoints import DEFAULT, MSS, POINTS, SACK, SACK_PERMITTED, TIMESTAMPS, WSCALE
from stack.run import ACK, AE, CWR, ECE, FIN, PSH, RST, SYN, URG

from .segments import EDO, NOP, SYN_EOS, Parts

How = Literal["change", "set", "clear"]
HOWS: Final[tuple[How, ...]] = ("change", "set", "clear")

UNKNOWN: Final = 200
"""A kind that is assigned to nothing."""

_KE: Final = POINTS.ke_exid.to_bytes(2)


@dataclass(frozen=True, slots=True)
class Field:
    """One part of a segment: ``alter`` does one of ``HOWS`` to it, and returns whether there was anything to do.

    ``about`` says what it is; ``option`` whether it is an option or in one; ``phases`` in which segments have it.
    """

    name: str
    about: str
    alter: Callable[[Parts, How], bool]
    option: bool = False
    phases: tuple[str, ...] = ("syn", "established")


def _number(name: str, bits: int) -> Callable[[Parts, How], bool]:
    """A numeric attribute of Parts: its last bit is flipped, all are set, none is."""
    ones = (1 << bits) - 1

    def alter(parts: Parts, how: How) -> bool:
        old = getattr(parts, name)
        new = {"change": old ^ 1, "set": ones, "clear": 0}[how]
        setattr(parts, name, new)
        return bool(new != old)

    return alter


def _flag(bit: int) -> Callable[[Parts, How], bool]:
    def alter(parts: Parts, how: How) -> bool:
        old = parts.flags
        parts.flags = {"change": old ^ bit, "set": old | bit, "clear": old & ~bit}[how]
        return parts.flags != old

    return alter


def _address(name: str) -> Callable[[Parts, How], bool]:
    def alter(parts: Parts, how: How) -> bool:
        old: bytes = getattr(parts, name)
        # Another host's of the same network.
        other = bytes((*old[:3], old[3] ^ 0x40))
        new = {"change": other, "set": b"\xff" * 4, "clear": bytes(4)}[how]
        setattr(parts, name, new)
        return new != old

    return alter


def _ecn(parts: Parts, how: How) -> bool:
    """Changed or set it tells of congestion that there was not, cleared of a path without ECN."""
    old = parts.tos
    parts.tos = old & ~3 if how == "clear" else old | 3
    return parts.tos != old


def _offset(parts: Parts, how: How) -> bool:
    words = 5 + sum(map(len, parts.inside)) // 4
    # One word of payload becomes options, or where there is none one of options payload.
    near = words + 1 if parts.payload and words < 15 else words - 1
    parts.offset = {"change": near, "set": 15, "clear": 0}[how]
    return parts.offset != words


def _checksum(parts: Parts, how: How) -> bool:
    packet = parts.packet()
    right = packet[36] << 8 | packet[37]
    parts.sum = {"change": right ^ 1, "set": 0xFFFF, "clear": 0}[how]
    return parts.sum != right


def _payload(parts: Parts, how: How) -> bool:
    old = parts.payload
    if not old:
        return False
    middle = len(old) // 2
    changed = old[:middle] + bytes((old[middle] ^ 1,)) + old[middle + 1 :]
    parts.payload = {"change": changed, "set": b"\xff" * len(old), "clear": bytes(len(old))}[how]
    return parts.payload != old


def _option(
    kind: int, first: int, last: int | None, *, exid: bytes = b"", octets: int = 0, added: bytes = b""
) -> Callable[[Parts, How], bool]:
    """Octets ``first`` to before ``last`` (None: its end) of an option, which has ``octets`` where that is not 0.

    Of the last of them a bit is flipped; ``set`` fills them with ones, or adds ``added`` where the option is not
    there; ``clear`` makes NOPs of the option.
    """

    def alter(parts: Parts, how: How) -> bool:
        place = parts.place(kind, exid=exid, octets=octets)
        if place is None:
            return how == "set" and bool(added) and parts.add(added)
        area, index = place
        old = area[index]
        end = len(old) if last is None else min(last, len(old))
        if how == "clear":
            area[index : index + 1] = [NOP] * len(old)
            return True
        if end <= first:
            return False
        new = bytearray(old)
        if how == "change":
            new[end - 1] ^= 1
        else:
            new[first:end] = b"\xff" * (end - first)
        area[index] = bytes(new)
        return bytes(new) != old

    return alter


def _zeroed(kind: int, first: int, last: int | None, *, added: bytes = b"") -> Callable[[Parts, How], bool]:
    """As ``_option``, and ``clear`` makes the octets zero, for what is a part of an option."""
    whole = _option(kind, first, last, added=added)

    def alter(parts: Parts, how: How) -> bool:
        place = parts.place(kind)
        if how != "clear" or place is None:
            return whole(parts, how)
        area, index = place
        old = area[index]
        end = len(old) if last is None else last
        area[index] = old[:first] + bytes(end - first) + old[end:]
        return area[index] != old

    return alter


def _mss(parts: Parts, how: How) -> bool:
    """Changed it is one that makes ten segments of each."""
    place = parts.place(MSS)
    if place is None or how != "change":
        return _option(MSS, 2, 4, added=b"\x02\x04\x00\x80")(parts, how)
    area, index = place
    area[index] = b"\x02\x04\x00\x80"
    return True


def _edo(parts: Parts, how: How) -> bool:
    place = parts.place(254, exid=EDO, octets=6) or parts.place(254, exid=EDO, octets=8)
    if place is None:
        # An Extension is added that says what holds.
        if how != "set":
            return False
        words = 5 + (sum(map(len, parts.inside)) + 11) // 4
        return parts.add(b"\xfe\x06" + EDO + words.to_bytes(2) + NOP * 2)
    # A header that is a word longer than it is, or the longest, or none.
    area, index = place
    old = area[index]
    words = int.from_bytes(old[4:6])
    if how == "clear":
        area[index : index + 1] = [NOP] * len(old)
        return True
    parts.keep_edo = True
    area[index] = old[:4] + (words + 1 if how == "change" else 0xFFFF).to_bytes(2) + old[6:]
    return True


_SYN: Final = ("syn",)
_LATER: Final = ("established",)


def _of(
    name: str, about: str, alter: Callable[[Parts, How], bool], phases: tuple[str, ...] = (*_SYN, *_LATER)
) -> Field:
    return Field(name, about, alter, option=True, phases=phases)


_AO_ADDED: Final = bytes((29, 16, 1, 1)) + bytes(12)
_KE_ADDED: Final = b"\xfe\x0c" + _KE + bytes((0x10, 4, 0, 0)) + bytes(4)

FIELDS: Final[dict[str, Field]] = {
    field.name: field
    for field in (
        Field("source-address", "where the packet says it comes from", _address("source")),
        Field("destination-address", "where the packet goes", _address("destination")),
        Field("ecn", "the two ECN bits of the IP header (RFC 3168)", _ecn),
        Field("source-port", "Source Port", _number("source_port", 16)),
        Field("destination-port", "Destination Port", _number("destination_port", 16)),
        Field("seq", "Sequence Number", _number("seq", 32)),
        Field("ack", "Acknowledgment Number", _number("ack", 32)),
        Field("data-offset", "Data Offset", _offset),
        Field("reserved", "the three reserved bits", _number("reserved", 3)),
        Field("ae", "flag AE (RFC 9768)", _flag(AE)),
        Field("cwr", "flag CWR", _flag(CWR)),
        Field("ece", "flag ECE", _flag(ECE)),
        Field("urg", "flag URG", _flag(URG)),
        Field("ack-flag", "flag ACK", _flag(ACK)),
        Field("psh", "flag PSH", _flag(PSH)),
        Field("rst", "flag RST", _flag(RST)),
        Field("syn", "flag SYN", _flag(SYN)),
        Field("fin", "flag FIN", _flag(FIN)),
        Field("window", "Window", _number("window", 16)),
        Field("checksum", "Checksum", _checksum),
        Field("urgent-pointer", "Urgent Pointer", _number("urgent", 16)),
        _of("mss", "Maximum Segment Size", _mss, _SYN),
        _of("wscale", "Window Scale", _option(WSCALE, 2, 3, added=b"\x03\x03\x0e"), _SYN),
        _of("sack-permitted", "SACK-Permitted", _option(SACK_PERMITTED, 0, 1, added=b"\x04\x02"), _SYN),
        _of("sack", "SACK blocks", _option(SACK, 2, None, added=b"\x05\x0a" + bytes(8)), _LATER),
        _of("tsval", "TSval of Timestamps", _zeroed(TIMESTAMPS, 2, 6, added=b"\x08\x0a" + bytes(8))),
        _of("tsecr", "TSecr of Timestamps", _zeroed(TIMESTAMPS, 6, 10)),
        _of("timestamps", "the whole Timestamps option", _option(TIMESTAMPS, 2, 10, added=b"\x08\x0a" + bytes(8))),
        _of("md5", "TCP-MD5's digest", _option(POINTS.md5, 2, 18, added=b"\x13\x12" + bytes(16))),
        _of("ao-keyid", "KeyID of TCP-AO", _zeroed(POINTS.ao, 2, 3)),
        _of("ao-rnext", "RNextKeyID of TCP-AO", _zeroed(POINTS.ao, 3, 4)),
        _of("ao-mac", "the MAC of TCP-AO", _zeroed(POINTS.ao, 4, None)),
        _of("ao", "the whole TCP-AO option", _option(POINTS.ao, 2, None, added=_AO_ADDED)),
        _of(
            "edo-supported",
            "the offer of EDO",
            _option(254, 3, 4, exid=EDO, octets=4, added=DEFAULT.supported()),
            _SYN,
        ),
        _of("edo", "EDO's Extension", _edo),
        _of("syn-eos", "SYN-EOS", _option(254, 3, 4, exid=SYN_EOS, added=b"\xfe\x04" + SYN_EOS), _SYN),
        _of("eno", "TCP-ENO", _option(POINTS.eno, 2, None, added=b"\x45\x02")),
        _of("ke", "messages of key exchange", _option(254, 8, None, exid=_KE, added=_KE_ADDED)),
        _of(
            "unknown", "an option of no known kind", _option(UNKNOWN, 2, None, added=bytes((UNKNOWN, 4, 0, 0))), ()
        ),
        Field("payload", "the octets of the stream", _payload, phases=_LATER),
    )
}
"""All of them, in the order in which a segment has them."""
