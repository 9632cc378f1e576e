"""The four-way handshake of a connection (draft-borman-tcp4way-00; ``edo.rivals.four_way`` has the octets).

The client that has options left after its SYN answers the SYN-ACK with one of its own, repeats that until the
server acknowledges it, and sends no text before; after a few repetitions it ends the handshake with an ordinary
ACK, since a box may let no SYN-ACK go this way. A server answers each SYN as that SYN asked. Assumed: how often,
and that the third SYN to which no answer comes goes without the bit.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum, auto
from typing import Final

from ao.keys import Key
from edo.reasons import EdoDrop
from edo.rivals.base import Laid, Part, Wanted
from edo.rivals.four_way import FourWay, laid_syn_ack
from edo.rivals.numbers import FOUR_WAY

from ...flow import Flow
from ...run import ACK, RST, SYN, Run
from ...segment import Segment
from ...seqnum import extend
from ...states import State
from ...syn_space import SynSpace
from .base import PLAIN_AFTER, RivalHandshake

_METHOD: Final = FourWay()
_TRIES: Final = 2


class _Stage(Enum):
    OPENING = auto()
    EXTRA = auto()
    """The client's SYN-ACK is under way."""

    DONE = auto()


class FourWayClient(RivalHandshake):
    """The active opener's side."""

    def __init__(self, flow: Flow, settings: SynSpace) -> None:
        super().__init__(flow, settings)
        self._stage = _Stage.OPENING
        self._wanted = Wanted()
        self._syn: Laid | None = None
        self._went_plain = False
        self._tries = 0
        self._interval = 0.0

    # --- out ---------------------------------------------------------------------------------------------

    def dress(self, run: Run, now: float, out: list[bytes]) -> None:
        if self._stage is _Stage.EXTRA and not run.flags & (RST | SYN):
            # No text is there to be sent: this acknowledges the SYN-ACK, which ours does.
            self._send_third(out)
        elif run.flags & (SYN | ACK) == SYN and not self._went_plain:
            if run.transmission >= PLAIN_AFTER:
                self._went_plain = True
                self.dress_plain(run, out)
                return
            if not self.flow.edo.offer():
                self.facts.fallback = "remembered: EDO did not survive the way to this peer"
                self._went_plain = True
                self.dress_plain(run, out)
                return
            self._wanted = Wanted(syn=self.settings.wants(run.options))
            self._syn = _METHOD.lay_out(Part.SYN, self._wanted, self.space)
            assert self._syn is not None
            self.send_laid(self._syn, run, out)
        else:
            self.dress_plain(run, out)

    def _send_third(self, out: list[bytes]) -> None:
        connection = self.flow.connection
        run = connection.control_run(SYN | ACK, connection.iss, connection.plain_options(self.flow.stack.now))
        # Timestamps are on by now, and so have to be in every segment (RFC 7323 §3.2).
        wanted = replace(self._wanted, data=SynSpace(_METHOD.name).wants(run.options))
        laid = _METHOD.lay_out(Part.THIRD, wanted, self.space)
        assert laid is not None
        # The window of a segment with SYN is not scaled (RFC 7323 §2.2).
        run.window = connection.first_window
        self.send_laid(laid, run, out)

    # --- in ----------------------------------------------------------------------------------------------

    def take(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        flags = segment.flags & (SYN | ACK | RST)
        if self._stage is _Stage.OPENING and flags == SYN | ACK and self._answers_ours(segment):
            self._syn_ack(segment, number, key, now)
        elif self._stage is _Stage.EXTRA and flags == SYN | ACK:
            # Ours was lost, or theirs was late.
            self._send_third(self.flow.stack.out)
        elif self._stage is _Stage.EXTRA and flags == ACK and self.acceptable(segment, number):
            self._answered(segment, number, key, now)
        else:
            self.take_plain(segment, number, key, now)

    def _answers_ours(self, segment: Segment) -> bool:
        connection = self.flow.connection
        return connection.state is State.SYN_SENT and extend(segment.ack, connection.snd_nxt) == connection.iss + 1

    def _syn_ack(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        flow = self.flow
        asked = self._syn is not None and self._syn.offset & FOUR_WAY and not self._went_plain
        reading = _METHOD.read(Part.SYN_ACK, segment.tcp, self.space)
        if isinstance(reading, EdoDrop):
            flow.drop(reading)
            return
        if self._syn is not None:
            self.keep_to(self._syn)
        if not asked or not reading.marked:
            self._stage = _Stage.DONE
            if asked:
                self.facts.fallback = "no 4WAY in the SYN-ACK"
            if flow.read_behind(segment):
                flow.edo.take_syn_ack(segment.options.edo_supported and not self._went_plain)
                # A box may have removed what says that the octets behind are options.
                flow.deliver(segment, number, key, now, payload=False)
                self._check_settled()
            return
        self.take_reading(segment, reading)
        flow.edo.enable(seen=segment.header_end > segment.data_offset)
        self.facts.method = _METHOD.name
        self.facts.peer_options = self.users(segment, reading.spans)
        left = _METHOD.lay_out(Part.ANSWER, self._wanted, self.space) is not None
        self._stage = _Stage.EXTRA if left else _Stage.DONE
        if left:
            flow.connection.hold_data = True
        flow.deliver(segment, number, key, now, payload=False)
        if left:
            self._interval = flow.connection.rtt.rto
            self.next_deadline = now + self._interval
        self._check_settled()

    def _answered(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        """The server's ACK: it has our SYN-ACK."""
        flow = self.flow
        if not flow.read_behind(segment):
            return
        flow.edo.accepted(flow.edo.extended)
        self._finish()
        flow.deliver(segment, number, key, now)
        self._check_settled()

    def _finish(self) -> None:
        self._stage = _Stage.DONE
        self.next_deadline = None
        self.flow.connection.hold_data = False
        self.ready = True

    def established(self, now: float) -> None:
        if self._stage is not _Stage.EXTRA:
            super().established(now)

    def advance(self, now: float) -> None:
        """Our SYN-ACK was not acknowledged in time: once more, or an ordinary ACK in its place."""
        if self._stage is not _Stage.EXTRA:
            return
        self._tries += 1
        if self._tries > _TRIES:
            self.facts.method = None
            self.facts.fallback = "the client's SYN-ACK met silence"
            self._finish()
            self.flow.connection.ack_now = True
            self._check_settled()
            return
        self._interval *= 2
        self.next_deadline = now + self._interval
        self._send_third(self.flow.stack.out)


class FourWayServer(RivalHandshake):
    """The passive opener's side; ``marked`` says whether the latest SYN had the bit and EDO."""

    def __init__(self, flow: Flow, settings: SynSpace, segment: Segment) -> None:
        super().__init__(flow, settings)
        self.marked = self._is_marked(segment)
        self.facts.peer_options = self.users(segment, segment.spans)

    def _is_marked(self, segment: Segment) -> bool:
        reading = _METHOD.read(Part.SYN, segment.tcp, self.space)
        return not isinstance(reading, EdoDrop) and bool(segment.tcp[12] & FOUR_WAY) and reading.marked

    def dress(self, run: Run, now: float, out: list[bytes]) -> None:
        if run.flags & SYN and self.marked and self.flow.edo.on:
            self.send_laid(laid_syn_ack(self.settings.wants(run.options), self.space), run, out)
        else:
            self.dress_plain(run, out)

    def take(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        flags = segment.flags & (SYN | ACK | RST)
        connection = self.flow.connection
        if connection.state is State.SYN_RECEIVED and number == connection.irs:
            if flags == SYN:
                self.marked = self._is_marked(segment)
            elif flags == SYN | ACK and self.marked and self._answers_ours(segment):
                self._third(segment, number, key, now)
                return
        self.take_plain(segment, number, key, now)

    def _answers_ours(self, segment: Segment) -> bool:
        connection = self.flow.connection
        return extend(segment.ack, connection.snd_nxt) == connection.iss + 1

    def _third(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        """The client's SYN-ACK: its options count as if they had been in the SYN."""
        flow = self.flow
        reading = _METHOD.read(Part.THIRD, segment.tcp, self.space)
        if isinstance(reading, EdoDrop):
            flow.drop(reading)
            return
        self.take_reading(segment, reading)
        flow.deliver(segment, number, key, now, payload=False)
        if flow.connection.state is not State.SYN_RECEIVED and not flow.over:
            flow.edo.enable(seen=True)
            self.facts.method = _METHOD.name
            self.facts.peer_options += self.users(segment, reading.spans)
            flow.connection.ack_now = True
            self._check_settled()
