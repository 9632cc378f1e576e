"""Delivery-rate samples (draft-cheng-iccrg-delivery-rate-estimation): how fast octets arrive at the peer.

Names are the draft's, in octets instead of packets.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from typing import Final

_NONE: Final = -1.0


class Sending:
    """What was known when octets were sent at ``sent_at``, seconds (P.* of the draft's §3.2)."""

    __slots__ = ("app_limited", "delivered", "delivered_time", "first_sent_time", "sent_at")

    def __init__(
        self, sent_at: float, delivered: int, delivered_time: float, first_sent_time: float, app_limited: bool
    ) -> None:
        self.sent_at = sent_at
        self.delivered = delivered
        self.delivered_time = delivered_time
        self.first_sent_time = first_sent_time
        self.app_limited = app_limited


class RateSample:
    """What one acknowledgment tells.

    ``rate`` in octets a second, -1 if it tells none; ``app_limited``: the application may have been the limit;
    ``rtt`` in seconds, -1 if not measured; ``acked`` octets newly delivered, ``delivered`` all so far,
    ``prior_delivered`` those when the newest of them was sent; ``in_flight`` octets after it; ``lost`` octets that
    were taken for lost so far; ``recovering``: in loss recovery; ``smss`` octets of a segment; ``now`` seconds.
    """

    __slots__ = (
        "acked",
        "app_limited",
        "delivered",
        "in_flight",
        "lost",
        "now",
        "prior_delivered",
        "rate",
        "recovering",
        "rtt",
        "smss",
    )

    def __init__(
        self, now: float, acked: int, delivered: int, in_flight: int, lost: int, smss: int, *, recovering: bool
    ) -> None:
        self.now = now
        self.acked = acked
        self.delivered = delivered
        self.in_flight = in_flight
        self.lost = lost
        self.smss = smss
        self.recovering = recovering
        self.rate = _NONE
        self.rtt = _NONE
        self.prior_delivered = -1
        self.app_limited = False


class DeliveryRate:
    """C.* of the draft: ``delivered`` octets so far, ``delivered_time`` when the last of them were acknowledged,
    ``first_sent_time`` when the newest of them were sent, ``app_limited`` how many must be delivered until samples
    say again what the path can do (0: they do).
    """

    __slots__ = ("_sendings", "app_limited", "delivered", "delivered_time", "first_sent_time", "min_rtt")

    def __init__(self, now: float) -> None:
        self.delivered = 0
        self.delivered_time = now
        self.first_sent_time = now
        self.app_limited = 0
        self.min_rtt = _NONE
        self._sendings: deque[Sending] = deque()

    def on_sent(self, now: float, in_flight: int) -> None:
        """§3.2: octets are sent, again or for the first time; ``in_flight`` octets were under way before."""
        if not in_flight:
            self.first_sent_time = self.delivered_time = now
        sendings = self._sendings
        if sendings and sendings[-1].sent_at == now:
            return
        sendings.append(
            Sending(now, self.delivered, self.delivered_time, self.first_sent_time, self.app_limited > 0)
        )

    def on_app_limited(self, in_flight: int) -> None:
        """§3.4: everything that there is has been sent, and the window would take more."""
        self.app_limited = max(self.delivered + in_flight, 1)

    def on_delivered(
        self, sample: RateSample, covered: Iterable[tuple[float, int, int, bool]], oldest: float
    ) -> None:
        """§3.3: (sent_at, start, end, resent) is newly ``covered``; nothing sent before ``oldest`` is under way."""
        newest = _NONE
        for sent_at, start, end, resent in covered:
            octets = end - start
            sample.acked += octets
            newest = max(newest, sent_at)
            if not resent:
                rtt = sample.now - sent_at
                if sample.rtt < 0.0 or rtt < sample.rtt:
                    sample.rtt = rtt
        self.delivered += sample.acked
        self.delivered_time = sample.now
        sample.delivered = self.delivered
        if self.app_limited and self.delivered > self.app_limited:
            self.app_limited = 0
        if sample.rtt >= 0.0 and (self.min_rtt < 0.0 or sample.rtt < self.min_rtt):
            self.min_rtt = sample.rtt
        sending = self._find(newest)
        if sending is not None:
            self.first_sent_time = sending.sent_at
            sample.prior_delivered = sending.delivered
            sample.app_limited = sending.app_limited
            interval = max(sending.sent_at - sending.first_sent_time, sample.now - sending.delivered_time)
            # A shorter interval comes from compressed acknowledgments or clock steps.
            if interval > 0.0 and interval >= self.min_rtt:
                sample.rate = (self.delivered - sending.delivered) / interval
        while self._sendings and self._sendings[0].sent_at < oldest:
            self._sendings.popleft()

    def _find(self, sent_at: float) -> Sending | None:
        """What was noted at ``sent_at``."""
        sendings = self._sendings
        index = bisect_left(sendings, sent_at, key=_time)
        if index < len(sendings) and sendings[index].sent_at == sent_at:
            return sendings[index]
        return None


def _time(sending: Sending) -> float:
    return sending.sent_at
