"""How the victim of an ``Arena`` comes into each state of RFC 9293 §3.3.2, by segments that a peer really sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from stack.states import State
from tests.fuzz.arena import Arena

FIN = 1


def listen(arena: Arena) -> None:
    arena.open_passively()


def syn_sent(arena: Arena) -> None:
    arena.open_actively()


def syn_received(arena: Arena) -> None:
    """By a passive open; the SYN-ACK is on its way."""
    arena.open_passively()
    while arena.to_victim:
        arena.deliver(arena.to_victim.pop(0))


def crossed(arena: Arena) -> None:
    """SYN-RECEIVED by SYNs that have crossed."""
    arena.open_actively(crossed=True)
    while arena.to_victim:
        arena.deliver(arena.to_victim.pop(0))


def established(arena: Arena) -> None:
    """By a passive open, and some octets have gone both ways."""
    arena.open_passively()
    _exchange(arena)


def connected(arena: Arena) -> None:
    """ESTABLISHED by an active open."""
    arena.open_actively()
    _exchange(arena)


def _exchange(arena: Arena) -> None:
    arena.settle()
    arena.accept()
    arena.peer_writes(1000)
    arena.settle()
    arena.read()
    arena.write(1000)
    arena.settle()


def holes(arena: Arena) -> None:
    """ESTABLISHED, octets missing in both directions."""
    established(arena)
    arena.peer_writes(6000)
    del arena.to_victim[:1]
    arena.write(6000)
    arena.collect()
    del arena.to_peer[:1]
    arena.settle(rounds=1)
    arena.to_peer.clear()


def fin_wait_1(arena: Arena) -> None:
    established(arena)
    arena.write(500)
    arena.call(lambda attempt: attempt.write_eof())
    arena.collect()


def fin_wait_2(arena: Arena) -> None:
    fin_wait_1(arena)
    arena.settle()


def close_wait(arena: Arena) -> None:
    established(arena)
    arena.peer_writes(500, end=True)
    arena.settle()


def closing(arena: Arena) -> None:
    """Both FINs have crossed."""
    fin_wait_1(arena)
    arena.peer_writes(0, end=True)
    arena.collect()
    for packet in arena.to_victim:
        arena.deliver(packet)
    arena.to_victim.clear()


def last_ack(arena: Arena) -> None:
    close_wait(arena)
    arena.call(lambda attempt: attempt.write_eof())
    arena.collect()


def time_wait(arena: Arena) -> None:
    fin_wait_2(arena)
    arena.peer_writes(100, end=True)
    arena.settle()


def shut(arena: Arena) -> None:
    """FIN-WAIT-1 by a close of both directions: nobody will read."""
    established(arena)
    arena.call(lambda attempt: attempt.close())
    arena.collect()


REACHED: Final[dict[str, tuple[Callable[[Arena], None], State]]] = {
    "listen": (listen, State.CLOSED),
    "syn-sent": (syn_sent, State.SYN_SENT),
    "syn-received": (syn_received, State.SYN_RECEIVED),
    "crossed": (crossed, State.SYN_RECEIVED),
    "established": (established, State.ESTABLISHED),
    "connected": (connected, State.ESTABLISHED),
    "holes": (holes, State.ESTABLISHED),
    "fin-wait-1": (fin_wait_1, State.FIN_WAIT_1),
    "fin-wait-2": (fin_wait_2, State.FIN_WAIT_2),
    "close-wait": (close_wait, State.CLOSE_WAIT),
    "closing": (closing, State.CLOSING),
    "last-ack": (last_ack, State.LAST_ACK),
    "time-wait": (time_wait, State.TIME_WAIT),
    "shut": (shut, State.FIN_WAIT_1),
}
"""By name: how to get there, and the state that is meant."""
