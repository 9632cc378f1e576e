"""Bursts: runs as long as a network card would take them, and PSH where a write or a burst ends.

RFC 9293 §3.9.1.2 asks for PSH on the last segment of what is buffered (MUST-61) and lets SENDs push (MAY-15). With
``TcpConfig.burst_segments`` every write and every burst of several segments is pushed, and a burst is what the
pacing rate lets go in about a millisecond: the habit of Linux with segmentation offload.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .tcb import Tcb

_LONGEST: Final = 1 << 16
# A burst grows by the longest one, halved for each so many seconds of the least round trip.
_NEAR: Final = 512e-6
_SHARE: Final = 1 / 1024


def size(tcb: Tcb) -> int:
    """The most octets of one burst."""
    control = tcb.control
    smss = tcb.segment_size
    srtt = tcb.rtt.srtt
    # Before any round trip was measured nothing but the window bounds them.
    octets = float(_LONGEST)
    if srtt > 0.0:
        gain = 2.0 if 2 * control.cwnd < control.ssthresh else 1.2
        octets = gain * max(control.cwnd, tcb.snd_nxt - tcb.snd_una) / srtt * _SHARE
        octets += _LONGEST >> min(int(tcb.rtt.least / _NEAR), 32)
    segments = max(int(min(octets, _LONGEST)) // smss, tcb.config.burst_segments)
    return min(segments, max(control.cwnd // smss // 2, 1)) * smss
