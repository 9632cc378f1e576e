"""What a connection holds that stands and is silent, and what an echo costs beside many such.

Objects and steps are counted, not octets of a process and seconds: the same on any machine.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import types
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable
from itertools import islice
from random import Random
from typing import Any

import pytest

from ao.auth import SegmentMac
from ao.mkt import Mkt, MktTable
from stack.aio import open_connection, start_server
from stack.attempt import Attempt
from stack.flow import Flow
from stack.host import Stack
from stack.listener import Listener
from stack.rangeset import RangeSet
from stack.security import Security
from stack.simulator import SimRunner, World
from stack.variables import NO_DROPS

PORT = 7
SILENCE = 100.0
# Objects that an idle connection has no use for, and what is large while it is empty.
IDLE_HAS_NO = (deque, Counter, OrderedDict, set, RangeSet, bytearray)
# Octets of CPython 3.11's objects, for the stack's part alone and with asyncio's: some more in other versions.
MOST_OF_A_FLOW = 4_300
MOST_WITH_ASYNCIO = 6_000


def keyed(protect: str) -> Security:
    """The same keys for every connection."""
    if protect == "none":
        return Security()
    return Security(
        protect="ao", policy="require", keys=MktTable([Mkt(name="k", send_id=1, recv_id=1, secret=bytes(16))])
    )


# --- what it holds -------------------------------------------------------------------------------------------


def held(root: object, *stops: object) -> dict[int, Any]:
    """Everything that can be reached from ``root`` but through ``stops``, code and modules, by identity."""
    known = {id(stop) for stop in stops}
    found: dict[int, Any] = {}
    waiting = [root]
    while waiting:
        one = waiting.pop()
        if id(one) in known or isinstance(one, type | types.ModuleType | Listener):
            continue
        known.add(id(one))
        found[id(one)] = one
        if isinstance(one, types.FunctionType):
            waiting += [part for part in (one.__closure__, one.__defaults__) if part is not None]
        elif not (isinstance(one, dict) and "__builtins__" in one):
            waiting += gc.get_referents(one)
    return found


def own(one: object, other: object, *stops: object) -> list[Any]:
    """What ``one`` holds and ``other``, of the same kind, does not: what each connection more costs."""
    shared = held(other, *stops)
    return [item for identity, item in held(one, *stops).items() if identity not in shared]


def octets(items: list[Any]) -> int:
    return sum(map(sys.getsizeof, items))


def described(items: list[Any]) -> str:
    sizes: Counter[str] = Counter()
    for item in items:
        sizes[type(item).__qualname__] += sys.getsizeof(item)
    return f"{octets(items)} octets: {sizes.most_common(12)}"


class Echo:
    """Owner of a listener and of what it accepts: sends back what comes."""

    def __init__(self, listener: Listener, runner: SimRunner[Stack]) -> None:
        self.listener = listener
        self.runner = runner
        self.attempts: list[Attempt] = []
        listener.owner = self

    def on_ready(self) -> None:
        while (attempt := self.listener.accept()) is not None:
            attempt.owner = Talker(attempt, self.runner, echoes=True)
            self.attempts.append(attempt)
            attempt.owner.on_ready()


class Talker:
    """Owner of one end."""

    __slots__ = ("attempt", "echoes", "heard", "runner")

    def __init__(self, attempt: Attempt, runner: SimRunner[Stack], *, echoes: bool) -> None:
        self.attempt = attempt
        self.runner = runner
        self.echoes = echoes
        self.heard = 0

    def on_ready(self) -> None:
        while self.attempt.next_event() is not None:
            pass
        if octets := self.attempt.read():
            self.heard += len(octets)
            if self.echoes:
                self.attempt.write(octets)
                self.runner.wake()

    def say(self, octets: bytes) -> None:
        self.attempt.write(octets)
        self.runner.wake()


class Crowd:
    """Two stacks and as many connections between them as are wanted."""

    def __init__(self, count: int, protect: str = "none") -> None:
        self.world = World(Random(1))
        self.near = self.world.add(Stack(["10.0.0.1/24"], random=self.world.octets))
        self.far = self.world.add(Stack(["10.0.0.2/24"], random=self.world.octets))
        self.world.link(self.near, self.far)
        security = keyed(protect)
        self.echo = Echo(self.far.stack.listen(PORT, security=security), self.far)
        self.talkers: list[Talker] = []
        for _ in range(count):
            attempt = self.near.stack.connect(("10.0.0.2", PORT), security=security, now=self.world.now)
            talker = Talker(attempt, self.near, echoes=False)
            attempt.owner = talker
            self.talkers.append(talker)
            self.near.wake()
            self.world.run(self.world.now + 0.01)
        assert len(self.echo.attempts) == count

    def owners(self) -> list[object]:
        """Who is told of events, at both ends."""
        return [*self.talkers, *(attempt.owner for attempt in self.echo.attempts)]

    def flows(self, *, accepted: bool) -> list[Flow]:
        """Two flows of one end."""
        attempts = self.echo.attempts if accepted else [talker.attempt for talker in self.talkers]
        flows = [attempt.flow for attempt in attempts[2:4]]
        assert all(isinstance(flow, Flow) for flow in flows)
        return flows  # type: ignore[return-value]  # just seen


@pytest.mark.parametrize("accepted", [True, False], ids=["accepted", "opened"])
@pytest.mark.parametrize("spoke", [False, True], ids=["silent from the start", "after an echo"])
def test_an_idle_connection_holds_no_buffer_queue_or_range_set(accepted: bool, spoke: bool) -> None:
    crowd = Crowd(6)
    if spoke:
        for talker in crowd.talkers:
            talker.say(b"x" * 10_000)
            crowd.world.run(crowd.world.now + 5.0)
            assert talker.heard == 10_000
    crowd.world.run(crowd.world.now + SILENCE)
    one, other = crowd.flows(accepted=accepted)
    stack = (crowd.far if accepted else crowd.near).stack
    mine = own(one.attempt, other.attempt, stack, crowd.far, crowd.near, crowd.world, *crowd.owners())
    kinds = {type(item) for item in mine}
    assert not kinds & set(IDLE_HAS_NO), kinds & set(IDLE_HAS_NO)
    # Lists that are there are empty, and there are few.
    lists = [item for item in mine if type(item) is list]
    assert not any(lists)
    assert len(lists) <= 3
    assert not any(type(item) is dict for item in mine)
    assert one.drops is one.connection.drops is NO_DROPS
    # What Options of its own a connection had are in use after an echo only.
    assert octets(mine) <= MOST_OF_A_FLOW + 400 * spoke, described(mine)


def test_macs_are_prepared_for_the_last_connections_only() -> None:
    crowd = Crowd(280, "ao")
    flows = [attempt.flow for attempt in crowd.echo.attempts]
    prepared = [flow for flow in flows if any(map(is_prepared, macs(flow)))]
    assert 0 < len(prepared) <= 256 + 1
    # And they still talk: what was given back is made again.
    crowd.talkers[0].say(b"hello")
    crowd.world.run(crowd.world.now + 1.0)
    assert crowd.talkers[0].heard == 5
    assert any(map(is_prepared, macs(flows[0])))


def macs(flow: object) -> list[SegmentMac]:
    assert isinstance(flow, Flow)
    ring = flow.protection.keys
    assert ring is not None
    return [mac for key in ring for mac in (key.sign, key.check)]


def is_prepared(mac: SegmentMac) -> bool:
    return mac._base is not None


def played(main: Callable[[World], Awaitable[None]]) -> None:
    """Run ``main`` with asyncio, and the world with it."""

    async def run() -> None:
        world = World(Random(1))
        task = asyncio.ensure_future(main(world))
        while not task.done():
            # One event, then everybody who waits for it.
            world.step()
            await asyncio.sleep(0)
        await task

    asyncio.run(asyncio.wait_for(run(), 30.0))


def test_with_asyncio_and_a_task_that_reads_it_stays_below_its_bound() -> None:
    async def main(world: World) -> None:
        near = world.add(Stack(["10.0.0.1/24"], random=world.octets))
        far = world.add(Stack(["10.0.0.2/24"], random=world.octets))
        world.link(near, far)
        served: list[asyncio.WriteTransport] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            served.append(writer.transport)
            while await reader.read(4096):
                pass

        server = await start_server(serve, far, PORT)
        writers = []
        tasks = []
        for _ in range(6):
            reader, writer = await open_connection(near, "10.0.0.2", PORT)
            writers.append(writer)
            tasks.append(asyncio.create_task(reader.read(4096)))
        for _ in range(3):
            await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        opened = [writer.transport for writer in writers]
        stops = (loop, world, near, far, near.stack, far.stack, server, served, opened, tasks)
        for transports in (served, opened):
            mine = own(transports[2], transports[3], *stops)
            kinds = {type(item) for item in mine}
            assert {asyncio.Future, asyncio.Task} <= kinds
            assert not kinds & set(IDLE_HAS_NO), kinds & set(IDLE_HAS_NO)
            assert octets(mine) <= MOST_WITH_ASYNCIO, described(mine)
        for task in tasks:
            task.cancel()
        for transport in (*served, *opened):
            transport.abort()
        server.close()
        for _ in range(5):
            await asyncio.sleep(0)

    played(main)


# --- what an echo costs --------------------------------------------------------------------------------------


def steps_of(call: Callable[[], object]) -> int:
    """How many lines of Python ``call()`` runs."""
    count = 0

    def local(frame: object, event: str, argument: object) -> object:
        nonlocal count
        count += event == "line"
        return local

    # Who measures what tests reach goes on with it behind this.
    before = sys.gettrace()
    sys.settrace(local)  # type: ignore[arg-type]
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def test_an_echo_costs_as_much_with_two_thousand_open_connections_as_with_ten() -> None:
    costs: dict[tuple[int, bool], int] = {}
    for count in (10, 2_000):
        crowd = Crowd(count)
        crowd.world.run(crowd.world.now + SILENCE)
        for in_turn in (False, True):
            talkers = list(islice(crowd.talkers, 10)) if in_turn else crowd.talkers[:1] * 10

            def echoes(crowd: Crowd = crowd, talkers: list[Talker] = talkers) -> None:
                for talker in talkers:
                    talker.say(b".")
                    crowd.world.run(crowd.world.now + 1.0)

            costs[count, in_turn] = steps_of(echoes)
        assert sum(talker.heard for talker in crowd.talkers) == 20
    for in_turn in (False, True):
        assert costs[2_000, in_turn] <= 1.02 * costs[10, in_turn], costs
