"""Keys agreed within the connection: what both roles share (profile.md §3-§5).

The two roles are tables, in ``agreed_a`` and ``agreed_b``: state and kind of segment to what is done. Everything
that a table does not name is dropped silently and counted.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import ClassVar, Final

from ao.agreement import AgreementA, AgreementB, Outcome, OutcomeKind
from ao.cipher import CIPHERS, NO_CIPHER
from ao.compact import CompactAgreement
from ao.generations import GenerationRing
from ao.groups import GROUPS
from ao.keys import Key, agreed_key
from ao.macs import by_number
from ao.messages import Flag, MessageKind
from ao.reasons import AoDrop
from ao.rekey import Rekeying
from ao.traffic_keys import SocketPair
from edo.messages import Inbox, Took, spread
from edo.options import Options

from .. import closing
from ..events import TcpError
from ..flow import Flow
from ..protection import Protection
from ..renewal import DEFAULT
from ..run import ACK, FIN, RST, SYN, URG, Run
from ..security import Security
from ..segment import Segment
from ..states import State
from .afterwards import Afterwards
from .agreed_protection import AgreedProtection
from .base import Handshake
from .keylog import log_keys
from .rekeying import Renewer
from .report import Reporter
from .sighting import Sighting, of_packet
from .stages import REASONS, Kind, Stage, with_eno

CLEAR: Final = Protection()
# Protected ACKs that answer clear repetitions, seconds between two.
ANSWER_INTERVAL: Final = 0.1
Action = Callable[..., None]


class Agreed(Handshake):
    """What A and B have in common: clear key-exchange segments, the repeat timer, keys, giving up.

    ``falls_through``: if this attempt fails now, the next placement may be tried (profile.md §5).
    """

    TABLE: ClassVar[dict[tuple[Stage, Kind], str]]
    agreement: AgreementA | AgreementB | CompactAgreement
    is_a: ClassVar[bool]
    # What protects segments once there are keys.
    PROTECTION: ClassVar[type[AgreedProtection]] = AgreedProtection

    def __init__(self, flow: Flow, security: Security, stage: Stage) -> None:
        super().__init__(flow, security.protect)
        self.after = Afterwards(flow, self, security.restart_timeout)
        self._wants_keys = False
        self.security = security
        self.stage = stage
        self.falls_through = True
        self.prefer = security.policy == "prefer"
        self.eno_due = True
        # The ENO options of the two SYNs; none in placement compact.
        self.eno = self.peer_eno = b""
        self.next_deadline = None
        # Every variant of our SYN or SYN-ACK, each once, and the peer's as it came.
        self.sent: list[Sighting] = []
        self.seen: Sighting | None = None
        self._inbox = Inbox()
        self._repeats = 0
        self._interval = 0.0
        self._repeat: Callable[[float], None] | None = None
        self._exhausted = ""
        flow.connection.hold_data = True

    @property
    def tries(self) -> int:
        """Repetitions of a message before giving up (profile.md §5); one where that is what came of it before."""
        if not self.prefer:
            return 6
        return 1 if self.flow.stack.peers.agreement_fails(self.flow.key[2], self.flow.stack.now) else 3

    @property
    def flags(self) -> int:
        """What this side permits (profile.md §4)."""
        security = self.security
        return (
            (Flag.NAT if security.nat else 0)
            | (0 if security.cover_options else Flag.OPTIONS_OUTSIDE)
            | (Flag.REPORTS if security.reports else 0)
            | (0 if security.rekey is None else Flag.REKEYING)
        )

    @property
    def demanded(self) -> int:
        """What the peer has to permit."""
        return Flag.REPORTS if self.security.strict_syn else 0

    # --- segments in -------------------------------------------------------------------------------------

    def take(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        if self.stage is Stage.PLAIN:
            self.take_plain(segment, number, key, now)
            return
        if self.stage is Stage.CONFIRMED:
            self.after.take(segment, number, key, now)
            return
        kind = self._classify(segment, key)
        if kind is None:
            return
        action = self.TABLE.get((self.stage, kind))
        if action is None:
            self.flow.drop(AoDrop.clear_segment)
            return
        getattr(self, action)(segment, number, key, now)

    def clear(self, segment: Segment, number: int, now: float) -> None:
        self.after.clear(segment, number, now)

    def exchange(self, segment: Segment, key: Key, now: float) -> None:
        self.after.exchange(segment, key, now)

    def _classify(self, segment: Segment, key: Key | None) -> Kind | None:
        """What kind of segment this is; None when it was dropped. Reads the options."""
        if key is not None:
            return Kind.GOOD if self.flow.read_behind(segment) else None
        flags = segment.flags
        if flags & RST:
            return Kind.RST
        if flags & SYN:
            self.flow.read_inside(segment)
            # Of the stream nothing is believed in clear: its end least of all.
            segment.flags &= ~(FIN | URG)
            return Kind.SYN_ACK if flags & ACK else Kind.SYN
        if not flags & ACK:
            return Kind.OUT_OF_BAND
        if not self.flow.read_behind(segment):
            return None
        if segment.options.ke:
            if self._exact(segment):
                return Kind.MESSAGE
            self.flow.drop(AoDrop.ke_malformed)
            return None
        return Kind.ACK_WITH_ENO if segment.options.eno is not None else Kind.ACK_PLAIN

    def _exact(self, segment: Segment) -> bool:
        """Whether a clear segment with KE has exactly the numbers that profile.md §5 demands."""
        connection = self.flow.connection
        behind = segment.header_end - segment.data_offset
        return (
            behind > 0
            and segment.flags == ACK
            and len(segment.tcp) == segment.header_end
            and segment.seq == (connection.irs + 1 - behind) & 0xFFFFFFFF
            and segment.ack == (connection.iss + 1) & 0xFFFFFFFF
        )

    def messages_of(self, segment: Segment, kinds: frozenset[int]) -> list[tuple[MessageKind, bytes]] | None:
        """Put the segment's fragments to what came before: the messages that are whole now, or again.

        ``kinds`` are those that the peer's role may send. None: malformed and dropped (profile.md §4).
        """
        took = self._inbox.take(segment.options.ke, kinds)
        if took is None:
            self.flow.drop(AoDrop.ke_malformed)
            return None
        whole: list[tuple[MessageKind, bytes]] = []
        for kind, result in took:
            message = self._inbox.message(kind)
            if result is Took.DIFFERS:
                self.flow.drop(AoDrop.ke_repeated_differently)
            elif message is not None and result is not Took.MORE:
                whole.append((MessageKind(kind), message))
        return whole

    def malformed(self, kind: MessageKind) -> None:
        """A whole message that cannot be parsed: it is as if it had not come (profile.md §4)."""
        self._inbox.forget(kind)
        self.flow.drop(AoDrop.ke_malformed)

    def _pass_on(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        self.flow.deliver(segment, number, key, now)

    def _exact_reset(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        if number == self.flow.connection.rcv_nxt:
            self.flow.deliver(segment, number, None, now, payload=False)
        else:
            self.flow.drop(AoDrop.clear_segment)

    def established(self, now: float) -> None:
        # Established is RFC 9293's word: ready, here, is who has keys, or went on plain.
        if self.stage is Stage.PLAIN:
            super().established(now)

    # --- messages out ------------------------------------------------------------------------------------

    def send_message(self, kind: MessageKind, message: bytes) -> None:
        """Send a whole message in clear segments, as few as it fits: ACK alone, no payload, SEQ before the stream.

        SEQ = own ISN + 1 - n, n being the octets behind Data Offset: who does not see the Extension finds octets
        that were acknowledged long ago (profile.md §5).
        """
        flow = self.flow
        connection = flow.connection
        run = connection.segment(ACK)
        # Nor what accurate ECN counts in flags (RFC 9768 §3.2).
        run.flags = ACK
        options = with_eno(run.options) if self.eno_due else run.options
        inside = flow.plan(options, ACK, (), CLEAR).data_offset
        room = min(connection.peer_mss, connection.path_mtu_octets - connection.config.ip_header - 20)
        # What lies behind Data Offset is padded to words.
        area = room + 20 - inside & ~3
        try:
            segments = spread(kind, message, area, points=flow.edo.dialect.points)
        except ValueError:
            self.give_up(
                errno.EMSGSIZE, f"{len(message)} octets of key exchange do not fit 8 segments", flow.stack.now
            )
            return
        for riders in segments:
            plan = flow.plan(options, ACK, riders, CLEAR)
            run.seq = connection.iss + 1 - (plan.header_octets - plan.data_offset)
            flow.sealer.seal(run, plan, 1, flow.stack.out)

    def send_protected_ack(self, seq: int | None = None) -> None:
        """Send an empty protected ACK; at SEQ = own ISN it is one that TCP always answers."""
        run = self.flow.connection.segment(ACK, seq)
        if self.eno_due:
            run.options = with_eno(run.options)
        self.after.dress(run, self.flow.stack.out)

    # --- the repeat timer --------------------------------------------------------------------------------

    def note_sent(self, packet: bytes) -> None:
        """Keep what our SYN or SYN-ACK looked like as it left."""
        sighting = of_packet(packet)
        if sighting not in self.sent:
            self.sent.append(sighting)

    def start_repeating(self, repeat: Callable[[float], None], exhausted: str, now: float) -> None:
        """Have ``repeat`` called by a timer that doubles, ``tries`` times, then give up with ``exhausted``."""
        self._repeat = repeat
        self._repeats = self.tries
        self._exhausted = exhausted
        self._interval = self.flow.connection.config.rto_initial
        self.next_deadline = now + self._interval

    def stop_repeating(self) -> None:
        """No more repetitions."""
        self._repeat = None
        self.next_deadline = None

    def advance(self, now: float) -> None:
        if self.stage is Stage.CONFIRMED:
            self.after.advance(now)
            return
        if self._repeat is None:
            self.next_deadline = None
            return
        if self._repeats == 0:
            self.give_up(errno.ETIMEDOUT, self._exhausted, now)
            return
        self._repeats -= 1
        self._interval *= 2
        self.next_deadline = now + self._interval
        self._repeat(now)

    # --- outcomes ----------------------------------------------------------------------------------------

    def make_keys(self, agreement: AgreementA | AgreementB | CompactAgreement) -> AgreedProtection:
        """The connection's keys of generation 0 (profile.md §7), from an agreement that has both messages.

        Raises BadShare where only the computation of the secret shows that the peer's share is none.
        """
        schedule = agreement.schedule()
        suite = agreement.suite
        group = agreement.group
        assert suite is not None
        assert group is not None
        flow = self.flow
        connection = flow.connection
        pair = SocketPair(*flow.key)
        key = agreed_key(schedule, suite, agreement.flags, pair, connection.iss, connection.irs)
        facts = self.facts
        mac = by_number(suite.mac)
        facts.mode = self.security.protect
        facts.mac = None if mac is None else mac.name
        facts.cipher = None if suite.cipher == NO_CIPHER else CIPHERS[suite.cipher].name
        facts.group = GROUPS[group].name
        facts.is_a = self.is_a
        if self.peer_eno:
            facts.eno = (self.eno, self.peer_eno) if self.is_a else (self.peer_eno, self.eno)
        facts.session_id = schedule.session.hex()
        log_keys(flow, schedule, suite, agreement.flags, 0, is_a=self.is_a)
        facts.resumed = not isinstance(agreement, CompactAgreement) and agreement.resumed is not None
        rekeying = Rekeying(schedule, group, is_a=self.is_a, random=flow.stack.random)
        schedule.wipe()
        return self.PROTECTION(GenerationRing(key), rekeying, flow.edo.dialect)

    def protect(self, protection: AgreedProtection) -> None:
        """From now on every segment goes out under the keys."""
        self.flow.protection = protection
        self.flow.connection.hold_data = False
        if self.agreement.flags & Flag.REPORTS:
            self.after.reporter = Reporter(self.flow, self.seen, self.sent, strict=self.security.strict_syn)

    def confirm(self, segment: Segment, key: Key, now: float) -> None:
        """The peer's first good MAC came: only protected segments from now on, in both directions."""
        self.stage = Stage.CONFIRMED
        self.eno_due = False
        self.stop_repeating()
        self.agreement.wipe()
        self.flow.edo.accepted(True)
        # What insists on a report waits for it.
        self.ready = not self.security.strict_syn
        connection = self.flow.connection
        value = segment.options.ts_val
        if value is not None and (value - connection.ts_recent) & 0x80000000:
            # The timestamp of a clear SYN was nobody's word, and would have all others dropped (RFC 7323 §5.3).
            connection.ts_recent = value
            connection.ts_recent_at = now
        protection = self.flow.protection
        agreement = self.agreement
        assert isinstance(protection, AgreedProtection)
        assert agreement.suite is not None
        if self.security.resume != "off" and not isinstance(agreement, CompactAgreement):
            session = protection.rekeying.session()
            self.flow.stack.peers.tickets.keep(session, self.flow.key[2], is_a=self.is_a, now=now)
        self.after.begin(
            Renewer(
                self.flow,
                self.after,
                protection,
                agreement.suite,
                agreement.flags,
                self.security.rekey or DEFAULT,
                is_a=self.is_a,
                permitted=bool(agreement.flags & Flag.REKEYING),
            )
        )
        if self._wants_keys:
            self.rekey()
        if segment.options.ke:
            self.after.exchange(segment, key, now)

    def reported(self, now: float) -> None:
        """The peer's report came, or a side that insists on it waited in vain (profile.md §8)."""
        reporter = self.after.reporter
        assert reporter is not None
        if reporter.differences is not None:
            self.facts.path = [difference.row() for difference in reporter.differences]
        connection = self.flow.connection
        if reporter.fault is not None:
            connection.now = now
            connection.send_reset(connection.snd_nxt)
            closing.fail(connection, errno.EPROTO, reporter.fault)
            reporter.fault = None
        elif not self.ready:
            self.ready = True
            self.flow.settle(now)

    def rekey(self) -> bool:
        if self.after.renewer is not None:
            return self.after.renewer.ask()
        # Not before the peer has shown that it has the first keys.
        self._wants_keys = self.stage is not Stage.PLAIN and self.security.rekey is not None
        return self._wants_keys

    def go_plain(self, reason: str) -> None:
        """RFC 8547's fallback: the same connection goes on without protection, and says so."""
        self.stage = Stage.PLAIN
        self.fell_back = True
        self.stop_repeating()
        self.eno_due = False
        self.facts.fallback = reason
        self.facts.mode = "none"
        self.flow.protection.wipe()
        self.agreement.wipe()
        self.flow.protection = Protection(refuse_ao=True)
        self.flow.connection.hold_data = False
        self.flow.stack.downgrades[reason] += 1
        # RFC 9293's handshake may be over already.
        self.ready = self.flow.connection.state > State.SYN_RECEIVED

    def refused(self, outcome: Outcome, now: float) -> None:
        """An agreement ended by refusal, ours or the peer's."""
        ours = outcome.kind is OutcomeKind.refuse
        if ours and outcome.reply is not None:
            self.send_message(MessageKind.REFUSE, outcome.reply)
        reason = "for an unknown reason" if outcome.reason is None else REASONS[outcome.reason]
        self.falls_through = False
        who = "we refused the peer's message" if ours else "the peer refused"
        self.give_up(errno.ECONNABORTED, f"{who}: {reason}", now)

    def send_resets(self) -> None:
        """RST twice, protected where there are keys, and clear with SEQ = own ISN + 1 (profile.md §5)."""
        flow = self.flow
        connection = flow.connection
        for _ in range(2):
            if flow.protection.ao_octets:
                flow.send(connection.segment(RST | ACK), flow.stack.out)
            run = Run(connection.iss + 1, connection.rcv_nxt, RST | ACK, 0, Options())
            flow.send(run, flow.stack.out, (), CLEAR)

    def give_up(self, code: int, text: str, now: float) -> None:
        """End the attempt with an error that names what was missing."""
        if self.stage is not Stage.SYN_SENT:
            self.send_resets()
        self.stop_repeating()
        self.agreement.wipe()
        self.flow.fail(TcpError(code, text), now)

    def abort(self, now: float) -> None:
        self.falls_through = False
        if self.stage in (Stage.SYN_SENT, Stage.PLAIN, Stage.CONFIRMED):
            self.flow.connection.abort(now)
        else:
            self.give_up(errno.ECONNABORTED, "aborted", now)
