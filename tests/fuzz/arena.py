"""Two stacks whose packets a fuzzer delivers, loses, changes and adds to, and what has to hold behind each one.

The *victim* is the stack under test, the *peer* another one that holds the keys of the modes that have any. Nothing
travels by itself: ``to_victim`` and ``to_peer`` are what is on its way.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from edo.codepoints import DEFAULT
from stack.attempt import Attempt
from stack.batch import Batch
from stack.checksum import checksum, ones_complement_sum, pseudo_header_sum
from stack.config import TcpConfig
from stack.events import TcpError
from stack.host import Stack
from stack.ip import TCP, Ip, parse
from stack.ip_options import target
from stack.listener import Listener
from stack.ports import Carrier, FlowKey
from stack.states import State
from tests.edo.authority import Authority
from tests.fuzz.bounds import bounded
from tests.fuzz.oracle import ACK, RST, SYN, NotAllowed, Seen, judge, view
from tests.fuzz.setting import AGREED, Setting
from tests.stack.ao.standing import scalars

PORT: Final = 80
PEER_PORT: Final = 4000
MEMORY: Final = 1 << 20
ADDRESSES: Final = (("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2"))
_PATTERN: Final = bytes((at * 7 + (at >> 8)) & 0xFF for at in range(1 << 14)) * 2
_AUTHORITY: Final = Authority(DEFAULT)
# Answers to one packet that draws more than one: a SYN-ACK again, what a window lets go, each counted in segments.
_MOST_ANSWERS: Final = 64


def pattern(offset: int, size: int) -> bytes:
    """The stream that either application writes: ``size`` octets (at most 16 KiB) from ``offset``."""
    start = offset % (1 << 14)
    return _PATTERN[start : start + size]


class Watched(dict[FlowKey, Carrier]):
    """A stack's table of flows; ``ever`` gets all that were ever in it."""

    def __init__(self, ever: dict[int, Carrier]) -> None:
        super().__init__()
        self.ever = ever

    def __setitem__(self, key: FlowKey, flow: Carrier) -> None:
        self.ever[id(flow)] = flow
        super().__setitem__(key, flow)


class Arena:
    """One connection between victim and peer; ``now`` is seconds. Assertions fail where something must not be."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        source = random.Random(1)
        peer, victim = ADDRESSES[setting.six]
        self.peer = Stack((peer,), random=source.randbytes, config=TcpConfig())
        self.victim = Stack((victim,), random=source.randbytes, config=setting.config, memory=MEMORY)
        self.now = 100.0
        self.to_victim: list[bytes] = []
        self.to_peer: list[bytes] = []
        self.genuine: set[bytes] = set()
        self.listener: Listener | None = None
        self.attempt: Attempt | None = None
        self.peer_listener: Listener | None = None
        self.peer_attempt: Attempt | None = None
        self.taken = 0
        self.written = 0
        self.peer_written = 0
        # Whether somebody without the key could put in octets of his own: then nothing is said of what is read.
        self.tainted = False
        # SEQ and ACK of the SYN-ACKs that went to the peer: who acknowledges one may bring a cookie back.
        self.answered: set[tuple[int, int]] = set()
        self.flows: dict[int, Carrier] = {}
        self.victim.flows = self.victim.bindings._flows = Watched(self.flows)
        # RCV.NXT and SND.UNA at a moment that somebody chose.
        self.marks = (0, 0)
        self.ends = self.victim.addresses[0], self.peer.addresses[0]

    # --- how it begins -----------------------------------------------------------------------------------

    def open_passively(self) -> None:
        """The victim listens, the peer's SYN is on its way."""
        full = self.setting.full
        self.listener = self.victim.listen(
            PORT, security=self.setting.security(victim=True), backlog=1 if full else 1024
        )
        if full:
            self._fill()
        self.peer_attempt = self.peer.connect(
            (ADDRESSES[self.setting.six][1], PORT),
            now=self.now,
            local_port=PEER_PORT,
            security=self.setting.security(victim=False),
        )
        self.collect()

    def _fill(self) -> None:
        """Another connection of the peer's, half open, takes the only place."""
        other = self.peer.connect(
            (ADDRESSES[self.setting.six][1], PORT), now=self.now, security=self.setting.security(victim=False)
        )
        self.victim.receive(self.peer.take_output(self.now), self.now)
        self.victim.take_output(self.now)
        other.abort()
        self.peer.take_output(self.now)

    def open_actively(self, *, crossed: bool = False) -> None:
        """The victim's SYN is on its way to a peer that listens, or (``crossed``) has sent one itself."""
        security = self.setting.security(victim=False)
        if crossed:
            remote = (ADDRESSES[self.setting.six][1], PORT)
            self.peer_attempt = self.peer.connect(remote, now=self.now, local_port=PEER_PORT, security=security)
        else:
            self.peer_listener = self.peer.listen(PEER_PORT, security=security)
        self.attempt = self.victim.connect(
            (ADDRESSES[self.setting.six][0], PEER_PORT),
            now=self.now,
            local_port=PORT,
            security=self.setting.security(victim=True),
        )
        self.collect()

    @property
    def key(self) -> FlowKey:
        """The victim's name of the connection."""
        return FlowKey((self.ends[0], PORT, self.ends[1], PEER_PORT))

    @property
    def flow(self) -> Carrier | None:
        """The victim's end, if it is there as more than a record."""
        return self.victim.flows.get(self.key)

    @property
    def peer_flow(self) -> Carrier | None:
        """The peer's end."""
        return self.peer.flows.get(FlowKey((self.ends[1], PEER_PORT, self.ends[0], PORT)))

    @property
    def state(self) -> State:
        """The victim's state."""
        seen = view(self.flow or self.victim.half_open.find(self.key))
        return State.CLOSED if seen is None else seen.state

    # --- packets -----------------------------------------------------------------------------------------

    def collect(self) -> list[bytes]:
        """Put what both have to send on its way; what the victim sent now."""
        sent = [bytes(packet) for packet in self.victim.take_output(self.now).packets]
        for packet in sent:
            self._look_at(packet)
        self.to_peer += sent
        fresh = [bytes(packet) for packet in self.peer.take_output(self.now).packets]
        self.to_victim += fresh
        for packet in fresh:
            self.vouch(packet)
        return sent

    def vouch(self, packet: bytes) -> None:
        """The segment of this packet is under the peer's key, or as good as that, whatever its IP header says."""
        ip = parse(packet)
        if isinstance(ip, Ip) and ip.protocol == TCP:
            self.genuine.add(self._covered(bytes(ip.payload(packet))))

    def vouched(self, packet: bytes) -> bool:
        """Whether the packet carries such a segment."""
        segment = self._segment_of(packet)
        return segment is not None and self._covered(segment) in self.genuine

    def _covered(self, tcp: bytes) -> bytes:
        """What of a segment a signature is over, and the signature."""
        offset = tcp[12] >> 4 << 2
        if self.setting.mode != "md5" or offset < 20:
            return tcp[:16] + tcp[18:]
        # Options are not covered (RFC 2385 §2.0).
        at = tcp.find(b"\x13\x12", 20, offset)
        return tcp[:16] + tcp[18:20] + tcp[at : at + 18] + tcp[offset:]

    def peer_takes(self, packet: bytes) -> None:
        """The peer gets a packet; it is a stack like the other, and nothing more is asked of it."""
        self.peer.receive(Batch([packet]), self.now)
        if self.peer_listener is not None and self.peer_attempt is None:
            self.peer_attempt = self.peer_listener.accept()
        self.collect()

    def deliver(self, packet: bytes) -> list[bytes]:
        """The victim gets a packet: what may have changed is what RFC 9293 says; its answers."""
        self.collect()
        good = self.vouched(packet)
        segment = self._segment_of(packet)
        if segment is None or self.setting.mode in AGREED or self.setting.method is not None:
            return self._deliver_unjudged(packet, good=good)
        flow = self.flow
        before = view(flow or self.victim.half_open.find(self.key))
        frozen = None if good or flow is None else self._frozen(flow)
        seen = Seen(segment, _AUTHORITY, extended=flow is not None and flow.edo.on)
        self.victim.receive(Batch([packet]), self.now)
        after = view(self.flow or self.victim.half_open.find(self.key))
        keyed = self.setting.mode != "none" and self.setting.policy == "require"
        if keyed and not good:
            if before != after:
                raise NotAllowed(f"a segment without a good MAC made {after} of {before}")
            self._unmoved(flow, frozen)
        else:
            ending = self.attempt is not None and self.attempt._held_end
            cookie = ((seen.ack - 1) & 0xFFFFFFFF, seen.seq) in self.answered
            listening = self.listener is not None
            judge(
                *(before, seen, after, self.now),
                listening=listening,
                ending=ending,
                cookie=cookie,
                beside=self.setting.syn_eos,
            )
        if keyed and not good and self.setting.mode in ("ao", "ao-enc") and flow is not None:
            return self._silence(flow)
        answers = self._answers(1)
        if seen.flags & RST:
            assert not any(self._flags(answer) & RST for answer in answers), "a reset was answered by one"
        return answers

    def _deliver_unjudged(self, packet: bytes, *, good: bool) -> list[bytes]:
        """As ``deliver``, where the handshake has rules of its own, or it is no segment of the connection.

        Once there are agreed keys the rules are those of RFC 9293 again.
        """
        flow = self.flow
        segment = self._segment_of(packet)
        agreed = flow is not None and flow.protection.authenticates and flow.handshake.settled
        before = view(flow) if agreed else None
        frozen = self._frozen(flow) if agreed and not good and flow is not None else None
        self.victim.receive(Batch([packet]), self.now)
        # A clear SYN is judged by RFC 6191 in TIME-WAIT, and may begin a new connection (profile.md §8).
        reborn = flow is not None and self.flow is not flow and self._flags(packet) & SYN
        if agreed and not reborn and segment is not None:
            if not good:
                self._unmoved(flow, frozen)
                return self._silence(flow)
            seen = Seen(segment, _AUTHORITY, extended=True)
            judge(before, seen, view(self.flow), self.now, listening=self.listener is not None)
        self.not_early()
        return self._answers(1)

    def not_early(self) -> None:
        """Where keys are agreed on, nothing of the stream is taken before they are there."""
        flow = self.flow
        if flow is None or self.setting.policy != "require" or flow.connection.state is State.SYN_SENT:
            return
        if self.setting.mode in AGREED and not flow.protection.authenticates:
            connection = flow.connection
            assert connection.rcv_nxt == connection.irs + 1, "octets came before the keys"
            assert not connection.incoming.octets
            assert connection.incoming.ranges is None

    def deliver_together(self, packets: list[bytes]) -> None:
        """The victim gets several packets as one batch, and decides once."""
        self.collect()
        self.victim.receive(Batch(packets), self.now)
        self._answers(len(packets))

    @staticmethod
    def _frozen(flow: Carrier) -> dict[str, object]:
        return dict(scalars(flow.connection)) | {"keys": flow.protection.key_ids}

    def _unmoved(self, flow: Carrier | None, frozen: dict[str, object] | None) -> None:
        if flow is None or frozen is None:
            return
        now = self._frozen(flow)
        changed = {name: (value, now.get(name)) for name, value in frozen.items() if now.get(name) != value}
        assert not changed, f"a segment without a good MAC changed {changed}"

    def _segment_of(self, packet: bytes) -> bytes | None:
        """The TCP segment of a packet that belongs to the connection; None for any other."""
        ip = parse(packet)
        if not isinstance(ip, Ip) or ip.protocol != TCP or (ip.destination, ip.source) != self.ends:
            return None
        tcp = bytes(ip.payload(packet))
        if len(tcp) < 20 or tcp[:4] != PEER_PORT.to_bytes(2) + PORT.to_bytes(2):
            return None
        total = ones_complement_sum(tcp) + pseudo_header_sum(ip.source, ip.destination, len(tcp))
        return None if total % 0xFFFF else tcp

    @staticmethod
    def _flags(packet: bytes) -> int:
        ip = parse(packet)
        return ip.payload(packet)[13] if isinstance(ip, Ip) and ip.protocol == TCP else 0

    def _answers(self, packets: int) -> list[bytes]:
        sent = self.collect()
        assert len(sent) <= _MOST_ANSWERS * packets, f"{len(sent)} packets in answer to {packets}"
        self.bounded()
        return sent

    def _silence(self, flow: Carrier | None) -> list[bytes]:
        """Nothing leaves but what a pacer had for this moment."""
        answers = self._answers(1)
        assert not answers or (flow is not None and flow.connection.pacer), "a failed MAC was answered"
        return answers

    def _look_at(self, packet: bytes) -> None:
        """What leaves is a packet of ours with good checksums and, if a segment, options that can be walked."""
        ip = parse(packet)
        assert isinstance(ip, Ip), f"sent {packet.hex()}: {ip}"
        assert ip.source in self.victim.addresses
        if ip.protocol != TCP:
            return
        tcp = bytes(ip.payload(packet))
        last = target(packet[20 : ip.header_octets], ip.destination) if ip.version == 4 else ip.destination
        assert not checksum(tcp, initial=pseudo_header_sum(ip.source, last, len(tcp)))
        offset = tcp[12] >> 4 << 2
        assert _AUTHORITY.spans(tcp, 20, offset) is not None
        assert tcp[13] & (SYN | RST) != SYN | RST
        if tcp[13] & (SYN | ACK) == SYN | ACK:
            self.answered.add((int.from_bytes(tcp[4:8]), int.from_bytes(tcp[8:12])))

    # --- time and bounds ---------------------------------------------------------------------------------

    def advance(self, seconds: float, *, most: int = 200) -> None:
        """Let time pass timer by timer; the peer's is held, so that it sends nothing meanwhile."""
        end = self.now + seconds
        for _ in range(most):
            deadline = self.victim.next_deadline
            if deadline is None or deadline > end:
                break
            self.now = max(self.now, deadline)
            self._serve()
        else:
            end = self.now
        self.now = max(self.now, end)
        self._serve()
        self.bounded()

    def _serve(self) -> None:
        """Run what is due; what is sent then may make something due at once, but not again and again.

        A pacer whose rate is beyond measure lets a window go in 32 parts.
        """
        flow = self.flow
        for _ in range(4 if flow is None or flow.connection.pacer is None else 40):
            self.victim.advance(self.now)
            self.collect()
            due = self.victim.next_deadline
            if due is None or due > self.now:
                return
        raise AssertionError("a timer that is due stays due")

    def settle(self, stop: Callable[[], bool] = lambda: False, *, rounds: int = 12) -> None:
        """Let everything arrive, and delayed acknowledgments too, until nothing does or ``stop`` holds."""
        for _ in range(rounds):
            self.collect()
            while self.to_peer or self.to_victim:
                if stop():
                    return
                if self.to_peer:
                    self.peer_takes(self.to_peer.pop(0))
                elif self.to_victim:
                    self.deliver(self.to_victim.pop(0))
                self.accept()
            self.now += 0.05
            self.victim.advance(self.now)
            self.peer.advance(self.now)
            self.collect()
            if stop() or not (self.to_peer or self.to_victim):
                return

    def bounded(self) -> None:
        """Nothing is held that the account does not know, nor more than there may be."""
        bounded(self.victim, self.listener, self.flows.values())

    # --- the victim's application ------------------------------------------------------------------------

    def accept(self) -> None:
        """Take the connection, if there is one to take."""
        if self.attempt is None and self.listener is not None:
            self.attempt = self.listener.accept()

    def read(self, limit: int = -1) -> None:
        """Read, and compare with what was written."""
        if self.attempt is None:
            return
        octets = self.attempt.read(limit)
        for at in range(0, len(octets), 1 << 14):
            piece = octets[at : at + (1 << 14)]
            if not self.tainted and self._same_stream():
                assert piece == pattern(self.taken + at, len(piece)), "octets that nobody wrote"
        self.taken += len(octets)

    def _same_stream(self) -> bool:
        """Whether the victim counts octets from where the peer does: a forged SYN begins another stream."""
        assert self.attempt is not None
        peer = self.peer_attempt
        if self.setting.policy == "prefer" and not self.attempt.flow.protection.authenticates:
            # It went on plain, and anybody may put in octets of his own.
            return False
        return peer is not None and not (peer.flow.connection.iss - self.attempt.flow.connection.irs) & 0xFFFFFFFF

    def call(self, what: Callable[[Attempt], object]) -> bool:
        """A call of the application, which may be refused; whether it was taken."""
        if self.attempt is None:
            return False
        try:
            what(self.attempt)
        except TcpError:
            return False
        while self.attempt.next_event() is not None:
            pass
        return True

    def write(self, size: int) -> None:
        """Write the next ``size`` octets, if there is room."""
        octets = pattern(self.written, size)
        if self.attempt is not None and self.attempt.unsent < 1 << 16:
            self.written += size * self.call(lambda attempt: attempt.write(octets))

    def peer_writes(self, size: int, *, end: bool = False) -> None:
        """The peer's application writes its next octets, and perhaps no more after them."""
        attempt = self.peer_attempt
        if attempt is None:
            return
        try:
            if size:
                attempt.write(pattern(self.peer_written, size))
                self.peer_written += size
            if end:
                attempt.write_eof()
        except TcpError:
            return
        self.collect()

    def end(self) -> None:
        """Everything is given up: in the end nothing is held, and nothing waits."""
        self.read()
        if self.listener is not None:
            self.listener.close()
        self.call(Attempt.abort)
        for flow in list(self.victim.flows.values()):
            flow.abort()
        self.collect()
        self.advance(600.0)
        assert not self.victim.flows, "a connection that was given up is there still"
        assert not len(self.victim.half_open)
        alarms = self.victim._alarms._heap
        assert not any(at == timed.scheduled for at, _, timed in alarms), "an alarm for nobody"
        self.bounded()
