"""What the command line and a gateway's file say of the device, checked: addresses, MTU, what sends on it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from stack.config import MOST_SACK_BLOCKS
from stack.congestion import CONTROLLERS

# IFNAMSIZ - 1, and the characters that are safe in a file name as well.
_DEVICE: Final = re.compile(r"[A-Za-z0-9_.-]{1,15}")
NAMESPACES: Final = Path("/run/netns")
# The least MTU of IPv4 (RFC 791) and of IPv6 (RFC 8200 §5), octets.
_LEAST_V4: Final = 68
_LEAST_V6: Final = 1280


class Fault(ValueError):
    """A value that is not allowed: ``option`` is its long name without dashes, the text says why, in one line."""

    def __init__(self, option: str, text: str) -> None:
        super().__init__(text)
        self.option = option


@dataclass(frozen=True, slots=True)
class Link:
    """The device: its ``name``, the stack's addresses (CIDR), the kernel's, namespace, MTU in octets, files,
    the name of the connections' congestion controller, the most SACK blocks of a segment, and whether the device
    may finish checksums and cut segments."""

    name: str
    addresses: tuple[str, ...]
    hosts: tuple[str, ...]
    netns: str | None
    mtu: int
    capture: Path | None
    qlog: Path | None = None
    congestion: str = "cubic"
    keylog: Path | None = None
    sack_blocks: int = 16
    box_keys: Path | None = None
    offload: bool = True


def check_link(
    *,
    name: str,
    addresses: Sequence[str],
    hosts: Sequence[str],
    netns: str | None,
    mtu: int,
    capture: Path | None,
    qlog: Path | None = None,
    congestion: str = "cubic",
    keylog: Path | None = None,
    sack_blocks: int = 16,
    offload: bool = True,
) -> Link:
    """Return the Link of these values; raises Fault for the first that is wrong."""
    if not _DEVICE.fullmatch(name) or name in (".", ".."):
        raise Fault("tun", f"{name!r} is not a device name (1-15 letters, digits, '_', '.', '-')")
    interfaces = [_interface(text) for text in addresses]
    if not interfaces:
        raise Fault("addr", "at least one address is needed")
    own = [interface.ip for interface in interfaces]
    if len(set(own)) < len(own):
        raise Fault("addr", "an address is given twice")
    kernel = [_host(text) for text in hosts]
    if len(set(kernel)) < len(kernel):
        raise Fault("host", "an address is given twice")
    for address in kernel:
        if address in own:
            raise Fault("host", f"{address} is the stack's own address (--addr)")
        if all(address.version != mine.version for mine in own):
            raise Fault("host", f"{address} is IPv{address.version} and no --addr is")
    least = _LEAST_V6 if any(address.version == 6 for address in own) else _LEAST_V4
    if not least <= mtu <= 65_535:
        raise Fault("mtu", f"{mtu} is not in {least}-65535" + (" (IPv6 needs 1280)" if least == _LEAST_V6 else ""))
    if netns is not None:
        if not netns or "/" in netns or netns in (".", ".."):
            raise Fault("netns", f"{netns!r} is not the name of a network namespace")
        if not (NAMESPACES / netns).exists():
            raise Fault("netns", f"there is no namespace {netns!r} in {NAMESPACES} (ip netns add {netns})")
    if congestion not in CONTROLLERS:
        raise Fault("congestion", f"{congestion!r} is not one of {', '.join(CONTROLLERS)}")
    if not 1 <= sack_blocks <= MOST_SACK_BLOCKS:
        raise Fault("sack_blocks", f"{sack_blocks} is not in 1-{MOST_SACK_BLOCKS}")
    for option, file in (("capture", capture), ("qlog", qlog), ("keylog", keylog)):
        if file is not None and not file.parent.is_dir():
            raise Fault(option, f"there is no folder {file.parent}")
    stack, host = tuple(map(str, interfaces)), tuple(map(str, kernel))
    return Link(name, stack, host, netns, mtu, capture, qlog, congestion, keylog, sack_blocks, offload=offload)


def _interface(text: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface:
    address, slash, _ = text.partition("/")
    if not slash:
        raise Fault("addr", f"{text!r} has no prefix length (ADDR/N)")
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError:
        raise Fault("addr", f"{text!r} is not an IPv4 or IPv6 address with a prefix length") from None
    _usable("addr", interface.ip, address)
    return interface


def _host(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise Fault("host", f"{text!r} is not an IPv4 or IPv6 address") from None
    _usable("host", address, text)
    return address


def _usable(option: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address, text: str) -> None:
    if address.is_multicast or address.is_unspecified or address.is_loopback or "%" in text:
        raise Fault(option, f"{text} cannot be a host's address on a link")
