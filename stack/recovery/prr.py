"""Proportional Rate Reduction (RFC 9937, which obsoletes RFC 6937): the reduction is spread over a round trip."""

from __future__ import annotations


class Prr:
    """One recovery. All in octets: ``ssthresh`` the window to end with, ``recover_fs`` RecoverFS (what was in
    flight when it began), ``delivered`` and ``out`` what arrived and was sent since (prr_delivered, prr_out).
    """

    __slots__ = ("delivered", "out", "recover_fs", "ssthresh")

    def __init__(self, ssthresh: int, recover_fs: int) -> None:
        self.ssthresh = ssthresh
        self.recover_fs = recover_fs
        self.delivered = 0
        self.out = 0

    def budget(self, delivered: int, pipe: int, smss: int, *, safe: bool) -> int:
        """RFC 9937 §6.2: SndCnt, how many octets may be sent in response to an ACK of ``delivered`` octets.

        ``safe`` is SafeACK: SND.UNA advanced, and nothing more was found lost; only then may the pipe grow
        (PRR-SSRB instead of PRR-CRB), else what the path has no room for would be lost again. Proportional
        budgets are rounded up to whole segments.
        """
        self.delivered += delivered
        if pipe > self.ssthresh:
            due = -(-self.delivered * self.ssthresh // self.recover_fs)
            count = max(-(-due // smss) * smss - self.out, 0)
        else:
            limit = max(self.delivered - self.out, delivered)
            if safe:
                limit += smss
            count = min(self.ssthresh - pipe, limit)
        # The first retransmission goes at once.
        return count or (0 if self.out else smss)
