"""Everything that passes a namespace's devices, taken by a packet socket with the kernel's own times."""

from __future__ import annotations

import socket
import struct
import threading
import time
from types import TracebackType
from typing import Final

from tun.netns import Namespace

from .frames import Frame

_ETH_P_ALL: Final = 0x0003
_ETH_P_IP: Final = (0x0800, 0x86DD)
_PACKET_OUTGOING: Final = 4
_SOL_PACKET: Final = 263
_PACKET_STATISTICS: Final = 6
_SO_RCVBUFFORCE: Final = 33
_SO_TIMESTAMPNS: Final = 35
_TIMESPEC: Final = struct.Struct("@ll")
# Room for a whole download whose packets nobody has fetched yet, and the longest packet, octets.
_BUFFER: Final = 256 << 20
_LONGEST: Final = 65_600


class Capture:
    """Frames of ``namespace`` within the context; ``lost`` counts those that the kernel had no room for."""

    def __init__(self, namespace: Namespace) -> None:
        self._socket = namespace.call(_open)
        self._frames: list[Frame] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="capture")
        self.lost = 0

    def __enter__(self) -> Capture:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        self._count_lost()
        self._socket.close()

    def take(self, quiet: float = 0.05) -> list[Frame]:
        """Return, and forget, what was captured, once nothing has come for ``quiet`` seconds (at most 2 s)."""
        seen = -1
        for _ in range(max(1, int(2 / quiet))):
            if len(self._frames) == seen:
                break
            seen = len(self._frames)
            time.sleep(quiet)
        frames, self._frames = self._frames, []
        self._count_lost()
        return frames

    def _count_lost(self) -> None:
        _, lost = struct.unpack("@II", self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        self.lost += lost

    def _run(self) -> None:
        receive = self._socket.recvmsg
        ancillary_room = socket.CMSG_SPACE(_TIMESPEC.size)
        while not self._done.is_set():
            try:
                packet, ancillary, _, (_, protocol, direction, *_) = receive(_LONGEST, ancillary_room)
            except TimeoutError:
                continue
            if protocol in _ETH_P_IP:
                seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2])
                self._frames.append(Frame(seconds + nanoseconds / 1e9, direction != _PACKET_OUTGOING, packet))


def _open() -> socket.socket:
    # SOCK_DGRAM: packets without their link header.
    one = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
    one.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    one.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    one.settimeout(0.1)
    return one
