"""More Accurate ECN (RFC 9768): the flags AE, CWR and ECE as a counter, ACE, of packets that came marked.

The SYN of a client has all three. The SYN-ACK, and the client's acknowledgment of it, tell how the SYN and the
SYN-ACK arrived (§3.1.1, §3.2.2.1); from then on each segment carries three bits of a count (§3.2.2). The options of
§3.2.3 are not used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .run import ACCURATE, AE, CWR, ECE, Run

if TYPE_CHECKING:
    from .tcb import Tcb

FLAGS: Final = AE | CWR | ECE
# Where both counts begin; a marked SYN or SYN-ACK counts (§3.2.2.1, §3.2.1).
_FIRST: Final = 5
_CE: Final = 3
# By the codepoint of the IP header with which a SYN or SYN-ACK came: what its answer says (§3.1.1, table 2).
_ARRIVED: Final = (CWR, CWR | ECE, AE, AE | CWR)
_MARKED: Final = AE | CWR


def counter(count: int) -> int:
    """The flags that tell ``count``, as a run has them."""
    return ACCURATE | (count & 1) * ECE | (count >> 1 & 1) * CWR | (count >> 2 & 1) * AE


def field(flags: int) -> int:
    """The number 0-7 that the flags tell."""
    return (flags & ECE > 0) + 2 * (flags & CWR > 0) + 4 * (flags & AE > 0)


def take_syn(tcb: Tcb, run: Run) -> None:
    """The peer's SYN or SYN-ACK agrees on it: both count from here; the answer tells how ``run`` arrived."""
    tcb.ecn = tcb.accurate = True
    tcb.marks_seen = _FIRST + (run.ecn == _CE)
    tcb.marks_told = _FIRST + (run.flags & FLAGS == _MARKED)
    tcb.ece = ACCURATE | _ARRIVED[run.ecn]


def acknowledged(tcb: Tcb, flags: int) -> None:
    """Our SYN-ACK was acknowledged by a segment with ``flags``, which tell whether it came marked."""
    tcb.marks_told = _FIRST + (flags & FLAGS == _MARKED)
    begin(tcb)


def begin(tcb: Tcb) -> None:
    """The handshake is over: segments carry the counter."""
    tcb.ece = counter(tcb.marks_seen)


def arrived(tcb: Tcb, run: Run) -> None:
    """Packets came marked, with octets or without (§3.2.2)."""
    tcb.marks_seen += run.segments
    tcb.ece = counter(tcb.marks_seen)


def told(tcb: Tcb, flags: int) -> bool:
    """Whether an acknowledgment with ``flags`` tells of more marks than were known (§3.2.2.5)."""
    more = (field(flags) - tcb.marks_told) & 7
    tcb.marks_told += more
    return more > 0
