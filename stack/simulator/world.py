"""World: hosts joined by links, moved from event to event in virtual time."""

from __future__ import annotations

import heapq
import ipaddress
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..batch import Batch, Octets
from ..box import Box, BoxChain, Direction, Emission
from ..runner import Host, dispatch, ready_source

if TYPE_CHECKING:
    from random import Random

HostT = TypeVar("HostT", bound=Host)
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MOST_AT_ONE_MOMENT = 200_000  # events without the time moving on, before it is called a stall


class Stalled(RuntimeError):
    """The world goes on for ever, or has nothing more to do, without what was waited for."""


class Timer:
    """A call at a moment of virtual time."""

    __slots__ = ("_callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Make the call never happen; nothing where it already has."""
        self._callback = None

    def fire(self, argument: object) -> None:
        """Call, unless cancelled."""
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class World:
    """Virtual time, in seconds from ``start``, and what happens in it.

    ``random`` is the world's source of chance for whoever needs one (``octets`` for a stack's); with the same
    seed and the same program two runs are equal to the octet.
    """

    __slots__ = ("_events", "_runners", "_same", "_serial", "now", "random", "steps")

    def __init__(self, random: Random, *, start: float = 0.0) -> None:
        self.random = random
        self.now = start
        self.steps = 0
        self._events: list[tuple[float, int, Callable[[object], None], object]] = []
        self._serial = 0
        self._same = 0
        self._runners: list[SimRunner[Any]] = []

    def octets(self, count: int) -> bytes:
        """Return ``count`` octets from ``random``: not secret, but repeatable."""
        return self.random.randbytes(count)

    def add(self, host: HostT, name: str = "") -> SimRunner[HostT]:
        """Put a host into the world; the returned runner is its clock, its alarm and its place for links."""
        runner = SimRunner(self, host, name or f"host {len(self._runners) + 1}")
        self._runners.append(runner)
        return runner

    def link(
        self,
        first: SimRunner[Any],
        second: SimRunner[Any],
        *boxes: Box,
        to_first: Sequence[str] = (),
        to_second: Sequence[str] = (),
    ) -> Link:
        """Join two hosts by a link with boxes, seen from ``first``.

        A host with one link sends everything there. With more, ``to_second`` names the networks ("ADDR/N") that
        ``first`` reaches by this link, ``to_first`` those of ``second``; the longest prefix wins, and without
        any a link is the default.
        """
        link = Link(self, first, second, boxes)
        first.route(link, Direction.FORWARD, to_second)
        second.route(link, Direction.BACKWARD, to_first)
        return link

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call ``callback`` at ``when`` (seconds), or as the next thing where that is past."""
        timer = Timer(callback)
        self.schedule(when, timer.fire)
        return timer

    def schedule(self, when: float, action: Callable[[object], None], argument: object = None) -> None:
        """Have ``action(argument)`` called at ``when``; equal times in the order of these calls."""
        self._serial += 1
        heapq.heappush(self._events, (max(when, self.now), self._serial, action, argument))

    def run(
        self,
        until: float | None = None,
        stop: Callable[[], bool] | None = None,
        *,
        most_steps: int = 10_000_000,
    ) -> None:
        """Let events happen until ``stop()`` is true, until the time ``until`` (seconds), or until none is left.

        Raises ``Stalled`` where ``stop`` is given and does not become true, after ``most_steps`` events, and
        where the time does not move on. Without ``stop`` the clock stands at ``until`` afterwards.
        """
        events = self._events
        for _ in range(most_steps):
            if stop is not None and stop():
                return
            if not events or (until is not None and events[0][0] > until):
                if until is not None:
                    self.now = max(self.now, until)
                if stop is not None:
                    what = "nothing left to do" if not events else f"the time is over ({until} s)"
                    raise Stalled(self._describe(what))
                return
            self.step()
        raise Stalled(self._describe(f"not done after {most_steps} events"))

    def step(self) -> bool:
        """Let one event happen; False where none is left. Raises ``Stalled`` where the time does not move on."""
        if not self._events:
            return False
        when, _, action, argument = heapq.heappop(self._events)
        if when > self.now:
            self.now = when
            self._same = 0
        else:
            self._same += 1
            if self._same > _MOST_AT_ONE_MOMENT:
                raise Stalled(self._describe(f"{self._same} events without the time moving on"))
        self.steps += 1
        action(argument)
        return True

    def _describe(self, what: str) -> str:
        hosts = "; ".join(
            f"{runner.name}: next deadline {runner.stack.next_deadline}, {runner.packets_out} packets out, "
            f"{runner.packets_in} in"
            for runner in self._runners[:8]
        )
        return f"{what} at {self.now:.6f} s: {len(self._events)} events wait; {hosts}"


class Link:
    """Two hosts and the boxes between them. What arrives at one moment, arrives together."""

    __slots__ = ("_armed", "_arriving", "_chain", "_ends", "_world")

    def __init__(self, world: World, first: SimRunner[Any], second: SimRunner[Any], boxes: Sequence[Box]) -> None:
        self._world = world
        self._ends = (second, first)
        self._chain = BoxChain(boxes)
        self._armed: float | None = None
        # For each direction when the latest packets arrive, and these.
        self._arriving: list[tuple[float, list[bytes]]] = [(-1.0, []), (-1.0, [])]

    def send(self, packets: list[Octets], direction: Direction) -> None:
        """Take packets that a host sends now."""
        self._leave(self._chain.process(packets, direction, self._world.now))

    def inject(self, packets: Sequence[Octets], direction: Direction) -> None:
        """Deliver packets now that no host sent, behind all boxes."""
        self._leave([(self._world.now, direction, packet) for packet in packets])

    def _leave(self, emissions: list[Emission]) -> None:
        world = self._world
        arriving = self._arriving
        for direction in Direction:
            if arriving[direction][0] <= world.now:
                arriving[direction] = -1.0, []
        for when, direction, packet in emissions:
            at, together = arriving[direction]
            if at != when:
                together = []
                arriving[direction] = when, together
                world.schedule(when, self._ends[direction].arrive, together)
            together.append(packet if isinstance(packet, bytes) else bytes(packet))
        deadline = self._chain.next_deadline
        if deadline is not None and (self._armed is None or deadline < self._armed):
            self._armed = deadline
            world.schedule(deadline, self._due, deadline)

    def _due(self, deadline: object) -> None:
        if deadline == self._armed:
            self._armed = None
            self._leave(self._chain.process([], Direction.FORWARD, self._world.now))


class SimRunner(Generic[HostT]):
    """One host in the world, and its ``Runner``: ``stack`` is the host, time is virtual.

    ``packets_in``, ``packets_out`` count; ``name`` is for messages.
    """

    __slots__ = (
        "_armed",
        "_ready",
        "_routes",
        "_waking",
        "_world",
        "name",
        "packets_in",
        "packets_out",
        "stack",
        "unrouted",
    )

    def __init__(self, world: World, stack: HostT, name: str) -> None:
        self.stack = stack
        self.name = name
        self.packets_in = 0
        self.packets_out = 0
        self.unrouted = 0
        self._world = world
        self._ready = ready_source(stack)
        self._routes: list[tuple[_Network | None, Link, Direction]] = []
        self._armed: float | None = None
        self._waking = False

    def now(self) -> float:
        """Seconds of virtual time."""
        return self._world.now

    def call_at(self, when: float, callback: Callable[[], None], /) -> Timer:
        """Call ``callback`` at ``when`` (seconds of virtual time), or as the next thing where that is past."""
        return self._world.call_at(when, callback)

    def wake(self) -> None:
        """Have output and deadlines looked at, as an event of the present moment."""
        if not self._waking:
            self._waking = True
            self._world.schedule(self._world.now, self._woken)

    def route(self, link: Link, direction: Direction, networks: Sequence[str]) -> None:
        """Send packets for ``networks`` ("ADDR/N"; none: for everything else) by ``link``."""
        if networks:
            self._routes += [(ipaddress.ip_network(network), link, direction) for network in networks]
        else:
            self._routes.append((None, link, direction))
        self._routes.sort(key=lambda route: -1 if route[0] is None else route[0].prefixlen, reverse=True)
        self.wake()

    def arrive(self, packets: object) -> None:
        """Take a list of packets that arrive now."""
        assert isinstance(packets, list)
        self.packets_in += len(packets)
        self.stack.receive(Batch(packets), self._world.now)
        self._flush()

    def _woken(self, _: object) -> None:
        self._waking = False
        self._flush()

    def _due(self, deadline: object) -> None:
        if deadline != self._armed:
            return
        self._armed = None
        due = self.stack.next_deadline
        if due is not None and due <= self._world.now:
            self.stack.advance(self._world.now)
        self._flush()

    def _flush(self) -> None:
        dispatch(self._ready())
        output = self.stack.take_output(self._world.now)
        if len(output):
            self._send(output)
        more = self._ready()
        if more:
            dispatch(more)
            self.wake()
        deadline = self.stack.next_deadline
        if deadline is not None and (self._armed is None or deadline < self._armed):
            self._armed = deadline
            self._world.schedule(deadline, self._due, deadline)

    def _send(self, output: Batch) -> None:
        packets = list(output.packets)
        self.packets_out += len(packets)
        if len(self._routes) == 1 and self._routes[0][0] is None:
            _, link, direction = self._routes[0]
            link.send(packets, direction)
            return
        for packet in packets:
            self._route_one(packet)

    def _route_one(self, packet: Octets) -> None:
        octets = packet[16:20] if packet[0] >> 4 == 4 else packet[24:40]
        address = ipaddress.ip_address(bytes(octets))
        for network, link, direction in self._routes:
            if network is None or address in network:
                link.send([packet], direction)
                return
        self.unrouted += 1
