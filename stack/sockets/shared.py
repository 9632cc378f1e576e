"""What sockets in threads need of a runner: a lock under which its stack may be touched."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Protocol
from weakref import WeakSet

from ..runner import Runner


class Turns(Protocol):
    """A lock; one thread may not take it twice."""

    def acquire(self) -> object:
        """Wait for it and take it."""

    def release(self) -> None:
        """Give it back."""

    def __enter__(self) -> object: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class SharedRunner(Runner, Protocol):
    """A Runner in a thread of its own; ``wake`` may be called from any thread.

    The runner holds ``lock`` whenever it uses the stack or tells an owner; so does everybody else,
    for ``wake`` too.
    """

    @property
    def lock(self) -> Turns:
        """Held by who uses the stack."""

    @property
    def stopped(self) -> bool:
        """Whether the runner has ended: nothing will happen any more."""

    def post(self, callback: Callable[[], None], /) -> None:
        """Have ``callback`` called soon, by the runner, under the lock; needs no lock itself."""

    def at_stop(self, callback: Callable[[], None], /) -> None:
        """Have ``callback`` called under the lock when the runner ends."""


class Rung(Protocol):
    """Whoever may be waiting for news."""

    def ring(self) -> None:
        """There may be news."""


class Home:
    """The sockets over one runner: they stop waiting when it ends."""

    def __init__(self, runner: SharedRunner) -> None:
        self.runner = runner
        self._sockets: WeakSet[Rung] = WeakSet()
        runner.at_stop(self._stop)

    def add(self, item: Rung) -> None:
        """A socket was made."""
        self._sockets.add(item)

    def _stop(self) -> None:
        for item in list(self._sockets):
            item.ring()
