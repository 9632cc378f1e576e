"""Where the processes of a measurement come from: each is a fork of one that has everything loaded.

So a process begins in the same state every time, within milliseconds, whatever was measured before.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import time
from collections import defaultdict
from contextlib import suppress
from typing import Any, Final

from ..programs import PYTHON, ProgramError

READY: Final = "ready"
RESULT: Final = "result"
ERROR: Final = "error"
ENDED: Final = "ended"


class Worker:
    """One process: it says that it is ready where that is waited for, and in the end its result."""

    def __init__(self, nursery: Nursery, number: int, name: str) -> None:
        self._nursery = nursery
        self._number = number
        self.name = name

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def ready(self, patience: float = 15.0) -> None:
        """Wait until others may begin; raises ProgramError after ``patience`` seconds or where it has failed."""
        self._nursery.wait(self._number, READY, self.name, patience)

    def result(self, patience: float) -> dict[str, Any]:
        """Wait for what it found out; raises ProgramError after ``patience`` seconds or where it has failed."""
        found: dict[str, Any] = self._nursery.wait(self._number, RESULT, self.name, patience)
        return found

    def stop(self) -> None:
        """Kill it where it has not ended; it is gone when this returns."""
        self._nursery.stop(self._number)


class Nursery:
    """Starts workers until its context ends, which ends them all; nothing of them outlives this process either."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._count = 0
        self._rest = b""
        self._said: defaultdict[int, dict[str, Any]] = defaultdict(dict)

    def __enter__(self) -> Nursery:
        self._process = subprocess.Popen(
            ("setpriv", "--pdeathsig", "KILL", "--", *PYTHON, "-m", "tools.bench.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C reaches us alone, and we end what was started.
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        # The end of its input ends it, after its workers.
        process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def start(self, function: str, job: dict[str, Any], namespace: str, name: str) -> Worker:
        """Start ``function`` ("module:name" of tools.bench) with ``job`` in the network namespace ``namespace``.

        ``name`` is for messages. Raises ProgramError.
        """
        self._count += 1
        self._tell({"start": self._count, "function": function, "job": job, "namespace": namespace})
        return Worker(self, self._count, name)

    def _tell(self, message: dict[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise ProgramError("the benchmark's processes have ended") from None

    def wait(self, number: int, what: str, name: str, patience: float) -> Any:
        """Return ``what`` worker ``number`` said; raises ProgramError."""
        deadline = time.monotonic() + patience
        said = self._said[number]
        while what not in said:
            if ERROR in said:
                raise ProgramError(f"{name}: {said[ERROR]}")
            if ENDED in said:
                raise ProgramError(f"{name}: ended with status {said[ENDED]}")
            if not self._hear(deadline - time.monotonic()):
                raise ProgramError(f"{name}: is not heard of for {patience:g} s")
        return said[what]

    def stop(self, number: int) -> None:
        """Kill worker ``number`` and wait for its end."""
        said = self._said[number]
        with suppress(ProgramError):
            if ENDED not in said:
                self._tell({"stop": number})
            while ENDED not in said and self._hear(5.0):
                pass
        self._said.pop(number, None)

    def _hear(self, patience: float) -> bool:
        """Take what workers say, for at most ``patience`` seconds; whether there was anything."""
        assert self._process is not None
        assert self._process.stdout is not None
        source = self._process.stdout.fileno()
        if patience <= 0 or not select.select([source], [], [], patience)[0]:
            return False
        octets = os.read(source, 1 << 16)
        if not octets:
            raise ProgramError("the benchmark's processes have ended")
        *lines, self._rest = (self._rest + octets).split(b"\n")
        for line in lines:
            number, what, value = json.loads(line)
            self._said[number][what] = value
        return True
