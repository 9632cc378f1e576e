"""The box, or the TCP, that sends back what it does not understand."""

from __future__ import annotations

from stack.box import Direction

from .base import Flows, Rewriter, one_of
from .registry import box
from .tcp import MOST_OPTIONS, SYN, Tcp, unwanted


@box("echo", "puts the client's unknown options into what the server answers, as if that had sent them")
class Echo(Rewriter):
    """``kinds``: these options (none: unknown ones); ``syn``: only from SYN to SYN-ACK, or from any segment."""

    def __init__(self, *, kinds: tuple[int, ...] = (), syn: str = "only") -> None:
        super().__init__()
        self._kinds = frozenset(kinds)
        self._always = one_of("syn", syn, ("only", "any")) == "any"
        self._held: Flows[list[bytes]] = Flows(list)

    def rewrite(self, tcp: Tcp, direction: Direction, now: float) -> None:
        """Remember the client's options, or add them to the server's."""
        if not tcp.sound or not (self._always or tcp.flags & SYN):
            return
        held = self._held.of(tcp.flow(direction))
        if direction is Direction.FORWARD:
            found = [option for option in tcp.options() if unwanted(option[0], self._kinds)]
            if found:
                held[:] = found
            return
        options = tcp.options()
        for option in held:
            there = any(one[0] == option[0] and one[2:4] == option[2:4] for one in options)
            if not there and sum(map(len, options)) + len(option) <= MOST_OPTIONS:
                options.append(option)
                self.counts["echoed"] += 1
        held.clear()
        if options != tcp.options():
            tcp.set_options(options)
