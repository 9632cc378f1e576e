"""SYN-EOS of a listener: the SYN-ACK that confirms, and what may come after it (docs/syn-eos.md).

An ``Answerer`` stands beside the handshake of a connection whose SYN offered SYN-EOS, be it that its out-of-band
segment (OOB) came with it, later or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ao.keys import Key
from edo.beside import room_for_syn_eos, room_for_timestamps, split_syn_ack
from edo.codepoints import Dialect
from edo.fast import read_options
from edo.layout import lay_out
from edo.options import Options, Span
from edo.plan import Form
from edo.reasons import EdoDrop
from edo.syneos import join, read_oob

from ..run import ACK, RST, SYN, Run
from ..segment import Segment
from ..states import State
from ..syneos import SynEos
from .base import Handshake
from .syn_eos import CONFIRMED, METHOD, NOT_CONFIRMED, users

# All SYN-ACKs to an unproven address stay within this many times the IP octets that it sent (profile.md §5).
_AMPLIFICATION: Final = 3


@dataclass(frozen=True, slots=True)
class Joined:
    """A SYN's options and those of its OOB's payload as one list (S2); ``users``: the latter's, but TCP's own."""

    options: Options
    users: tuple[bytes, ...]


def read_joined(
    out_of_band: Segment, syn: Options, spans: Sequence[Span], ao_octets: int, dialect: Dialect
) -> Joined | None:
    """Join the payload of an OOB to the options ``syn`` of its SYN, found at ``spans``.

    None where the OOB counts as not come: what ``read_oob`` and ``join`` refuse, or no room beside TCP-AO of
    ``ao_octets`` for what SYN-EOS brings. Timestamps are not taken where later segments have no room for them.
    """
    points = dialect.points
    found = read_oob(out_of_band.tcp, out_of_band.data_offset, spans, points)
    if found is None or not room_for_syn_eos(ao_octets, dialect):
        return None
    options = join(syn, read_options(out_of_band.tcp, found, points))
    if options is None:
        return None
    if not room_for_timestamps(ao_octets, dialect):
        options.ts_val = None
    return Joined(options, users(out_of_band.tcp, found, points))


class Answerer:
    """The listener's side of a SYN that offers SYN-EOS: ``syn`` its options, found at ``spans``.

    ``joined``: its OOB came, so the SYN-ACK confirms (S4); the connection was given these options, by ``received``
    IP octets. Where it did not come, all goes on as if SYN-EOS had not been there, unless the opener sends it again
    (section 1.3).
    """

    __slots__ = ("_confirmed", "_flow", "_handshake", "_own", "_received", "_sent", "_spans", "_stamped", "_syn")

    def __init__(
        self,
        handshake: Handshake,
        settings: SynEos,
        syn: Options,
        spans: Sequence[Span],
        received: int,
        joined: Joined | None,
    ) -> None:
        self._handshake = handshake
        self._flow = handshake.flow
        self._own = settings.options
        self._syn = syn
        self._spans = spans
        self._received = received
        self._sent = 0
        self._confirmed = False
        # Timestamps were offered in the OOB alone.
        self._stamped = False
        handshake.syn_eos = self
        handshake.facts.syn_eos = NOT_CONFIRMED
        if joined is not None:
            self._confirm(joined)

    def _confirm(self, joined: Joined) -> None:
        self._confirmed = True
        self._stamped = self._syn.ts_val is None and joined.options.ts_val is not None
        self._flow.edo.enable()
        facts = self._handshake.facts
        facts.syn_eos = CONFIRMED
        facts.method = METHOD
        facts.peer_options = joined.users

    def dress(self, run: Run, out: list[bytes]) -> None:
        """Send the SYN-ACK; one that confirms is extended where its options do not fit (S4, S6)."""
        flow = self._flow
        if not self._confirmed:
            flow.send(run, out)
            return
        options = run.options
        options.syn_eos = True
        options.edo_supported = False
        packets = self._packets(run, options, self._own)
        connection = flow.connection
        room = min(connection.peer_mss + connection.config.ip_header + 20, connection.config.mtu)
        room = min(room, _AMPLIFICATION * self._received - self._sent)
        if self._own and len(packets[0]) > room:
            # Whose address it is nobody has shown yet.
            packets = self._packets(run, options, ())
        self._sent += len(packets[0])
        out += packets
        trace = flow.stack.trace
        if trace is not None:
            trace.segments_sent(flow.key, run, 1, len(packets[0]), flow.stack.now)

    def _packets(self, run: Run, options: Options, riders: tuple[bytes, ...]) -> list[bytes]:
        flow = self._flow
        protection = flow.protection
        dialect = flow.edo.dialect
        form = flow.edo.form(protection.authenticates) or Form.LONG
        split = split_syn_ack(options, riders, form, ao_octets=protection.ao_octets, dialect=dialect)
        if split.extension is None:
            flow.connection.renounce(split.inside)
        run.options = split.inside
        plan = lay_out(
            split.inside,
            ao_octets=protection.ao_octets,
            key_ids=protection.key_ids,
            extension=split.extension,
            behind=split.extension is not None,
            riders=split.riders + split.beside,
            dialect=dialect,
            syn=True,
        )
        packets: list[bytes] = []
        protection.seal(flow.sealer, run, plan, 1, packets)
        return packets

    def advance(self, now: float) -> None:
        """It has no timers."""

    def take(self, segment: Segment, number: int, key: Key | None, now: float) -> bool:
        """Look at a segment whose options are read; False: the handshake is not to see it."""
        flow = self._flow
        connection = flow.connection
        if segment.options.syn_eos and not segment.flags & (SYN | RST):
            self._out_of_band(segment, now)
            return False
        if segment.flags & SYN:
            self._received += segment.ip_octets
        if self._confirmed and segment.flags & SYN:
            # The SYN again: what its OOB brought stands, whether or not it announces one by now.
            segment.options.edo_supported = True
        if (
            self._confirmed
            and connection.state is State.SYN_RECEIVED
            and self._handshake.acceptable(segment, number)
            and not flow.edo.extended
            and not (self._stamped and segment.options.ts_val is not None)
        ):
            # The opener did not read our confirmation, a box removed it: only its SYN's own options are in use.
            self._confirmed = False
            self._handshake.facts.syn_eos = NOT_CONFIRMED
            self._handshake.facts.method = None
            connection.take_syn_options(self._syn)
            flow.edo.turn_off()
        return True

    def _out_of_band(self, segment: Segment, now: float) -> None:
        """An OOB of a SYN that was answered: only the first counts (S8), and none after the last ACK.

        One with ACK says that ours came without SYN-EOS: its options count now, by another SYN-ACK (section 1.3).
        """
        flow = self._flow
        connection = flow.connection
        joined = None
        if (
            not self._confirmed
            and flow.edo.possible
            and segment.flags & ACK
            and connection.state is State.SYN_RECEIVED
            and segment.seq == connection.irs & 0xFFFFFFFF
            and segment.ack == (connection.iss + 1) & 0xFFFFFFFF
        ):
            octets = flow.protection.ao_octets
            joined = read_joined(segment, self._syn, self._spans, octets, flow.edo.dialect)
        if joined is None:
            flow.drop(EdoDrop.STRAY_OOB)
            return
        self._received += segment.ip_octets
        self._confirm(joined)
        connection.answer_anew(joined.options, now)
