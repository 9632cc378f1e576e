"""What the tests of this folder share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[1] / "data"


def load(name: str) -> Any:
    """Return the contents of a file of vectors."""
    return json.loads((DATA / name).read_text())


def scripted(*pieces: bytes) -> Callable[[int], bytes]:
    """Return a source of randomness that gives ``pieces`` in order and fails on any other length or call."""
    left = list(pieces)

    def random(octets: int) -> bytes:
        piece = left.pop(0)
        assert len(piece) == octets
        return piece

    return random


def counting() -> Callable[[int], bytes]:
    """Return a source that never gives the same octets twice."""
    calls = 0

    def random(octets: int) -> bytes:
        nonlocal calls
        calls += 1
        return calls.to_bytes(octets, "big")

    return random
