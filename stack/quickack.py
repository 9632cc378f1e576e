"""Quick acknowledgments: every segment is acknowledged at once until the connection turns out to be a dialogue.

RFC 9293 §3.8.6.3 leaves open when an acknowledgment within the half second goes; this is Linux's habit, for who
asks for it (``TcpConfig.quick_acks``): who does not delay lets the peer's slow start go at its full pace.
"""

from __future__ import annotations

from typing import Final

# The longest that an acknowledgment is delayed, seconds.
_LONGEST: Final = 0.2
_TICK: Final = 0.001
_LEAST: Final = 2


class QuickAcks:
    """``left`` acknowledgments go at once, ``most`` when a transfer begins; ``dialogue``: octets of ours answer the
    peer's, so that acknowledgments can travel with them; ``delay`` (seconds, 0: nothing came yet, no less than
    ``least``) follows the intervals at which text arrives, ``came_at`` is when it did last.
    """

    __slots__ = ("came_at", "delay", "dialogue", "least", "left", "most")

    def __init__(self, most: int, least: float, now: float) -> None:
        self.most = most
        self.least = least
        self.left = 0
        self.delay = 0.0
        self.came_at = now
        self.dialogue = False

    def text_came(self, now: float, segments: int, rto: float) -> None:
        """Text arrived, next in order; the window has room for ``segments``, ``rto`` is the RTO in seconds."""
        silence = now - self.came_at
        if not self.delay:
            self._begin(segments)
            self.delay = self.least
        elif silence <= self.least / 2:
            self.delay = self.delay / 2 + self.least / 2
        elif silence < self.delay:
            self.delay = min(self.delay / 2 + silence, rto, _LONGEST)
        elif silence > rto:
            # The peer begins anew after a pause.
            self._begin(segments)
        self.came_at = now

    def _begin(self, segments: int) -> None:
        self.left = max(self.left, min(segments // 2 or _LEAST, self.most))

    def expect_dialogue(self) -> None:
        """Octets are about to be sent: if soon, they begin a dialogue; until then all goes at once."""
        self.delay = self.least
        self.left = self.most

    def data_sent(self, now: float) -> None:
        """Octets go out: soon after some came they are an answer."""
        if now - self.came_at < self.delay:
            self.dialogue = True

    def acknowledged(self) -> None:
        """A segment that acknowledges was sent."""
        if self.left:
            self.left -= 1

    def fin_came(self) -> None:
        """The peer has no more to say: what is left to send will carry the acknowledgment."""
        self.dialogue = True

    @property
    def at_once(self) -> bool:
        """Whether what came is acknowledged without a delay."""
        return self.left > 0 and not self.dialogue

    def wait(self, srtt: float) -> float:
        """How long an acknowledgment waits, seconds; ``srtt`` bounds it."""
        # Where no text ever came, a FIN waits no longer than a tick of the clock.
        delay = self.delay or _TICK
        return min(delay, max(srtt, self.least)) if srtt else delay

    def timed_out(self, rto: float) -> None:
        """The delay was over before octets of ours could carry the acknowledgment."""
        if self.dialogue:
            self.dialogue = False
            self.delay = self.least
        else:
            self.delay = min(2 * self.delay, rto)
