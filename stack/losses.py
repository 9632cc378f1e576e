"""The seam between sending and loss recovery: the phases, and what a recovery is told and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Generic, TypeVar

from mypy_extensions import mypyc_attr

from .run import Run

if TYPE_CHECKING:
    from .flight import Sent

T = TypeVar("T")

# Phases: nothing wrong; fast recovery; after a timeout.
OPEN: Final = 0
FAST: Final = 1
LOSS: Final = 2


@mypyc_attr(allow_interpreted_subclasses=True)
class Recovery(Generic[T]):
    """What is told of acknowledgments, timers and sending; ``T`` is the TCB, which knows only this of it.

    This one does nothing: it stands where a connection is not established. ``rescues``: the sender may send on
    by NextSeg() rules 3 and 4 of RFC 6675. ``restarts``: the retransmission timer starts anew when the first
    segment is sent again. ``tail_probe``: the sender is to send a loss probe.
    ``reordering`` is how far segments overtook others at most, in segments (3 at first), ``reorderings`` how often
    they did. Octets and seconds throughout.
    """

    __slots__ = ("reordering", "reorderings", "tail_probe")

    rescues: ClassVar[bool] = False
    restarts: ClassVar[bool] = False

    def __init__(self) -> None:
        self.tail_probe = False
        self.reordering = 3
        self.reorderings = 0

    def on_new_ack(self, tcb: T, run: Run, acked: int, now: float) -> None:
        """SND.UNA has advanced by ``acked`` octets, and the scoreboard with it."""

    def on_same_ack(self, tcb: T, run: Run, plain: bool, now: float) -> None:
        """SEG.ACK is SND.UNA; ``plain`` if there are neither text nor FIN nor another window (RFC 5681 §2)."""

    def on_timeout(self, tcb: T, now: float) -> None:
        """The retransmission timer expired."""

    def arm(self, tcb: T, now: float) -> None:
        """Set the recovery's own timer after an acknowledgment or after new octets were sent."""

    def on_timer(self, tcb: T, now: float) -> None:
        """The recovery's own timer expired."""

    def on_sent(self, tcb: T, octets: int, now: float) -> None:
        """``octets`` were sent for the first time."""

    def on_resent(self, tcb: T, record: Sent, now: float) -> None:
        """``record`` was sent again."""

    def on_probed(self, tcb: T, *, again: bool) -> None:
        """The loss probe was sent, a retransmission if ``again``."""
