"""Names of sockets: what an application writes and reads as an address, and what the stack knows."""

from __future__ import annotations

import errno
import ipaddress
from typing import Final

from .errors import SocketError
from .numbers import AF_INET, AF_INET6

Name = tuple[str, int] | tuple[str, int, int, int]

ANY: Final = {AF_INET: "0.0.0.0", AF_INET6: "::"}
_MAPPED: Final = bytes(10) + b"\xff\xff"


def octets_of(family: int, address: str) -> bytes:
    """The octets of ``address`` ("" is any) in a socket of ``family``; an IPv4-mapped one becomes IPv4's.

    Raises SocketError: EAFNOSUPPORT for one of another family, EINVAL for what is no address.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0] or ANY[family])
    except ValueError:
        raise SocketError(errno.EINVAL, f"{address!r} is no address") from None
    if parsed.version != (4 if family == AF_INET else 6):
        raise SocketError(errno.EAFNOSUPPORT)
    octets = parsed.packed
    return octets[12:] if octets.startswith(_MAPPED) else octets


def name_of(family: int, address: bytes | None, port: int) -> Name:
    """The name of an end of a socket of ``family``; ``address`` None is any."""
    if address is None:
        address = bytes(4 if family == AF_INET else 16)
    if family == AF_INET:
        return str(ipaddress.ip_address(address)), port
    if len(address) == 4:
        return f"::ffff:{ipaddress.ip_address(address)}", port, 0, 0
    return str(ipaddress.ip_address(address)), port, 0, 0
