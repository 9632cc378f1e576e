"""HyStart++ (RFC 9406): leave the first slow start when the round trips grow, before a queue overflows."""

from __future__ import annotations

import math
from typing import Final

# RFC 9406 §4.3, times in seconds.
_MIN_RTT_THRESH: Final = 0.004
_MAX_RTT_THRESH: Final = 0.016
_MIN_RTT_DIVISOR: Final = 8
_N_RTT_SAMPLE: Final = 8
_CSS_GROWTH_DIVISOR: Final = 4
_CSS_ROUNDS: Final = 5


class HyStart:
    """What is observed of one connection's first slow start.

    ``divisor`` is by what the growth of the window is divided: 1 in slow start, 4 in conservative slow start
    (CSS, RFC 9406 §4.2). Round trips are seconds, infinite where none was measured.
    """

    __slots__ = ("_baseline", "_current", "_last", "_rounds", "_samples", "_window_end", "divisor")

    def __init__(self) -> None:
        self.divisor = 1
        self._last = math.inf
        self._current = math.inf
        self._baseline = math.inf
        self._samples = 0
        self._rounds = 0
        self._window_end = -1

    def sample(self, rtt: float, una: int, nxt: int) -> bool:
        """An acknowledgment up to ``una`` measured ``rtt``; ``nxt`` is SND.NXT. True: slow start is over."""
        if self._window_end < 0:
            self._window_end = nxt
        self._current = min(self._current, rtt)
        self._samples += 1
        if self._samples >= _N_RTT_SAMPLE:
            self._judge()
        if una < self._window_end:
            return False
        # The round ends with its last octet acknowledged (§4.2).
        self._window_end = nxt
        self._last = self._current
        self._current = math.inf
        self._samples = 0
        if self.divisor == 1:
            return False
        # A round in whose midst CSS began counts too.
        self._rounds += 1
        return self._rounds >= _CSS_ROUNDS

    def _judge(self) -> None:
        if self.divisor > 1:
            if self._current < self._baseline:
                # The delay was no queue of ours: slow start goes on.
                self.divisor = 1
                self._baseline = math.inf
            return
        threshold = max(_MIN_RTT_THRESH, min(self._last / _MIN_RTT_DIVISOR, _MAX_RTT_THRESH))
        if self._current >= self._last + threshold:
            self._baseline = self._current
            self._rounds = 0
            self.divisor = _CSS_GROWTH_DIVISOR
