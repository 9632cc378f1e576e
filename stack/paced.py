"""Paced output: what the window allows is spread over time by a pacer, instead of sent at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from . import delivery, sender
from .pacing import DEFAULT, OFF, Pacer, find
from .tcb import NEVER

if TYPE_CHECKING:
    from .tcb import Tcb

# Where the controller names no rate: this much more than a window a round trip, in slow start and after.
_SLOW_START_GAIN: Final = 2.0
_GAIN: Final = 1.2


def established(tcb: Tcb) -> None:
    """Data may be sent: paced where the controller needs it or the configuration asks for it."""
    name = tcb.config.pacing
    if name != OFF or tcb.control.needs_pacing:
        tcb.control.paced = True
        tcb.pacer = find(DEFAULT if name == OFF else name)()
        update(tcb, tcb.pacer)


def update(tcb: Tcb, pacer: Pacer) -> None:
    """Take the rate that the controller wants, or one by window and round trip."""
    control = tcb.control
    if not control.paced:
        return
    rate = control.pacing_rate
    if not rate and tcb.rtt.srtt > 0.0:
        # In slow start the window doubles each round trip (RFC 5681 §3.1), so the rate does too.
        gain = _SLOW_START_GAIN if 2 * control.cwnd < control.ssthresh else _GAIN
        rate = gain * control.cwnd / tcb.rtt.srtt
    pacer.rate = rate
    pacer.window = control.cwnd


def output(tcb: Tcb, now: float) -> None:
    """Queue what may be sent now, at most the pacer's credit; what waits for its time alone gets a deadline."""
    pacer = tcb.pacer
    if pacer is None:
        sender.output(tcb, now)
        return
    tcb.pace_at = NEVER
    smss = tcb.segment_size
    update(tcb, pacer)
    if pacer.open(now, smss) or tcb.loss.tail_probe:
        sender.output(tcb, now)
        if tcb.rates is not None:
            delivery.limited_by_application(tcb, tcb.rates)
    if pacer.credit < smss and _waiting(tcb):
        tcb.pace_at = pacer.next_at


def _waiting(tcb: Tcb) -> bool:
    if tcb.scoreboard.waiting:
        return True
    return tcb.snd_nxt < tcb.sending.end + tcb.fin_queued and not tcb.hold_data
