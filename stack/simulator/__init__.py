"""A network in virtual time: hosts, links, boxes. The same seed gives the same run."""

from __future__ import annotations

from ..box import Box, BoxChain, Direction
from .boxes import Corrupt, Delay, Duplicate, Filter, Gather, Loss, MtuLimit, RateLimit, Reorder, Tap
from .resegment import Merge, Split, Strip
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
    "Merge",
    "MtuLimit",
    "RateLimit",
    "Reorder",
    "SimRunner",
    "Split",
    "Stalled",
    "Strip",
    "Tap",
    "World",
]
