"""What one connection holds, charged to its stack's account, and the buffers that follow what it needs.

Receive buffer: dynamic right-sizing, twice what the application reads in a round trip (Fisk & Feng, "Dynamic
Right-Sizing in TCP", 2001; RFC 7323 §1.1 on why), so that the window is never what limits the peer. Send buffer:
twice the congestion window, which is one in flight and one to follow. Neither shrinks what was promised.
"""

from __future__ import annotations

from typing import Final

from .memory import CONNECTION, RESERVE
from .run import FIN, Run
from .tcb import Tcb

# Octets that a record of the scoreboard takes.
_RECORD: Final = 300


def open_account(tcb: Tcb) -> None:
    """The connection begins: its objects and its reserve are paid for."""
    tcb.base_charge = CONNECTION
    settle(tcb)


def close_account(tcb: Tcb) -> None:
    """The stack has forgotten the connection; only what can still be read of it counts."""
    tcb.base_charge = 0
    tcb.memory.forget(tcb)
    settle(tcb)


def footprint(tcb: Tcb) -> int:
    """The octets that buffers and scoreboard take, with their objects."""
    return tcb.incoming.footprint + tcb.sending.footprint + _RECORD * len(tcb.scoreboard.records)


def settle(tcb: Tcb) -> None:
    """Charge what is held now; under pressure the window grows no further than the account allows."""
    memory = tcb.memory
    base = tcb.base_charge
    total = footprint(tcb)
    if base:
        total = base + total - RESERVE if total > RESERVE else base
    if total != tcb.charged:
        memory.charge(total - tcb.charged)
        tcb.charged = total
    if memory.held > memory.pressure:
        tcb.limit_receive_buffer(tcb.incoming.octets + memory.window)
    elif tcb.receive_buffer != tcb.receive_target:
        tcb.limit_receive_buffer(tcb.receive_target)


def room_for(tcb: Tcb, octets: int) -> int:
    """How many of ``octets`` more, in order, can be held: what lies beyond holes gives way, the reserve stays."""
    memory = tcb.memory
    if memory.held + octets > memory.high and footprint(tcb) + octets > RESERVE:
        memory.prune(octets)
    return min(max(memory.high - memory.held, RESERVE - footprint(tcb), 0), octets)


def admits_beyond_hole(tcb: Tcb, octets: int) -> bool:
    """Whether ``octets`` more, beyond a hole, can be held."""
    memory = tcb.memory
    if memory.held + octets > memory.pressure and footprint(tcb) + octets > RESERVE:
        return False
    if tcb.base_charge:
        memory.holds_beyond_hole(tcb)
    return True


def shortened(run: Run, octets: int) -> Run:
    """The first segments of a run with at most ``octets`` octets; acknowledgment and window in any case."""
    payload = []
    length = 0
    for view in run.payload:
        if length + len(view) > octets:
            break
        payload.append(view)
        length += len(view)
    return Run(
        run.seq,
        run.ack,
        run.flags & ~FIN,
        run.window,
        run.options,
        payload,
        length,
        urgent=run.urgent,
        segments=max(len(payload), 1),
        ecn=run.ecn,
        cipher=run.cipher,
    )


def measure_reading(tcb: Tcb, octets: int) -> None:
    """The application has read ``octets``: once a round trip, grow the buffer if the peer may be waiting for it."""
    tcb.read_octets += octets
    elapsed = tcb.now - tcb.read_since
    if elapsed < tcb.rtt.srtt:
        return
    read = tcb.read_octets
    tcb.read_octets = 0
    tcb.read_since = tcb.now
    wanted = 2 * read
    if wanted > tcb.receive_target and tcb.memory.held <= tcb.memory.pressure:
        tcb.receive_target = min(wanted, tcb.config.most_receive_buffer)
        tcb.limit_receive_buffer(tcb.receive_target)


def send_buffer(tcb: Tcb) -> int:
    """How many octets may wait or be under way before writing has to wait."""
    config = tcb.config
    if config.send_buffer:
        return config.send_buffer
    first = config.first_send_buffer
    if tcb.memory.held > tcb.memory.pressure:
        return first
    return min(max(2 * int(tcb.control.cwnd), first), config.most_send_buffer)


def send_room(tcb: Tcb) -> int:
    """Octets that may still be written before writing has to wait; the reserve is there even where nothing is."""
    memory = tcb.memory
    room = send_buffer(tcb) - (tcb.sending.end - tcb.sending.base)
    if memory.held + room > memory.high:
        room = min(room, max(memory.high - memory.held, RESERVE - footprint(tcb)))
    return max(room, 0)
