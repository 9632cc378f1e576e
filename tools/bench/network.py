"""Where it is measured: two namespaces joined by a veth pair, in each of them room for a stack on a TUN."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from pyroute2 import IPRoute

from tun.netns import Namespace, find_device, join

from ..namespaces import own_namespaces
from ..offloads import set_segmentation

PREFIX: Final = "edotun-bench-"
LEFT: Final = "10.90.0.1"
RIGHT: Final = "10.90.0.2"
_DEVICE: Final = "link0"


@dataclass(frozen=True, slots=True)
class End:
    """A namespace, the kernel's address on the link, the stack's (CIDR) and the kernel's beside the stack."""

    namespace: Namespace
    kernel: str
    own: str
    host: str

    @property
    def stack(self) -> str:
        """The stack's address alone."""
        return self.own.partition("/")[0]


@contextmanager
def network(mtu: int) -> Iterator[tuple[End, End]]:
    """Make both ends, with ``mtu`` octets on the link, and remove them at the end. Raises TunError."""
    with own_namespaces(PREFIX, ("left", "right")) as (left, right):
        join(left, _DEVICE, right, _DEVICE, mtu=mtu)
        ends = (
            End(left, LEFT, "10.91.0.2/24", "10.91.0.1"),
            End(right, RIGHT, "10.92.0.2/24", "10.92.0.1"),
        )
        for end, other in (ends, ends[::-1]):
            end.namespace.add_addresses(_DEVICE, f"{end.kernel}/24")
            end.namespace.forward()
            network_of_other = other.own.replace(".2/", ".0/")
            end.namespace.add_route(network_of_other, via=other.kernel)
        yield ends


def set_offloads(ends: tuple[End, End], *, on: bool) -> None:
    """Turn segmentation and receive offloads (tso, gso, gro) of the link on or off; raises OSError."""
    for end in ends:
        end.namespace.call(lambda: set_segmentation(_DEVICE, on=on))


def link_drops(ends: tuple[End, End]) -> int:
    """Packets that the link has dropped until now, both ends and ways; 0 where the kernel does not say."""

    def ask() -> int:
        with IPRoute() as route:
            (link,) = route.get_links(find_device(route, _DEVICE))
            numbers = link.get("stats64") or {}
            return int(numbers.get("tx_dropped", 0)) + int(numbers.get("rx_dropped", 0))

    return sum(end.namespace.call(ask) for end in ends)
