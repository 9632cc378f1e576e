"""What a connection tells a controller that models delivery: samples of its acknowledgments."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .congestion.delivery_rate import DeliveryRate, RateSample
from .recovery import OPEN, in_flight

if TYPE_CHECKING:
    from .tcb import Tcb


def established(tcb: Tcb, now: float) -> None:
    """Data may be sent; only a controller that needs samples has them taken."""
    control = tcb.control
    if control.needs_rate:
        tcb.rates = DeliveryRate(now)
        control.start(tcb.rtt.srtt, tcb.iss)


def acknowledged(tcb: Tcb, rates: DeliveryRate, acked: int, now: float) -> None:
    """Take a sample of an acknowledgment that moved SND.UNA by ``acked`` octets.

    The scoreboard lists what it was the first to cover, or says that this is the beginning of one record.
    """
    board = tcb.scoreboard
    covered = board.delivered
    if acked and board.simple:
        covered = [(board.acked_sent_at, tcb.snd_una - acked, tcb.snd_una, False)]
    elif not covered:
        return
    sample = RateSample(now, 0, 0, in_flight(tcb), board.lost, tcb.segment_size, recovering=tcb.recovery != OPEN)
    oldest = board.flight.oldest
    rates.on_delivered(sample, covered, oldest.sent_at if oldest is not None else math.inf)
    tcb.control.on_delivered(sample)


def limited_by_application(tcb: Tcb, rates: DeliveryRate) -> None:
    """Nothing waits, and the window would take more (draft-cheng-iccrg-delivery-rate-estimation §3.4)."""
    pipe = in_flight(tcb)
    if tcb.snd_nxt >= tcb.sending.end and pipe < tcb.control.cwnd and not tcb.scoreboard.waiting:
        rates.on_app_limited(pipe)
