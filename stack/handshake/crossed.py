"""SYNs that crossed: who is A is decided by the ISNs, and the rest is placement ``late`` (profile.md §3).

A deviation from RFC 8547 §4.3, which turns ENO off where both sides opened actively; for our TEP only.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import ClassVar

from ao.keys import Key
from ao.reasons import AoDrop
from edo.eno import offered, parse, single, syn_option

from ..flow import Flow
from ..run import ACK, SYN, Run
from ..security import Security
from ..segment import Segment
from .agreed_b import AgreedB
from .role_a import RoleA
from .sighting import of_segment
from .stages import UNAWARE, Kind, Stage

EQUAL = "simultaneous open with equal initial sequence numbers"


def cannot_cross(security: Security, segment: Segment) -> str | None:
    """Why a crossed SYN, its options read, cannot lead to an agreement; None where it can."""
    options = segment.options
    if security.simopen == "off":
        return "simultaneous open"
    if not offered(single(options)):
        return "simultaneous open without a valid TEP"
    if security.demand_aware and not parse(options.eno or b"").aware:
        return UNAWARE
    if not options.edo_supported:
        return "simultaneous open without EDO"
    if not {"auto", "late"} & set(security.placements):
        return "simultaneous open, and placement late is not allowed"
    return None


def is_ours_as_a(flow: Flow, peer_isn: int) -> bool | None:
    """Whether this side is A, the one with the smaller ISN; None where they are equal."""
    own = flow.connection.iss & 0xFFFFFFFF
    return None if own == peer_isn else own < peer_isn


class CrossingA(RoleA):
    """The states of an active opener whose SYN met another: before the hello, as A."""

    __slots__ = ("_syn_ack_run",)

    eno: bytes

    CROSSED: ClassVar = {
        (Stage.CROSSED, Kind.SYN): "_repeated_crossed",
        (Stage.CROSSED, Kind.SYN_ACK): "_crossed_syn_ack",
        (Stage.CROSSED, Kind.ACK_PLAIN): "_without_eno",
        (Stage.CROSSED, Kind.RST): "_exact_reset",
    }

    def __init__(self, flow: Flow, security: Security) -> None:
        super().__init__(flow, security)
        self._syn_ack_run: Run | None = None

    def become_a(self, segment: Segment, number: int, now: float) -> None:
        """The peer's SYN came and its ISN is the larger one."""
        self.stage = Stage.CROSSED
        self.next_deadline = None
        self.flow.edo.take_syn(True)
        self.flow.deliver(segment, number, None, now, payload=False)

    def dress_crossed(self, run: Run, out: list[bytes]) -> None:
        """The SYN-ACK that answers the peer's SYN; ENO stays as it was sent, SYN-EOS is off."""
        if run.flags & SYN:
            self._syn_ack_run = run
            run.options.eno = self.eno
            run.options.edo_supported = True
            before = len(out)
            self.flow.send(run, out)
            self.note_sent(out[before])

    def _repeated_crossed(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        if segment.seq == self.flow.connection.irs & 0xFFFFFFFF and self._syn_ack_run is not None:
            self.dress_crossed(self._syn_ack_run, self.flow.stack.out)
        else:
            self.flow.drop(AoDrop.clear_segment)

    def _crossed_syn_ack(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        if not self.answers_our_syn(segment):
            self.flow.drop(AoDrop.clear_segment)
            return
        missing = cannot_cross(self.security, segment)
        if missing is None:
            self.crossed_hello(segment, number, now)
        elif self.prefer:
            self.go_plain(missing)
            self.take_plain(segment, number, None, now)
        else:
            self.give_up(errno.EPROTO, missing, now)

    def crossed_hello(self, segment: Segment, number: int, now: float) -> None:
        """B's SYN-ACK is there."""
        raise NotImplementedError

    def _without_eno(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        """The peer follows RFC 8547, where crossed SYNs turn ENO off."""
        if not self.acceptable(segment, number):
            self.flow.drop(AoDrop.clear_segment)
        elif self.prefer:
            self.go_plain("no ENO in the ACK")
            self.take_plain(segment, number, key, now)
        else:
            self.give_up(errno.EPROTO, "no ENO in the ACK", now)


class CrossedB(AgreedB):
    """Role B of crossed SYNs: its SYN-ACK has its SYN's ENO option, and answers A's SYN-ACK too."""

    __slots__ = ()

    TABLE: ClassVar = {**AgreedB.TABLE, (Stage.SYN_TAKEN, Kind.SYN_ACK): "_peer_syn_ack"}

    def __init__(self, flow: Flow, security: Security, random: Callable[[int], bytes], segment: Segment) -> None:
        """``segment`` is A's SYN or, where that was lost, its SYN-ACK, with its options read."""
        super().__init__(flow, security, random, segment.options, of_segment(segment), segment.ip_octets, None)
        self.eno = syn_option(security.application_aware)

    def _send_syn_ack(self, out: list[bytes], *, extend: bool) -> None:
        if self._syn_ack is None:
            # The connection never was in SYN-RECEIVED.
            connection = self.flow.connection
            self._syn_ack = connection.segment(SYN | ACK, connection.iss)
        super()._send_syn_ack(out, extend=False)

    def _peer_syn_ack(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        connection = self.flow.connection
        if segment.seq != connection.irs & 0xFFFFFFFF or segment.ack != (connection.iss + 1) & 0xFFFFFFFF:
            self.flow.drop(AoDrop.clear_segment)
            return
        missing = cannot_cross(self.security, segment)
        if missing is None:
            self.answer_syn_ack(segment, number, now)
        elif self.prefer:
            self.go_plain(missing)
            self.take_plain(segment, number, None, now)
        else:
            self.give_up(errno.EPROTO, missing, now)

    def answer_syn_ack(self, segment: Segment, number: int, now: float) -> None:
        """A's SYN-ACK ends the handshake for this side; A waits for ours."""
        self.flow.deliver(segment, number, None, now, payload=False)
        if not self.flow.over:
            self._expect_hello(now)
            self._send_syn_ack(self.flow.stack.out, extend=False)
