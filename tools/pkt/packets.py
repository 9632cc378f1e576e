"""Packets as scripts write them: TCP segments and ICMP messages about them."""

from __future__ import annotations

import re
from typing import Final

from .optionlist import parse_options
from .scanner import Scanner
from .syntax import Ecn, IcmpSpec, IpInfo, TcpSpec

AE: Final = 0x100
# Letters of flags; ``.`` is ACK. W is CWR, A is AE (RFC 9768), and digits are the three of them as a counter.
LETTERS: Final = {"F": 0x01, "S": 0x02, "R": 0x04, "P": 0x08, ".": 0x10, "U": 0x20, "E": 0x40, "W": 0x80, "A": AE}
_FLAGS = re.compile(r"-(?=\s)|[FSRPUEWA]*[0-7]?\.|[FSRPUEWA]+[0-7]?(?=[\s/])")
_PORTS = re.compile(r"([0-9]+)\s*>\s*([0-9]+)(?=\s)")
_ANY_SEQ = re.compile(r"\.\.\.\s*\(\s*([0-9]+)\s*\)")
_SEQ = re.compile(r"([0-9]+)\s*:\s*([0-9]+)\s*\(\s*([0-9]+)\s*\)")
_QUOTED = re.compile(r"\[(?=\s*[0-9]+\s*:)")
_WORD_OF = re.compile(r"[A-Za-z0-9_]+")
_ECN = {ecn.value: ecn for ecn in Ecn}
_REFUSED = {
    "ipv4": "encapsulation in IPv4",
    "ipv6": "encapsulation in IPv6",
    "gre": "encapsulation in GRE",
    "GREv0": "encapsulation in GRE",
    "mpls": "encapsulation in MPLS",
    "udp": "UDP datagrams",
    "udplite": "UDP-Lite datagrams",
    "sctp": "SCTP packets",
    "psp": "PSP packets",
}


def parse_packet(scanner: Scanner) -> TcpSpec | IcmpSpec:
    """Parse a packet from its direction on; raises Refused."""
    inbound = scanner.accept("<")
    if not inbound:
        scanner.expect(">")
    quoted = _quoted(scanner)
    ip = IpInfo() if quoted is not None else _ip_info(scanner, inbound)
    word = scanner.peek_word()
    if word in _REFUSED:
        scanner.refuse(f"not supported: {_REFUSED[word]}")
    if word == "icmp":
        scanner.word("icmp")
        return _icmp(scanner, inbound, ip, quoted)
    if quoted is not None:
        scanner.refuse(f"expected an ICMP message about a segment, found {scanner.ahead}")
    return _tcp(scanner, inbound, ip)


def _ip_info(scanner: Scanner, inbound: bool) -> IpInfo:
    close = "]" if scanner.accept("[") else ")" if scanner.accept("(") else None
    if close is None:
        return IpInfo()
    ecn: Ecn | None = None
    tos = ttl = flow_label = None
    while True:
        place_word = scanner.peek_word()
        if place_word in _ECN:
            ecn = _ECN[scanner.word("an ECN field")]
            if ecn is Ecn.ECT01 and inbound:
                scanner.refuse("ect01 is for outbound packets only")
        elif scanner.accept_word("tos"):
            tos = scanner.integer("tos", 0, 255)
        elif scanner.accept_word("ttl", "hlim"):
            ttl = scanner.integer("ttl", 0, 255)
        elif scanner.accept_word("flowlabel"):
            flow_label = scanner.integer("flow label", 0, 0xFFFFF)
        else:
            scanner.refuse(f"expected a field of the IP header, found {scanner.ahead}")
        if scanner.accept(close):
            return IpInfo(ecn, tos, ttl, flow_label)
        scanner.expect(",")


def _tcp(scanner: Scanner, inbound: bool, ip: IpInfo) -> TcpSpec:
    ports = None
    if (found := scanner.take(_PORTS)) is not None:
        ports = (int(found.group(1)), int(found.group(2)))
        if max(ports) > 0xFFFF:
            scanner.refuse(f"ports {ports[0]} and {ports[1]} are not both in 0-65535")
    found = scanner.take(_FLAGS)
    if found is None:
        scanner.refuse(f"expected the flags of a segment, found {scanner.ahead}")
    flags, ace = _flags(found.group())
    if scanner.accept("/"):
        scanner.refuse("not supported: encapsulation in UDP")
    seq: int | None = None
    if not inbound and (found := scanner.take(_ANY_SEQ)) is not None:
        length = int(found.group(1))
    else:
        seq, length = _numbers(scanner)
    plain = scanner.accept("!")
    ack = scanner.integer("ack", 0, 0xFFFFFFFF) if scanner.accept_word("ack") else None
    window = scanner.integer("window", 0, 0xFFFF) if scanner.accept_word("win") else None
    urgent = scanner.integer("urgent pointer", 0, 0xFFFF) if scanner.accept_word("urg") else None
    options = parse_options(scanner)
    if scanner.peek("/udp"):
        scanner.refuse("not supported: encapsulation in UDP")
    if scanner.peek("{"):
        scanner.refuse("not supported: mutation of packets")
    if inbound and options is None:
        scanner.refuse("<...> is for outbound packets only")
    if inbound and window is None:
        scanner.refuse("an inbound segment needs a window")
    return TcpSpec(inbound, flags, seq, length, ack, window, urgent, options, ports, ip, ace, plain)


def _flags(text: str) -> tuple[int, bool]:
    """The bits of flags, and whether the counter ACE was written as a number."""
    flags = 0
    ace = False
    for letter in text:
        if letter.isdigit():
            number = int(letter)
            flags |= (number & 1) * LETTERS["E"] | (number >> 1 & 1) * LETTERS["W"] | (number >> 2) * AE
            ace = True
        elif letter != "-":
            flags |= LETTERS[letter]
    return flags, ace


def show_flags(flags: int, *, ace: bool = False) -> str:
    """Flags as scripts write them."""
    if ace:
        number = (flags & LETTERS["E"] > 0) + 2 * (flags & LETTERS["W"] > 0) + 4 * (flags & AE > 0)
        letters = "".join(letter for letter in "FSRPU" if flags & LETTERS[letter])
        return f"{letters}{number}{'.' if flags & LETTERS['.'] else ''}"
    return "".join(letter for letter in "FSRPUEWA." if flags & LETTERS[letter]) or "-"


def _numbers(scanner: Scanner) -> tuple[int, int]:
    found = scanner.take(_SEQ)
    if found is None:
        scanner.refuse(f"expected FIRST:END(OCTETS), found {scanner.ahead}")
    start, end, length = map(int, found.groups())
    if max(start, end) > 0xFFFFFFFF or length > 0xFFFF:
        scanner.refuse(f"stream numbers {start}:{end}({length}) are out of range")
    if end != (start + length) & 0xFFFFFFFF:
        scanner.refuse(f"stream numbers {start}:{end} do not fit a length of {length} octets")
    return start, length


def _quoted(scanner: Scanner) -> tuple[int, int] | None:
    """The stream numbers of a quoted segment in brackets, where they stand here."""
    if scanner.take(_QUOTED) is None:
        return None
    numbers = _numbers(scanner)
    scanner.expect("]")
    return numbers


def _icmp(scanner: Scanner, inbound: bool, ip: IpInfo, quoted: tuple[int, int] | None) -> IcmpSpec:
    kind = scanner.word("the type of an ICMP message")
    code = None
    if scanner.peek_word() not in {None, "mtu", "id"}:
        code = scanner.word("the code of an ICMP message")
    mtu = scanner.integer("mtu", 0, 0xFFFFFFFF) if scanner.accept_word("mtu") else None
    if scanner.accept_word("id"):
        scanner.refuse("not supported: ICMP echo")
    quoted = quoted or _quoted(scanner)
    if scanner.accept("["):
        scanner.refuse(f"not supported: an ICMP message about {scanner.ahead}")
    seq, length = quoted or (None, 0)
    return IcmpSpec(inbound, kind, code, mtu, seq, length, ip)
