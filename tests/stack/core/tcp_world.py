"""Two connections and the channel between them, in virtual time: runs go across, cut into segments, or get lost."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

from stack.config import TcpConfig
from stack.connection import Connection
from stack.events import Event
from stack.run import ACK, CWR, FIN, PSH, SYN, Run
from stack.seqnum import extend, low32
from stack.states import State


def segments_of(run: Run) -> list[Run]:
    """Cut a run as a sealer does: FIN and PSH on the last segment only, payload copied."""
    octets = b"".join(run.payload)
    assert len(octets) == run.length
    size = run.segment_size or max(run.length, 1)
    pieces = [octets[i : i + size] for i in range(0, len(octets), size)] or [b""]
    result = []
    for index, piece in enumerate(pieces):
        flags = run.flags if index == len(pieces) - 1 else run.flags & ~(FIN | PSH)
        if index:
            flags &= ~CWR
        result.append(
            Run(
                low32(run.seq + index * size),
                low32(run.ack),
                flags,
                run.window,
                run.options,
                [memoryview(piece)] if piece else (),
                len(piece),
                transmission=run.transmission,
                ecn=run.ecn,
            )
        )
    return result


def to_stream(connection: Connection, wire: Run) -> Run:
    """The run with 64-bit numbers, as the stack hands it to a connection."""
    seq = wire.seq if connection.state in (State.SYN_SENT, State.CLOSED) else extend(wire.seq, connection.rcv_nxt)
    return Run(
        seq,
        extend(wire.ack, connection.snd_nxt),
        wire.flags,
        wire.window,
        wire.options,
        wire.payload,
        wire.length,
        ecn=wire.ecn,
    )


Filter = Callable[[Run, int], bool]


class World:
    """``a`` opens, ``b`` accepts. ``delay`` is one way, seconds; rates are probabilities in each direction."""

    def __init__(
        self,
        config: TcpConfig | None = None,
        config_b: TcpConfig | None = None,
        *,
        delay: float = 0.01,
        seed: int = 0,
        loss: float = 0.0,
        reorder: float = 0.0,
        duplicate: float = 0.0,
        iss: tuple[int, int] = (1000, 5000),
        connect: bool = True,
    ) -> None:
        config = config or TcpConfig()
        self.random = random.Random(seed)
        self.loss, self.reorder, self.duplicate = loss, reorder, duplicate
        self.delay = delay
        self.now = 100.0
        self.ends = [
            Connection(config, iss[0], clock_offset=77),
            Connection(config_b or config, iss[1], clock_offset=4_000_000_000),
        ]
        self.events: list[list[Event]] = [[], []]
        self.got = [bytearray(), bytearray()]
        self.eof = [False, False]
        self.reading = [True, True]
        self.sent: list[list[tuple[float, Run]]] = [[], []]
        self.filter: list[Filter | None] = [None, None]
        self._queue: list[tuple[float, int, int, Run]] = []
        self._count = 0
        if connect:
            self.a.connect(self.now)
            self.flush()

    @property
    def a(self) -> Connection:
        return self.ends[0]

    @property
    def b(self) -> Connection:
        return self.ends[1]

    def post(self, source: int, wire: Run) -> None:
        """Put one segment on its way, or not."""
        choose = self.filter[source]
        if choose is not None and not choose(wire, len(self.sent[source])):
            return
        chance = self.random.random
        if chance() < self.loss:
            return
        for _ in range(2 if chance() < self.duplicate else 1):
            late = self.delay * (1 + 3 * chance()) if chance() < self.reorder else self.delay
            self._count += 1
            heapq.heappush(self._queue, (self.now + late, self._count, 1 - source, wire))

    def flush(self) -> None:
        """Take what both ends have to send and what they have to tell."""
        for index, end in enumerate(self.ends):
            for run in end.take_output(self.now):
                for wire in segments_of(run):
                    self.sent[index].append((self.now, wire))
                    self.post(index, wire)
            self.drain(index)

    def drain(self, index: int) -> None:
        end = self.ends[index]
        while (event := end.next_event()) is not None:
            self.events[index].append(event)
        if self.reading[index]:
            self.got[index] += end.read()
            self.eof[index] = end.eof

    def step(self) -> bool:
        """Go on to the next arrival or deadline; False if there is neither."""
        at = self._queue[0][0] if self._queue else float("inf")
        for end in self.ends:
            deadline = end.next_deadline
            if deadline is not None:
                at = min(at, deadline)
        if at == float("inf"):
            return False
        self.now = max(self.now, at)
        for end in self.ends:
            deadline = end.next_deadline
            if deadline is not None and deadline <= self.now:
                end.advance(self.now)
        arrived: list[list[Run]] = [[], []]
        while self._queue and self._queue[0][0] <= self.now:
            _, _, target, wire = heapq.heappop(self._queue)
            arrived[target].append(wire)
        for index, wires in enumerate(arrived):
            if wires:
                self.deliver(index, wires)
        for index in (0, 1):
            self.drain(index)
        self.flush()
        return True

    def deliver(self, index: int, wires: list[Run]) -> None:
        end = self.ends[index]
        if end.state is State.CLOSED:
            if index == 1 and not end.closed_told and wires[0].flags & (SYN | ACK) == SYN:
                end.accept(to_stream(end, wires[0]), self.now)
            return
        end.receive([to_stream(end, wire) for wire in wires], self.now)

    def run(self, seconds: float = 1e9, until: Callable[[], bool] | None = None, steps: int = 200_000) -> None:
        """Go on for ``seconds`` of virtual time, or until ``until`` holds, or nothing is left to happen."""
        end = self.now + seconds
        for _ in range(steps):
            if until is not None and until():
                return
            deadlines = [end_.next_deadline for end_ in self.ends]
            at = min(
                [d for d in deadlines if d is not None] + [q[0] for q in self._queue[:1]], default=float("inf")
            )
            if at > end:
                self.now = max(self.now, end) if seconds < 1e9 else self.now
                return
            self.step()
        raise AssertionError("no end in sight")

    def establish(self) -> World:
        self.run(5.0, until=lambda: self.a.state is State.ESTABLISHED and self.b.state is State.ESTABLISHED)
        assert self.a.state is State.ESTABLISHED
        assert self.b.state is State.ESTABLISHED
        return self

    def write(self, index: int, data: bytes) -> None:
        self.ends[index].write(data)
        self.flush()
