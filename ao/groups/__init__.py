"""Key-exchange groups: a file each, and their registry."""

from __future__ import annotations

from typing import Final

from .base import BadShare, Group, PrivateShare
from .ffdhe import available
from .secp256r1 import Secp256r1
from .x448 import X448
from .x25519 import X25519
from .x25519_mlkem768 import X25519MlKem768

__all__ = ["DEFAULT_GROUPS", "GROUPS", "GROUPS_BY_NAME", "NAMES", "BadShare", "Group", "PrivateShare"]

# By code, in the order in which they are preferred.
GROUPS: dict[int, Group] = {
    group.code: group for group in (X25519(), Secp256r1(), X448(), X25519MlKem768(), *available())
}

GROUPS_BY_NAME: dict[str, Group] = {group.name: group for group in GROUPS.values()}

NAMES: Final = ("x25519", "secp256r1", "x448", "X25519MLKEM768", "ffdhe3072", "ffdhe2048")
"""All groups of profile.md §6, those that the library cannot compute included."""

DEFAULT_GROUPS: Final = tuple(name for name in GROUPS_BY_NAME if name != "ffdhe2048")
"""What is offered and taken where nothing is said: ffdhe2048 has less than RFC 8547's 120 bits (§6 there)."""
