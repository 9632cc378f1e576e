"""SYN-EOS of an active opener: options that do not fit the SYN, in a segment of their own (docs/syn-eos.md).

draft-touch-tcpm-tcp-syn-ext-opt, whose rules have the numbers S1 to S10 there. An ``Opener`` stands beside a
handshake that agrees on no keys: it dresses SYNs, and looks at segments before the handshake does.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import Final

from ao.keys import Key
from edo.beside import (
    Split,
    room_for_syn_eos,
    room_for_timestamps,
    split_syn,
)
from edo.codepoints import CodePoints
from edo.extended import header_end
from edo.fast import read_options
from edo.layout import lay_out
from edo.options import Options, Span
from edo.plan import Plan
from edo.reasons import EdoDrop
from edo.syneos import oob_payload
from edo.walk import walk

from ..flow import Flow
from ..run import ACK, FIN, RST, SYN, Run
from ..segment import Segment
from ..seqnum import extend
from ..states import State
from ..syneos import SynEos
from .base import Handshake

# SYNs that carry SYN-EOS; the next goes without, since a path may swallow what it does not know (profile.md §5).
_MARKED_SYNS: Final = 2
# How long the answer to a repeated OOB is waited for: this much beyond twice the round trip, seconds.
_PATIENCE: Final = 0.2
CONFIRMED: Final = "confirmed"
NOT_CONFIRMED: Final = "not confirmed"
METHOD: Final = "syn-eos"


def emit(flow: Flow, run: Run, plan: Plan, out: list[bytes]) -> None:
    """Send a SYN or SYN-ACK that is laid out, with all its text."""
    before = len(out)
    flow.protection.seal(flow.sealer, run, plan, max(run.length, 1), out)
    if flow.stack.trace is not None:
        octets = sum(map(len, out[before:]))
        flow.stack.trace.segments_sent(flow.key, run, len(out) - before, octets, flow.stack.now)


def users(tcp: memoryview, spans: Iterable[Span], points: CodePoints) -> tuple[bytes, ...]:
    """The whole options among ``spans`` that are neither TCP's own nor of the option space."""
    kinds = {2, 3, 4, 5, 8, points.ao, points.md5, points.eno, points.fast_open, points.user_timeout}
    kinds |= {points.native_supported, points.native_extension}
    exids = {points.edo_exid, points.syn_eos_exid, points.ke_exid, points.fast_open_exid}
    return tuple(
        bytes(tcp[offset : offset + octets])
        for kind, exid, offset, octets in spans
        if kind not in kinds and exid not in exids
    )


class Opener:
    """The active opener's side, until the SYN-ACK has come.

    ``edo_too``: EDO is wanted even where SYN-EOS fails, so the SYN offers it by itself (S7). Raises OSError
    (EMSGSIZE) where the OOB does not fit the link: before anything is sent.
    """

    __slots__ = (
        "_beside",
        "_due",
        "_edo_too",
        "_flow",
        "_handshake",
        "_held",
        "_held_at",
        "_held_until",
        "_in_syns",
        "_out_of_band",
        "_settings",
    )

    def __init__(self, handshake: Handshake, settings: SynEos, *, edo_too: bool) -> None:
        self._handshake = handshake
        self._flow = handshake.flow
        self._settings = settings
        self._edo_too = edo_too
        # The OOB, once a SYN needed one: sealed once, since all its repetitions have the same octets (S8).
        self._out_of_band: bytes | None = None
        self._beside = b""
        # When the OOB leaves that waits behind its SYN.
        self._due: float | None = None
        # The options that SYNs had in their own headers.
        self._in_syns = Options()
        # A SYN-ACK that did not confirm, kept while the OOB is sent once more.
        self._held: tuple[Segment, int, Key | None] | None = None
        self._held_at = self._held_until = 0.0
        self._check()
        handshake.syn_eos = self

    def _check(self) -> None:
        flow = self._flow
        config = flow.connection.config
        options = flow.connection.syn_options(False)
        options.edo_supported = True
        octets = len(oob_payload(self._split(options).beside))
        room = config.mtu - config.ip_header - 20 - len(self._plan(Options(syn_eos=True)).octets)
        if octets > room:
            raise OSError(errno.EMSGSIZE, f"{octets} octets of options do not fit an out-of-band segment of {room}")

    def _split(self, options: Options) -> Split:
        flow = self._flow
        dialect = flow.edo.dialect
        ao_octets = flow.protection.ao_octets
        if not self._edo_too:
            options.edo_supported = False
        if not room_for_timestamps(ao_octets, dialect):
            # No later segment would have room for them beside the Extension.
            options.ts_val = None
        return split_syn(options, self._settings.options, ao_octets=ao_octets, dialect=dialect)

    def _plan(self, options: Options, riders: tuple[bytes, ...] = ()) -> Plan:
        flow = self._flow
        protection = flow.protection
        return lay_out(
            options,
            ao_octets=protection.ao_octets,
            key_ids=protection.key_ids,
            riders=riders,
            dialect=flow.edo.dialect,
            syn=True,
        )

    # --- out ---------------------------------------------------------------------------------------------

    def dress(self, run: Run, out: list[bytes]) -> None:
        """Send a SYN, with its OOB where it needs one (S1, S9); where SYNs have crossed, the SYN-ACK."""
        flow = self._flow
        if run.flags & ACK:
            flow.send(run, out)
            return
        split = self._split(run.options)
        marked = split.inside.syn_eos and run.transmission < _MARKED_SYNS
        if marked or not split.inside.syn_eos:
            run.options = split.inside
            plan = self._plan(run.options, split.riders)
        else:
            plan = self._plan(run.options)
        self._note_offered(plan.octets)
        emit(flow, run, plan, out)
        if not marked:
            return
        if self._out_of_band is None:
            self._handshake.facts.syn_eos = NOT_CONFIRMED
            self._beside = oob_payload(split.beside)
            self._out_of_band = self._seal(run.window)
        if self._settings.delay:
            self._due = flow.stack.now + self._settings.delay
            self._wake(self._due)
        else:
            out.append(self._out_of_band)

    def _note_offered(self, octets: bytes) -> None:
        header = memoryview(bytes(20) + octets)
        sent = read_options(header, walk(header, 20, len(header)) or [], self._flow.edo.dialect.points)
        offered = self._in_syns
        offered.wscale = sent.wscale if offered.wscale is None else offered.wscale
        offered.ts_val = sent.ts_val if offered.ts_val is None else offered.ts_val
        offered.sack_permitted = offered.sack_permitted or sent.sack_permitted

    def _seal(self, window: int, ack: int | None = None) -> bytes:
        """The OOB's packet: SYN-EOS alone in its header (S3) and TCP-AO where keyed; options for payload.

        ``ack``: it is the one that answers a SYN-ACK. Its number is the SYN's, and it takes none.
        """
        flow = self._flow
        payload = memoryview(self._beside)
        flags = 0 if ack is None else ACK
        options = Options(syn_eos=True)
        run = Run(flow.connection.iss, ack or 0, flags, window, options, [payload], len(payload))
        packets: list[bytes] = []
        flow.protection.seal(flow.sealer, run, self._plan(options), len(payload), packets)
        return packets[0]

    def _wake(self, at: float | None) -> None:
        self._handshake.next_deadline = at
        self._flow.stack.touch(self._flow)

    def advance(self, now: float) -> None:
        """The OOB leaves that waited behind its SYN (S10), or a repeated one was not answered in time."""
        flow = self._flow
        self._wake(None)
        if self._due is not None:
            self._due = None
            if self._out_of_band is not None and flow.connection.state is State.SYN_SENT:
                flow.stack.out.append(self._out_of_band)
        elif self._held is not None:
            segment, number, key = self._held
            # What passed since is no part of the round trip.
            flow.connection.syn_sent_at += now - self._held_at
            self._handshake.take(segment, number, key, now)

    # --- in ----------------------------------------------------------------------------------------------

    def take(self, segment: Segment, number: int, key: Key | None, now: float) -> bool:
        """Look at a segment whose options are read; False: the handshake is not to see it, or not yet."""
        connection = self._flow.connection
        flags = segment.flags
        if flags & RST or not flags & SYN:
            return True
        offered = self._out_of_band is not None
        if offered and flags & ACK:
            # Who offered SYN-EOS takes no payload of a SYN-ACK: it may be options (profile.md §1).
            segment.flags &= ~FIN
            segment.header_end = len(segment.tcp)
        if connection.state is not State.SYN_SENT:
            return True
        if not flags & ACK:
            # SYNs have crossed: the peer, in SYN-SENT, drops the OOB. What it alone had was not offered.
            self._withdraw(segment)
            return True
        if not connection.iss < extend(segment.ack, connection.snd_nxt) <= connection.snd_nxt:
            return True
        self._due = None
        # EDO was given up where late SYNs went without it: what confirms it then counts as not read.
        if offered and segment.options.syn_eos and self._flow.edo.possible:
            return self._confirmed(segment, now)
        if offered and not segment.options.syn_eos and self._asks_again(segment, number, key, now):
            return False
        if offered and connection.transmission >= _MARKED_SYNS:
            self._flow.stack.peers.syn_eos_met_silence(self._flow.key[2], now)
        self._withdraw(segment)
        return True

    def _withdraw(self, segment: Segment) -> None:
        """SYN-EOS failed: what the OOB alone had was not offered, and EDO only where the SYN named it (S7)."""
        self._flow.connection.renounce(self._in_syns)
        if not self._edo_too:
            segment.options.edo_supported = False

    def _confirmed(self, segment: Segment, now: float) -> bool:
        """SYN-EOS in the SYN-ACK: both segments arrived, and EDO is on (S4, S5); it may be extended (S6)."""
        flow = self._flow
        facts = self._handshake.facts
        spans = segment.spans
        end = header_end(segment.tcp, spans, segment.data_offset, flow.edo.dialect)
        if isinstance(end, EdoDrop):
            flow.drop(end)
            return False
        if end is not None:
            behind = walk(segment.tcp, segment.data_offset, end)
            if behind is None:
                flow.drop(EdoDrop.MALFORMED_OPTION)
                return False
            spans = spans + behind
            segment.options = read_options(segment.tcp, spans, flow.edo.dialect.points)
        segment.options.edo_supported = True
        flow.edo.enable(seen=end is not None)
        facts.syn_eos = CONFIRMED
        facts.method = METHOD
        facts.peer_options = users(segment.tcp, spans, flow.edo.dialect.points)
        flow.stack.peers.syn_eos_confirmed(flow.key[2], now)
        if self._held is not None:
            flow.connection.syn_sent_at = self._held_at
        self._wake(None)
        return True

    def _asks_again(self, segment: Segment, number: int, key: Key | None, now: float) -> bool:
        """Send the OOB once more, with ACK, to a peer known to take it so; the SYN-ACK is kept for that long.

        An old server might take the options for data, hence only to a peer that confirmed before (profile.md §1).
        """
        flow = self._flow
        connection = flow.connection
        if self._held is not None:
            return now < self._held_until
        if not flow.stack.peers.speaks_syn_eos(flow.key[2], now):
            return False
        if not room_for_syn_eos(flow.protection.ao_octets, flow.edo.dialect):
            # The peer asks for a key that came later.
            return False
        # A packet's memory is not ours beyond its batch.
        segment.tcp = memoryview(bytes(segment.tcp))
        self._held = segment, number, key
        self._held_at = now
        self._held_until = now + 2 * (now - connection.syn_sent_at) + _PATIENCE
        flow.stack.out.append(self._seal(connection.first_window, number + 1))
        self._wake(self._held_until)
        return True
