"""Peers: what is remembered of others, bounded, expiring, visible and erasable (profile.md §2, §5)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

# How long a listener does not wait for OOB segments of a prefix from which they did not come, seconds.
OOB_MEMORY = 600.0
# ENO stays away from the first SYN this long, doubling up to the second figure, seconds.
ENO_SILENCE = 60.0
ENO_SILENCE_MAX = 600.0
# How long a cookie of Fast Open is kept after it was last good for something, seconds.
COOKIE_MEMORY = 86400.0
# How long a path is taken for as narrow as ICMP said, seconds (RFC 1191 §6.3).
PATH_MEMORY = 600.0
_LIMIT = 1024


@dataclass(frozen=True, slots=True)
class FastOpenCookie:
    """A server's cookie, the MSS that it named (octets, 0: none) and its option's form (RFC 7413 §4.1.3).

    Where Fast Open went without cookies there is an MSS alone.
    """

    cookie: bytes
    mss: int
    experimental: bool = False


@dataclass(slots=True)
class _Silence:
    until: float
    span: float


class Peers:
    """The one store of what a stack remembers of other hosts: at most 1,024 entries of each kind."""

    def __init__(self) -> None:
        self._no_oob: OrderedDict[bytes, float] = OrderedDict()
        self._no_eno: OrderedDict[bytes, _Silence] = OrderedDict()
        self._fast_open: OrderedDict[tuple[bytes, bytes], tuple[FastOpenCookie, float]] = OrderedDict()
        self._no_fast_open: OrderedDict[tuple[bytes, bytes, int], float] = OrderedDict()
        self._narrow: OrderedDict[bytes, tuple[int, float]] = OrderedDict()

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

    def fast_open_learned(self, local: bytes, remote: bytes, port: int, cookie: FastOpenCookie, now: float) -> None:
        """Fast Open got through to ``port`` of ``remote``: the latest cookie counts (RFC 7413 §4.1.3)."""
        self._no_fast_open.pop((local, remote, port), None)
        known = self._fast_open
        known[local, remote] = (cookie, now + COOKIE_MEMORY)
        known.move_to_end((local, remote))
        if len(known) > _LIMIT:
            known.popitem(last=False)

    def fast_open_cookie(self, local: bytes, remote: bytes, now: float) -> FastOpenCookie | None:
        """The cookie that ``remote`` gave to ``local``."""
        found = self._fast_open.get((local, remote))
        if found is None:
            return None
        if found[1] <= now:
            del self._fast_open[local, remote]
            return None
        return found[0]

    def fast_open_failed(self, local: bytes, remote: bytes, port: int, now: float, pause: float) -> None:
        """Fast Open did not get through: the path is left alone for ``pause`` seconds (RFC 7413 §4.1.3.1)."""
        doubted = self._no_fast_open
        doubted[local, remote, port] = now + pause
        doubted.move_to_end((local, remote, port))
        if len(doubted) > _LIMIT:
            doubted.popitem(last=False)

    def fast_open_in_doubt(self, local: bytes, remote: bytes, port: int, now: float) -> bool:
        """Whether a SYN on this path is to be plain."""
        until = self._no_fast_open.get((local, remote, port))
        if until is None:
            return False
        if until <= now:
            del self._no_fast_open[local, remote, port]
            return False
        return True

    def narrow_path(self, address: bytes, mtu: int, now: float) -> None:
        """ICMP says that the path to ``address`` takes packets of ``mtu`` octets."""
        self._narrow[address] = (mtu, now + PATH_MEMORY)
        self._narrow.move_to_end(address)
        if len(self._narrow) > _LIMIT:
            self._narrow.popitem(last=False)

    def path_mtu(self, address: bytes, mtu: int, now: float) -> int:
        """What is remembered of the path to ``address``, octets, at most ``mtu``."""
        known, until = self._narrow.get(address, (mtu, now))
        return min(known, mtu) if until > now else mtu

    def forget(self) -> int:
        """Erase everything; returns how many entries there were."""
        count = len(self)
        for kind in self._kinds:
            kind.clear()
        return count

    def __len__(self) -> int:
        return sum(map(len, self._kinds))

    @property
    def _kinds(self) -> tuple[OrderedDict[Any, Any], ...]:
        return (self._no_oob, self._no_eno, self._fast_open, self._no_fast_open, self._narrow)


def _prefix(address: bytes) -> bytes:
    return address[:3] if len(address) == 4 else address[:7]
