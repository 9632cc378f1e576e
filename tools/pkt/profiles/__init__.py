"""Profiles: how the systems behave for which scripts were written; one file each."""

from __future__ import annotations

import re
from typing import Final

from .base import Profile
from .freebsd import PROFILE as FREEBSD
from .linux import PROFILE as LINUX
from .own import PROFILE as OWN

PROFILES: Final = {profile.name: profile for profile in (OWN, LINUX, FREEBSD)}
_NAMED = re.compile(r"^[ \t]*--profile=[\"']?([a-z]+)", re.MULTILINE)
_FREEBSD = re.compile(r"`[^`]*\b(?:net\.inet6?\.|kern\.|sockstat|tcpdrop|kldload)")
# Where no setting is named: how FreeBSD lays out the options of a SYN, and names that only it has.
_FREEBSD_STYLE = re.compile(
    r">[^<`\n]*\bS[EW]*\.?\s[^<`\n]*<\s*mss \d+\s*,\s*nop\s*,\s*wscale|sackOK\s*,\s*eol\s*,\s*eol"
    r"|\bTCP_(?:KEEPINIT|NOOPT|NOPUSH|FUNCTION_BLK)\b|\bTCPI_(?:LISTEN|ESTABLISHED|SYN_RECEIVED)\b"
    r"|SO_RCVBUF, \[65536\]"
)
_LINUX = re.compile(r"`[^`]*(?:\bnet\.ipv[46]\.|\bnet\.core\.|/proc/sys/|defaults\.sh|set_sysctls\.py)")

__all__ = ["PROFILES", "Profile", "profile_of"]


def profile_of(text: str) -> Profile:
    """The profile that a script names, or asks for by the settings of a system."""
    named = _NAMED.search(text)
    if named is not None and named.group(1) in PROFILES:
        return PROFILES[named.group(1)]
    if _FREEBSD.search(text) is not None:
        return FREEBSD
    if _LINUX.search(text) is not None:
        return LINUX
    return FREEBSD if _FREEBSD_STYLE.search(text) is not None else OWN
