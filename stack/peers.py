"""Peers: what is remembered of others, bounded, expiring, visible and erasable (profile.md §2, §5)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

# How long a listener does not wait for OOB segments of a prefix from which they did not come, seconds.
OOB_MEMORY = 600.0
# ENO stays away from the first SYN this long, doubling up to the second figure, seconds.
ENO_SILENCE = 60.0
ENO_SILENCE_MAX = 600.0
_LIMIT = 1024


@dataclass(slots=True)
class _Silence:
    until: float
    span: float


class Peers:
    """The one store of what a stack remembers of other hosts: at most 1,024 entries of each kind."""

    def __init__(self) -> None:
        self._no_oob: OrderedDict[bytes, float] = OrderedDict()
        self._no_eno: OrderedDict[bytes, _Silence] = OrderedDict()

    def oob_missed(self, address: bytes, now: float) -> None:
        """An announced OOB did not come from ``address``: its /24 or /56 is remembered for 10 minutes."""
        prefix = _prefix(address)
        self._no_oob[prefix] = now + OOB_MEMORY
        self._no_oob.move_to_end(prefix)
        if len(self._no_oob) > _LIMIT:
            self._no_oob.popitem(last=False)

    def awaits_oob(self, address: bytes, now: float) -> bool:
        """Whether it is worth waiting for an OOB from ``address``."""
        prefix = _prefix(address)
        until = self._no_oob.get(prefix)
        if until is None:
            return True
        if until <= now:
            del self._no_oob[prefix]
            return True
        return False

    def eno_met_silence(self, address: bytes, now: float) -> None:
        """SYNs with ENO were not answered by ``address`` and a plain one was."""
        known = self._no_eno.get(address)
        span = ENO_SILENCE if known is None else min(known.span * 2, ENO_SILENCE_MAX)
        self._no_eno[address] = _Silence(now + span, span)
        self._no_eno.move_to_end(address)
        if len(self._no_eno) > _LIMIT:
            self._no_eno.popitem(last=False)

    def eno_is_swallowed(self, address: bytes, now: float) -> bool:
        """Whether a first SYN to ``address`` should go without ENO under policy ``prefer``."""
        known = self._no_eno.get(address)
        return known is not None and known.until > now

    def forget(self) -> int:
        """Erase everything; returns how many entries there were."""
        count = len(self._no_oob) + len(self._no_eno)
        self._no_oob.clear()
        self._no_eno.clear()
        return count

    def __len__(self) -> int:
        return len(self._no_oob) + len(self._no_eno)


def _prefix(address: bytes) -> bytes:
    return address[:3] if len(address) == 4 else address[:7]
