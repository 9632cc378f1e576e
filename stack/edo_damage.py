"""What shows that something on a path damages EDO, and that it is remembered (draft-ietf-tcpm-tcp-edo, caching)."""

from __future__ import annotations

from typing import Final

from .connection import Connection
from .ports import Carrier, Home
from .run import ACK, RST
from .segment import Segment
from .seqnum import extend

SILENCE: Final = "SYNs with it met silence"
REMOVED: Final = "the Extension was removed"
# So many segments of one connection have to be damaged: one alone may be an accident, or one of an attacker's.
ENOUGH: Final = 3
HOW: Final = {
    "edo_missing": REMOVED,
    "edo_segment_length": "segments were split or merged",
    "edo_header_length": "Header_Length was altered",
    "malformed_option": "options were altered",
}


def acceptable(connection: Connection, segment: Segment, number: int) -> bool:
    """Whether an ACK segment lies in the window and acknowledges nothing unsent (RFC 9293 §3.10.7.4)."""
    if segment.flags & RST or not segment.flags & ACK:
        return False
    ack = extend(segment.ack, connection.snd_nxt)
    window = connection.rcv_wnd
    return connection.rcv_nxt <= number <= connection.rcv_nxt + window and (
        connection.iss < ack <= connection.snd_nxt
    )


def remember(home: Home, flow: Carrier, how: str) -> None:
    """EDO did not survive the way from the peer of ``flow``, or to it: it is left alone there for a time."""
    if flow.connection.config.remember_edo:
        home.counters["edo_damaged"] += 1
        home.peers.edo_damaged(flow.key[2], how, home.now)


def drop(home: Home, flow: Carrier, segment: Segment, reason: str) -> bool:
    """Drop a segment of a connection with EDO for what its options look like: silently, but it tells of the path.

    It tells if all else about it is right: who is not on the path cannot make a peer's name bad. Returns False.
    """
    flow.drop(reason)
    how = HOW.get(reason)
    connection = flow.connection
    if how is not None and acceptable(connection, segment, extend(segment.seq, connection.rcv_nxt)):
        flow.damaged += 1
        if flow.damaged == ENOUGH:
            remember(home, flow, how)
    return False
