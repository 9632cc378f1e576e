"""A suite: the MAC and the cipher of a connection with agreed keys (profile.md §7)."""

from __future__ import annotations

from typing import NamedTuple


class Suite(NamedTuple):
    """Suite octets of a MAC and of a cipher (0: no encryption), 0-255 each."""

    mac: int
    cipher: int
