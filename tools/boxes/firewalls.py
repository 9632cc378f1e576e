"""Firewalls that drop what they think nobody sends."""

from __future__ import annotations

from stack.box import Direction, Emission

from .answers import refusal
from .base import SegmentBox, one_of
from .registry import box
from .strip import SYNS, concerns
from .tcp import ACK, FIXED, RST, SYN, Tcp, unwanted


class Firewall(SegmentBox):
    """A box that drops segments; ``reset``: and answers them with RST."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__()
        self._reset = reset

    def refuses(self, tcp: Tcp) -> bool:
        """Whether a segment is dropped."""
        raise NotImplementedError

    def segment(self, tcp: Tcp, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the segment, or count it."""
        if not self.refuses(tcp):
            out.append((now, direction, tcp.octets()))
            return
        self.counts["dropped"] += 1
        if self._reset and not tcp.flags & RST:
            out.append((now, direction.reverse, refusal(tcp)))


@box("drop-flagless", "drops segments with neither SYN nor ACK nor RST")
class DropFlagless(Firewall):
    """As connection tracking does, which calls them invalid. ``reset``: the sender is told by RST."""

    def refuses(self, tcp: Tcp) -> bool:
        """Whether none of the three flags is set."""
        return not tcp.flags & (SYN | ACK | RST)


@box("drop-unknown", "drops segments with options that it does not know, or of certain kinds")
class DropUnknown(Firewall):
    """``kinds``: these (none: unknown ones); ``syn``: in any segment, only in SYNs, or in all except these."""

    def __init__(self, *, kinds: tuple[int, ...] = (), syn: str = "any", reset: bool = False) -> None:
        super().__init__(reset=reset)
        self._kinds = frozenset(kinds)
        self._syn = one_of("syn", syn, SYNS)

    def refuses(self, tcp: Tcp) -> bool:
        """Whether an option is one of those."""
        return concerns(self._syn, tcp) and any(unwanted(kind, self._kinds) for kind, _, _ in tcp.spans())


@box("drop-syn-text", "drops SYNs that bring octets of the stream")
class DropSynText(Firewall):
    """``reset``: the sender is told by RST."""

    def refuses(self, tcp: Tcp) -> bool:
        """Whether it is a SYN with text."""
        return bool(tcp.flags & SYN) and tcp.sound and tcp.payload_octets > 0


@box("drop-reserved", "drops segments with reserved bits of the header set, or with a Data Offset below 5")
class DropReserved(Firewall):
    """``reset``: the sender is told by RST."""

    def refuses(self, tcp: Tcp) -> bool:
        """Whether one of the three bits that RFC 9293 §3.1 leaves is set; AE is not among them (RFC 9768)."""
        return bool(tcp.reserved & 0x0E) or tcp.data_offset < FIXED
