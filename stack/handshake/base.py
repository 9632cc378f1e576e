"""Handshake: sees every segment until a connection is settled, and dresses those that leave (profile.md §5)."""

from __future__ import annotations

from typing import Protocol

from ao.keys import Key
from ao.reasons import AoDrop
from edo.negotiation import EdoState

from ..edo_damage import REMOVED, SILENCE, acceptable, remember
from ..facts import Facts
from ..flow import Flow
from ..ports import Stream
from ..run import ACK, RST, SYN, Run
from ..segment import Segment
from ..seqnum import extend
from ..states import State


class SynEosSide(Protocol):
    """SYN-EOS of one side, beside a handshake."""

    def dress(self, run: Run, out: list[bytes]) -> None:
        """Send a SYN or SYN-ACK that has EDO's offer and ENO among its options."""

    def take(self, segment: Segment, number: int, key: Key | None, now: float) -> bool:
        """Look at a segment whose options are read; False: the handshake is not to see it, or not yet."""

    def advance(self, now: float) -> None:
        """The handshake's ``next_deadline``, which it has set, has come."""


class Handshake:
    """The handshake of a connection without keys: EDO's negotiation is all there is.

    ``fell_back``: keys were offered, and the connection went on plain. ``syn_ack_eno`` is the ENO option that a
    SYN-ACK carries, if any. ``settled``: segments need no longer be shown. ``ready``: connect or accept may return.
    ``next_deadline`` in seconds of the stack's clock, None without a timer. ``syn_eos`` is SYN-EOS's part.
    """

    __slots__ = (
        "_silent",
        "facts",
        "fell_back",
        "flow",
        "next_deadline",
        "ready",
        "settled",
        "syn_ack_eno",
        "syn_eos",
    )

    def __init__(self, flow: Flow, requested: str = "none") -> None:
        self.next_deadline: float | None = None
        self.flow = flow
        self.facts = Facts(requested)
        self.ready = False
        self.settled = False
        self.syn_ack_eno: bytes | None = None
        self.fell_back = False
        self._silent = False
        self.syn_eos: SynEosSide | None = None

    @property
    def stream(self) -> Stream:
        """What the application writes to and reads from."""
        return self.flow.connection

    def take(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        """Take a segment that protection let pass: ``key`` it verified under, None for a clear one."""
        self.take_plain(segment, number, key, now)

    def take_plain(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        """RFC 9293 with EDO's negotiation (draft-ietf-tcpm-tcp-edo §5): what needs no key agreement."""
        flow = self.flow
        if not flow.read_behind(segment):
            return
        if self.syn_eos is not None and not self.syn_eos.take(segment, number, key, now):
            return
        connection = flow.connection
        edo = flow.edo
        if segment.flags & SYN:
            if connection.state is State.SYN_SENT and not segment.flags & RST:
                if segment.flags & ACK:
                    if self._acknowledges(segment):
                        edo.take_syn_ack(segment.options.edo_supported)
                        if self._silent:
                            remember(flow.stack, flow, SILENCE)
                else:
                    # Crossed SYNs: the SYN-ACK that answers drops the offer where the peer made none (N7).
                    edo.take_syn(segment.options.edo_supported)
            elif self._answers_crossed(segment, number):
                edo.take_syn_ack(segment.options.edo_supported)
            elif self._syn_again(segment, number):
                edo.take_syn(segment.options.edo_supported)
        elif edo.state is EdoState.UNCONFIRMED and self.acceptable(segment, number):
            edo.accepted(edo.extended)
            if not edo.on:
                remember(flow.stack, flow, REMOVED)
        flow.deliver(segment, number, key, now)
        self._check_settled()

    def _answers_crossed(self, segment: Segment, number: int) -> bool:
        """Whether it is the peer's SYN-ACK after SYNs have crossed (RFC 9293 §3.5, Figure 8)."""
        connection = self.flow.connection
        return (
            connection.state is State.SYN_RECEIVED
            and segment.flags & (ACK | RST) == ACK
            and number == connection.irs
            and self._acknowledges(segment)
        )

    def _acknowledges(self, segment: Segment) -> bool:
        """Whether it acknowledges our SYN, and perhaps text of it (RFC 7413 §4.2.2)."""
        connection = self.flow.connection
        return connection.iss < extend(segment.ack, connection.snd_nxt) <= connection.snd_nxt

    def _syn_again(self, segment: Segment, number: int) -> bool:
        """Whether it is the SYN that was answered: a late one may come without EDO's offer (N8)."""
        connection = self.flow.connection
        return (
            connection.state is State.SYN_RECEIVED
            and connection.passive
            and segment.flags & (SYN | ACK | RST) == SYN
            and number == connection.irs
        )

    def acceptable(self, segment: Segment, number: int) -> bool:
        """Whether an ACK segment lies in the window and acknowledges nothing unsent (RFC 9293 §3.10.7.4)."""
        return acceptable(self.flow.connection, segment, number)

    def _check_settled(self) -> None:
        if self.ready and self.flow.edo.state in (EdoState.OFF, EdoState.CONFIRMED):
            self.settled = True

    def established(self, now: float) -> None:
        """The connection completed its three-way handshake."""
        self.ready = True
        self._check_settled()

    def clear(self, segment: Segment, number: int, now: float) -> None:
        """A segment without a MAC, where every segment has to have one, is dropped."""
        self.flow.drop(AoDrop.clear_segment)

    def exchange(self, segment: Segment, key: Key, now: float) -> None:
        """Key-exchange options of a segment with a good MAC say nothing where no keys were agreed on."""

    def rekey(self) -> bool:
        """Have new keys agreed on as soon as that is possible; False where it is not (profile.md §7)."""
        return False

    def dress(self, run: Run, now: float, out: list[bytes]) -> None:
        """Send a run of the connection with what the handshake adds to it, or hold it back."""
        self.dress_plain(run, out)

    def dress_plain(self, run: Run, out: list[bytes]) -> None:
        """Add EDO's offer to a SYN; everything else goes out as it is."""
        if run.flags & SYN:
            edo = self.flow.edo
            if run.flags & ACK:
                run.options.edo_supported = edo.state is not EdoState.OFF
                run.options.eno = self.syn_ack_eno
            else:
                run.options.edo_supported = self._offer(run)
            if self.syn_eos is not None:
                self.syn_eos.dress(run, out)
                return
        self.flow.send(run, out)

    def _offer(self, run: Run) -> bool:
        """Whether a SYN offers EDO: late repetitions do not, as the path may swallow what it does not know (N8).

        From then on no answer can bring EDO back: the peer may have seen either SYN last.
        """
        edo = self.flow.edo
        retries = self.flow.connection.config.edo_retries
        if retries >= 0 and run.transmission > retries and edo.state is EdoState.OFFERED:
            edo.turn_off()
            self._silent = True
        return edo.offer()

    def advance(self, now: float) -> None:
        """Run the handshake's own timers."""
        if self.syn_eos is not None:
            self.syn_eos.advance(now)

    def doubt(self, now: float) -> None:
        """ICMP told of an error while the connection was opened."""

    def abort(self, now: float) -> None:
        """The application gives the connection up."""
        self.flow.connection.abort(now)
