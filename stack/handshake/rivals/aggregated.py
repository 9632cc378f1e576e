"""The aggregated option of a connection (draft-nishida-tcpm-agg-syn-ext-00; octets: ``edo.rivals.aggregated``).

What a SYN and its SYN-ACK agree on by bits is in use once its parameters have come: the client's in the third
segment, the server's in its answer. Parameters that do not fit one segment are acknowledged one by one, and all of
them are repeated by a timer. A client drops a segment without the option as long as the server's parameters are
missing, since it may be read wrongly without them. Assumed: that the last parameters stand in every segment until
the peer's have come (the client's) or a segment without the option has (the server's), so that text need not wait;
that an ACK without the option tells the server that its bits were lost; that the third SYN to which no answer comes
goes without bits.
"""

from __future__ import annotations

import errno
from typing import Final

from ao.keys import Key
from edo.codepoints import SACK_PERMITTED, TIMESTAMPS, WSCALE
from edo.options import Options
from edo.reasons import EdoDrop
from edo.rivals.aggregated import LAST, MORE, Aggregated, chunks, laid_syn, number, option, split
from edo.rivals.base import Part, Reading, Want, Wanted
from edo.rivals.numbers import AGGREGATED

from ...events import TcpError
from ...flow import Flow
from ...run import ACK, RST, SYN, Run
from ...segment import Segment
from ...seqnum import extend
from ...states import State
from ...syn_space import SynSpace
from .base import PLAIN_AFTER, RivalHandshake

_METHOD: Final = Aggregated()
_TRIES: Final = 6
# Timestamps are in each of the segments, so what follows the SYN has this much less room.
_TIMESTAMPS_OCTETS: Final = 10
_KIND: Final = {0: WSCALE, 1: SACK_PERMITTED, 2: TIMESTAMPS}


class _Side(RivalHandshake):
    """What both roles do: parameters as riders, and those of the peer put into use."""

    def __init__(self, flow: Flow, settings: SynSpace) -> None:
        super().__init__(flow, settings)
        self.parameters: tuple[Want, ...] = ()
        self.agreed: frozenset[int] = frozenset()
        self.expected: frozenset[int] = frozenset()
        """The bits whose options the peer will send."""

        self.asked = Options()
        """TCP's own options as they came with the peer's SYN."""

        self.done = True
        """Whether the peer's parameters have come, or none will."""

        self._taken: dict[bytes, None] = {}

    @property
    def largest(self) -> int:
        """Octets that an option may have for which a bit stands."""
        taken = _TIMESTAMPS_OCTETS if self.flow.connection.config.timestamps else 0
        return 40 - 5 - taken

    def _structural(self) -> tuple[int, ...]:
        return (*super()._structural(), AGGREGATED)

    def mark(self, contents: bytes) -> bytes:
        """The aggregated option."""
        return option(contents, self.points.experimental)

    def riders(self, wants: tuple[Want, ...], options: Options, contents: bytes) -> tuple[bytes, ...]:
        """Parameters as riders of a segment with ``options``, which may be one of them."""
        own = [want.octets for want in wants if not (want.octets[0] == TIMESTAMPS and options.ts_val is not None)]
        return (*own, self.mark(contents))

    def every(self) -> tuple[Want, ...]:
        """What each segment has."""
        options = self.flow.connection.plain_options(self.flow.stack.now)
        return SynSpace(_METHOD.name).wants(options)

    def read(self, part: Part, segment: Segment) -> Reading:
        """The method's reading; one without mark where the segment cannot be read."""
        reading = _METHOD.read(part, segment.tcp, self.space)
        return (
            Reading(False, segment.spans, (segment.data_offset, len(segment.tcp)))
            if (isinstance(reading, EdoDrop))
            else reading
        )

    def collect(self, segment: Segment, reading: Reading) -> None:
        """Keep the parameters of a segment; a repetition changes nothing."""
        for kind, exid, at, length in reading.spans:
            octets = bytes(segment.tcp[at : at + length])
            if exid != AGGREGATED and number(octets) in self.expected and kind != TIMESTAMPS:
                self._taken[octets] = None

    def come(self, options: Options) -> bool:
        """Whether all that is expected has come, ``options`` being those of the latest segment."""
        found = {number(octets) for octets in self._taken}
        if options.ts_val is not None:
            found.add(2)
        return self.expected <= found

    def put_into_use(self, options: Options) -> None:
        """The peer's parameters count as if they had been in its SYN."""
        asked = self.asked
        wscale = next(
            (octets[2] for octets in self._taken if octets[0] == WSCALE and len(octets) == 3), asked.wscale
        )
        self.flow.connection.take_syn_options(
            Options(
                mss=asked.mss,
                wscale=wscale,
                sack_permitted=asked.sack_permitted or 1 in self.agreed,
                ts_val=options.ts_val if 2 in self.agreed else asked.ts_val,
            )
        )
        users = tuple(octets for octets in self._taken if octets[0] not in _KIND.values())
        self.facts.peer_options += tuple(octets for octets in users if octets not in self.facts.peer_options)
        self.facts.method = _METHOD.name
        self.done = True


class AggregatedClient(_Side):
    """The active opener's side."""

    def __init__(self, flow: Flow, settings: SynSpace) -> None:
        super().__init__(flow, settings)
        self._promised: tuple[Want, ...] = ()
        self._carried: frozenset[int] = frozenset()
        self._went_plain = False
        self._parts: list[tuple[Want, ...]] = []
        self._part = 0
        self._tries = 0
        self._interval = 0.0

    # --- out ---------------------------------------------------------------------------------------------

    def dress(self, run: Run, now: float, out: list[bytes]) -> None:
        if run.flags & (SYN | ACK) == SYN and not self._went_plain:
            self._went_plain = run.transmission >= PLAIN_AFTER
            wants = self.settings.wants(run.options)
            kept, self._promised = ((), ()) if self._went_plain else split(wants, self.largest)
            self._carried = frozenset(want.octets[0] for want in kept)
            if self._promised:
                self.send_laid(laid_syn(Part.SYN, wants, self.space, largest=self.largest), run, out)
                return
            laid = None if self._went_plain else _METHOD.lay_out(Part.SYN, Wanted(syn=wants), self.space)
            if laid is not None:
                self.send_laid(laid, run, out)
                return
        if self._parts and not self.done and not run.flags & (SYN | RST):
            self._send_part(run, out)
        else:
            self.dress_plain(run, out)

    def _send_part(self, run: Run, out: list[bytes]) -> None:
        last = self._part == len(self._parts) - 1
        riders = self.riders(self._parts[self._part], run.options, LAST if last else MORE)
        self.flow.send(run, out, riders)

    def _send_control(self) -> None:
        connection = self.flow.connection
        connection.out.append(connection.segment())
        self.flow.stack.touch(self.flow)

    # --- in ----------------------------------------------------------------------------------------------

    def take(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        flags = segment.flags & (SYN | ACK | RST)
        connection = self.flow.connection
        if connection.state is State.SYN_SENT and flags == SYN | ACK and self._promised:
            if extend(segment.ack, connection.snd_nxt) == connection.iss + 1:
                self._syn_ack(segment, number, key, now)
                return
        elif not self.done and flags == SYN | ACK:
            # Our parameters were lost.
            self._send_control()
            return
        elif not self.done and flags == ACK:
            self._answer(segment, number, key, now)
            return
        self.take_plain(segment, number, key, now)

    def _syn_ack(self, segment: Segment, number_: int, key: Key | None, now: float) -> None:
        flow = self.flow
        reading = self.read(Part.SYN_ACK, segment)
        options = self.take_reading(segment, reading)
        own = {number(want.octets) for want in self._promised}
        self.facts.peer_options = self.users(segment, reading.spans)
        # Where nothing that was promised is agreed to, it may be the SYN's own option that a box sends back.
        marked = bool(own.intersection(reading.promised)) and not self._went_plain
        self.agreed = frozenset(reading.promised) if marked else frozenset()
        # A bit that is not one of ours is an option of the server's own.
        self.expected = frozenset(bit for bit in self.agreed if bit in _KIND or bit not in own)
        usable = self._carried | {_KIND[bit] for bit in self.agreed & own if bit in _KIND}
        flow.connection.renounce(
            Options(
                ts_val=0 if TIMESTAMPS in usable else None,
                sack_permitted=SACK_PERMITTED in usable,
                wscale=0 if WSCALE in usable else None,
            )
        )
        if not marked:
            self.facts.fallback = "no aggregated option in the SYN-ACK"
            flow.deliver(segment, number_, key, now)
            self._check_settled()
            return
        self.asked = Options(mss=options.mss, wscale=options.wscale, ts_val=options.ts_val)
        self.asked.sack_permitted = options.sack_permitted
        # What is agreed on is in use from here; the server's numbers follow in its answer.
        if 2 in self.agreed & own:
            options.ts_val = 0
        if 0 in self.agreed & own:
            options.wscale = 0
        options.sack_permitted = options.sack_permitted or 1 in self.agreed & own
        self.parameters = tuple(want for want in self._promised if number(want.octets) in self.agreed)
        self.done = False
        flow.connection.hold_data = True
        flow.deliver(segment, number_, key, now, payload=False)
        if flow.over:
            return
        self._parts = chunks(self.parameters, self.every())
        self._go_on(now)

    def _go_on(self, now: float) -> None:
        """The current part is sent next; with the last one text may go."""
        connection = self.flow.connection
        self._interval = connection.rtt.rto
        self.next_deadline = now + self._interval
        if self._part == len(self._parts) - 1:
            connection.hold_data = False
            self.ready = True
        connection.ack_now = True
        self.flow.settle(now)

    def _answer(self, segment: Segment, number_: int, key: Key | None, now: float) -> None:
        """The server's parameters, or its acknowledgment of ours."""
        flow = self.flow
        reading = self.read(Part.ANSWER, segment)
        if not reading.marked or not self.acceptable(segment, number_):
            flow.drop(EdoDrop.PARAMETERS_MISSING)
            return
        options = self.take_reading(segment, reading)
        self._tries = 0
        self.collect(segment, reading)
        if reading.more:
            if self._part < len(self._parts) - 1:
                self._part += 1
                self._go_on(now)
            return
        if not self.come(options):
            flow.drop(EdoDrop.PARAMETERS_MISSING)
            return
        self.put_into_use(options)
        self.next_deadline = None
        flow.connection.hold_data = False
        self.ready = True
        flow.deliver(segment, number_, key, now)
        # A segment without the option tells the server that its parameters came.
        flow.connection.ack_now = True
        self._check_settled()

    def established(self, now: float) -> None:
        if self.done:
            super().established(now)

    def advance(self, now: float) -> None:
        """No answer in time: all parameters once more, from the first."""
        if self.done:
            return
        self._tries += 1
        if self._tries > _TRIES:
            connection = self.flow.connection
            run = Run(connection.snd_nxt, connection.rcv_nxt, RST | ACK, 0, connection.plain_options(now))
            self.flow.send(run, self.flow.stack.out)
            error = TcpError(errno.ETIMEDOUT, "the parameters of agreed options were not answered")
            self.flow.fail(error, now)
            return
        self._part = 0
        self._interval *= 2
        self.next_deadline = now + self._interval
        self._send_control()


class AggregatedServer(_Side):
    """The passive opener's side."""

    def __init__(self, flow: Flow, settings: SynSpace, segment: Segment) -> None:
        super().__init__(flow, settings)
        self._answering = False
        self._bits: frozenset[int] = frozenset()
        self.facts.peer_options = self.users(segment, segment.spans)
        self._syn(segment)

    def _syn(self, segment: Segment) -> None:
        """The latest SYN: what it promises, as far as this side can do it."""
        reading = self.read(Part.SYN, segment)
        self.asked = segment.options
        config = self.flow.connection.config
        may = {0: config.window_scaling, 1: config.sack, 2: config.timestamps}
        # What has no bit of its own is the application's business; the other known ones are not had here.
        self.agreed = frozenset(bit for bit in reading.promised if may.get(bit, bit >= 6))
        self.expected = self.agreed
        self.done = not self.agreed

    # --- out ---------------------------------------------------------------------------------------------

    def dress(self, run: Run, now: float, out: list[bytes]) -> None:
        if run.flags & SYN and self.agreed:
            wants = self._affordable(self.settings.wants(run.options))
            self.parameters = split(wants, self.largest)[1]
            self.send_laid(
                laid_syn(Part.SYN_ACK, wants, self.space, largest=self.largest, asked=self.agreed), run, out
            )
        elif self._answering and not run.flags & (SYN | RST):
            self.flow.send(run, out, self.riders((*self._tcps(), *self.parameters), run.options, LAST))
        else:
            self.dress_plain(run, out)

    def _tcps(self) -> tuple[Want, ...]:
        """Our parameters of TCP's own options that were agreed on by bits, timestamps apart."""
        wscale = self.flow.connection.wanted_wscale if 0 in self.agreed else None
        return SynSpace(_METHOD.name).wants(Options(wscale=wscale, sack_permitted=1 in self.agreed))

    def _affordable(self, wants: tuple[Want, ...]) -> tuple[Want, ...]:
        """``wants`` without what one answer would not hold, and which so is not promised."""
        every = SynSpace(_METHOD.name).wants(Options(ts_val=0))
        while len(chunks((*self._tcps(), *split(wants, self.largest)[1]), every)) > 1:
            last = split(wants, self.largest)[1][-1]
            wants = tuple(want for want in wants if want is not last)
        return wants

    # --- in ----------------------------------------------------------------------------------------------

    def take(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        flags = segment.flags & (SYN | ACK | RST)
        connection = self.flow.connection
        if flags == SYN and connection.state is State.SYN_RECEIVED and number == connection.irs:
            self.flow.read_inside(segment)
            self._syn(segment)
        elif flags == ACK and not self.done:
            self._third(segment, number, key, now)
            return
        elif flags == ACK and self._answering:
            reading = self.read(Part.THIRD, segment)
            if reading.marked:
                # The client still waits for ours.
                connection.ack_now = True
            elif self.acceptable(segment, number):
                self._answering = False
        self.take_plain(segment, number, key, now)

    def _third(self, segment: Segment, number_: int, key: Key | None, now: float) -> None:
        flow = self.flow
        reading = self.read(Part.THIRD, segment)
        if not self.acceptable(segment, number_):
            self.take_plain(segment, number_, key, now)
            return
        if not reading.marked:
            # Our bits did not arrive: a client that saw them has the option in every segment.
            self.agreed = frozenset()
            self.done = True
            self.facts.fallback = "no aggregated option in the third segment"
            self.take_plain(segment, number_, key, now)
            return
        options = self.take_reading(segment, reading)
        self.collect(segment, reading)
        if reading.more:
            self._acknowledge()
            return
        if not self.come(options):
            flow.drop(EdoDrop.PARAMETERS_MISSING)
            return
        self.put_into_use(options)
        self._answering = True
        flow.deliver(segment, number_, key, now)
        if not flow.over:
            flow.connection.ack_now = True

    def _acknowledge(self) -> None:
        """A segment with the option says that one with more to come has arrived."""
        flow = self.flow
        connection = flow.connection
        run = connection.control_run(ACK, connection.snd_nxt, connection.plain_options(flow.stack.now))
        flow.send(run, flow.stack.out, (self.mark(MORE),))

    def _check_settled(self) -> None:
        if self.done and not self._answering:
            super()._check_settled()
