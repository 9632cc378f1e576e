"""Loss recovery: what acknowledgments and timers say about losses; one algorithm a file, chosen by name.

It marks records of the scoreboard and moves the congestion window; the sender sends what is marked.
"""

from ..losses import FAST, LOSS, OPEN
from .base import LossRecovery
from .pipe import in_flight
from .registry import RECOVERIES, find, make, register

__all__ = ["FAST", "LOSS", "OPEN", "RECOVERIES", "LossRecovery", "find", "in_flight", "make", "register"]
