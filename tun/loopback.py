"""A stack whose packets come back to itself: connections within one process, without a device or privileges."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from edo.codepoints import Dialect
from stack.batch import Batch, Octets
from stack.box import Box
from stack.config import TcpConfig
from stack.offload import FIRST_OF_IP, HEADER

from .driver import Device
from .interface import Interface
from .offload import without_headers

# Addresses for documentation (RFC 5737, RFC 3849): nobody is reached by them.
ADDRESSES: Final = ("192.0.2.1/24", "2001:db8::1/64")
_FINISHED: Final = bytes(HEADER.size)


class LoopbackDevice:
    """A device that gives back what is written to it, in order and without a limit."""

    def __init__(self) -> None:
        self._packets: deque[bytes] = deque()
        self._offload = False
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    @property
    def pending(self) -> int:
        """Packets that wait for room: none ever."""
        return 0

    @property
    def waiting(self) -> int:
        """Packets that were not read yet."""
        return len(self._packets)

    def fileno(self) -> int:
        """A descriptor that is readable while packets wait."""
        return self._bell

    def use_offload(self) -> bool:
        """What is unfinished stays so: nothing can happen to it on the way."""
        self._offload = True
        return True

    def read_batch(self, limit: int = 64) -> Batch:
        """The packets that wait, at most ``limit``."""
        packets = self._packets
        batch = [packets.popleft() for _ in range(min(limit, len(packets)))]
        if batch and not packets:
            os.eventfd_read(self._bell)
        return without_headers(batch) if self._offload else Batch(batch)

    def write(self, packets: Sequence[Octets]) -> None:
        """Have packets arrive."""
        if packets and not self._packets:
            os.eventfd_write(self._bell, 1)
        if self._offload:
            packets = [packet if packet[0] < FIRST_OF_IP else _FINISHED + packet for packet in packets]
        self._packets.extend(map(bytes, packets))

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._bell)


class Loopback(Interface):
    """An ``Interface`` without a device: what the stack sends comes back to it, through ``boxes``.

    It takes Interface's settings but those of the device; needs neither root nor a TUN.
    """

    def __init__(
        self,
        *,
        addr: Sequence[str] = ADDRESSES,
        mtu: int = 1500,
        capture: str | Path | None = None,
        qlog: str | Path | None = None,
        keylog: str | Path | None = None,
        box_keys: str | Path | None = None,
        config: TcpConfig | None = None,
        edo: str = "off",
        dialect: Dialect | None = None,
        boxes: Sequence[Box] = (),
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        super().__init__(
            addr=addr,
            tun="loopback",
            mtu=mtu,
            capture=capture,
            qlog=qlog,
            keylog=keylog,
            box_keys=box_keys,
            config=config,
            edo=edo,
            dialect=dialect,
            boxes=boxes,
            random=random,
        )

    def _device(self, resources: ExitStack) -> Device:
        device = LoopbackDevice()
        resources.callback(device.close)
        return device
