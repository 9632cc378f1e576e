"""Role A of a key agreement, the active opener: what it takes, and does (profile.md §5)."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import ClassVar

from ao.agreement import AgreementA, Outcome, OutcomeKind
from ao.groups import GROUPS_BY_NAME
from ao.keys import Key
from ao.messages import MessageKind
from ao.reasons import AoDrop
from edo.eno import Negotiated, negotiate, parse, single, syn_option
from edo.fast import read_options
from edo.layout import lay_out
from edo.messages import cut
from edo.options import Options
from edo.syneos import MOST_WITH_MESSAGE, oob_payload, read_syn_ack

from ..flow import Flow
from ..run import RST, SYN, Run
from ..security import Security
from ..segment import Segment
from ..seqnum import extend
from .crossed import EQUAL, CrossedB, CrossingA, cannot_cross, is_ours_as_a
from .sighting import of_segment
from .stages import UNAWARE, Kind, Stage, with_eno

# The most octets of an out-of-band segment's payload (profile.md §5, placement ``syn``).
_OUT_OF_BAND_LIMIT = 1460
_MESSAGES = frozenset({MessageKind.ANSWER, MessageKind.RETRY, MessageKind.REFUSE})


class AgreedA(CrossingA):
    """The active opener's handshake."""

    __slots__ = (
        "_may_go_plain",
        "_offered_eos",
        "_out_of_band",
        "_placements",
    )

    TABLE: ClassVar = {
        (Stage.SYN_SENT, Kind.SYN_ACK): "_syn_ack",
        (Stage.SYN_SENT, Kind.SYN): "_crossed_syn",
        (Stage.SYN_SENT, Kind.RST): "_pass_on",
        (Stage.HELLO_SENT, Kind.SYN_ACK): "_hello_again",
        (Stage.HELLO_SENT, Kind.MESSAGE): "_message",
        (Stage.HELLO_SENT, Kind.RST): "_exact_reset",
        (Stage.KEYED, Kind.GOOD): "_first_good",
        (Stage.KEYED, Kind.SYN_ACK): "_repeated_syn_ack",
        (Stage.KEYED, Kind.MESSAGE): "_answer_again",
        **CrossingA.CROSSED,
    }

    def __init__(
        self,
        flow: Flow,
        security: Security,
        random: Callable[[int], bytes],
        placements: tuple[str, ...],
        *,
        plain_syn: bool = True,
    ) -> None:
        """``placements``: ``syn``, ``late`` or both; ``plain_syn`` False: no SYN goes without ENO."""
        super().__init__(flow, security)
        self._placements = placements
        self._may_go_plain = self.prefer and plain_syn
        self.eno = syn_option(security.application_aware)
        groups = tuple(GROUPS_BY_NAME[name].code for name in security.groups)
        session = None
        if security.resume != "off":
            session = flow.stack.peers.tickets.offer(flow.key[2], groups, flow.stack.now)
        self.agreement = AgreementA(
            isn=flow.connection.iss,
            eno=self.eno,
            suites=security.agreed_suites,
            groups=groups,
            sessions=() if session is None else (session,),
            fresh=security.resume == "fresh",
            flags=self.flags,
            random=random,
            demanded=self.demanded,
        )
        self._offered_eos = False
        self.peer_eno = b""
        fragments = cut(MessageKind.HELLO, self.own.hello, points=flow.edo.dialect.points)
        payload = oob_payload(fragments, MOST_WITH_MESSAGE)
        config = flow.connection.config
        limit = min(_OUT_OF_BAND_LIMIT, config.mtu - config.ip_header - 24)
        self._out_of_band: bytes | None = payload if len(payload) <= limit else None

    @property
    def own(self) -> AgreementA:
        """The agreement, of this placement's kind."""
        agreement = self.agreement
        assert isinstance(agreement, AgreementA)
        return agreement

    # --- out ---------------------------------------------------------------------------------------------

    def dress(self, run: Run, now: float, out: list[bytes]) -> None:
        if self.stage is Stage.PLAIN:
            self.flow.send(run, out)
        elif self.stage is Stage.CONFIRMED:
            self.after.dress(run, out)
        elif self.stage is Stage.CROSSED:
            self.dress_crossed(run, out)
        elif self.stage is Stage.SYN_SENT:
            if run.flags & SYN:
                self._dress_syn(run, out)
            else:
                # A reset: something acknowledged what we never sent (RFC 9293 §3.10.7.3).
                self.flow.send(run, out)
        elif run.flags & RST:
            self.send_resets()
        elif self.stage is Stage.KEYED:
            if self.eno_due:
                run.options = with_eno(run.options)
            self.flow.send(run, out)
        # With the hello under way nothing else leaves: the hello itself is the ACK that ends the handshake.

    def _dress_syn(self, run: Run, out: list[bytes]) -> None:
        flow = self.flow
        before = len(out)
        if self.sent_plain_syn or (self._may_go_plain and self.last and run.transmission >= 3):
            # The path may swallow what it does not know: under ``prefer`` the fourth SYN is plain.
            self.sent_plain_syn = True
            flow.edo.turn_off()
            flow.send(run, out)
            return
        options = run.options
        options.eno = self.eno
        options.edo_supported = flow.edo.offer()
        out_of_band = self._out_of_band if run.transmission < 2 else None
        if out_of_band is not None and "syn" in self._placements:
            options.syn_eos = True
            self._offered_eos = True
            flow.send(run, out)
            self.note_sent(out[before])
            # The OOB segment has the SYN's number, neither SYN nor ACK, and options for payload (SYN-EOS §5).
            view = memoryview(out_of_band)
            oob = Run(flow.connection.iss, 0, 0, run.window, Options(syn_eos=True), [view], len(view))
            plan = lay_out(oob.options, dialect=flow.edo.dialect, syn=True)
            flow.sealer.seal(oob, plan, len(view), out)
        else:
            flow.send(run, out)
            self.note_sent(out[before])

    # --- SYN-SENT ----------------------------------------------------------------------------------------

    def _crossed_syn(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        flow = self.flow
        as_a = is_ours_as_a(flow, segment.seq)
        missing = "no answer to SYNs with TCP-ENO" if self.sent_plain_syn else cannot_cross(self.security, segment)
        if missing is not None and self.prefer:
            self.go_plain(missing)
            self.take_plain(segment, number, key, now)
        elif missing is not None:
            self.give_up(errno.EPROTO, f"{missing}: TCP-ENO is off", now)
        elif as_a is None:
            self.falls_through = False
            self.give_up(errno.ECONNABORTED, EQUAL, now)
        elif as_a:
            self.become_a(segment, number, now)
        else:
            flow.handshake = CrossedB(flow, self.security, flow.stack.random, segment)
            flow.deliver(segment, number, None, now, payload=False)

    def take_plain(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        """As of any connection; who offered SYN-EOS never takes payload of a SYN-ACK (profile.md §1).

        Nor of one that lost its ACK flag on the path, and is a SYN that crosses: true text comes again.
        """
        if self._offered_eos and segment.flags & SYN:
            segment.tcp = segment.tcp[: segment.data_offset]
        super().take_plain(segment, number, key, now)

    def crossed_hello(self, segment: Segment, number: int, now: float) -> None:
        self.peer_eno = segment.options.eno or b""
        self.facts.peer_aware = parse(self.peer_eno).aware
        self.seen = of_segment(segment)
        self.flow.deliver(segment, number, None, now, payload=False)
        if not self.flow.over:
            self.stage = Stage.HELLO_SENT
            self._begin_hello(now)

    def _crossed_by_syn_ack(self, segment: Segment, number: int, now: float) -> None:
        """The peer's SYN was lost, or a box echoes options: its SYN-ACK has b = 0 (profile.md §3)."""
        flow = self.flow
        as_a = is_ours_as_a(flow, segment.seq)
        if as_a is None:
            self.falls_through = False
            self.give_up(errno.ECONNABORTED, EQUAL, now)
        elif as_a:
            flow.edo.take_syn_ack(True)
            self.crossed_hello(segment, number, now)
        else:
            crossed = CrossedB(flow, self.security, flow.stack.random, segment)
            flow.handshake = crossed
            crossed.answer_syn_ack(segment, number, now)

    def _syn_ack(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        flow = self.flow
        connection = flow.connection
        if extend(segment.ack, connection.snd_nxt) != connection.iss + 1:
            flow.deliver(segment, number, None, now, payload=False)
            return
        options = segment.options
        if self.sent_plain_syn:
            flow.stack.peers.eno_met_silence(flow.key[2], now)
            self._settle_plain(segment, number, "no answer to SYNs with TCP-ENO", now)
            return
        missing = self._missing(options)
        if missing is not None and not self.prefer and cannot_cross(self.security, segment) is None:
            self._crossed_by_syn_ack(segment, number, now)
            return
        messages: list[tuple[MessageKind, bytes]] = []
        if missing is None and options.syn_eos and self._offered_eos:
            behind = self._behind(segment)
            if behind is None:
                return
            messages = behind
            if not messages and not options.edo_supported:
                missing = "SYN-EOS confirmed without an answer"
        elif missing is None and not options.edo_supported:
            missing = "no EDO in the SYN-ACK"
        elif missing is None and "late" not in self._placements:
            missing = "SYN-EOS not confirmed, and no other placement is allowed"
        if missing is not None:
            if self.prefer and self.last:
                self._settle_plain(segment, number, missing, now)
                return
            flow.deliver(segment, number, None, now, payload=False)
            if not flow.over:
                self.stage = Stage.HELLO_SENT
                self.give_up(errno.EPROTO, missing, now)
            return
        self.peer_eno = options.eno or b""
        outcomes = self._outcomes(messages, segment.seq)
        if outcomes is None:
            return
        self.seen = of_segment(segment)
        flow.deliver(segment, number, None, now, payload=False)
        if flow.over:
            return
        self.stage = Stage.HELLO_SENT
        if outcomes:
            flow.edo.enable(seen=True)
            self._act(outcomes, now, "syn")
            return
        flow.edo.take_syn_ack(True)
        if self._offered_eos:
            flow.stack.peers.placement_failed(flow.key[2], "syn", "SYN-EOS was not confirmed", now)
        self._begin_hello(now)

    def _begin_hello(self, now: float) -> None:
        self.facts.placement = "late"
        self._send_hello(now)
        self.start_repeating(self._send_hello, f"no answer to the hello after {self.tries + 1} tries", now)

    def _missing(self, options: Options) -> str | None:
        """What the SYN-ACK lacks of TCP-ENO; None when our TEP was chosen (RFC 8547 §4.4)."""
        if options.eno is None:
            return "no ENO in the SYN-ACK"
        agreed = negotiate(self.eno, single(options))
        if not isinstance(agreed, Negotiated):
            return "our TEP was not chosen in the SYN-ACK"
        self.facts.peer_aware = agreed.aware_b
        if self.security.demand_aware and not agreed.aware_b:
            return UNAWARE
        return None

    def _behind(self, segment: Segment) -> list[tuple[MessageKind, bytes]] | None:
        """The whole messages behind Data Offset of a SYN-ACK that confirms SYN-EOS (profile.md §1).

        None where they are malformed: the segment is to be dropped.
        """
        flow = self.flow
        behind = read_syn_ack(segment.tcp, segment.data_offset, segment.spans, segment.options, flow.edo.dialect)
        if behind is None:
            return []
        segment.header_end = len(segment.tcp)
        segment.options = read_options(segment.tcp, segment.spans + behind, flow.edo.dialect.points)
        return self.messages_of(segment, _MESSAGES) if segment.options.ke else []

    def _settle_plain(self, segment: Segment, number: int, reason: str, now: float) -> None:
        self.go_plain(reason)
        if not segment.options.edo_supported or self.sent_plain_syn:
            self.flow.edo.turn_off()
        else:
            self.flow.edo.take_syn_ack(True)
        # Who offered SYN-EOS never takes payload of a SYN-ACK (profile.md §1).
        self.flow.deliver(segment, number, None, now, payload=not self._offered_eos)
        self._check_settled()

    # --- the hello is under way --------------------------------------------------------------------------

    def _send_hello(self, now: float) -> None:
        self.send_message(*self.own.sending)

    def _hello_again(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        """A repeated SYN-ACK: it may bring the answer now, else the hello was lost."""
        if not self.answers_our_syn(segment):
            self.flow.drop(AoDrop.clear_segment)
            return
        messages = self._behind(segment) if segment.options.syn_eos and self._offered_eos else []
        outcomes = None if messages is None else self._outcomes(messages, segment.seq)
        if outcomes:
            self.flow.edo.enable(seen=True)
            self._act(outcomes, now, "syn")
        elif outcomes is not None:
            self._send_hello(now)

    def _message(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        messages = self.messages_of(segment, _MESSAGES)
        outcomes = None if messages is None else self._outcomes(messages, self.flow.connection.irs & 0xFFFFFFFF)
        if outcomes is not None:
            self.flow.edo.accepted(True)
            self.eno_due = False
            self._act(outcomes, now, "late")

    def _answer_again(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        messages = self.messages_of(segment, _MESSAGES)
        if messages and any(kind is MessageKind.ANSWER for kind, _ in messages):
            self._repetition(now)
        elif messages is not None:
            self.flow.drop(AoDrop.clear_segment)

    def _outcomes(self, messages: list[tuple[MessageKind, bytes]], irs: int) -> list[Outcome] | None:
        """What the whole messages of one segment lead to; None, and it is dropped, where one cannot be parsed."""
        outcomes: list[Outcome] = []
        for kind, octets in messages:
            outcome = self.own.take(kind, octets, peer_isn=irs, peer_eno=self.peer_eno)
            if outcome.kind is OutcomeKind.malformed:
                self.malformed(kind)
                return None
            outcomes.append(outcome)
        return outcomes

    def _act(self, outcomes: list[Outcome], now: float, placement: str) -> None:
        for outcome in outcomes:
            if outcome.kind is OutcomeKind.keys:
                self.facts.placement = placement
                self._have_keys(now)
            elif outcome.kind is OutcomeKind.retry:
                self._begin_hello(now)
            elif outcome.kind is OutcomeKind.repeated:
                self._send_hello(now)
            elif outcome.kind in (OutcomeKind.refuse, OutcomeKind.refused):
                self.refused(outcome, now)
            elif outcome.drop is not None:
                self.flow.drop(outcome.drop)
