"""A path between two TUN devices: what comes in at one leaves at the other, if the boxes between them let it."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Sequence
from types import TracebackType
from typing import Final

from stack.batch import Octets
from stack.box import Box, BoxChain, Direction, Emission
from tun.capture import Capture
from tun.driver import Device
from tun.errors import TunError

_BATCH: Final = 64  # packets
_MOST_BATCHES: Final = 4  # read in one turn of the event loop


class Path:
    """Carries packets between the ``client`` and the ``server`` device, on an asyncio event loop, until ``close``.

    FORWARD is from the client to the server, the first of ``boxes`` is the client's neighbour. ``captures`` see
    what is on each device, the client's first; they are the caller's. ``packets`` counts what came, by direction.
    Where a device is gone ``wait`` raises TunError.
    """

    def __init__(
        self,
        client: Device,
        server: Device,
        boxes: Sequence[Box] = (),
        *,
        captures: tuple[Capture | None, Capture | None] = (None, None),
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.packets = [0, 0]
        self._devices = (client, server)
        self._captures = captures
        self._chain = BoxChain(boxes)
        self._loop = loop or asyncio.get_running_loop()
        self._late: list[tuple[float, int, Direction, bytes]] = []
        self._serial = 0
        self._timer: asyncio.TimerHandle | None = None
        self._error: TunError | None = None
        self._over = asyncio.Event()
        self._descriptors = [device.fileno() for device in self._devices]
        self._writing = [False, False]
        for direction in Direction:
            self._loop.add_reader(self._descriptors[direction], self._readable, direction)
        self._arm()

    def __enter__(self) -> Path:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def wait(self) -> None:
        """Wait until the path is closed; raises TunError where a device is gone."""
        await self._over.wait()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Carry nothing any more; what boxes still hold is lost. Nothing the second time."""
        if self._over.is_set():
            return
        for number, descriptor in enumerate(self._descriptors):
            self._loop.remove_reader(descriptor)
            if self._writing[number]:
                self._loop.remove_writer(descriptor)
        if self._timer is not None:
            self._timer.cancel()
        self._over.set()

    def _readable(self, direction: Direction) -> None:
        try:
            for _ in range(_MOST_BATCHES):
                # Boxes keep packets, whose memory the device uses again.
                packets = [bytes(packet) for packet in self._devices[direction].read_batch(_BATCH).packets]
                if not packets:
                    break
                now = self._loop.time()
                self.packets[direction] += len(packets)
                self._record(direction, packets, now, outgoing=False)
                self._deliver(self._chain.process([*packets], direction, now), now)
                if len(packets) < _BATCH:
                    break
        except TunError as error:
            self._fail(error)
            return
        self._arm()

    def _due(self) -> None:
        self._timer = None
        now = self._loop.time()
        due: list[Emission] = []
        while self._late and self._late[0][0] <= now:
            when, _, direction, packet = heapq.heappop(self._late)
            due.append((when, direction, packet))
        try:
            self._deliver([*due, *self._chain.process([], Direction.FORWARD, now)], now)
        except TunError as error:
            self._fail(error)
            return
        self._arm()

    def _deliver(self, emissions: list[Emission], now: float) -> None:
        """Write what has left the boxes by now, packets of one direction together; keep the rest for its time."""
        ready: tuple[list[Octets], list[Octets]] = ([], [])
        for when, direction, packet in emissions:
            if when > now:
                self._serial += 1
                heapq.heappush(self._late, (when, self._serial, direction, bytes(packet)))
            else:
                ready[direction].append(packet)
        for direction in Direction:
            if ready[direction]:
                number = direction.reverse
                self._record(number, ready[direction], now, outgoing=True)
                self._devices[number].write(ready[direction])
                if self._devices[number].pending and not self._writing[number]:
                    self._writing[number] = True
                    self._loop.add_writer(self._descriptors[number], self._writable, number)

    def _writable(self, number: int) -> None:
        try:
            self._devices[number].flush()
        except TunError as error:
            self._fail(error)
            return
        if not self._devices[number].pending:
            self._writing[number] = False
            self._loop.remove_writer(self._descriptors[number])

    def _arm(self) -> None:
        """Have ``_due`` called at the earliest deadline; a timer that is set earlier stays and looks again."""
        first = self._chain.next_deadline
        if self._late and (first is None or self._late[0][0] < first):
            first = self._late[0][0]
        if first is None or self._over.is_set():
            return
        if self._timer is not None:
            if self._timer.when() <= first:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(first, self._due)

    def _record(self, number: int, packets: Sequence[Octets], now: float, *, outgoing: bool) -> None:
        capture = self._captures[number]
        if capture is None:
            return
        try:
            capture.add(packets, now, outgoing=outgoing)
        except OSError as error:
            # A full disk ends the captures, not the path.
            self._captures = (None, None)
            self._loop.call_exception_handler({"message": "the captures have ended", "exception": error})

    def _fail(self, error: TunError) -> None:
        self._error = error
        self.close()
