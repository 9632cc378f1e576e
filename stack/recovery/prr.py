"""Proportional Rate Reduction (RFC 6937): the reduction of the window is spread over a round trip."""

from __future__ import annotations


class Prr:
    """One recovery. All in octets: ``ssthresh`` the window to end with, ``recover_fs`` RecoverFS (FlightSize when
    it began), ``delivered`` and ``out`` what arrived and what was sent since (prr_delivered, prr_out).
    """

    __slots__ = ("delivered", "out", "recover_fs", "ssthresh")

    def __init__(self, ssthresh: int, recover_fs: int) -> None:
        self.ssthresh = ssthresh
        self.recover_fs = recover_fs
        self.delivered = 0
        self.out = 0

    def budget(self, delivered: int, pipe: int, smss: int, *, slow_start: bool = True) -> int:
        """RFC 6937 §3: sndcnt, how many octets may be sent in response to an ACK of ``delivered`` octets.

        Rounded up to whole segments, as the examples of §3.1 are; the Reduction Bound is PRR-SSRB, or PRR-CRB where
        not ``slow_start``.
        """
        self.delivered += delivered
        if pipe > self.ssthresh:
            due = -(-self.delivered * self.ssthresh // self.recover_fs)
            return max(-(-due // smss) * smss - self.out, 0)
        limit = max(self.delivered - self.out, delivered) + (smss if slow_start else 0)
        return min(self.ssthresh - pipe, limit)
