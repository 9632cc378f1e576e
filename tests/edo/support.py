"""Segments and options for the tests of the option space."""

from __future__ import annotations

from collections.abc import Callable

from edo.codec import OptionError, Value, parse_option
from edo.codepoints import POINTS, CodePoints
from edo.options import Fragment, Options, Span
from edo.walk import walk
from tests.forms import slots_of

ACK = 0x10
SYN = 0x02
RST = 0x04
FIN = 0x01

NOP = b"\x01"
SUPPORTED = bytes.fromhex("fe040ed0")
SYN_EOS = bytes.fromhex("fe045e05")
TIMESTAMPS = bytes.fromhex("080a0000000100000002")


def segment(inside: bytes, behind: bytes = b"", flags: int = ACK) -> tuple[memoryview, int]:
    """A TCP segment with NOP-padded options inside Data Offset and anything behind; and its Data Offset."""
    inside += NOP * (-len(inside) % 4)
    data_offset = 20 + len(inside)
    assert data_offset <= 60
    head = bytes(12) + bytes((data_offset // 4 << 4, flags)) + bytes(6)
    return memoryview(head + inside + behind), data_offset


def spans_of(tcp: memoryview, data_offset: int) -> list[Span]:
    spans = walk(tcp, 20, data_offset)
    assert spans is not None
    return spans


def short(header_length: int) -> bytes:
    """A short Extension of the default numbering, Header_Length as given."""
    return bytes.fromhex("fe060ed0") + header_length.to_bytes(2)


def long(header_length: int, segment_length: int) -> bytes:
    return bytes.fromhex("fe080ed0") + header_length.to_bytes(2) + segment_length.to_bytes(2)


def values(options: Options) -> dict[str, object]:
    """The values of options, to be compared."""
    plain = {name: getattr(options, name) for name in slots_of(Options)}
    plain["ke"] = [(f.message, f.total, f.offset, f.octets) for f in options.ke]
    return plain


def read_by_declaration(tcp: memoryview, spans: list[Span], points: CodePoints = POINTS) -> Options:
    """What ``read_options`` has to say, told by the construct declarations, option by option."""

    def parse(option: bytes) -> Value | None:
        try:
            return parse_option(option, points)
        except OptionError:
            return None

    return options_of(bytes(tcp), spans, parse, points)


def options_of(
    octets: bytes, spans: list[Span], parse: Callable[[bytes], Value | None], points: CodePoints
) -> Options:
    """The values of all options that ``parse`` knows; a KE option too short to be one is there all the same."""
    options = Options()
    for kind, exid, offset, length in spans:
        option = octets[offset : offset + length]
        value = parse(option)
        if value is not None:
            _put(options, value, option)
        elif kind in {253, 254} and exid == points.ke_exid:
            options.ke += (Fragment(0, 0, 0, b""),)
    return options


def _put(options: Options, value: Value, octets: bytes) -> None:
    """Note one declared option among the others: the last of a kind holds, of TCP-ENO the first."""
    fields = value.fields
    match value.name:
        case "mss":
            options.mss = fields["mss"]
        case "wscale":
            options.wscale = fields["shift"]
        case "sack_permitted":
            options.sack_permitted = True
        case "sack":
            options.sack = fields["blocks"]
        case "timestamps":
            options.ts_val, options.ts_ecr = fields["ts_val"], fields["ts_ecr"]
        case "eno":
            options.eno_count += 1
            if options.eno is None:
                options.eno = octets
        case "edo_supported":
            options.edo_supported = True
        case "fast_open" | "fast_open_exp":
            options.fast_open = fields["cookie"]
            options.fast_open_experimental = value.name == "fast_open_exp"
        case "user_timeout":
            options.user_timeout = fields["field"]
        case "syn_eos":
            options.syn_eos = True
        case "ke":
            options.ke += (Fragment(fields["message"], fields["total"], fields["offset"], fields["octets"]),)
