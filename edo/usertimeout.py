"""The field of the User Timeout option: 15 bits, and a bit that says whether of minutes (RFC 5482 §2)."""

from __future__ import annotations

from typing import Final

_MINUTES: Final = 0x8000
_MOST: Final = 0x7FFF


def encode(seconds: float) -> int:
    """The 16-bit field for ``seconds``, at least one; whole minutes, rounded up, where seconds do not fit."""
    whole = max(round(seconds), 1)
    if whole <= _MOST:
        return whole
    return _MINUTES | min(-(-whole // 60), _MOST)


def decode(field: int) -> int:
    """The seconds that a 16-bit field stands for."""
    return (field & _MOST) * (60 if field & _MINUTES else 1)
