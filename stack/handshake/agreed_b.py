"""Role B of a key agreement, the passive opener: what it takes, and does (profile.md §5)."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import ClassVar

from ao.agreement import AgreementB, Outcome, OutcomeKind
from ao.groups import GROUPS_BY_NAME
from ao.keys import Key
from ao.messages import MessageKind
from ao.reasons import AoDrop
from edo.eno import offered, parse, single, syn_ack_option
from edo.layout import lay_out
from edo.messages import cut
from edo.options import Options
from edo.plan import Form

from ..flow import Flow
from ..run import RST, SYN, Run
from ..security import Security
from ..segment import Segment
from ..states import State
from .role_b import AwaitingKeys, RoleB
from .sighting import Sighting
from .stages import UNAWARE, Kind, Stage

# SYN-ACKs that may carry the answer; from the next one on SYN-EOS is not confirmed (profile.md §5).
_EXTENDED_SYN_ACKS = 3
# All SYN-ACKs to an unproven address stay within this many times the IP octets that it sent (profile.md §5).
_AMPLIFICATION = 3
# Seconds after A's first ACK without a hello that can be answered: require, prefer (profile.md §5).
_HELLO_WAIT = 30.0
_HELLO_WAIT_PREFER = 10.0
_MESSAGES = frozenset({MessageKind.HELLO, MessageKind.SECOND_HELLO, MessageKind.REFUSE})


class AgreedB(RoleB):
    """The passive opener's handshake: made for a SYN whose ENO and extended options allow an agreement."""

    __slots__ = (
        "_extend",
        "_in_syn_ack",
        "_peer_mss",
        "_random",
        "_received",
        "_sent",
        "_syn_acks",
    )

    TABLE: ClassVar = {
        (Stage.SYN_TAKEN, Kind.SYN): "_repeated_syn",
        (Stage.SYN_TAKEN, Kind.MESSAGE): "_message",
        (Stage.SYN_TAKEN, Kind.ACK_PLAIN): "_without_eno",
        (Stage.SYN_TAKEN, Kind.ACK_WITH_ENO): "_await_hello",
        (Stage.SYN_TAKEN, Kind.RST): "_exact_reset",
        (Stage.ANSWERED, Kind.GOOD): "_first_good",
        (Stage.ANSWERED, Kind.SYN): "_repeated_syn",
        (Stage.ANSWERED, Kind.OUT_OF_BAND): "_repeated_out_of_band",
        (Stage.ANSWERED, Kind.MESSAGE): "_message",
        (Stage.ANSWERED, Kind.ACK_PLAIN): "_after_answer",
        (Stage.ANSWERED, Kind.RST): "_exact_reset",
    }

    def __init__(
        self,
        flow: Flow,
        security: Security,
        random: Callable[[int], bytes],
        syn: Options,
        seen: Sighting | None,
        received: int,
        hello: bytes | None,
    ) -> None:
        """``syn`` are the SYN's options; ``seen`` is None where a cookie kept nothing else of it; ``received`` are
        the IP octets of SYN and OOB; ``hello`` is the OOB's message, if it came.
        """
        super().__init__(flow, security, Stage.SYN_TAKEN)
        self.eno = syn_ack_option(security.application_aware)
        self.facts.peer_aware = parse(syn.eno or b"").aware
        self.eno_due = True
        self.peer_eno = syn.eno or b""
        self.seen = seen
        self._peer_mss = syn.mss or 536
        self._random = random
        self.agreement = self._new_agreement()
        self._received = received
        self._sent = 0
        self._syn_acks = 0
        self._in_syn_ack = False
        self._extend = False
        flow.edo.take_syn(True)
        if hello is not None:
            # Nobody has proven yet to be at that address: only what is cheap.
            self.own.unproven = True
            outcome = self._take(MessageKind.HELLO, hello)
            self.own.unproven = False
            if outcome.kind is OutcomeKind.answer:
                self._extend = True
                self._answered("syn")
            elif outcome.kind is OutcomeKind.retry:
                self._extend = True
            else:
                # An OOB whose hello would be refused is ignored; the refusal follows in ``late``.
                self.release()
                self.agreement = self._new_agreement()

    def _new_agreement(self) -> AgreementB:
        return AgreementB(
            suites=self.security.agreed_suites,
            groups=tuple(GROUPS_BY_NAME[name].code for name in self.security.groups),
            flags=self.flags,
            random=self._random,
            own_order=self.security.order == "own",
            find=self.find,
            demanded=self.demanded,
        )

    def _take(self, kind: MessageKind, message: bytes) -> Outcome:
        connection = self.flow.connection
        return self.own.take(
            kind,
            message,
            isn=connection.iss & 0xFFFFFFFF,
            eno=self.eno,
            peer_isn=connection.irs & 0xFFFFFFFF,
            peer_eno=self.peer_eno,
        )

    @property
    def own(self) -> AgreementB:
        """The agreement, of this placement's kind."""
        agreement = self.agreement
        assert isinstance(agreement, AgreementB)
        return agreement

    # --- out ---------------------------------------------------------------------------------------------

    def dress(self, run: Run, now: float, out: list[bytes]) -> None:
        if self.stage is Stage.PLAIN:
            self.flow.send(run, out)
        elif self.stage is Stage.CONFIRMED:
            self.after.dress(run, out)
        elif run.flags & SYN:
            self._syn_ack = run
            self._send_syn_ack(out, extend=self._extend)
        elif run.flags & RST:
            self.send_resets()
        # Until A's first good MAC nothing else leaves: data and ACKs wait for the keys.

    def _send_syn_ack(self, out: list[bytes], *, extend: bool) -> None:
        """The SYN-ACK, with the answer behind Data Offset where SYN-EOS is confirmed (profile.md §5)."""
        run = self._syn_ack
        if run is None:
            return
        flow = self.flow
        options = run.options
        options.eno = self.eno
        options.syn_eos = False
        options.edo_supported = False
        packets: list[bytes] = []
        if extend and self._syn_acks < _EXTENDED_SYN_ACKS and self.own.sending is not None:
            options.syn_eos = True
            plan = lay_out(
                options,
                extension=Form.LONG,
                behind=True,
                riders=cut(*self.own.sending, points=flow.edo.dialect.points),
                dialect=flow.edo.dialect,
                syn=True,
            )
            flow.sealer.seal(run, plan, 1, packets)
            config = flow.connection.config
            fits = plan.header_octets - 20 <= min(self._peer_mss, config.mtu - config.ip_header - 20)
            if not fits or self._sent + len(packets[0]) > _AMPLIFICATION * self._received:
                packets.clear()
                options.syn_eos = False
        if packets:
            self._in_syn_ack = self.own.answered
        else:
            options.edo_supported = True
            flow.send(run, packets)
        self.note_sent(packets[0])
        self._syn_acks += 1
        self._sent += sum(map(len, packets))
        out.extend(packets)

    # --- in ----------------------------------------------------------------------------------------------

    def _repeated_syn(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        """A repeated SYN gets the SYN-ACK that its options ask for."""
        flow = self.flow
        connection = flow.connection
        if segment.seq != connection.irs & 0xFFFFFFFF:
            self.other_syn(now)
            return
        self._received += segment.ip_octets
        options = segment.options
        if options.eno is None:
            if self.prefer and connection.state is State.SYN_RECEIVED:
                self.go_plain("the SYN was repeated without ENO")
                flow.edo.turn_off()
                self._plain_syn_ack()
            else:
                self.give_up(errno.EPROTO, "the SYN was repeated without ENO", now)
            return
        if not options.syn_eos and not options.edo_supported:
            flow.drop(AoDrop.clear_segment)
            return
        self._send_syn_ack(flow.stack.out, extend=options.syn_eos)

    def _repeated_out_of_band(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        self.flow.read_inside(segment)
        if segment.options.syn_eos and segment.seq == self.flow.connection.irs & 0xFFFFFFFF and self._extend:
            self._received += segment.ip_octets
            self._send_syn_ack(self.flow.stack.out, extend=True)
        else:
            self.flow.drop(AoDrop.clear_segment)

    def _await_hello(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        """A's ACK without a hello: it has to follow in time."""
        self.flow.drop(AoDrop.clear_segment)
        self._expect_hello(now)

    def _expect_hello(self, now: float) -> None:
        """From A's first ACK on there is so much time for a hello that can be answered."""
        if self.stage is Stage.SYN_TAKEN and self.next_deadline is None:
            self.next_deadline = now + (_HELLO_WAIT_PREFER if self.prefer else _HELLO_WAIT)

    def advance(self, now: float) -> None:
        if self.stage is Stage.SYN_TAKEN:
            self.give_up(errno.ETIMEDOUT, "no hello came that can be answered", now)
        else:
            super().advance(now)

    def _message(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        self._received += segment.ip_octets
        messages = self.messages_of(segment, _MESSAGES)
        if messages is None:
            return
        outcomes = [(kind, self._take(kind, octets)) for kind, octets in messages]
        bad = [kind for kind, outcome in outcomes if outcome.kind is OutcomeKind.malformed]
        if bad:
            self.malformed(bad[0])
            return
        flow = self.flow
        self.eno_due = False
        flow.edo.accepted(True)
        # The segment counts as an empty one at the stream's start, and may be the ACK that ends the handshake.
        connection = flow.connection
        if connection.state is State.SYN_RECEIVED or not connection.accurate:
            # Later its flags, ACK alone, would be taken for a count of marks (RFC 9768 §3.2.2).
            flow.deliver(segment, connection.irs + 1, None, now, payload=False)
        if not flow.over:
            self._expect_hello(now)
        for _, outcome in outcomes:
            if not flow.over:
                self._outcome(outcome, now)

    def _outcome(self, outcome: Outcome, now: float) -> None:
        """Do what a whole message of A's leads to."""
        if outcome.kind in (OutcomeKind.refuse, OutcomeKind.refused):
            self.refused(outcome, now)
        elif outcome.kind not in (OutcomeKind.answer, OutcomeKind.retry, OutcomeKind.repeated):
            if outcome.drop is not None:
                self.flow.drop(outcome.drop)
        elif self.own.answered:
            first = self.facts.placement != "late"
            self._answered("late")
            self._send(now)
            if first:
                self.start_repeating(self._send, "keys agreed but nothing verifies", now)
                self.ready = not self.security.waits
                self.flow.settle(now)
        else:
            self._send(now)

    def _send(self, now: float) -> None:
        if self.own.sending is not None:
            self.send_message(*self.own.sending)

    def _answered(self, placement: str) -> None:
        self.facts.placement = placement
        if self.stage is Stage.SYN_TAKEN:
            self.stage = Stage.ANSWERED
            self.facts.mode = self.security.protect
            self.flow.protection = AwaitingKeys(self._make_keys, self.release)
            self.stop_repeating()

    def _without_eno(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        """The first ACK has no ENO: RFC 8547 goes on in clear, ``require`` does not."""
        if not self.acceptable(segment, number):
            self.flow.drop(AoDrop.clear_segment)
        elif self.prefer:
            self.go_plain("no ENO in the ACK")
            self.take_plain(segment, number, key, now)
        else:
            self.give_up(errno.EPROTO, "no ENO in the ACK", now)

    def _after_answer(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        """After an answer in a SYN-ACK, a clear ACK of the SYN may hide ciphertext: RST under any policy."""
        if self._in_syn_ack and self.acceptable(segment, number):
            self.give_up(errno.EPROTO, "keys were answered and a clear ACK came", now)
        else:
            self.flow.drop(AoDrop.clear_segment)


def takes(security: Security, syn: Segment, *, out_of_band: bool) -> str | None:
    """Why a listener cannot agree on keys with the sender of ``syn``; None when it can (profile.md §3)."""
    options = syn.options
    if set(security.placements) == {"compact"}:
        return "no share in the SYN"
    if options.eno is None:
        return "no ENO in the SYN"
    if not offered(single(options)):
        return "no valid TEP in the SYN"
    if security.demand_aware and not parse(options.eno).aware:
        return UNAWARE
    if not options.edo_supported and not out_of_band:
        return "no EDO in the SYN"
    if not {"auto", "syn" if out_of_band else "late"} & set(security.placements):
        return "no placement in common"
    return None
