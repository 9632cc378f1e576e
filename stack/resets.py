"""The reset that answers a segment for which there is no connection (RFC 9293 §3.10.7.1)."""

from __future__ import annotations

from .run import ACK, RST, SYN

_MASK = 0xFFFFFFFF


def reset_for(run_seq: int, ack: int, flags: int, length: int) -> tuple[int, int, int] | None:
    """Return (SEQ, ACK, flags) of the RST that answers a segment, None where the segment itself is a RST.

    ``run_seq`` and ``ack`` are the segment's 32-bit fields and ``length`` is SEG.LEN, SYN and FIN counted (octets);
    the numbers returned have 32 bits (RFC 9293 §3.10.7.1).
    """
    if flags & RST:
        return None
    if flags & ACK:
        return ack & _MASK, 0, RST
    return 0, (run_seq + length) & _MASK, RST | ACK


def swallowed(flags: int, blackhole: str) -> bool:
    """Whether a segment with ``flags`` is swallowed as by a black hole: of ``syn`` what begins a connection."""
    return blackhole == "all" or (blackhole == "syn" and flags & (SYN | ACK) == SYN)
