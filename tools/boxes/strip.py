"""The option stripper."""

from __future__ import annotations

from stack.box import Direction

from .base import Flows, Rewriter, at_least, one_of
from .registry import box
from .tcp import NOP, SYN, Tcp, unwanted

SYNS = ("any", "only", "except")


def concerns(syn: str, tcp: Tcp) -> bool:
    """Whether a segment is one of those that ``syn`` (any, only, except) means."""
    return syn == "any" or bool(tcp.flags & SYN) is (syn == "only")


@box("strip", "overwrites options by NOPs: those it does not know, or certain kinds")
class Strip(Rewriter):
    """``kinds``: these (none: all but RFC 9293's, RFC 7323's and RFC 2018's); ``syn``: in any segment, only in
    SYNs, or in all except these; ``after``: so many segments of a connection pass first; ``remove``: nothing is
    left in the option's place, and Data Offset shrinks.
    """

    def __init__(
        self, *, kinds: tuple[int, ...] = (), syn: str = "any", after: int = 0, remove: bool = False
    ) -> None:
        super().__init__()
        at_least("after", after, 0)
        self._kinds = frozenset(kinds)
        self._syn = one_of("syn", syn, SYNS)
        self._after = after
        self._remove = remove
        self._seen: Flows[list[int]] = Flows(lambda: [0])

    def rewrite(self, tcp: Tcp, direction: Direction, now: float) -> None:
        """Take the options out that are not wanted."""
        if self._after:
            seen = self._seen.of(tcp.flow(direction))
            seen[0] += 1
            if seen[0] <= self._after:
                return
        if not concerns(self._syn, tcp):
            return
        spans = tcp.spans()
        found = [span for span in spans if unwanted(span[0], self._kinds)]
        if not found:
            return
        self.counts["stripped"] += len(found)
        if self._remove:
            tcp.set_options(
                [bytes(tcp.packet[at : at + size]) for kind, at, size in spans if (kind, at, size) not in found]
            )
            return
        for _, at, length in found:
            tcp.overwrite(at, bytes((NOP,)) * length)
