"""Runner: what drives a stack with time and packets, as far as sockets and streams need to know it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from .batch import Batch
from .owner import Owned, Owner

if TYPE_CHECKING:
    from .host import Stack


class Host(Protocol):
    """Anything that takes and gives packets and has deadlines: a stack, or a stand-in for one.

    Times are seconds on a monotonic clock of the runner's choice. ``take_ready`` is looked for as well; a host
    without it has nobody to tell.
    """

    @property
    def next_deadline(self) -> float | None:
        """When ``advance`` is to be called next (seconds), None for never."""

    def receive(self, batch: Batch, now: float) -> None:
        """Take packets that arrived at ``now``."""

    def advance(self, now: float) -> None:
        """Do what is due at or before ``now``."""

    def take_output(self, now: float) -> Batch:
        """Return, and forget, the packets to be sent at ``now``."""


@runtime_checkable
class Offloading(Protocol):
    """A host whose packets a device may finish and cut, once ``offload`` is set (``stack.offload``)."""

    offload: bool


class Handle(Protocol):
    """A call that was asked for."""

    def cancel(self) -> None:
        """Make it never happen; nothing where it already has."""


class Runner(Protocol):
    """A clock, and the way to have a stack's output sent.

    After each ``receive`` and ``advance`` it calls ``on_ready()`` of the owner of everything that
    ``stack.take_ready()`` returns.
    """

    @property
    def stack(self) -> Stack:
        """The stack that is run."""

    def now(self) -> float:
        """Seconds on the stack's clock."""

    def wake(self) -> None:
        """Say that output or deadlines may have changed: they are looked at soon, once for many calls."""

    def call_at(self, when: float, callback: Callable[[], None], /) -> Handle:
        """Call ``callback`` at ``when`` (seconds on the stack's clock), or at once where that is past."""


def ready_source(host: object) -> Callable[[], Sequence[Owned]]:
    """Return ``host.take_ready``, or a function that returns nothing where ``host`` has none."""
    source = getattr(host, "take_ready", None)
    return _nothing if source is None else cast(Callable[[], Sequence[Owned]], source)


def _nothing() -> Sequence[Owned]:
    return ()


def dispatch(items: Iterable[Owned]) -> None:
    """Tell the owner of each item; whatever an owner raises comes out."""
    for item in items:
        owner = item.owner
        if owner is not None:
            cast(Owner, owner).on_ready()
