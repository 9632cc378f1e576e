"""Peers: what is remembered of others, bounded, expiring, visible and erasable (profile.md §2, §5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from .ip import address_text
from .remembered import Remembered, Row
from .tickets import Tickets

# How long a listener does not wait for OOB segments of a prefix from which they did not come, seconds.
OOB_MEMORY = 600.0
# ENO stays away from the first SYN, and SYN-EOS from all, this long, doubling up to the second figure, seconds.
ENO_SILENCE = 60.0
ENO_SILENCE_MAX = 600.0
# How long a cookie of Fast Open is kept after it was last good for something, seconds.
COOKIE_MEMORY = 86400.0
# How long a server is taken to speak SYN-EOS after it has confirmed it, seconds.
SYN_EOS_MEMORY = 3600.0
# How long a path is taken for as narrow as ICMP said, seconds (RFC 1191 §6.3).
PATH_MEMORY = 600.0
# EDO is not tried with a peer where it was damaged this long, doubling up to the second figure, seconds.
EDO_DAMAGE: Final = 600.0
EDO_DAMAGE_MAX: Final = 86400.0


@dataclass(frozen=True, slots=True)
class FastOpenCookie:
    """A server's cookie, the MSS that it named (octets, 0: none) and its option's form (RFC 7413 §4.1.3).

    Where Fast Open went without cookies there is an MSS alone.
    """

    cookie: bytes
    mss: int
    experimental: bool = False


class Peers:
    """The one store of what a stack remembers of other hosts.

    Each kind of it is a ``Remembered`` in ``kinds``: one that is added is listed, bounded and erased with the rest.
    """

    def __init__(self) -> None:
        self._no_oob: Remembered[bytes, None] = Remembered("oob-missed", _prefix_row, _covers)
        self._no_eno: Remembered[bytes, float] = Remembered("eno-silence", _peer_row, _is, keep=ENO_SILENCE_MAX)
        self._no_placement: Remembered[tuple[bytes, str], tuple[str, float]] = Remembered(
            "placement-failed", _placement_row, _of, keep=ENO_SILENCE_MAX
        )
        self._no_keys: Remembered[bytes, tuple[str, float]] = Remembered(
            "agreement-failed", _failure_row, _is, keep=ENO_SILENCE_MAX
        )
        self._fast_open: Remembered[tuple[bytes, bytes], FastOpenCookie] = Remembered(
            "fast-open-cookie", _cookie_row, _remote
        )
        self._no_fast_open: Remembered[tuple[bytes, bytes, int], None] = Remembered(
            "fast-open-failed", _path_row, _remote
        )
        self._narrow: Remembered[bytes, int] = Remembered("narrow-path", _narrow_row, _is)
        self._no_edo: Remembered[bytes, tuple[str, float]] = Remembered(
            "edo-damaged", _damage_row, _is, keep=EDO_DAMAGE_MAX
        )
        self._syn_eos: Remembered[bytes, None] = Remembered("syn-eos", _peer_row, _is)
        self.tickets = Tickets()
        self._no_syn_eos: Remembered[bytes, float] = Remembered(
            "syn-eos-silence", _peer_row, _is, keep=ENO_SILENCE_MAX
        )
        self.kinds: list[Remembered[Any, Any]] = [
            self._no_edo,
            self._no_eno,
            self._no_oob,
            self._syn_eos,
            self._no_syn_eos,
            self._no_placement,
            self._no_keys,
            self._fast_open,
            self._no_fast_open,
            self._narrow,
            self.tickets.offers,
            self.tickets.takes,
        ]

    # --- what concerns all kinds -------------------------------------------------------------------------

    def rows(self, now: float) -> Iterator[Row]:
        """Everything that is remembered and believed at ``now``, kind by kind."""
        for kind in self.kinds:
            yield from kind.rows(now)

    def forget(self, address: bytes | None = None, kind: str | None = None) -> int:
        """Erase everything, or what is of one ``kind`` or concerns one ``address`` (4 or 16 octets).

        Returns how many entries there were; ValueError for a kind that is none.
        """
        if kind is not None and all(known.kind != kind for known in self.kinds):
            raise ValueError(f"{kind!r} is not one of {', '.join(known.kind for known in self.kinds)}")
        return sum(known.erase(address) for known in self.kinds if kind in (None, known.kind))

    def __len__(self) -> int:
        return sum(map(len, self.kinds))

    # --- EDO (draft-ietf-tcpm-tcp-edo, caching of failures) ----------------------------------------------

    def edo_damaged(self, address: bytes, how: str, now: float) -> None:
        """EDO was agreed on with ``address``, or offered to it, and something on the path damaged it; ``how``: a
        few words for those who look.
        """
        known = self._no_edo.before(address, now)
        span = EDO_DAMAGE if known is None else min(known[1] * 2, EDO_DAMAGE_MAX)
        self._no_edo.put(address, (how, span), now + span)

    @property
    def latest_edo_damage(self) -> tuple[str, str] | None:
        """The latest peer where EDO was damaged, and how."""
        latest = self._no_edo.latest
        return None if latest is None else (address_text(latest[0]), latest[1][0])

    def edo_is_damaged(self, address: bytes, now: float) -> bool:
        """Whether EDO is better left alone with ``address``."""
        return self._no_edo.get(address, now) is not None

    # --- SYN-EOS, and key agreement (profile.md §1, §2, §5) ----------------------------------------------

    def oob_missed(self, address: bytes, now: float) -> None:
        """An announced OOB did not come from ``address``: its /24 or /56 is remembered for 10 minutes."""
        self._no_oob.put(_prefix(address), None, now + OOB_MEMORY)

    def awaits_oob(self, address: bytes, now: float) -> bool:
        """Whether it is worth waiting for an OOB from ``address``."""
        return not self._no_oob.holds(_prefix(address), now)

    def syn_eos_confirmed(self, address: bytes, now: float) -> None:
        """A SYN-ACK of ``address`` confirmed SYN-EOS."""
        self._syn_eos.put(address, None, now + SYN_EOS_MEMORY)

    def syn_eos_met_silence(self, address: bytes, now: float) -> None:
        """SYNs with SYN-EOS were not answered by ``address`` and one without was."""
        known = self._no_syn_eos.before(address, now)
        span = ENO_SILENCE if known is None else min(known * 2, ENO_SILENCE_MAX)
        self._no_syn_eos.put(address, span, now + span)

    def syn_eos_is_swallowed(self, address: bytes, now: float) -> bool:
        """Whether SYNs to ``address`` are better without SYN-EOS."""
        return self._no_syn_eos.holds(address, now)

    def speaks_syn_eos(self, address: bytes, now: float) -> bool:
        """Whether ``address`` may be sent an out-of-band segment with ACK (profile.md §1)."""
        return self._syn_eos.holds(address, now)

    def eno_met_silence(self, address: bytes, now: float) -> None:
        """SYNs with ENO were not answered by ``address`` and a plain one was."""
        known = self._no_eno.before(address, now)
        span = ENO_SILENCE if known is None else min(known * 2, ENO_SILENCE_MAX)
        self._no_eno.put(address, span, now + span)

    def eno_is_swallowed(self, address: bytes, now: float) -> bool:
        """Whether a first SYN to ``address`` should go without ENO under policy ``prefer``."""
        return self._no_eno.holds(address, now)

    def placement_failed(self, address: bytes, placement: str, reason: str, now: float) -> None:
        """No keys came about with ``address`` by ``placement``: another is tried first for 60 s, doubling."""
        known = self._no_placement.before((address, placement), now)
        span = ENO_SILENCE if known is None else min(known[1] * 2, ENO_SILENCE_MAX)
        self._no_placement.put((address, placement), (reason, span), now + span)

    def placement_served(self, address: bytes, placement: str) -> None:
        """Keys were agreed on by ``placement``."""
        self._no_placement.drop((address, placement))
        self._no_keys.drop(address)

    def placement_fails(self, address: bytes, placement: str, now: float) -> bool:
        """Whether a placement failed with ``address`` a short while ago."""
        return self._no_placement.holds((address, placement), now)

    def agreement_failed(self, address: bytes, reason: str, now: float) -> None:
        """``address`` speaks TCP-ENO and no keys came about: less is waited for it for 60 s, doubling."""
        known = self._no_keys.before(address, now)
        span = ENO_SILENCE if known is None else min(known[1] * 2, ENO_SILENCE_MAX)
        self._no_keys.put(address, (reason, span), now + span)

    def agreement_fails(self, address: bytes, now: float) -> bool:
        """Whether an agreement with ``address`` failed a short while ago."""
        return self._no_keys.holds(address, now)

    # --- Fast Open (RFC 7413) ----------------------------------------------------------------------------

    def fast_open_learned(self, local: bytes, remote: bytes, port: int, cookie: FastOpenCookie, now: float) -> None:
        """Fast Open got through to ``port`` of ``remote``: the latest cookie counts (RFC 7413 §4.1.3)."""
        self._no_fast_open.drop((local, remote, port))
        self._fast_open.put((local, remote), cookie, now + COOKIE_MEMORY)

    def fast_open_cookie(self, local: bytes, remote: bytes, now: float) -> FastOpenCookie | None:
        """The cookie that ``remote`` gave to ``local``."""
        return self._fast_open.get((local, remote), now)

    def fast_open_failed(self, local: bytes, remote: bytes, port: int, now: float, pause: float) -> None:
        """Fast Open did not get through: the path is left alone for ``pause`` seconds (RFC 7413 §4.1.3.1)."""
        self._no_fast_open.put((local, remote, port), None, now + pause)

    def fast_open_in_doubt(self, local: bytes, remote: bytes, port: int, now: float) -> bool:
        """Whether a SYN on this path is to be plain."""
        return self._no_fast_open.holds((local, remote, port), now)

    # --- paths -------------------------------------------------------------------------------------------

    def narrow_path(self, address: bytes, mtu: int, now: float) -> None:
        """ICMP says that the path to ``address`` takes packets of ``mtu`` octets."""
        self._narrow.put(address, mtu, now + PATH_MEMORY)

    def path_mtu(self, address: bytes, mtu: int, now: float) -> int:
        """What is remembered of the path to ``address``, octets, at most ``mtu``."""
        known = self._narrow.get(address, now)
        return mtu if known is None else min(known, mtu)


# Which address an entry concerns, and how it is shown.


def _is(key: bytes, address: bytes) -> bool:
    return key == address


def _of(key: tuple[bytes, str], address: bytes) -> bool:
    return key[0] == address


def _remote(key: tuple[Any, ...], address: bytes) -> bool:
    return bool(key[1] == address)


def _covers(prefix: bytes, address: bytes) -> bool:
    return prefix == _prefix(address)


def _peer_row(address: bytes, _: object) -> Row:
    return {"peer": address_text(address)}


def _prefix_row(prefix: bytes, _: object) -> Row:
    size = 4 if len(prefix) == 3 else 16
    return {"peer": f"{address_text(prefix.ljust(size, bytes(1)))}/{8 * len(prefix)}"}


def _placement_row(place: tuple[bytes, str], failure: tuple[str, float]) -> Row:
    return {"peer": address_text(place[0]), "placement": place[1], "reason": failure[0]}


def _failure_row(address: bytes, failure: tuple[str, float]) -> Row:
    return {"peer": address_text(address), "reason": failure[0]}


def _narrow_row(address: bytes, mtu: int) -> Row:
    return {"peer": address_text(address), "mtu": mtu}


def _damage_row(address: bytes, damage: tuple[str, float]) -> Row:
    return {"peer": address_text(address), "how": damage[0]}


def _cookie_row(ends: tuple[bytes, bytes], cookie: FastOpenCookie) -> Row:
    # The cookie itself lets its holder open fast in our name: it is not shown.
    return {"peer": address_text(ends[1]), "local": address_text(ends[0]), "mss": cookie.mss}


def _path_row(path: tuple[bytes, bytes, int], _: object) -> Row:
    return {"peer": address_text(path[1]), "local": address_text(path[0]), "port": path[2]}


def _prefix(address: bytes) -> bytes:
    return address[:3] if len(address) == 4 else address[:7]
