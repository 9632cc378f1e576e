"""The sweeps by which congestion control and recovery are judged: which links, and what they must carry."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from .matrix import product
from .scenario import Result, Scenario

CONTROLLERS: Final = ("cubic", "reno", "bbr")
# Devices at such rates (bit/s) hand packets over together, those of this time (seconds).
_FAST: Final = 500e6
_GATHER: Final = 100e-6
# Of what a formula predicts, or of the link, a controller must reach this part.
_OF_FORMULA: Final = 0.6
_OF_LINK: Final = 0.85
# The same with a queue of less than half a bandwidth-delay product: bursts of slow start overflow it long before
# the link is full, and Reno and CUBIC begin their slow way up from there.
_OF_LINK_SHALLOW: Final = {"bbr": 0.85, "cubic": 0.3, "reno": 0.2}
_SHALLOW: Final = 0.5
# The same with reordering where a window is hundreds of segments: what is sent again while slow start's overflow is
# repaired has younger timestamps than what it overtakes, which the receiver must drop (RFC 7323 §5.3 R1). Those are
# losses, and windows of this many octets grow back slowly.
_OF_LINK_REORDERED: Final = {"bbr": 0.85, "cubic": 0.5, "reno": 0.3}
_LONG_FAT: Final = 500_000
# An acknowledgment that fills a hole opens the window by eight segments only, however much it covers (RFC 9406
# §4.2), so with reordering slow start to such windows takes longer than a run of fewer round trips than these.
_OF_LINK_NOT_YET: Final = 0.1
_SLOW_START: Final = 40
# The same where a run is shorter than so many round trips with a full queue: what slow start overflowed is still
# being repaired when it ends.
_OF_LINK_BRIEF: Final = 0.6
_ROUNDS: Final = 10
# Equal flows must share the link like this (Jain's index).
_FAIR: Final = 0.9
# Ten flows of BBR's first version share less evenly: who measures the round trip while others fill the queue takes
# it for longer and has more under way, until all measure it at the same time.
_FAIR_TEN_BBR: Final = 0.7
# No silence of a sender may be longer than its RTO; the clock's grain is forgiven.
_OVERDUE: Final = 1.02
# RTT of a formula: acknowledgments of a single segment are delayed by 40 ms, every other one at the most.
_DELAYED: Final = 0.02


def quick() -> list[Scenario]:
    """Half a minute of work: each controller on clean, lossy, reordering and shared links."""
    base = Scenario(rate=5e6, rtt=0.05, seconds=10.0)
    return [
        *product(base, buffer=[0.5, 2.0], controller=CONTROLLERS),
        *product(replace(base, rtt=0.02), loss=[0.01], controller=CONTROLLERS),
        *product(replace(base, rate=2e6), loss=[0.05], controller=CONTROLLERS),
        *product(replace(base, rate=2e6), reorder=[0.02], controller=CONTROLLERS),
        *product(replace(base, rate=3e6, rtt=0.02, seconds=40.0), flows=[2], controller=CONTROLLERS),
        replace(base, rtt=0.3, seconds=20.0, controller="bbr"),
        replace(base, recovery="rfc6675"),
    ]


def full() -> list[Scenario]:
    """1 Mbit/s to 1 Gbit/s, 1 to 300 ms, losses to 5 %, reordering, three queues; two and ten flows."""
    scenarios: list[Scenario] = []
    for rate in (1e6, 10e6, 100e6, 1e9):
        for rtt in (0.001, 0.01, 0.05, 0.1, 0.3):
            fast = rate > _FAST
            base = Scenario(rate=rate, rtt=rtt, seconds=_seconds(rate, rtt), gather=_GATHER if fast else 0.0)
            scenarios += product(base, buffer=[0.25, 1.0, 4.0], controller=CONTROLLERS)
            scenarios += product(base, loss=[0.001, 0.01, 0.05], controller=CONTROLLERS)
            scenarios += product(base, reorder=[0.02], controller=CONTROLLERS)
    for rate, rtt in ((10e6, 0.02), (10e6, 0.1), (50e6, 0.02)):
        shared = Scenario(rate=rate, rtt=rtt, seconds=60.0)
        scenarios += product(shared, flows=[2, 10], rtt_ratio=[1.0, 4.0], controller=CONTROLLERS)
    scenarios += product(Scenario(rate=10e6, rtt=0.05, seconds=60.0), recovery=["rfc6675"], loss=[0.0, 0.01, 0.05])
    return scenarios


def _seconds(rate: float, rtt: float) -> float:
    """Long enough for slow start and some of what follows; fast links less, for their many packets."""
    if rate > _FAST:
        return 2.0 + 27 * rtt
    return min(max(50 * rtt, 5.0), 15.0) if rate > 50e6 else min(max(200 * rtt, 20.0), 60.0)


def formula(scenario: Scenario) -> float:
    """The goodput in bit/s that random loss leaves, not more than the link's; infinite without loss.

    Reno by Mathis and others (1997): MSS / RTT * sqrt(3 / 2p). CUBIC by RFC 9438 §5.1, equation 8, or that of Reno
    where it is more (§4.3).
    """
    if not scenario.loss:
        return math.inf
    segment = (scenario.mtu - 52) * 8
    rtt = scenario.rtt + _DELAYED
    window = math.sqrt(1.5 / scenario.loss)
    if scenario.controller == "cubic":
        window = max(window, (0.4 * 3.7 / (4 * 0.3)) ** 0.25 * (rtt / scenario.loss) ** 0.75)
    return min(window * segment / rtt, scenario.rate)


def floor(scenario: Scenario) -> float:
    """The least share of the link, 0-1, that its flows must have; 0 where nothing is asked."""
    if scenario.reorder and scenario.product > _LONG_FAT:
        share = _OF_LINK_REORDERED.get(scenario.controller, 0.0)
        if scenario.seconds < _SLOW_START * scenario.rtt:
            share = min(share, _OF_LINK_NOT_YET)
    elif scenario.buffer < _SHALLOW:
        share = _OF_LINK_SHALLOW.get(scenario.controller, 0.0)
    elif scenario.seconds < _ROUNDS * scenario.rtt * (1 + scenario.buffer):
        share = _OF_LINK_BRIEF
    else:
        share = _OF_LINK
    if not scenario.loss:
        return share
    if scenario.controller == "bbr":
        # Beyond a tenth of losses the model fails too; the 1-2 % must be kept nearly whole.
        return 0.8 if scenario.loss <= 0.02 else 0.6
    return min(share, _OF_FORMULA * formula(scenario) / scenario.rate)


def missed(result: Result) -> list[str]:
    """What the result falls short of, in words; nothing where it is as it must be."""
    scenario = result.scenario
    faults = []
    least = floor(scenario)
    if result.share < least:
        faults.append(f"share {result.share:.1%} < {least:.1%}")
    fair = _FAIR_TEN_BBR if scenario.flows > 2 and scenario.controller == "bbr" else _FAIR
    if scenario.flows > 1 and scenario.rtt_ratio == 1.0 and result.jain < fair:
        faults.append(f"Jain {result.jain:.3f} < {fair}")
    if result.overdue > _OVERDUE:
        faults.append(f"silent for {result.overdue:.2f} RTO")
    return faults


SWEEPS: Final = {"quick": quick, "full": full}
