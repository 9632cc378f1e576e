"""The connection states of RFC 9293 §3.3.2 and every transition between them, as data.

Two rules: every change of state is in the table of this file, and this file knows neither segments nor timers,
only what they amount to.
"""

from __future__ import annotations

from enum import Enum, IntEnum, auto
from typing import Final


class State(IntEnum):
    """States of a connection (RFC 9293 §3.3.2)."""

    CLOSED = 0
    LISTEN = 1
    SYN_SENT = 2
    SYN_RECEIVED = 3
    ESTABLISHED = 4
    FIN_WAIT_1 = 5
    FIN_WAIT_2 = 6
    CLOSE_WAIT = 7
    CLOSING = 8
    LAST_ACK = 9
    TIME_WAIT = 10


class Trigger(Enum):
    """What moves a connection from one state to another.

    ``SYN`` is a SYN without an acceptable ACK, ``ACK_OF_SYN`` the acknowledgment of our own SYN, ``CLOSE`` the
    application's end of sending, ``FIN`` the peer's, in order, ``ACK_OF_FIN`` the acknowledgment of ours, and
    ``DELETE`` the end of the TCB for any reason: reset, abort, timeout, 2 MSL.
    """

    PASSIVE_OPEN = auto()
    ACTIVE_OPEN = auto()
    SYN = auto()
    ACK_OF_SYN = auto()
    CLOSE = auto()
    FIN = auto()
    ACK_OF_FIN = auto()
    DELETE = auto()


TRANSITIONS: Final[dict[tuple[State, Trigger], State]] = {
    (State.CLOSED, Trigger.PASSIVE_OPEN): State.LISTEN,
    (State.CLOSED, Trigger.ACTIVE_OPEN): State.SYN_SENT,
    (State.LISTEN, Trigger.SYN): State.SYN_RECEIVED,
    (State.SYN_SENT, Trigger.SYN): State.SYN_RECEIVED,
    (State.SYN_SENT, Trigger.ACK_OF_SYN): State.ESTABLISHED,
    (State.SYN_RECEIVED, Trigger.ACK_OF_SYN): State.ESTABLISHED,
    (State.ESTABLISHED, Trigger.CLOSE): State.FIN_WAIT_1,
    (State.ESTABLISHED, Trigger.FIN): State.CLOSE_WAIT,
    (State.FIN_WAIT_1, Trigger.ACK_OF_FIN): State.FIN_WAIT_2,
    (State.FIN_WAIT_1, Trigger.FIN): State.CLOSING,
    (State.FIN_WAIT_2, Trigger.FIN): State.TIME_WAIT,
    (State.CLOSE_WAIT, Trigger.CLOSE): State.LAST_ACK,
    (State.CLOSING, Trigger.ACK_OF_FIN): State.TIME_WAIT,
    (State.LAST_ACK, Trigger.ACK_OF_FIN): State.CLOSED,
    **{(state, Trigger.DELETE): State.CLOSED for state in State},
}


def after(state: State, trigger: Trigger) -> State:
    """Return the state that ``trigger`` leads to from ``state``; raises KeyError where RFC 9293 has none."""
    return TRANSITIONS[state, trigger]
