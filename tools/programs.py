"""Programs started in network namespaces: their lines read as they come, their end made sure."""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import IO, Final

# The same interpreter, without the current folder on the path: a folder there may be called `tools`.
EDOTUN: Final = (sys.executable, "-P", "-m", "tools.cli.main")
PYTHON: Final = (sys.executable, "-P")


class ProgramError(RuntimeError):
    """A program did not do what it was started for; one line."""


class Program:
    """A program running in namespace ``namespace`` (None: here) until ``stop``, the context's end or ours.

    ``name`` is for messages; ``descriptors`` are left open for it. It is killed when the thread that started it
    ends, whatever ends that.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        namespace: str | None = None,
        env: Mapping[str, str] | None = None,
        descriptors: Collection[int] = (),
    ) -> None:
        self.name = name
        enter = ("nsenter", f"--net=/run/netns/{namespace}") if namespace is not None else ()
        try:
            self.process = subprocess.Popen(
                ("setpriv", "--pdeathsig", "KILL", "--", *enter, *command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=env,
                pass_fds=descriptors,
                # Ctrl-C reaches us alone; in which order programs end is then ours to say.
                start_new_session=True,
            )
        except OSError as error:
            raise ProgramError(f"{name}: cannot be started: {error.strerror or error}") from None
        self._said: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._unread: list[tuple[str, str]] = []
        self._last: list[str] = []
        self._readers = [
            threading.Thread(target=self._read, args=(stream, source), daemon=True, name=f"{name} {stream}")
            for stream, source in (("out", self.process.stdout), ("err", self.process.stderr))
        ]
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _read(self, stream: str, source: IO[bytes]) -> None:
        for line in source:
            text = line.decode("utf-8", "replace").rstrip("\n")
            if stream == "err":
                self._last = [*self._last[-4:], text]
            self._said.put((stream, text))

    @property
    def complaint(self) -> str:
        """The last lines on standard error, in one line."""
        return " / ".join(self._last) or "it said nothing"

    def line(self, stream: str, wanted: Callable[[str], bool], patience: float) -> str:
        """Return the first line of ``stream`` ("out", "err") that is ``wanted`` and was not returned before.

        Raises ProgramError after ``patience`` seconds, or when the program ends without it.
        """
        for index, (where, text) in enumerate(self._unread):
            if where == stream and wanted(text):
                del self._unread[index]
                return text
        deadline = time.monotonic() + patience
        while True:
            ended = self.process.poll() is not None and not any(reader.is_alive() for reader in self._readers)
            try:
                where, text = self._said.get(timeout=0.0 if ended else 0.1)
            except queue.Empty:
                if ended:
                    what = f"ended with status {self.process.returncode}: {self.complaint}"
                    raise ProgramError(f"{self.name}: {what}") from None
                if time.monotonic() > deadline:
                    what = f"is not heard of for {patience:g} s: {self.complaint}"
                    raise ProgramError(f"{self.name}: {what}") from None
                continue
            if where == stream and wanted(text):
                return text
            self._unread.append((where, text))

    def ready(self, patience: float = 15.0) -> None:
        """Wait until it says ``listening on``; raises ProgramError."""
        self.line("err", lambda text: text.startswith("listening on "), patience)

    def end(self, patience: float) -> int:
        """Wait for its own end and return its exit status; raises ProgramError after ``patience`` seconds."""
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            raise ProgramError(f"{self.name}: not done after {patience:g} s: {self.complaint}") from None

    def stop(self, patience: float = 3.0) -> None:
        """End it: asked first, killed after ``patience`` seconds."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for reader in self._readers:
            reader.join(1.0)
        for source in (self.process.stdout, self.process.stderr):
            if source is not None:
                source.close()
