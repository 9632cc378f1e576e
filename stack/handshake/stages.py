"""The words of profile.md §5's table: what a segment is, where a side stands, why it was refused."""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from ao.messages import RefuseReason
from edo.eno import NON_SYN
from edo.options import Options

# What a refusal's reason says of the connection that is not to be.
REASONS: Final = {
    RefuseReason.VERSION: "no common version",
    RefuseReason.SUITE: "no common suite",
    RefuseReason.GROUP: "no common group",
    RefuseReason.SHARE: "a share or ticket is not as it should be",
    RefuseReason.POLICY: "policy",
    RefuseReason.ENO: "TCP-ENO was changed on the path",
    RefuseReason.ISN: "sequence numbers were rewritten on the path, or are equal",
}

UNAWARE: Final = "the peer's application does not know of TCP-ENO"


class Kind(Enum):
    """What a segment is to a key agreement."""

    SYN = auto()
    SYN_ACK = auto()
    RST = auto()
    MESSAGE = auto()
    ACK_WITH_ENO = auto()
    ACK_PLAIN = auto()
    OUT_OF_BAND = auto()
    GOOD = auto()


class Stage(Enum):
    """Where a side stands: the states of profile.md §5's table, both roles'."""

    SYN_SENT = auto()
    CROSSED = auto()
    HELLO_SENT = auto()
    KEYED = auto()
    SYN_TAKEN = auto()
    ANSWERED = auto()
    CONFIRMED = auto()
    PLAIN = auto()


def with_eno(options: Options) -> Options:
    """The options of a control segment with ENO's non-SYN form added (RFC 8547 §4.6)."""
    return Options(ts_val=options.ts_val, ts_ecr=options.ts_ecr, sack=options.sack, eno=NON_SYN)
