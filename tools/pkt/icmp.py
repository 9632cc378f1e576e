"""ICMP messages of scripts: an error that quotes one of the stack's segments."""

from __future__ import annotations

from typing import Final

from stack.checksum import checksum, pseudo_header_sum

from .segments import Ends, ip_packet
from .syntax import IcmpSpec

_ICMP: Final = 1
_ICMPV6: Final = 58
_V4: Final[dict[str, tuple[int, dict[str, int]]]] = {
    "unreachable": (
        3,
        {
            "net_unreachable": 0,
            "host_unreachable": 1,
            "protocol_unreachable": 2,
            "port_unreachable": 3,
            "frag_needed": 4,
            "source_route_failed": 5,
            "net_unknown": 6,
            "host_unknown": 7,
            "source_host_isolated": 8,
            "net_prohibited": 9,
            "host_prohibited": 10,
            "net_unreachable_for_tos": 11,
            "host_unreachable_for_tos": 12,
            "communication_prohibited": 13,
            "packet_filtered": 13,
            "host_precedence_violation": 14,
            "precedence_violation": 14,
            "precedence_cutoff": 15,
        },
    ),
    "source_quench": (4, {}),
    "redirect": (5, {"network": 0, "host": 1, "tos_network": 2, "tos_host": 3}),
    "time_exceeded": (
        11,
        {
            "ttl_exceeded": 0,
            "exceeded_in_transit": 0,
            "ttl_exceeded_in_transit": 0,
            "reassembly": 1,
            "frag_reass_exceeded": 1,
        },
    ),
    "parameter_problem": (12, {"pointer_indicates_error": 0, "missing_option": 1, "bad_length": 2}),
}
_V6: Final[dict[str, tuple[int, dict[str, int]]]] = {
    "unreachable": (
        1,
        {
            "no_route": 0,
            "admin_prohibited": 1,
            "not_neighbour": 2,
            "beyond_scope": 2,
            "address_unreachable": 3,
            "port_unreachable": 4,
        },
    ),
    "packet_too_big": (2, {}),
    "time_exceeded": (
        3,
        {
            "hop_limit_exceeded": 0,
            "exceeded_hop_limit": 0,
            "ttl_exceeded": 0,
            "reassembly": 1,
            "exceeded_frag_time": 1,
        },
    ),
    "parameter_problem": (
        4,
        {"header_field": 0, "next_header": 1, "unknown_next_header": 1, "option": 2, "unknown_option": 2},
    ),
}


class IcmpUnknown(ValueError):
    """A type or code by a name that is not known for the version of IP."""


def numbers(spec: IcmpSpec, version: int) -> tuple[int, int]:
    """Type and code; raises IcmpUnknown."""
    types = _V4 if version == 4 else _V6
    if spec.type not in types:
        raise IcmpUnknown(f"unknown type {spec.type!r} of an ICMP message over IPv{version}")
    kind, codes = types[spec.type]
    if spec.code is None:
        return kind, 0
    number = spec.code.removeprefix("code_")
    if number.isdigit() and int(number) < 256:
        return kind, int(number)
    if spec.code not in codes:
        raise IcmpUnknown(f"unknown code {spec.code!r} of ICMP {spec.type} over IPv{version}")
    return kind, codes[spec.code]


def icmp_packet(spec: IcmpSpec, quoted: Ends, seq: int, ip_octets: int) -> bytes:
    """The message about a segment that went from ``quoted.source``: its IP header and first eight octets."""
    version = 4 if len(quoted.source) == 4 else 6
    kind, code = numbers(spec, version)
    ports = quoted.source_port.to_bytes(2) + quoted.destination_port.to_bytes(2)
    quote = ip_packet(quoted.source, quoted.destination, 6, ports + seq.to_bytes(4), ttl=64)
    total = ip_octets + 20 + spec.length
    if version == 4:
        # The quoted header says the whole packet's length, of which only the first octets follow.
        head = quote[:2] + total.to_bytes(2) + quote[4:10] + b"\0\0" + quote[12:20]
        quote = head[:10] + checksum(head).to_bytes(2) + head[12:] + quote[20:]
    else:
        quote = quote[:4] + (total - ip_octets).to_bytes(2) + quote[6:]
    mtu = spec.mtu or 0
    rest = mtu.to_bytes(4)
    message = bytes((kind, code, 0, 0)) + rest + quote
    protocol = _ICMP if version == 4 else _ICMPV6
    initial = 0 if version == 4 else pseudo_header_sum(quoted.destination, quoted.source, len(message), _ICMPV6)
    total_sum = checksum(message, initial=initial)
    message = message[:2] + total_sum.to_bytes(2) + message[4:]
    return ip_packet(quoted.destination, quoted.source, protocol, message)
