"""What options are called, and their values in a few words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from ao.messages import MessageKind
from edo import eno
from edo.codec import OptionError, parse_option
from edo.codepoints import POINTS, CodePoints
from edo.options import Span
from edo.usertimeout import decode as seconds_of

FLAGS: Final = (
    (0x02, "SYN"),
    (0x01, "FIN"),
    (0x04, "RST"),
    (0x08, "PSH"),
    (0x10, "ACK"),
    (0x20, "URG"),
    (0x40, "ECE"),
    (0x80, "CWR"),
    (0x100, "AE"),
)

# IANA's registry of TCP option kinds, those that are not declared here.
KINDS: Final[Mapping[int, str]] = {
    6: "Echo (obsolete)",
    7: "Echo Reply (obsolete)",
    9: "Partial Order Permitted (obsolete)",
    10: "Partial Order Service Profile (obsolete)",
    11: "CC (obsolete)",
    12: "CC.NEW (obsolete)",
    13: "CC.ECHO (obsolete)",
    14: "Alternate Checksum Request (obsolete)",
    15: "Alternate Checksum Data (obsolete)",
    16: "Skeeter",
    17: "Bubba",
    18: "Trailer Checksum",
    20: "SCPS Capabilities",
    21: "Selective Negative Acknowledgments",
    22: "Record Boundaries",
    23: "Corruption experienced",
    24: "SNAP",
    26: "TCP Compression Filter",
    27: "Quick-Start Response",
    30: "Multipath TCP",
    70: "in use without assignment",
    76: "in use without assignment",
    77: "in use without assignment",
    78: "in use without assignment",
    172: "Accurate ECN Order 0",
    174: "Accurate ECN Order 1",
    253: "experimental",
    254: "experimental",
}

NAMES: Final[Mapping[str, str]] = {
    "mss": "Maximum Segment Size",
    "wscale": "Window Scale",
    "sack_permitted": "SACK-permitted",
    "sack": "SACK",
    "timestamps": "Timestamps",
    "md5": "TCP-MD5",
    "ao": "TCP-AO",
    "user_timeout": "User Timeout",
    "fast_open": "Fast Open",
    "fast_open_exp": "Fast Open, experimental",
    "eno": "TCP-ENO",
    "edo_supported": "EDO Supported",
    "edo_extension": "EDO Extension",
    "syn_eos": "SYN-EOS",
    "ke": "Key exchange",
    "aggregated": "Aggregated option",
    "syn_op_sis": "SynOpSis",
    "syn_op_sis_confirmed": "SynOpSis confirmed",
}
"""The declared options as their documents call them."""

# Fields as their documents call them; others are shown as they are declared.
_FIELDS: Final[Mapping[str, str]] = {
    "mss": "MSS",
    "shift": "shift count",
    "ts_val": "TSval",
    "ts_ecr": "TSecr",
    "key_id": "KeyID",
    "rnext_key_id": "RNextKeyID",
    "mac": "MAC",
    "header_length": "Header_Length",
    "segment_length": "Segment_Length",
    "message": "message kind",
    "total": "message octets",
    "offset": "fragment offset",
    "octets": "fragment",
}


def flags_text(flags: int) -> str:
    """The names of the flags, "-" for none."""
    return " ".join(name for bit, name in FLAGS if flags & bit) or "-"


def name_of(kind: int, exid: int = -1) -> str:
    """What an option that is not declared is called, by its kind (0-255) and ExID (-1: none)."""
    name = KINDS.get(kind, "unknown option")
    return name if exid < 0 else f"{name}, ExID 0x{exid:04X}"


def field_name(name: str) -> str:
    """What a declared field is called in its document."""
    return _FIELDS.get(name, name.replace("_", " "))


def message_name(kind: int) -> str:
    """The name of a key-exchange message of this kind (0-255)."""
    if kind == 7:
        return "report"
    try:
        return MessageKind(kind).name.lower().replace("_", " ")
    except ValueError:
        return f"message {kind}"


def value_text(name: str, value: Any) -> str:
    """One field's value; octets in hex, what has a unit with it."""
    if isinstance(value, bytes):
        return value.hex(" ") or "-"
    if name == "blocks":
        return ", ".join(f"{left}-{right}" for left, right in value)
    if name == "message":
        return f"{value} ({message_name(value)})"
    if name == "shift":
        return f"{value} (windows times {1 << min(value, 14)})"
    if name == "field":
        return f"{seconds_of(value)} s"
    return str(value)


def option_text(tcp: memoryview, span: Span, points: CodePoints = POINTS) -> str:
    """Name an option and its values in a few characters."""
    _, _, offset, length = span
    octets = bytes(tcp[offset : offset + length])
    try:
        value = parse_option(octets, points)
    except OptionError:
        return f"kind {octets[0]}, {length} octets"
    return brief(value.name, value.fields)


def brief(name: str, fields: Mapping[str, Any]) -> str:
    """A declared option in a few characters."""
    text = _BRIEF.get(name)
    return name if text is None else text(fields)


def eno_text(contents: bytes) -> str:
    """The suboptions of a TCP-ENO option (RFC 8547 §4.1), whose contents these are."""
    if not contents:
        return "no suboption (the form of segments without SYN)"
    parsed = eno.parse(bytes((POINTS.eno, 2 + len(contents))) + contents)
    if not parsed.ok:
        return "ill-formed: ignored (RFC 8547 §4.4)"
    teps = [_tep(identifier, data) for identifier, data in parsed.teps]
    roles = f"b = {parsed.b}" + (", application-aware" if parsed.aware else "")
    return ", ".join([roles, *teps]) if teps else f"{roles}, no TEP (vacuous)"


def _tep(identifier: int, data: bytes | None) -> str:
    text = f"TEP 0x{identifier:02X}"
    if data is None:
        return text
    if identifier == eno.TEP_EXPERIMENTAL and len(data) >= 2 and data[0] == eno.MAGIC:
        return f"{text} of edotun, version {data[1]}"
    return f"{text} with {data.hex(' ')}"


def _ke(fields: Mapping[str, Any]) -> str:
    begin, size = fields["offset"], len(fields["octets"])
    part = "" if size == fields["total"] else f" {begin}-{begin + size - 1} of"
    return f"KE {message_name(fields['message'])}{part} {fields['total']}"


def _extension(fields: Mapping[str, Any]) -> str:
    segment_length = fields["segment_length"]
    return f"EDO H {fields['header_length']}" + ("" if segment_length is None else f" S {segment_length}")


_BRIEF: Final[dict[str, Callable[[Mapping[str, Any]], str]]] = {
    "mss": lambda fields: f"MSS {fields['mss']}",
    "wscale": lambda fields: f"WS {fields['shift']}",
    "sack_permitted": lambda _: "SACK ok",
    "sack": lambda fields: f"SACK x{len(fields['blocks'])}",
    "timestamps": lambda _: "TS",
    "md5": lambda _: "MD5",
    "ao": lambda fields: f"AO {fields['key_id']}/{fields['rnext_key_id']} {8 * len(fields['mac'])} bit",
    "user_timeout": lambda fields: f"UTO {seconds_of(fields['field'])} s",
    "fast_open": lambda fields: f"TFO {len(fields['cookie'])}",
    "fast_open_exp": lambda fields: f"TFO {len(fields['cookie'])}",
    "eno": lambda fields: "ENO " + (fields["contents"].hex(" ").upper() or "-"),
    "edo_supported": lambda _: "EDO ok",
    "edo_extension": _extension,
    "syn_eos": lambda _: "SYN-EOS",
    "ke": _ke,
}
