"""From the addresses of a stack and of its host to what is set on the device. No system call is made here."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from .errors import TunError

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class AddressPlan:
    """What a device gets: the kernel's own addresses with prefix, and a route to each of the stack's addresses."""

    host: tuple[Interface, ...]
    routes: tuple[Address, ...]

    @property
    def has_ipv6(self) -> bool:
        """Whether the device needs IPv6 at all."""
        return any(one.version == 6 for one in (*self.host, *self.routes))


def plan_addresses(stack: Iterable[str], host: Iterable[str] = ()) -> AddressPlan:
    """Return the plan for a stack at ``stack`` ("ADDR/N" each) beside a host at ``host`` ("ADDR" each).

    Each host address gets the prefix length of the stack's address whose network holds it (the longest, where
    several do), else it stands alone (/32, /128); "ADDR/N" is taken as it is. Raises TunError for text that is
    no such address, and where one address is named twice.
    """
    own = [_interface(text) for text in stack]
    if not own:
        raise TunError("a stack needs at least one address")
    seen: set[Address] = set()
    kernel = []
    for text in host:
        one = _interface(text)
        if "/" not in text:
            lengths = [other.network.prefixlen for other in own if one.ip in other.network]
            if lengths:
                one = ipaddress.ip_interface(f"{one.ip}/{max(lengths)}")
        kernel.append(one)
    for one in (*own, *kernel):
        if one.ip in seen:
            raise TunError(f"address {one.ip} is given twice")
        seen.add(one.ip)
    return AddressPlan(tuple(kernel), tuple(one.ip for one in own))


def _interface(text: str) -> Interface:
    try:
        one = ipaddress.ip_interface(text)
    except ValueError:
        raise TunError(f"{text!r} is not an address (ADDR or ADDR/N)") from None
    if "%" in text:
        raise TunError(f"{text!r} has a zone, which an address here cannot have")
    if one.ip.is_unspecified or one.ip.is_multicast or one.ip.is_loopback:
        raise TunError(f"{one.ip} cannot be the address of a stack or its host")
    return one
