"""The terminating proxy: a whole TCP towards each side, and between them the stream alone."""

from __future__ import annotations

from collections import Counter, OrderedDict
from random import Random
from typing import Final

from stack.attempt import Attempt
from stack.batch import Batch, Octets
from stack.box import Direction, Emission
from stack.config import TcpConfig
from stack.events import Closed, TcpError
from stack.host import Stack
from stack.ip import address_text
from stack.listener import Listener
from stack.runner import dispatch

from .registry import box
from .tcp import ACK, RST, SYN, Tcp, read

_MOST_PAIRS: Final = 256
_CHUNK: Final = 65_536
_MOST_TURNS: Final = 1000

Pair = tuple[bytes, bytes]


class _Relay:
    """One connection of a client and the one that was opened for it."""

    def __init__(self, ends: tuple[Attempt, Attempt]) -> None:
        self._ends = ends
        self._ended = [False, False]
        for end in ends:
            end.owner = self
        self.on_ready()

    def on_ready(self) -> None:
        """Carry octets, ends and failures from each side to the other."""
        for number, (end, other) in enumerate((self._ends, self._ends[::-1])):
            while (event := end.next_event()) is not None:
                if isinstance(event, Closed) and event.error is not None:
                    other.abort()
            if self._ended[number] or other.finished is not None:
                continue
            try:
                while end.readable and other.unsent < other.send_buffer:
                    other.write(end.read(_CHUNK))
                if end.eof:
                    self._ended[number] = True
                    other.write_eof()
            except TcpError:
                end.abort()


class _Between:
    """The proxy between one client's address and one server's: a stack that plays each for the other."""

    def __init__(self, pair: Pair, random: Random, counts: Counter[str]) -> None:
        client, server = map(address_text, pair)
        config = TcpConfig(nagle=False)
        # By direction: who takes what the client sends, who takes what the server sends.
        self.stacks = (
            Stack([server], random=random.randbytes, config=config),
            Stack([client], random=random.randbytes, config=config),
        )
        self._server = server
        self._counts = counts
        self._listeners: dict[int, Listener] = {}
        self._now = 0.0

    @property
    def next_deadline(self) -> float | None:
        """When a timer of either stack is due, seconds."""
        return min((one.next_deadline for one in self.stacks if one.next_deadline is not None), default=None)

    def expect(self, port: int) -> None:
        """Accept connections to a port of the server."""
        if port and port not in self._listeners:
            self._listeners[port] = listener = self.stacks[0].listen(port)
            listener.owner = self

    def on_ready(self) -> None:
        """Open a connection to the server for each that the client has opened."""
        for port, listener in self._listeners.items():
            while (near := listener.accept()) is not None:
                self._counts["connections"] += 1
                try:
                    far = self.stacks[1].connect((self._server, port), local_port=near.peer[1], now=self._now)
                except TcpError:
                    near.abort()
                    continue
                _Relay((near, far))

    def turn(self, now: float) -> list[Emission]:
        """Do what is due, relay, and return what the stacks send."""
        self._now = now
        out: list[Emission] = []
        for _ in range(_MOST_TURNS):
            before = len(out)
            told = False
            for stack, way in zip(self.stacks, (Direction.BACKWARD, Direction.FORWARD), strict=True):
                if (due := stack.next_deadline) is not None and due <= now:
                    stack.advance(now)
                ready = stack.take_ready()
                dispatch(ready)
                told = told or bool(ready)
                out += [(now, way, packet) for packet in stack.take_output(now).packets]
            if len(out) == before and not told:
                break
        return out


@box("proxy", "ends each connection in a TCP of its own and begins another; nothing else of TCP passes")
class Proxy:
    """It accepts in the server's name before it connects in the client's, as transparent proxies do."""

    def __init__(self, random: Random) -> None:
        self.counts: Counter[str] = Counter()
        self._random = random
        self._pairs: OrderedDict[Pair, _Between] = OrderedDict()

    @property
    def next_deadline(self) -> float | None:
        """When ``process`` must be called even without packets (seconds), None for never."""
        deadlines = (one.next_deadline for one in self._pairs.values())
        return min((due for due in deadlines if due is not None), default=None)

    def process(self, packets: list[Octets], direction: Direction, now: float) -> list[Emission]:
        """Hand each segment to the TCP that plays its receiver."""
        out: list[Emission] = []
        met: dict[_Between, list[Octets]] = {}
        for packet in packets:
            tcp = read(packet)
            if tcp is None:
                out.append((now, direction, packet))
                continue
            between = self._of(tcp, direction)
            if between is None:
                self.counts["stray"] += 1
            else:
                met.setdefault(between, []).append(packet)
        for between, own in met.items():
            between.stacks[direction].receive(Batch(own), now)
            out += between.turn(now)
        for between in self._pairs.values():
            if (due := between.next_deadline) is not None and due <= now:
                out += between.turn(now)
        return out

    def _of(self, tcp: Tcp, direction: Direction) -> _Between | None:
        forward = direction is Direction.FORWARD
        pair = (tcp.source, tcp.destination) if forward else (tcp.destination, tcp.source)
        between = self._pairs.get(pair)
        opens = forward and tcp.flags & (SYN | ACK | RST) == SYN
        if between is None and opens:
            between = self._pairs[pair] = _Between(pair, self._random, self.counts)
            if len(self._pairs) > _MOST_PAIRS:
                self._pairs.popitem(last=False)
        if between is not None and opens:
            between.expect(tcp.destination_port)
        return between
