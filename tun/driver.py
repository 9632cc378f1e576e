"""Driver: runs a stack on a device with asyncio; it alone knows the clock, the descriptor and the timers."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Generic, Protocol, TypeVar, cast

from stack.batch import Batch, Octets
from stack.box import Box, BoxChain, Direction, Emission
from stack.owner import Owner
from stack.runner import Host, Offloading, ready_source

from .capture import Capture
from .errors import TunError

HostT = TypeVar("HostT", bound=Host)

_BATCH = 64  # packets
_MOST_BATCHES = 4  # read in one turn of the event loop, so that others have theirs


class Device(Protocol):
    """What a driver needs of a TUN."""

    @property
    def pending(self) -> int:
        """Packets that wait for room."""

    def fileno(self) -> int:
        """Return a descriptor that is readable when packets wait."""

    def use_offload(self) -> bool:
        """Exchange packets with a stack with ``offload`` from now on, where the device can; whether it can."""

    def read_batch(self, limit: int = 64) -> Batch:
        """Return the packets that wait, at most ``limit``, valid until the next call; TunError where it is gone."""

    def write(self, packets: Sequence[Octets]) -> None:
        """Send packets; TunError where the device is gone."""

    def flush(self) -> None:
        """Send what waits, as far as there is room; TunError where the device is gone."""


class Driver(Generic[HostT]):
    """A ``Runner`` on an asyncio event loop; its clock is the loop's, in seconds.

    It runs from the start until ``close``, and closes neither device nor capture. ``boxes`` stand between stack
    and device, FORWARD leaving the stack; ``capture`` sees what is on the device, outside the boxes, and ends
    where it cannot be written. An owner's exception goes to the loop's exception handler. Where the device is
    gone the driver stops: ``error`` says why, and ``wait`` raises it. Boxes and capture see packets as they are on
    a wire; without them the device finishes checksums and cuts segments, if it and the stack can.
    """

    def __init__(
        self,
        stack: HostT,
        device: Device,
        *,
        capture: Capture | None = None,
        boxes: Sequence[Box] = (),
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.stack = stack
        self.error: TunError | None = None
        self._device = device
        self._capture = capture
        self._chain = BoxChain(boxes) if boxes else None
        self._loop = loop or asyncio.get_running_loop()
        self._ready = ready_source(stack)
        self._late: list[tuple[float, int, Direction, Octets]] = []
        self._serial = 0
        self._timer: asyncio.TimerHandle | None = None
        self._waking = False
        self._chain_answered = False
        self._writing = False
        self._closed = False
        self._over = asyncio.Event()
        if capture is None and not boxes and isinstance(stack, Offloading) and device.use_offload():
            stack.offload = True
        self._descriptor = device.fileno()
        self._loop.add_reader(self._descriptor, self._readable)
        self.wake()

    def __enter__(self) -> Driver[HostT]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def device(self) -> Device:
        """What it reads and writes."""
        return self._device

    def now(self) -> float:
        """Seconds of the event loop's monotonic clock."""
        return self._loop.time()

    def wake(self) -> None:
        """Have output and deadlines looked at in the loop's next turn, once for many calls."""
        if not self._waking and not self._closed:
            self._waking = True
            self._loop.call_soon(self._woken)

    def call_at(self, when: float, callback: Callable[[], None], /) -> asyncio.TimerHandle:
        """Call ``callback`` at ``when`` (seconds of the loop's clock)."""
        return self._loop.call_at(when, callback)

    async def wait(self) -> None:
        """Wait until the driver is closed; raises TunError where it stopped because the device is gone."""
        await self._over.wait()
        if self.error is not None:
            raise self.error

    def take(self, batch: Batch) -> None:
        """Take packets that came by another way than the device; boxes and capture do not see them."""
        if self._closed or not len(batch):
            return
        now = self._loop.time()
        self.stack.receive(batch, now)
        try:
            self._flush(now)
        except TunError as error:
            self._fail(error)

    def close(self) -> None:
        """Send what the stack has to send now, then stop; nothing the second time.

        What boxes still hold is lost, as in a network that is switched off.
        """
        if self._closed:
            return
        try:
            self._flush(self._loop.time())
            self._device.flush()
        except TunError as error:
            self.error = error
        self._stop()

    def _stop(self) -> None:
        self._closed = True
        self._loop.remove_reader(self._descriptor)
        if self._writing:
            self._loop.remove_writer(self._descriptor)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._over.set()

    def _fail(self, error: TunError) -> None:
        self.error = error
        self._stop()

    # --- turns of the event loop -------------------------------------------------------------------------

    def _readable(self) -> None:
        try:
            for _ in range(_MOST_BATCHES):
                batch = self._device.read_batch(_BATCH)
                packets = batch.packets
                if not packets:
                    return
                now = self._loop.time()
                if self._chain is None:
                    self.stack.receive(batch, now)
                    if self._capture is not None:
                        self._record(packets, now, outgoing=False, comments=self._comments(len(packets)))
                else:
                    # Boxes keep packets.
                    packets = [bytes(packet) for packet in packets]
                    if self._capture is not None:
                        self._record(packets, now, outgoing=False)
                    self._distribute(self._chain.process(packets, Direction.BACKWARD, now), now)
                self._flush(now)
                if self._closed or len(packets) < _BATCH:
                    return
        except TunError as error:
            self._fail(error)

    def _woken(self) -> None:
        self._waking = False
        self._turn()

    def _due(self) -> None:
        self._timer = None
        self._turn()

    def _turn(self) -> None:
        if self._closed:
            return
        now = self._loop.time()
        try:
            deadline = self.stack.next_deadline
            if deadline is not None and deadline <= now:
                self.stack.advance(now)
            if self._chain is not None:
                self._boxes_due(now)
            self._flush(now)
        except TunError as error:
            self._fail(error)

    def _writable(self) -> None:
        try:
            self._device.flush()
        except TunError as error:
            self._fail(error)
            return
        if not self._device.pending:
            self._writing = False
            self._loop.remove_writer(self._descriptor)

    # --- what a turn does --------------------------------------------------------------------------------

    def _flush(self, now: float) -> None:
        """Tell owners, send the stack's output, look at the device's queue and the deadlines."""
        try:
            self._tell()
            output = self.stack.take_output(now)
            if len(output):
                self._send(list(output.packets), now)
            if self._tell():
                self.wake()
        finally:
            if not self._closed:
                self._arm()

    def _tell(self) -> bool:
        items = self._ready()
        for item in items:
            owner = item.owner
            if owner is None:
                continue
            try:
                cast(Owner, owner).on_ready()
            except Exception as error:
                self._loop.call_exception_handler(
                    {"message": f"{type(owner).__name__}.on_ready failed", "exception": error}
                )
        return bool(items)

    def _send(self, packets: list[Octets], now: float) -> None:
        if self._chain is None:
            self._emit(packets, now)
        else:
            self._distribute(self._chain.process(packets, Direction.FORWARD, now), now)
            if self._chain_answered:
                # A box has answered the stack, which may have something to say to that.
                self._chain_answered = False
                self.wake()

    def _emit(self, packets: Sequence[Octets], now: float) -> None:
        if self._capture is not None:
            self._record(packets, now, outgoing=True)
        self._device.write(packets)
        if self._device.pending and not self._writing:
            self._writing = True
            self._loop.add_writer(self._descriptor, self._writable)

    def _comments(self, count: int) -> list[str | None] | None:
        """The reasons for which packets of the batch just received were dropped, where the stack keeps them."""
        dropped: list[tuple[int, str]] | None = getattr(self.stack, "dropped", None)
        if not dropped:
            return None
        comments: list[str | None] = [None] * count
        for index, reason in dropped:
            comments[index] = f"dropped: {reason}"
        return comments

    def _record(
        self,
        packets: Sequence[Octets],
        now: float,
        *,
        outgoing: bool,
        comments: Sequence[str | None] | None = None,
    ) -> None:
        assert self._capture is not None
        try:
            self._capture.add(packets, now, outgoing=outgoing, comments=comments)
        except OSError as error:
            # A full disk ends the capture, not the connections.
            self._capture = None
            self._loop.call_exception_handler({"message": "the capture has ended", "exception": error})

    def _boxes_due(self, now: float) -> None:
        assert self._chain is not None
        late = self._late
        due: list[Emission] = []
        while late and late[0][0] <= now:
            when, _, direction, packet = heapq.heappop(late)
            due.append((when, direction, packet))
        deadline = self._chain.next_deadline
        if deadline is not None and deadline <= now:
            due += self._chain.process([], Direction.FORWARD, now)
        self._distribute(due, now)

    def _distribute(self, emissions: list[Emission], now: float) -> None:
        """Deliver what has left the boxes by now, runs of one direction together; keep the rest for its time."""
        outward: list[Octets] = []
        inward: list[Octets] = []
        for when, direction, packet in emissions:
            if when > now:
                self._serial += 1
                heapq.heappush(self._late, (when, self._serial, direction, bytes(packet)))
            elif direction is Direction.FORWARD:
                outward.append(packet)
            else:
                inward.append(packet)
        if outward:
            self._emit(outward, now)
        if inward:
            self._chain_answered = True
            self.stack.receive(Batch(inward), now)

    def _arm(self) -> None:
        """Have ``_due`` called at the earliest deadline; a timer that is set earlier stays and looks again."""
        first = self.stack.next_deadline
        if self._chain is not None:
            deadline = self._chain.next_deadline
            if deadline is not None and (first is None or deadline < first):
                first = deadline
            if self._late and (first is None or self._late[0][0] < first):
                first = self._late[0][0]
        if first is None:
            return
        if self._timer is not None:
            if self._timer.when() <= first:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(first, self._due)
