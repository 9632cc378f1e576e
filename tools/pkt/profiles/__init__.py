"""Profiles: how the systems behave for which scripts were written; one file each."""

from __future__ import annotations

import re
from typing import Final

from .base import Profile
from .freebsd import PROFILE as FREEBSD
from .linux import PROFILE as LINUX
from .own import PROFILE as OWN

PROFILES: Final = {profile.name: profile for profile in (OWN, LINUX, FREEBSD)}
_FREEBSD = re.compile(r"`[^`]*\b(?:net\.inet6?\.|kern\.|sockstat|tcpdrop|kldload)")
_LINUX = re.compile(r"`[^`]*(?:\bnet\.ipv[46]\.|\bnet\.core\.|/proc/sys/|defaults\.sh|set_sysctls\.py)")

__all__ = ["PROFILES", "Profile", "profile_of"]


def profile_of(text: str) -> Profile:
    """The profile that a script asks for by the settings of a system that it names."""
    if _FREEBSD.search(text) is not None:
        return FREEBSD
    return LINUX if _LINUX.search(text) is not None else OWN
