"""A network in virtual time: hosts, links, boxes. The same seed gives the same run."""

from __future__ import annotations

from ..box import Box, BoxChain, Direction
from .boxes import Corrupt, Delay, Duplicate, Filter, Gather, Loss, MtuLimit, RateLimit, Reorder, Tap
from .world import Link, SimRunner, Stalled, World

__all__ = [
    "Box",
    "BoxChain",
    "Corrupt",
    "Delay",
    "Direction",
    "Duplicate",
    "Filter",
    "Gather",
    "Link",
    "Loss",
    "MtuLimit",
    "RateLimit",
    "Reorder",
    "SimRunner",
    "Stalled",
    "Tap",
    "World",
]
