"""What a listener does with a SYN: which handshake it gets, or why it gets none (profile.md §2, §3, §5)."""

from __future__ import annotations

from ao.reasons import AoDrop
from ao.traffic_keys import SocketPair
from edo.eno import VACUOUS, syn_ack_option
from edo.fast import read_options
from edo.options import Options
from edo.reasons import EdoDrop

from .agreed_cookies import Returned, promises, returned
from .cookies import stamp, unstamp
from .experimental import ExperimentalFlow, beside
from .fastopen_server import judge
from .flow import Flow
from .ground import Ground
from .handshake import rivals
from .handshake.agreed_b import AgreedB, takes
from .handshake.base import Handshake
from .handshake.compact import CompactB, offer_of
from .handshake.configured import ConfiguredHandshake, ConfiguredProtection
from .handshake.md5 import Md5Handshake, Md5Protection, NoMd5
from .handshake.sighting import of_segment
from .handshake.syn_eos_answer import Answerer, Joined
from .listener import Listener
from .out_of_band import OutOfBand
from .ports import FlowKey
from .protection import Protection, Verdict, locate_ao
from .ratelimit import RateLimit
from .run import ACK, AE, CWR, ECE, FIN, RST, SYN, Run
from .security import Security
from .segment import Segment
from .syn_cache import SynCache

# Resets a second that tell why a SYN cannot be accepted under ``require`` (profile.md §2).
_REFUSALS_PER_SECOND = 100


class Passive:
    """Opens connections for the listeners of one stack; ``refused``: who was last, by the reason for the drop."""

    def __init__(self, stack: Ground, half_open: SynCache) -> None:
        self._stack = stack
        self._half_open = half_open
        self.refused: dict[str, FlowKey] = {}
        self.out_of_band = OutOfBand(stack, self)
        self._refusals = RateLimit(_REFUSALS_PER_SECOND, _REFUSALS_PER_SECOND)

    def syn(self, listener: Listener, key: FlowKey, segment: Segment, now: float) -> None:
        """Take a SYN for ``listener``: a connection, a wait for the OOB, a reset, or a silent drop."""
        stack = self._stack
        if listener.pending(key) is not None:
            return
        segment.options = read_options(segment.tcp, segment.spans, stack.edo.points(listener.security))
        clear = listener.security.protect == "none"
        if listener.full or not stack.memory.admits_syn() or (clear and not self._half_open.room()):
            if not listener.queue_full and (listener.config or stack.config).syn_cookies:
                self._send_cookie(listener, key, segment, now)
            else:
                stack.note("backlog_full" if listener.full else "no_memory")
            return
        if not self.out_of_band.awaits(listener, key, segment, now):
            self.open(listener, key, segment, None, segment.ip_octets, now)

    def _send_cookie(self, listener: Listener, key: FlowKey, segment: Segment, now: float) -> None:
        """Answer a SYN without keeping anything of it (RFC 4987 §3.6); under a key if the peer has one."""
        stack = self._stack
        edo = segment.options.edo_supported and stack.edo.answers(listener.security)
        eno = promises(listener.security, segment) if listener.security.agrees else b""
        if eno is None:
            if offer_of(segment) is None and takes(listener.security, segment, out_of_band=False) is not None:
                self._refuse(segment, now)
            else:
                stack.note("backlog_full")
            return
        cookie = stack.cookies.make(key, segment.seq, segment.options, now, edo=edo, eno=eno)
        flow = self._cookie_flow(listener, key, cookie, now)
        protection: ConfiguredProtection | Md5Protection | None = None
        if listener.security.keyed:
            protection, verdict = self._configured(listener.security, flow, segment)
            if protection is None and verdict is None and listener.security.policy == "require":
                verdict = _required(listener.security)
            if isinstance(verdict, AoDrop | EdoDrop):
                self.refuse(key, verdict)
                return
        stack.counters["cookies_sent"] += 1
        if isinstance(protection, ConfiguredProtection):
            ConfiguredHandshake(flow, protection).learn(segment)
        elif protection is not None:
            flow.protection = protection
        syn = _syn_run(segment)
        # No cookie has room for what accurate ECN agrees on: the offer is taken for the old one (RFC 9768 §3.1.1).
        syn.flags &= ~AE
        flow.connection.accept(syn, now)
        supported = flow.edo.take_syn(edo)
        for run in flow.connection.take_output(now):
            run.options.edo_supported = supported
            run.options.eno = syn_ack_option(listener.security.application_aware) if eno else None
            if run.options.ts_val is not None:
                run.options.ts_val = stamp(run.options.ts_val, segment.options, ecn=flow.connection.ecn)
            else:
                # Nothing would tell what was agreed on when the cookie comes back.
                run.options.wscale = None
                run.options.sack_permitted = False
                run.flags &= ~ECE
            flow.send(run, stack.out)

    def cookie(self, listener: Listener, key: FlowKey, segment: Segment, now: float) -> bool:
        """Take an ACK that may bring a cookie back; False: it does not, and is to be reset (RFC 4987 §3.6)."""
        stack = self._stack
        security = listener.security
        if self.out_of_band.drops(listener, segment):
            return True
        if not (listener.config or stack.config).syn_cookies:
            return False
        dialect = security.dialect or stack.edo.dialect
        back = returned(stack.cookies, security, dialect, stack.edo.answers(security), key, segment, now)
        if back is None:
            return False
        if back.eno and not back.hello:
            segment.options = read_options(segment.tcp, segment.spans, dialect.points)
            if segment.options.eno is not None:
                # Its hello has to follow; until then there is no state (profile.md §5).
                stack.note(AoDrop.clear_segment)
                return True
        if security.agrees and not back.hello and security.policy == "require":
            # Another policy may have been in force when the cookie was made.
            stack.reset(segment, now)
            return False
        if listener.queue_full or not stack.memory.admits():
            # Its peer believes that it stands: it repeats what it has to say, and by then there may be room.
            stack.note("accept_queue_full" if listener.queue_full else "no_memory")
            return True
        self._open_by_cookie(listener, key, segment, back, now)
        return True

    def _open_by_cookie(
        self, listener: Listener, key: FlowKey, segment: Segment, back: Returned, now: float
    ) -> None:
        stack = self._stack
        security = listener.security
        flow = self._cookie_flow(listener, key, back.iss, now)
        flow.handshake = Handshake(flow, security.protect)
        if security.keyed:
            # A cookie alone lets nobody in: the ISNs of which it tells give the keys (RFC 5925 §5.2).
            refused = self._resume(security, flow, segment, back.irs)
            if refused is not None:
                self.refuse(key, refused)
                return
        stack.counters["cookies_good"] += 1
        options = read_options(segment.tcp, segment.spans, stack.edo.points(security))
        scale, sack, ecn = (None, False, False) if options.ts_val is None else unstamp(options.ts_ecr)
        syn = Options(mss=back.mss, wscale=scale, sack_permitted=sack, ts_val=options.ts_val, eno=back.eno or None)
        # When the SYN came is not known: a second ago, which is what RFC 6298 §2.1 starts from.
        connection = flow.connection
        flags = SYN | (ECE | CWR if ecn else 0)
        connection.accept(Run(back.irs, 0, flags, segment.window, syn), now - stack.config.rto_initial)
        connection.take_output(now)
        flow.edo.take_syn(back.edo)
        if back.hello:
            flow.handshake = AgreedB(flow, security, stack.random, syn, None, segment.ip_octets, None)
        elif security.agrees:
            reason = "no ENO in the ACK" if back.eno else "no ENO in the SYN"
            flow.handshake.facts.fallback = reason
            flow.protection = Protection(refuse_ao=bool(back.eno))
            stack.downgrades[reason] += 1
        stack.add_flow(flow)
        listener.opened(flow)
        flow.receive(segment, now)

    def _cookie_flow(self, listener: Listener, key: FlowKey, iss: int, now: float) -> Flow:
        """The connection of a cookie."""
        security, config = listener.security, listener.config
        return self._stack.new_flow(key, security, active=False, now=now, iss=iss, config=config)

    def _resume(self, security: Security, flow: Flow, segment: Segment, irs: int) -> AoDrop | EdoDrop | None:
        """Give a cookie's connection the keys under which its ACK verifies; the reason where it does not."""
        pair = SocketPair(*flow.key)
        table = security.keys
        mkt = None if table is None else table.outgoing(pair)
        if table is None or mkt is None:
            signed, verdict = self._configured(security, flow, segment)
            if isinstance(verdict, AoDrop | EdoDrop):
                return verdict
            if isinstance(signed, Md5Protection):
                flow.handshake = Md5Handshake(flow, signed)
                return None
            if security.md5_keys is not None:
                flow.protection = NoMd5()
            return None if security.policy == "prefer" else _required(security)
        place = locate_ao(segment)
        if not isinstance(place, tuple):
            return place or AoDrop.ao_required
        key_ids = segment.tcp[place[0] + 2], segment.tcp[place[0] + 3]
        trial, protection = (
            ConfiguredProtection(table, mkt, pair, flow.connection.iss, flow.edo.dialect) for _ in range(2)
        )
        # The connection verifies it again when it takes it, and counts it.
        trial.both_known(irs, *key_ids)
        verdict = trial.open(segment, irs + 1)
        if isinstance(verdict, AoDrop | EdoDrop):
            return verdict
        protection.both_known(irs, *key_ids)
        flow.handshake = ConfiguredHandshake(flow, protection)
        return None

    @staticmethod
    def _keeps_record(flow: Flow, listener: Listener) -> bool:
        """Whether a record says all that there is to say of a half-open connection."""
        connection = flow.connection
        security = listener.security
        ordinary = security.syn_space is None and not security.experiments
        plain = security.protect == "none" and ordinary and not connection.config.source_routes
        return plain and not connection.fast_opened and not connection.incoming.octets

    def half_open(self, key: FlowKey, segment: Segment, now: float) -> bool:
        """Take a segment for a connection in the SYN cache; whether there is one."""
        record = self._half_open.find(key)
        if record is None:
            return False
        if segment.flags & (SYN | ACK | RST) == SYN and segment.seq == record.irs:
            points = self._stack.edo.points(record.listener.security)
            segment.options = read_options(segment.tcp, segment.spans, points)
            record.repeated(segment.options)
            again = _syn_run(segment)
            self._half_open.act(record, lambda flow: flow.connection.receive([again], now), now)
            return True
        flow = self._half_open.revive(key)
        if flow is not None:
            flow.receive(segment, now)
        else:
            self._stack.note("no_memory")
        return True

    def judge(
        self, listener: Listener, key: FlowKey, segment: Segment, now: float
    ) -> tuple[Protection | None, bool]:
        """The configured protection that a SYN verified under, if any, and whether the SYN may go on."""
        security = listener.security
        flow = self._stack.new_flow(key, security, active=False, now=now, config=listener.config)
        protection, verdict = self._configured(security, flow, segment)
        if protection is None and verdict is None and security.policy == "require":
            verdict = _required(security)
        if isinstance(verdict, AoDrop | EdoDrop):
            self.refuse(key, verdict)
            return None, False
        return protection, True

    def open(
        self,
        listener: Listener,
        key: FlowKey,
        segment: Segment,
        hello: bytes | None,
        octets: int,
        now: float,
        joined: Joined | None = None,
    ) -> None:
        """Make the connection that ``segment``, a SYN with its options read, asks for.

        ``hello`` is the OOB's message, ``joined`` its options with the SYN's; ``octets`` how many IP octets the
        sender has spent.
        """
        stack = self._stack
        if not stack.memory.admits():
            stack.note("no_memory")
            return
        security = listener.security
        flow = stack.new_flow(key, security, active=False, now=now, config=listener.config)
        missing = None
        compact = False
        verdict: Verdict = None
        protection: ConfiguredProtection | Md5Protection | None = None
        if security.keyed:
            protection, verdict = self._configured(security, flow, segment)
            if verdict is not None and isinstance(verdict, AoDrop | EdoDrop):
                self.refuse(key, verdict)
                return
            if protection is None and security.policy == "require":
                self.refuse(key, _required(security))
                return
        elif security.agrees:
            compact = "compact" in security.placements and offer_of(segment) is not None
            if compact and not self.out_of_band.agreements.allow(now):
                # It will come again.
                stack.note("agreements_limited")
                return
            if not compact:
                missing = takes(security, segment, out_of_band=hello is not None)
            if missing is not None and security.policy == "require":
                self._refuse(segment, now)
                return
        connection = flow.connection
        text = rivals.read_syn(security, segment)
        syn = segment.options
        if joined is not None and not flow.edo.possible:
            joined = None
        if joined is not None:
            segment.options = joined.options
        # Where keys protect the stream, no octet of a SYN is taken: its own key can be replayed, or there is none.
        opening = None
        if security.protect == "none":
            cookies = listener.fast_open_cookies or stack.fast_open_cookies
            opening = judge(listener, connection.config.fast_open, cookies, segment, now)
        # Text without a good cookie is not acknowledged (RFC 7413 §4.2.2 step 5).
        taken = security.protect == "none" and (opening is None or opening.accepted)
        run = _syn_run(segment, text if taken else None)
        # The connection must know the peer's ISN before a handshake that derives keys from it is made.
        connection.accept(run, now, opening)
        if isinstance(protection, ConfiguredProtection):
            configured = ConfiguredHandshake(flow, protection)
            configured.learn(segment)
            configured.facts.requested = security.protect
            handshake: Handshake = configured
            flow.edo.take_syn(segment.options.edo_supported)
        elif protection is not None:
            handshake = Md5Handshake(flow, protection)
        elif compact:
            handshake = CompactB(flow, security, stack.random, segment)
        elif security.agrees and missing is None:
            handshake = AgreedB(flow, security, stack.random, segment.options, of_segment(segment), octets, hello)
        else:
            handshake = rivals.passive(flow, security, segment)
            if security.md5_keys is not None:
                flow.protection = NoMd5()
            flow.edo.take_syn(segment.options.edo_supported)
            if missing is not None:
                handshake.facts.fallback = missing
                stack.downgrades[missing] += 1
                offered = segment.options.eno is not None or offer_of(segment) is not None
                flow.protection = Protection(refuse_ao=offered)
                if segment.options.eno is not None:
                    handshake.syn_ack_eno = VACUOUS
        flow.handshake = handshake
        if isinstance(flow, ExperimentalFlow):
            flow.heard(segment)
        if syn.syn_eos and security.syn_eos is not None and flow.edo.possible:
            settings = beside(flow, security.syn_eos)
            Answerer(handshake, settings, syn, segment.spans, octets, joined)
        if joined is None and self._keeps_record(flow, listener):
            flow.take_output(now, stack.out)
            self._half_open.put(listener, flow, run)
            return
        stack.add_flow(flow)
        listener.opened(flow)
        if connection.fast_opened:
            listener.fast_opened(flow)
            # It can be accepted, and answer, at once (RFC 7413 §4.2.2 step 4).
            handshake.ready = True
        flow.settle(now)

    def _configured(
        self, security: Security, flow: Flow, segment: Segment
    ) -> tuple[ConfiguredProtection | Md5Protection | None, Verdict]:
        """The protection of a peer for which keys are configured, with the verdict on its SYN (RFC 5925 §7.3).

        Those of TCP-AO come first, whatever the SYN carries (RFC 5925 §8).
        """
        pair = SocketPair(*flow.key)
        table = security.keys
        if table is not None:
            mkt = table.outgoing(pair)
            if mkt is not None:
                protection = ConfiguredProtection(table, mkt, pair, flow.connection.iss, flow.edo.dialect)
                return protection, protection.open(segment, segment.seq)
            if table.required(pair):
                # With keys of which none serves now, TCP-AO is required all the same (RFC 5925 §7.5).
                return None, AoDrop.ao_key_not_found
        if security.md5_keys is None:
            return None, None
        key = security.md5_keys.find(pair)
        if key is None:
            return None, NoMd5().open(segment, segment.seq)
        signed = Md5Protection(key, flow.key)
        return signed, signed.open(segment, segment.seq)

    def refuse(self, key: FlowKey, reason: AoDrop | EdoDrop) -> None:
        """Drop a segment of no connection, silently."""
        self._stack.note(str(reason))
        self.refused[str(reason)] = key

    def _refuse(self, segment: Segment, now: float) -> None:
        """RST to a SYN that ``require`` cannot accept, so that its sender learns it at once (profile.md §2)."""
        if self._refusals.allow(now):
            self._stack.reset(segment, now)


def _required(security: Security) -> AoDrop:
    """Why a peer without a key gets nowhere under ``require``."""
    return AoDrop.ao_required if security.md5_keys is None else AoDrop.md5_required


def _syn_run(segment: Segment, text: memoryview | None = None) -> Run:
    """The run of a SYN whose options are read, with its text and FIN or without."""
    payload = memoryview(b"") if text is None else text
    return Run(
        segment.seq,
        0,
        segment.flags & (SYN | AE | CWR | ECE | (0 if text is None else FIN)),
        segment.window,
        segment.options,
        [payload] if len(payload) else (),
        len(payload),
        ecn=segment.ecn,
    )
