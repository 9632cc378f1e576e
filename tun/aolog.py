"""A line a second and reason for what authentication dropped (RFC 5925 §7.5)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from ao.reasons import AoDrop
from stack.host import Stack

from .droplog import DropWatcher, telling

_EVERY = 1.0
_WORDS: Final = {
    AoDrop.ao_bad_mac: "the MAC is wrong",
    AoDrop.ao_bad_length: "the option or the MAC has a wrong length",
    AoDrop.ao_key_not_found: "no key has this KeyID",
    AoDrop.ao_required: "there is no TCP-AO, and it is required",
    AoDrop.ao_md5_conflict: "TCP-AO and TCP-MD5 stand together",
    AoDrop.md5_bad: "the digest is wrong",
    AoDrop.md5_required: "there is no digest, and it is required",
    AoDrop.md5_unexpected: "there is a digest, and no key for this peer",
    "icmp_ignored": "ICMP errors are not believed (accept_icmps)",
}

log = logging.getLogger("edotun.ao")


class Watcher(DropWatcher):
    """What has been told already of one stack's drops."""

    __slots__ = ()

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack, _WORDS, lambda reason: "TCP-MD5" if reason.startswith("md5") else "TCP-AO")


def tell_drops(stack: Stack, say: Callable[[str], object] = log.warning) -> AbstractAsyncContextManager[None]:
    """Inside, ``say`` gets a line for each reason for which segments were dropped, at most one a second."""
    return telling(Watcher(stack), say, _EVERY)
