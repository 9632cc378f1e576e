"""The search for the largest packet that a path takes, by probes alone (RFC 8899 §5, RFC 4821 §7).

Only sizes are known here, in octets of whole IP packets, and what became of probes; when a probe goes, how it is
cut from the stream and how its loss is found is told in ``pmtu``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

# RFC 8899 §5.1.2: so many probes of one size are lost before it is taken for too large.
MAX_PROBES: Final = 3
# RFC 8899 §5.1.1: how long a size that was found is kept before a larger one is tried again, seconds.
PMTU_RAISE_TIMER: Final = 600.0
# Sizes at which paths are known to end (RFC 8899 §5.3.2, RFC 4821 §7.3): tunnels in Ethernet, Ethernet, rings.
_COMMON: Final = (576, 1006, 1280, 1340, 1380, 1400, 1420, 1440, 1450, 1472, 1480, 1492, 1500, 4352, 8166)
# Less is not worth another probe, octets (RFC 4821 §7.3: probing has converged).
_WORTH: Final = 8


class SearchState(StrEnum):
    """The states of RFC 8899 §5.2; a connection without a ``PathSearch`` is in DISABLED."""

    BASE = "BASE"
    SEARCHING = "SEARCHING"
    SEARCH_COMPLETE = "SEARCH_COMPLETE"
    ERROR = "ERROR"


class PathSearch:
    """One path's search under the names of RFC 8899 §5.1.

    ``plpmtu`` is the largest size in use (search_low of RFC 4821 §7.1), ``high`` the least that was lost and is
    therefore in doubt (search_high + 1), beyond ``max_plpmtu`` where there is none. ``probed_size`` is that of the
    probe under way, which has the stream numbers [start, end); ``probe_count`` how many of size ``high`` (in
    BASE: of BASE_PLPMTU) were lost one after the other; ``hint`` what is to be tried first (0: none);
    ``before`` the size that the latest raise replaced. ``probes`` and ``lost`` count all, for reports.

    A size that was lost once is believed too large while there are smaller ones to try, since a search should lose
    little; when nothing is left between, it is probed again until it was lost MAX_PROBES times. So a probe that
    was lost by chance costs time and never the size.
    """

    __slots__ = (
        "base_plpmtu",
        "before",
        "end",
        "high",
        "hint",
        "lost",
        "max_plpmtu",
        "min_plpmtu",
        "plpmtu",
        "probe_count",
        "probed_size",
        "probes",
        "start",
        "state",
    )

    def __init__(self, least: int, base: int, most: int) -> None:
        self.min_plpmtu = least
        self.base_plpmtu = min(base, most)
        self.max_plpmtu = most
        self.plpmtu = self.before = self.base_plpmtu
        self.high = most + 1
        self.hint = 0
        self.state = SearchState.BASE
        self.probed_size = 0
        self.probe_count = 0
        self.probes = 0
        self.lost = 0
        self.start = 0
        self.end = 0

    # --- what is probed ----------------------------------------------------------------------------------

    @property
    def ceiling(self) -> int:
        """The largest size worth probing in this state: in ERROR it is BASE_PLPMTU that has to be confirmed."""
        return self.base_plpmtu if self.state is SearchState.ERROR else self.max_plpmtu

    def next_size(self) -> int:
        """The size of the next probe, 0 if the search has ended (RFC 8899 §5.3.2)."""
        low = self.plpmtu
        ceiling = self.ceiling
        if low >= ceiling:
            return 0
        if low < self.hint <= ceiling:
            return self.hint
        high = self.high
        if high > ceiling:
            # Nothing was lost yet: most paths take what the link takes.
            return ceiling
        for size in _COMMON:
            # Upwards: a probe that arrives costs nothing, one that is lost costs many round trips (RFC 4821 §7.3).
            if low < size < high:
                return size
        if high - low > _WORTH:
            return (low + high) // 2
        return high if self.probe_count < MAX_PROBES else 0

    def sent(self, size: int, start: int, end: int) -> None:
        """A probe of ``size`` goes out with the stream numbers [start, end)."""
        self.probed_size = size
        self.hint = 0
        self.start = start
        self.end = end
        self.probes += 1

    # --- what became of it -------------------------------------------------------------------------------

    def acknowledged(self) -> None:
        """The probe has arrived: the path takes its size."""
        size = self.probed_size
        self.before = self.plpmtu
        self.plpmtu = size
        if size >= self.high:
            # What was lost at this size was lost by chance.
            self.high = self.max_plpmtu + 1
            self.probe_count = 0
        if self.state is SearchState.BASE:
            self.state = SearchState.SEARCHING
            self.probe_count = self.high <= self.max_plpmtu
        elif self.state is SearchState.ERROR and size >= self.base_plpmtu:
            self.state = SearchState.SEARCHING
            self.high = self.max_plpmtu + 1
        self._settle()

    def failed(self) -> None:
        """The probe and nothing else was lost (RFC 4821 §7.6.2)."""
        self.lost += 1
        if self.probed_size == self.high:
            self.probe_count += 1
        elif self.probed_size < self.high:
            self.high = self.probed_size
            self.probe_count = 1
        self._settle()

    def refused(self, size: int) -> None:
        """A router says that it takes ``size`` and no more (RFC 8899 §4.6.2): the next and last to be probed."""
        self.high = size + 1
        self.probe_count = MAX_PROBES
        self.hint = size
        self._settle()

    def base_lost(self) -> bool:
        """In BASE, or at BASE_PLPMTU, another timeout: is that MAX_PROBES now, which leads to ERROR?"""
        self.probe_count += 1
        return self.probe_count >= MAX_PROBES

    def _settle(self) -> None:
        """SEARCH_COMPLETE if there is nothing left to probe."""
        if self.state is SearchState.SEARCHING and not self.next_size():
            self.state = SearchState.SEARCH_COMPLETE

    # --- what happens to the path ------------------------------------------------------------------------

    def resume(self) -> None:
        """PMTU_RAISE_TIMER has expired: has the path become as wide as it can, or a little wider?"""
        if self.state is SearchState.SEARCH_COMPLETE:
            self.state = SearchState.SEARCHING
        self.hint = self.ceiling
        self.probe_count = MAX_PROBES - 1

    def black_hole(self) -> None:
        """Packets of PLPMTU do not get through any more: confirm BASE_PLPMTU, then search again (RFC 8899 §4.3)."""
        self.state = SearchState.BASE
        self.high = self.plpmtu if self.plpmtu > self.base_plpmtu else self.max_plpmtu + 1
        self.plpmtu = self.before = self.base_plpmtu
        self.probe_count = 1
        self.hint = 0

    def error(self, size: int) -> None:
        """BASE_PLPMTU does not get through either: go on with ``size``, and look for what does (RFC 8899 §5.4)."""
        self.state = SearchState.ERROR
        self.plpmtu = self.before = size
        self.high = self.base_plpmtu + 1
        self.probe_count = 0
        self.hint = 0

    def complete(self, size: int) -> None:
        """Keep ``size`` until PMTU_RAISE_TIMER expires."""
        self.state = SearchState.SEARCH_COMPLETE
        self.plpmtu = self.before = size
        self.high = size + 1
        self.probe_count = MAX_PROBES
        self.hint = 0
