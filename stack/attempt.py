"""Attempt: what the application holds of a connection, whichever flow carries it in the end (profile.md §2)."""

from __future__ import annotations

import errno
from collections import Counter
from dataclasses import replace
from typing import Final

from ao.ends import endpoint

from . import ao_counters
from .config import TcpConfig
from .events import Closed, Event, Readable, SoftError, TcpError, Urgent, Writable
from .experimental import ExperimentalFlow
from .intent import Dial
from .ip import address_text
from .ports import Carrier, Home
from .states import State

# Events of which one is enough for an application that has not looked yet.
_ONCE: Final = (Readable, Writable, Urgent)
# So many events wait at most before soft errors are left out.
_MOST_WAITING: Final = 16


class Attempt:
    """A connection from the application's side.

    Octets that are written before the connection is settled are kept here, so that a connection that takes
    another's place under policy ``prefer`` carries them. Calls take effect at the stack's next output.
    """

    __slots__ = (
        "_drops",
        "_end",
        "_events",
        "_held",
        "_held_end",
        "_held_urgent",
        "_retransmissions",
        "_settled",
        "dial",
        "error",
        "fallback",
        "finished",
        "flow",
        "owner",
        "requested",
        "role",
        "stack",
        "started",
    )

    def __init__(self, stack: Home, flow: Carrier, role: str, started: float, dial: Dial | None = None) -> None:
        self.stack = stack
        self.flow = flow
        self.role = role
        self.dial = dial
        self.owner: object | None = None
        self.error: TcpError | None = None
        self.fallback: str | None = None
        self.requested = dial.security.protect if dial is not None else None
        self.finished: float | None = None
        self.started = started
        self._events: list[Event] | None = None
        self._held: list[bytes] | None = None
        self._held_end = False
        self._held_urgent = 0
        self._settled = flow.announced
        self._end = False
        self._drops: Counter[str] | None = None
        self._retransmissions = 0

    # --- the application ---------------------------------------------------------------------------------

    @property
    def local(self) -> tuple[str, int]:
        """Our address and port."""
        return (address_text(self.flow.key[0]), self.flow.key[1])

    @property
    def peer(self) -> tuple[str, int]:
        """The peer's address and port."""
        return (address_text(self.flow.key[2]), self.flow.key[3])

    def write(self, data: bytes, *, urgent: bool = False, push: bool = True, record: bool = False) -> None:
        """Queue ``data``; raises TcpError after the end of our direction was written or the connection failed.

        ``urgent``: everything up to its end is urgent data (RFC 9293 §3.8.5). ``push`` and
        ``record``: see ``Connection.write``.
        """
        if not self._settled:
            if self._end or self._held_end:
                raise TcpError(32, "cannot write: this direction is closed")
            if self._held is None:
                self._held = []
            self._held.append(data)
            if urgent:
                self._held_urgent = len(self._held)
            return
        self.flow.handshake.stream.write(data, urgent=urgent, push=push, record=record)
        self.stack.touch(self.flow)

    def write_eof(self) -> None:
        """End our direction of the stream after what is queued."""
        if not self._settled:
            self._held_end = True
            return
        self.flow.connection.write_eof()
        self.stack.touch(self.flow)

    def peek(self, limit: int) -> bytes:
        """The first octets of what ``read`` would return, at most ``limit``; they stay."""
        return self.flow.handshake.stream.peek(limit)

    def read(self, limit: int = -1) -> bytes:
        """Return at most ``limit`` octets that are there (-1: all); b"" when none is, see ``eof``."""
        data = self.flow.handshake.stream.read(limit)
        if data:
            self.stack.touch(self.flow)
        return data

    def read_some(self, limit: int) -> bytes:
        """As ``read``, but perhaps fewer octets than are there, where that saves a copy."""
        data = self.flow.handshake.stream.read(limit, whole=False)
        if data:
            self.stack.touch(self.flow)
        return data

    @property
    def readable(self) -> int:
        """Octets that can be read now."""
        return self.flow.handshake.stream.readable if self._settled else 0

    @property
    def urgent(self) -> int:
        """Octets that are urgent and not read yet, arrived or not (RFC 9293 §3.8.5)."""
        return self.flow.connection.urgent if self._settled else 0

    @property
    def eof(self) -> bool:
        """Whether the peer's direction has ended and everything was read."""
        return self._settled and self.flow.handshake.stream.eof

    @property
    def unsent(self) -> int:
        """Octets that were written and not yet acknowledged."""
        # What Fast Open was given is the connection's from the start.
        unsent = self.flow.connection.unsent
        return unsent if self._held is None else unsent + sum(map(len, self._held))

    @property
    def send_buffer(self) -> int:
        """Octets that may wait or be under way before writing should wait."""
        return self.flow.connection.send_buffer

    def close(self, now: float | None = None) -> None:
        """Close both directions: what is queued is sent, then FIN (RFC 9293 §3.10.4).

        ``now`` as for ``Connection.close``.
        """
        if not self._settled:
            self._end = True
            # Where SYNs have crossed the peer has one to be answered: the FIN follows (§3.10.4, SYN-RECEIVED).
            crossed = self.flow.connection.state is State.SYN_RECEIVED
            if self.role == "connect" and not self.unsent and not crossed:
                self.abort()
                return
            self._held_end = True
            return
        self.flow.handshake.stream.close(now)
        self.stack.touch(self.flow)

    def abort(self) -> None:
        """Give the connection up with RST; what is unsent is lost (RFC 9293 §3.10.5)."""
        self._end = True
        self.flow.abort()

    def rekey(self) -> None:
        """Have new keys agreed on under the present ones; data goes on meanwhile (profile.md §7).

        Raises TcpError, EOPNOTSUPP, where the keys were not agreed on, or one side permits no rekeying or has
        refused it.
        """
        if self._end or not self.flow.handshake.rekey():
            raise TcpError(errno.EOPNOTSUPP, "no new keys can be agreed on for this connection")
        self.stack.touch(self.flow)

    def vouch(self) -> None:
        """The application has authenticated the peer by the session identifier; ``authenticated`` says so from now.

        Agreed keys by themselves keep out everyone but the one host that they were agreed on with, whoever that is.
        Raises TcpError, EOPNOTSUPP, where there is no session identifier.
        """
        facts = self.flow.handshake.facts
        if facts.session_id is None:
            raise TcpError(errno.EOPNOTSUPP, "no keys were agreed on for this connection")
        facts.authenticated = True

    def configure(self, config: TcpConfig) -> None:
        """Change what can be changed of a connection's settings (RFC 9293 §3.9.1)."""
        connection = self.flow.connection
        config = replace(config, ip_header=connection.config.ip_header)
        marks = (connection.config.ttl, connection.config.dscp)
        connection.configure(config, self.stack.now)
        if marks != (config.ttl, config.dscp):
            self.flow.mark(config.ttl, config.dscp)
        if self.dial is not None:
            self.dial = replace(self.dial, config=config)
        self.stack.touch(self.flow)

    def mark(self, *, ttl: int | None = None, dscp: int | None = None) -> None:
        """Change the TTL (1-255) or DSCP (0-63) of packets from now on; ValueError (RFC 9293 §3.9.1.9, §3.9.2)."""
        config = self.flow.connection.config
        self.flow.mark(config.ttl if ttl is None else ttl, config.dscp if dscp is None else dscp)

    def next_event(self) -> Event | None:
        """The next event that the application has not seen, None when there is none."""
        events = self._events
        if events is None:
            return None
        event = events.pop(0)
        if not events:
            self._events = None
        return event

    # --- the stack ---------------------------------------------------------------------------------------

    def push(self, event: Event) -> None:
        """Queue an event and have the runner tell the owner."""
        if isinstance(event, Closed):
            if self.finished is not None:
                return
            self.error = event.error
            self.finished = self.stack.now
        events = self._events
        if events is None:
            self._events = [event]
            self.stack.ready(self)
            return
        kind = event.__class__
        if kind in _ONCE and any(waiting.__class__ is kind for waiting in events):
            # It says no more than the one that waits, and a peer could make any number of them.
            self.stack.ready(self)
            return
        if kind is SoftError and len(events) >= _MOST_WAITING:
            return
        events.append(event)
        self.stack.ready(self)

    def settled(self) -> None:
        """The connection stands: what was written so far goes to it."""
        self._settled = True
        connection = self.flow.connection
        stream = self.flow.handshake.stream
        for index, data in enumerate(self._held or ()):
            stream.queue(data, urgent=index < self._held_urgent)
        self._held = None
        if self._end:
            stream.close()
        elif self._held_end:
            connection.write_eof()

    def lost(self, flow: Carrier, error: TcpError) -> None:
        """``flow`` failed before it was settled: another takes its place where the policy allows, or this ends."""
        if not self.replaced(flow, error):
            self.push(Closed(error, self.unsent))

    def replaced(self, flow: Carrier, error: TcpError) -> bool:
        """Have another connection take the place of ``flow`` where the policy allows it; whether one does."""
        if self._end or self.dial is None:
            return False
        successor = self.stack.redial(self.dial, flow, error)
        if successor is None:
            return False
        self._settled = False
        self._drops = (self._drops or Counter()) + flow.drops + flow.connection.drops
        self._retransmissions += flow.connection.retransmissions
        self.flow = successor.flow
        self.flow.attempt = self
        self.dial = successor.dial
        self.fallback = successor.fallback
        return True

    # --- what is told about it ---------------------------------------------------------------------------

    def security(self) -> dict[str, object]:
        """What protects the connection: the names of the line of a finished connection."""
        facts = self.flow.handshake.facts
        return {
            "requested": self.requested or facts.requested,
            "mode": facts.mode,
            "fallback": self.fallback or facts.fallback,
            "placement": facts.placement,
            "group": facts.group,
            "mac": facts.mac,
            "cipher": facts.cipher,
            "generation": facts.generation,
            "resumed": facts.resumed,
            "edo": self.flow.edo.state.name.lower(),
            "syn_eos": facts.syn_eos,
            "session_id": facts.session_id,
            "authenticated": facts.authenticated,
            "peer_aware": facts.peer_aware,
            "path": facts.path,
        }

    def report(self) -> dict[str, object]:
        """The line of a connection; octets count payload, ``seconds`` run from the first segment."""
        flow = self.flow
        connection = flow.connection
        stream = flow.handshake.stream
        security = self.security()
        drops = (self._drops or Counter()) + self.flow.drops + connection.drops
        end = self.finished if self.finished is not None else self.stack.now
        return {
            "peer": endpoint(*self.peer),
            "local": endpoint(*self.local),
            "role": self.role,
            "requested": security["requested"],
            "mode": security["mode"],
            "fallback": security["fallback"],
            "placement": security["placement"],
            "group": security["group"],
            "mac": security["mac"],
            "cipher": security["cipher"],
            "generation": security["generation"],
            "resumed": security["resumed"],
            "edo": security["edo"],
            "method": self.flow.handshake.facts.method,
            "peer_options": [octets.hex() for octets in self.flow.handshake.facts.peer_options],
            "syn_eos": security["syn_eos"],
            "experiments": flow.experiments.report() if isinstance(flow, ExperimentalFlow) else None,
            "octets_in": stream.octets_in,
            "octets_out": stream.octets_out,
            "retransmissions": connection.retransmissions + self._retransmissions,
            "drops": dict(sorted(drops.items())),
            "ao": ao_counters.of_connection(self.flow) if self.flow.protection.tallies else None,
            "session_id": security["session_id"],
            "authenticated": security["authenticated"],
            "path": security["path"],
            "seconds": round(end - self.started, 6),
            "error": None if self.error is None else str(self.error.strerror or self.error),
        }
