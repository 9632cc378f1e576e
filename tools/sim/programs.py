"""The two ends of a simulated transfer: one writes without end, the other reads and counts."""

from __future__ import annotations

from typing import Final

from stack.attempt import Attempt
from stack.events import Closed
from stack.listener import Listener
from stack.runner import Runner

# What a sender keeps queued beyond the peer's window, octets.
SPARE: Final = 1 << 19
_CHUNK: Final = bytes(1 << 18)


class Sender:
    """Keeps ``queued`` octets unacknowledged or unsent; ``failed`` says why it ended, None while it goes on."""

    def __init__(self, attempt: Attempt, runner: Runner, queued: int) -> None:
        self.attempt = attempt
        self._runner = runner
        self._queued = queued
        self.failed: str | None = None
        attempt.owner = self
        self.fill()

    def on_ready(self) -> None:
        """There is room again, or it is over."""
        while (event := self.attempt.next_event()) is not None:
            if isinstance(event, Closed):
                self.failed = str(event.error)
                return
        self.fill()

    def fill(self) -> None:
        """Write as much as is to be queued."""
        while self.attempt.unsent < self._queued:
            self.attempt.write(_CHUNK)
        self._runner.wake()


class Receiver:
    """Reads everything; ``octets`` counts what came behind the warm-up, ``stall`` the longest time without any."""

    def __init__(self, attempt: Attempt, runner: Runner, warm: float) -> None:
        self.attempt = attempt
        self._runner = runner
        self._warm = warm
        self._last = runner.now()
        self.octets = 0
        self.stall = 0.0
        attempt.owner = self

    def on_ready(self) -> None:
        """Read what is there."""
        now = self._runner.now()
        while self.attempt.next_event() is not None:
            pass
        octets = 0
        while data := self.attempt.read():
            octets += len(data)
        if octets:
            self.stall = max(self.stall, now - self._last)
            self._last = now
            if now >= self._warm:
                self.octets += octets
            self._runner.wake()


class Acceptor:
    """Gives each connection that comes a Receiver, by the sender's port."""

    def __init__(self, listener: Listener, runner: Runner, warm: float) -> None:
        self._listener = listener
        self._runner = runner
        self._warm = warm
        self.receivers: dict[int, Receiver] = {}
        listener.owner = self

    def on_ready(self) -> None:
        """Accept what is there."""
        while (attempt := self._listener.accept()) is not None:
            receiver = Receiver(attempt, self._runner, self._warm)
            self.receivers[attempt.peer[1]] = receiver
            receiver.on_ready()
