"""The messages of every handshake read and written straight, without the interpreter of their declarations.

Says the same as the declarations of ``ao.messages`` and ``ao.report``, which remain the authority: what is not
exactly such a message, or has a field out of its range, is None here, and the declaration then says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct, error, pack, unpack_from
from typing import Final

from .suite import Suite

_START: Final = Struct(">BB32sIB")
_START_OCTETS: Final = 39
_GROUP: Final = Struct(">HH")
_CHOICE: Final = Struct(">BBHH")
_RANDOM_OCTETS: Final = 32
_TICKET_OCTETS: Final = 16
_SEEN: Final = Struct(">HBBBHB")
_SEEN_OCTETS: Final = 8
_NOT_SEEN: Final = 255
_MOST_OPTIONS: Final = 40

HelloFields = tuple[int, bytes, int, bytes, tuple[Suite, ...], tuple[int, ...], int, bytes, tuple[bytes, ...], int]
"""In the order of ``ao.messages.Hello``."""
AnswerFields = tuple[int, bytes, int, bytes, Suite, int, bytes, int, int]
"""In the order of ``ao.messages.Answer``."""
ReportFields = tuple[int, bytes, int, int, int, int, int, bytes | None]
"""In the order of ``ao.report.Report``, its flags as they came."""


def read_hello(octets: bytes) -> HelloFields | None:
    """The fields of a hello (profile.md §4); None for anything else."""
    try:
        version, flags, random, isn, size = _START.unpack_from(octets)
        at = _START_OCTETS + size
        eno = octets[_START_OCTETS:at]
        count = octets[at]
        behind = at + 1 + 2 * count
        suites = tuple([Suite(octets[i], octets[i + 1]) for i in range(at + 1, behind, 2)])
        count = octets[behind]
        groups = unpack_from(f">{count}H", octets, behind + 1)
        at = behind + 1 + 2 * count
        group, size = _GROUP.unpack_from(octets, at)
        share = octets[at + 4 : at + 4 + size]
        at += 4 + size
        count = octets[at]
    except (IndexError, error):
        return None
    at += 1
    # Each field before was followed by another, so only the last can have been cut short.
    if at + _TICKET_OCTETS * count != len(octets):
        return None
    tickets = tuple([octets[i : i + _TICKET_OCTETS] for i in range(at, len(octets), _TICKET_OCTETS)])
    return flags, random, isn, eno, suites, groups, group, share, tickets, version


def write_hello(
    version: int,
    flags: int,
    random: bytes,
    isn: int,
    eno: bytes,
    suites: Sequence[Suite],
    groups: Sequence[int],
    group: int,
    share: bytes,
    tickets: Sequence[bytes],
) -> bytes | None:
    """The octets of a hello; None where a field is out of its range."""
    if len(random) != _RANDOM_OCTETS or any(len(ticket) != _TICKET_OCTETS for ticket in tickets):
        return None
    try:
        return b"".join(
            (
                _START.pack(version, flags, random, isn, len(eno)),
                eno,
                bytes((len(suites), *(octet for suite in suites for octet in suite), len(groups))),
                pack(f">{len(groups)}HHH", *groups, group, len(share)),
                share,
                bytes((len(tickets),)),
                *tickets,
            )
        )
    except (ValueError, error):
        return None


def read_answer(octets: bytes) -> AnswerFields | None:
    """The fields of an answer (profile.md §4); None for anything else."""
    try:
        version, flags, random, isn, size = _START.unpack_from(octets)
        at = _START_OCTETS + size
        eno = octets[_START_OCTETS:at]
        mac, cipher, group, size = _CHOICE.unpack_from(octets, at)
    except error:
        return None
    at += 6
    if at + size + 1 != len(octets):
        return None
    return flags, random, isn, eno, Suite(mac, cipher), group, octets[at:-1], octets[-1], version


def write_answer(
    version: int,
    flags: int,
    random: bytes,
    isn: int,
    eno: bytes,
    suite: Suite,
    group: int,
    share: bytes,
    ticket_index: int,
) -> bytes | None:
    """The octets of an answer; None where a field is out of its range."""
    if len(random) != _RANDOM_OCTETS:
        return None
    try:
        return b"".join(
            (
                _START.pack(version, flags, random, isn, len(eno)),
                eno,
                _CHOICE.pack(suite.mac, suite.cipher, group, len(share)),
                share,
                bytes((ticket_index,)),
            )
        )
    except (ValueError, error):
        return None


def read_report(octets: bytes, version: int) -> ReportFields | None:
    """The fields of a report of ``version`` (profile.md §8); None for anything else."""
    if len(octets) < 3 or octets[0] != version or octets[2] not in (4, 6):
        return None
    at = 7 if octets[2] == 4 else 19
    if len(octets) < at + _SEEN_OCTETS:
        return None
    port, tcp_flags, ecn, ttl, window, size = _SEEN.unpack_from(octets, at)
    options = octets[at + _SEEN_OCTETS :]
    if ecn > 3 or len(options) != (0 if size == _NOT_SEEN else size) or len(options) > _MOST_OPTIONS:
        return None
    return octets[1], octets[3:at], port, tcp_flags, ecn, ttl, window, None if size == _NOT_SEEN else options


def write_report(
    version: int,
    flags: int,
    source: bytes,
    port: int,
    tcp_flags: int,
    ecn: int,
    ttl: int,
    window: int,
    options: bytes | None,
) -> bytes | None:
    """The octets of a report; None where a field is out of its range."""
    family = 4 if len(source) == 4 else 6
    size = _NOT_SEEN if options is None else len(options)
    if (family == 6 and len(source) != 16) or not 0 <= ecn <= 3 or (options and size > _MOST_OPTIONS):
        return None
    try:
        seen = _SEEN.pack(port, tcp_flags, ecn, ttl, window, size)
        return b"".join((bytes((version, flags, family)), source, seen, options or b""))
    except (ValueError, error):
        return None
