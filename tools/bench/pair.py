"""A wire between two processes without a device or privileges: packets as messages of a pair of Unix sockets."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

from stack.batch import Batch, Octets
from stack.config import TcpConfig
from tun.driver import Device
from tun.errors import TunError
from tun.interface import Interface

_LARGEST: Final = 65_536  # octets


def pair() -> tuple[socket.socket, socket.socket]:
    """Return both ends of a wire, to be handed to a process each."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


class PairDevice:
    """One end of a wire as a device: what finds no room waits; TunError when the other end is gone."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._pending: deque[Octets] = deque()
        end.setblocking(False)

    @property
    def pending(self) -> int:
        """Packets that wait for room."""
        return len(self._pending)

    def fileno(self) -> int:
        """The descriptor, readable while packets wait."""
        return self._end.fileno()

    def use_offload(self) -> bool:
        """Packets are finished ones."""
        return False

    def read_batch(self, limit: int = 64) -> Batch:
        """The packets that wait, at most ``limit``."""
        receive = self._end.recv
        packets: list[bytes] = []
        try:
            for _ in range(limit):
                packet = receive(_LARGEST)
                if not packet:
                    raise TunError("the other end of the wire is gone")
                packets.append(packet)
        except BlockingIOError:
            pass
        return Batch(packets)

    def write(self, packets: Sequence[Octets]) -> None:
        """Send packets behind those that wait."""
        self._pending.extend(packets)
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as there is room."""
        pending = self._pending
        try:
            while pending:
                self._end.send(pending[0])
                pending.popleft()
        except BlockingIOError:
            pass
        except OSError as error:
            raise TunError(f"the other end of the wire is gone: {error.strerror}") from None


class Paired(Interface):
    """An ``Interface`` on one end of a wire, whose owner closes it."""

    def __init__(self, end: socket.socket, *, addr: Sequence[str], mtu: int, config: TcpConfig) -> None:
        super().__init__(addr=addr, tun="pair", mtu=mtu, config=config)
        self._end = end

    def _device(self, resources: ExitStack) -> Device:
        return PairDevice(self._end)
