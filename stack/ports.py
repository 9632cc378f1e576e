"""What the parts of the stack need of those above them, so that imports go one way: down.

A flow knows its stack, its handshake and its application only by these protocols; handshakes, attempts and
listeners know flows; ``passive``, ``dial`` and ``host`` know all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ao.keylog import LoggedKeys
from ao.keys import Key
from edo.negotiation import Edo

from .connection import Connection
from .edo_switch import EdoSwitch
from .events import Event, TcpError
from .facts import Facts
from .intent import Dial
from .memory import Memory
from .owner import Owned
from .peers import Peers
from .protection import Protection
from .run import Run
from .segment import Segment
from .trace import Trace


class FlowKey(tuple[bytes, int, bytes, int]):
    """Local address, local port, remote address, remote port; addresses of 4 or 16 octets."""

    __slots__ = ()


class Timed(Protocol):
    """What the stack's timers serve: lazily re-armed, so a timer may fire early and never late."""

    scheduled: float | None
    over: bool

    @property
    def next_deadline(self) -> float | None:
        """When ``advance`` has something to do, seconds."""

    def advance(self, now: float) -> None:
        """Run what is due."""


class Stream(Protocol):
    """What an application writes and reads: a connection, or what stands before it (``stack.connection``)."""

    @property
    def readable(self) -> int:
        """Octets that ``read`` would return now."""

    @property
    def eof(self) -> bool:
        """Whether the peer's direction has ended and everything was read."""

    @property
    def octets_in(self) -> int:
        """Octets of text that came."""

    @property
    def octets_out(self) -> int:
        """Octets of text that were sent."""

    def write(self, data: bytes, *, urgent: bool = False, push: bool = True, record: bool = False) -> None:
        """Queue all octets; raises TcpError."""

    def queue(self, data: bytes, *, urgent: bool = False, push: bool = True, record: bool = False) -> None:
        """As ``write``, which was allowed."""

    def read(self, limit: int = -1, *, whole: bool = True) -> bytes:
        """Up to ``limit`` octets (negative: all), not ``whole``: perhaps fewer than there are."""

    def peek(self, limit: int) -> bytes:
        """The first octets of what ``read`` would return."""

    def close(self, now: float | None = None) -> None:
        """Close both directions."""


class Shaking(Protocol):
    """A handshake, as its flow sees it: ``stack.handshake.base`` has the meaning of each."""

    facts: Facts
    ready: bool
    settled: bool
    fell_back: bool
    next_deadline: float | None

    @property
    def stream(self) -> Stream:
        """What the application writes to and reads from."""

    def take(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        """Take a segment that protection let pass."""

    def clear(self, segment: Segment, number: int, now: float) -> None:
        """Take a segment without a MAC of a settled connection whose segments have one."""

    def exchange(self, segment: Segment, key: Key, now: float) -> None:
        """Take the key-exchange options of a segment whose MAC was good."""

    def rekey(self) -> bool:
        """Have new keys agreed on, where that can be."""

    def dress(self, run: Run, now: float, out: list[bytes]) -> None:
        """Send a run with what the handshake adds, or hold it back."""

    def established(self, now: float) -> None:
        """The connection completed its three-way handshake."""

    def advance(self, now: float) -> None:
        """Run the handshake's own timers."""

    def doubt(self, now: float) -> None:
        """ICMP told of an error while the connection was opened."""

    def abort(self, now: float) -> None:
        """The application gives the connection up."""


class Carrier(Timed, Protocol):
    """A flow, as the stack, the application and listeners see it: ``stack.flow`` has the meaning of each."""

    key: FlowKey
    connection: Connection
    handshake: Shaking
    protection: Protection
    edo: Edo
    drops: Counter[str]
    damaged: int
    attempt: Application | None
    listener: Door | None
    announced: bool
    started: float
    accept_icmps: bool
    upgraded: bool | None

    def receive(self, segment: Segment, now: float) -> None:
        """Take one segment."""

    def finish(self, now: float) -> None:
        """The batch is done."""

    def take_output(self, now: float, out: list[bytes]) -> None:
        """Append the packets that are to be sent now."""

    def drop(self, reason: str) -> None:
        """Count one dropped segment."""

    def mark(self, ttl: int, dscp: int) -> None:
        """Give packets this TTL and DSCP."""

    def route_back(self, options: bytes, now: float) -> None:
        """A packet of the peer's had these IPv4 options."""

    def abort(self) -> None:
        """End the connection at the next output, with RST."""

    def fail(self, error: TcpError, now: float) -> None:
        """End the flow with an error, without another segment."""

    def settle(self, now: float) -> None:
        """Pass on what the connection has to tell."""

    def leave(self) -> None:
        """The stack forgets the flow."""


class Application(Protocol):
    """Who holds a connection: it is told what happens to it."""

    def push(self, event: Event) -> None:
        """Take an event."""

    def settled(self) -> None:
        """The connection stands."""

    def lost(self, flow: Carrier, error: TcpError) -> None:
        """The flow failed before it was settled."""

    def replaced(self, flow: Carrier, error: TcpError) -> bool:
        """Whether another connection takes the place of the flow."""


class Door(Protocol):
    """A listener, as a connection that came through it sees it."""

    def offer(self, flow: Carrier) -> None:
        """The connection may be accepted."""

    def stood(self, flow: Carrier) -> None:
        """The connection completed its three-way handshake."""

    def gone(self, flow: Carrier) -> None:
        """The connection ended."""


@dataclass(frozen=True, slots=True)
class Successor:
    """A connection in another's place: ``dial`` for the case that it fails too (None: no more), why it is plain."""

    flow: Carrier
    dial: Dial | None
    fallback: str | None


class Learner(Protocol):
    """What learns from segments that were taken: ``stack.fastpath.lanes``."""

    def learn(self, flow: Carrier, segment: Segment, key: Key | None) -> None:
        """Look at a segment that was taken, verified under ``key`` (None: clear)."""


class Home(Protocol):
    """A stack, as what lives in it sees it."""

    now: float
    edo: EdoSwitch
    random: Callable[[int], bytes]
    memory: Memory
    peers: Peers
    drops: Counter[str]
    downgrades: Counter[str]
    counters: Counter[str]
    out: list[bytes]
    offload: bool
    trace: Trace | None
    keylog: Callable[[LoggedKeys], None] | None

    @property
    def lanes(self) -> Learner | None:
        """The fast path, if it is on."""

    def note(self, reason: str) -> None:
        """Count one dropped packet."""

    def touch(self, flow: Carrier) -> None:
        """The flow may have output, or another deadline."""

    def forget(self, flow: Carrier) -> None:
        """The flow gets no more segments."""

    def ready(self, item: Owned) -> None:
        """``item`` has something for its owner."""

    def redial(self, dial: Dial, flow: Carrier, error: TcpError) -> Successor | None:
        """The connection in place of one that failed under ``prefer``; None where none may be."""
