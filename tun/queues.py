"""One device, several processes: each has a queue of it, and hands to another what turns out to be the other's."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self

from stack.batch import Batch, Octets
from stack.offload import HEADER

from .device import Tun
from .driver import Device
from .interface import Interface
from .offload import without_headers
from .sorting import Sorter

_ROOM: Final = 1 << 22  # octets of packets that wait for a process
_LARGEST: Final = 65_535 + 40 + HEADER.size
_BATCH: Final = 64
# Of the socket level; root may exceed the system's limit.
_SO_SNDBUFFORCE: Final = 32
_SO_RCVBUFFORCE: Final = 33


class Inboxes:
    """Where the processes of one device leave packets for each other; made before they begin, closed by each."""

    def __init__(self, count: int) -> None:
        self._ends = [socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(count)]
        for pair in self._ends:
            for end, option in zip(pair, (_SO_RCVBUFFORCE, _SO_SNDBUFFORCE), strict=True):
                end.setblocking(False)
                end.setsockopt(socket.SOL_SOCKET, option, _ROOM)

    def __len__(self) -> int:
        return len(self._ends)

    def fileno(self, index: int) -> int:
        """The descriptor that is readable while packets wait for process ``index``."""
        return self._ends[index][0].fileno()

    def take(self, index: int) -> Batch:
        """Packets that others have left for process ``index``."""
        end = self._ends[index][0]
        packets: list[bytes] = []
        try:
            for _ in range(_BATCH):
                packets.append(end.recv(_LARGEST))
        except BlockingIOError:
            pass
        return without_headers(packets)

    def leave(self, index: int, packet: bytes) -> bool:
        """Leave a packet, behind a header, for process ``index``; False where there is no room."""
        try:
            self._ends[index][1].send(packet)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Give every descriptor back."""
        for pair in self._ends:
            for end in pair:
                end.close()


class Queue:
    """Queue ``index`` of a TUN as a device (``tun.driver``); ``lost`` counts packets for which no inbox had room.

    Where the kernel steers, flows come to the process that has them, and queue 0 gets all else: fragments, ICMP.
    Where it does not, anything comes anywhere.
    """

    def __init__(self, tun: Tun, index: int, inboxes: Inboxes) -> None:
        self._tun = tun
        self._inboxes = inboxes
        self._sorter = Sorter(index, len(inboxes)) if index == 0 or not tun.steered else None
        self.lost = 0

    @property
    def pending(self) -> int:
        """Packets that wait for the kernel to have room."""
        return self._tun.pending

    def fileno(self) -> int:
        """The queue's descriptor."""
        return self._tun.fileno()

    def use_offload(self) -> bool:
        """As ``Tun.use_offload``."""
        return self._tun.use_offload()

    def read_batch(self, limit: int = 64) -> Batch:
        """As ``Tun.read_batch``; what is another process's is left for it."""
        batch = self._tun.read_batch(limit)
        if self._sorter is None or not len(batch):
            return batch
        mine, others = self._sorter.sort(batch, time.monotonic())
        for owner, packet in others:
            self.lost += not self._inboxes.leave(owner, packet)
        return mine

    def write(self, packets: Sequence[Octets]) -> None:
        """As ``Tun.write``."""
        self._tun.write(packets)

    def flush(self) -> None:
        """As ``Tun.flush``."""
        self._tun.flush()


class QueueInterface(Interface):
    """An ``Interface`` on queue ``index`` of a device that exists: the part of a process.

    Takes Interface's settings but those of the device; connections that are opened here take ports by which the
    answers find this process.
    """

    def __init__(self, tun: Tun, index: int, inboxes: Inboxes, **settings: Any) -> None:
        super().__init__(tun=tun.name, mtu=tun.mtu, **settings)
        self._tun = tun
        self._index = index
        self._inboxes = inboxes
        self._config = replace(self._config, port_share=(index, len(inboxes)))

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        asyncio.get_running_loop().add_reader(self._inboxes.fileno(self._index), self._handed)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._inboxes.fileno(self._index))
        await super().__aexit__(kind, error, trace)

    def _device(self, resources: ExitStack) -> Device:
        resources.enter_context(self._tun)
        return Queue(self._tun, self._index, self._inboxes)

    def _handed(self) -> None:
        self.driver.take(self._inboxes.take(self._index))
