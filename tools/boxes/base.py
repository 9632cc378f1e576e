"""What boxes are made of: one that looks at TCP segments one by one, and a bounded table of connections."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from stack.batch import Octets
from stack.box import Direction, Emission

from .tcp import Flow, Tcp, read

StateT = TypeVar("StateT")

_MOST_FLOWS = 4096


class SegmentBox:
    """A box that decides segment by segment; what is no TCP segment with a good checksum passes as it came.

    ``counts`` says how often it did what it does.
    """

    next_deadline: float | None = None  # nothing waits in such a box

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def process(self, packets: list[Octets], direction: Direction, now: float) -> list[Emission]:
        """Let each packet meet ``segment`` or ``other``."""
        out: list[Emission] = []
        for packet in packets:
            tcp = read(packet)
            if tcp is None:
                self.other(packet, direction, now, out)
            else:
                self.segment(tcp, direction, now, out)
        return out

    def segment(self, tcp: Tcp, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append what becomes of a segment."""
        raise NotImplementedError

    def other(self, packet: Octets, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append what becomes of what is no segment."""
        out.append((now, direction, packet))


class Rewriter(SegmentBox):
    """A box through which every segment passes, some of them changed."""

    def segment(self, tcp: Tcp, direction: Direction, now: float, out: list[Emission]) -> None:
        """Append the segment, as ``rewrite`` leaves it."""
        self.rewrite(tcp, direction, now)
        out.append((now, direction, tcp.octets()))

    def rewrite(self, tcp: Tcp, direction: Direction, now: float) -> None:
        """Change the segment, or do not."""
        raise NotImplementedError


class Flows(Generic[StateT]):
    """State for each connection, made when it is first seen; of over 4,096 the longest unused are forgotten."""

    def __init__(self, make: Callable[[], StateT]) -> None:
        self._make = make
        self._states: OrderedDict[Flow, StateT] = OrderedDict()

    def __len__(self) -> int:
        return len(self._states)

    def of(self, flow: Flow) -> StateT:
        """The state of a connection."""
        state = self._states.get(flow)
        if state is None:
            state = self._states[flow] = self._make()
            if len(self._states) > _MOST_FLOWS:
                self._states.popitem(last=False)
        else:
            self._states.move_to_end(flow)
        return state

    def begin(self, flow: Flow) -> StateT:
        """The state of a connection that begins anew."""
        self._states.pop(flow, None)
        return self.of(flow)


def one_of(what: str, value: str, choices: tuple[str, ...]) -> str:
    """Return ``value``; ValueError, one line, where it is none of the choices."""
    if value not in choices:
        raise ValueError(f"{what}: {value!r} is not one of {', '.join(choices)}")
    return value


def at_least(what: str, value: float, least: float) -> None:
    """Raise ValueError, one line, where ``value`` is less than ``least``."""
    if not value >= least:
        raise ValueError(f"{what}: {value:g} is less than {least:g}")
