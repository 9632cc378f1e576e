"""How much of a transfer is still to be sent, and how its receiver counts."""

from __future__ import annotations

import time
from typing import Final

from ..job import Job, Result

CHUNK: Final = 1 << 18
OCTETS: Final = bytes(range(256)) * (CHUNK // 256)
CONNECT_PATIENCE: Final = 10.0


class Quota:
    """What a sender has left: by time, or by octets where the job has them."""

    def __init__(self, job: Job) -> None:
        self._left = job.octets or None
        self._began = time.monotonic()
        self._cpu = time.process_time()
        self._end = self._began + job.seconds
        self._sent = 0

    def next(self) -> int:
        """Octets of the next write, 0 at the end."""
        if self._left is None:
            count = CHUNK if time.monotonic() < self._end else 0
        else:
            count = min(CHUNK, self._left)
            self._left -= count
        self._sent += count
        return count

    def result(self) -> Result:
        """What was sent until now."""
        return Result(self._sent, time.monotonic() - self._began, time.process_time() - self._cpu)


class Received:
    """What a receiver counts, from its first read on; what that brought is not in it."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()
        self._cpu = time.process_time()
        self._octets = 0

    def add(self, octets: int) -> None:
        """So many more were read."""
        self._octets += octets
        self._last = time.monotonic()

    def result(self) -> Result:
        """What was received."""
        return Result(self._octets, self._last - self._began, time.process_time() - self._cpu)
