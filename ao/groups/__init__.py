"""Key-exchange groups: a file each, and their registry."""

from __future__ import annotations

from .base import BadShare, Group, PrivateShare
from .x25519 import X25519

__all__ = ["GROUPS", "GROUPS_BY_NAME", "BadShare", "Group", "PrivateShare"]

# By code, in the order in which they are preferred.
GROUPS: dict[int, Group] = {group.code: group for group in (X25519(),)}

GROUPS_BY_NAME: dict[str, Group] = {group.name: group for group in GROUPS.values()}
