"""The whole stack with a connection in each state and mode, fed with packets that are mostly plausible.

The oracle says of every segment whether it may change what it changed; the arena, that nothing raises, that the
account is right, that what is read was written, and that a segment without a good MAC changes and draws nothing.
"""

from __future__ import annotations

from typing import Final

from stack.attempt import Attempt
from stack.checksum import checksum, pseudo_header_sum
from stack.config import FastOpen, TcpConfig, TimeoutOption
from stack.icmp import too_big
from stack.ip import Ip, IpTemplate, parse
from stack.renewal import Renewal
from stack.syn_space import METHODS
from tests.fuzz.arena import PEER_PORT, PORT, Arena
from tests.fuzz.choices import Choices
from tests.fuzz.forge import changed, forge, fragmented, repaired
from tests.fuzz.setting import MODES, Setting
from tests.fuzz.states import REACHED

_STATES: Final = tuple(REACHED)
_MOST_STEPS: Final = 48
_EDO: Final = (None, "strict", "lenient", "off")
_ECN: Final = ("accept", "offer", "accurate", "off")
_PAUSES: Final = (0.0, 0.001, 0.05, 0.3, 1.0, 3.0, 20.0, 70.0)


def setting_of(choices: Choices) -> Setting:
    """Mode and settings, by the next three octets."""
    mode = choices.one_of(MODES)
    bits = choices.octet()
    more = choices.octet()
    config = TcpConfig(
        timestamps=not bits & 1,
        sack=not bits & 2,
        window_scaling=not bits & 4,
        receive_buffer=3000 if bits & 8 else 0,
        recovery="rfc6675" if bits & 16 else "rack",
        congestion="bbr" if bits & 32 else "cubic",
        ecn=_ECN[more & 3],  # type: ignore[arg-type]
        keepalive=bool(more & 4),
        keepalive_idle=30.0,
        mtu_probing="on" if more & 8 else "auto",
        fast_open=FastOpen(pending=4, server_cookies=not more & 4) if more & 128 else FastOpen(),
        timeout_option=TimeoutOption(enabled=bool(more & 128)),
        source_routes=bool(more & 128),
    )
    edo = _EDO[more >> 4 & 3] if mode in ("none", "ao", "ao-enc") else None
    return Setting(
        mode,
        six=bits >> 6 & 1,
        config=config,
        edo=edo,
        full=bool(more & 64),
        renewal=Renewal(20.0, 3000, 9000) if bits & 128 else Renewal(),
        experiments=more & 12 == 12,
        syn_eos=bool(bits & 128) and bool(more & 8),
        method=METHODS[(more & 3) % len(METHODS)] if bits & 128 and mode == "none" else None,
    )


def run(data: bytes) -> None:
    """Bring a connection into a state, then do what the input says."""
    choices = Choices(data)
    state = choices.one_of(_STATES)
    arena = Arena(setting_of(choices))
    reach, _ = REACHED[state]
    reach(arena)
    play = Play(choices, arena)
    for _ in range(_MOST_STEPS):
        if not choices.left:
            break
        play.step()
        arena.accept()
    arena.end()


class Play:
    """One run: steps that are chosen by the input."""

    def __init__(self, choices: Choices, arena: Arena) -> None:
        self.choices = choices
        self.arena = arena
        self.signer = arena.peer_flow
        self.seen: list[bytes] = []
        self._steps = (
            *(self._forged,) * 6,
            *(self._genuine, self._genuine, self._lost, self._to_peer, self._to_peer),
            *(self._changed, self._unsigned, self._again, self._fragments, self._together, self._icmp, self._oob),
            self._routed,
            *(self._write, self._write, self._read, self._calls, self._time, self._time, self._peer_writes),
        )

    def step(self) -> None:
        """One of the steps."""
        self.choices.one_of(self._steps)()

    def _deliver(self, packet: bytes) -> None:
        if len(self.seen) < 64:
            self.seen.append(packet)
        self.arena.deliver(packet)

    def _forge(self) -> bytes:
        self.signer = self.arena.peer_flow or self.signer
        return forge(self.choices, self.arena, self.signer)

    def _forged(self) -> None:
        self._deliver(self._forge())

    def _unsigned(self) -> None:
        self._deliver(forge(self.choices, self.arena, None))

    def _oob(self) -> None:
        self._deliver(forge(self.choices, self.arena, None, oob=True))

    def _genuine(self) -> None:
        waiting = self.arena.to_victim
        if waiting:
            self._deliver(waiting.pop(self.choices.octet() % len(waiting)))

    def _lost(self) -> None:
        for waiting in (self.arena.to_victim, self.arena.to_peer):
            del waiting[: self.choices.below(4)]

    def _to_peer(self) -> None:
        waiting = self.arena.to_peer
        if waiting:
            self.arena.peer_takes(waiting.pop(self.choices.octet() % len(waiting)))

    def _changed(self) -> None:
        base = self.arena.to_victim[0] if self.arena.to_victim and self.choices.flag() else self._forge()
        packet = changed(self.choices, base)
        # Octets of the stream may be others now; a key would have shown that.
        self.arena.tainted = self.arena.tainted or self.arena.setting.mode == "none"
        self._deliver(packet)

    def _again(self) -> None:
        if self.seen:
            self._deliver(self.choices.one_of(self.seen))

    def _fragments(self) -> None:
        for piece in fragmented(self.choices, self._forge()):
            self.arena.deliver(piece)

    def _routed(self) -> None:
        """A segment with IPv4 options: a source route that was followed, or anything."""
        packet = self._forge()
        if packet[0] >> 4 == 4:
            route = b"\x83\x07\x08" + bytes((10, 0, 0, 7)) + b"\x00"
            options = route if self.choices.flag() else self.choices.octets(40)
            options += bytes(-len(options) % 4)
            packet = bytes((0x45 + len(options) // 4,)) + packet[1:20] + options + packet[20:]
        self._deliver(repaired(packet))

    def _together(self) -> None:
        packets = [self._forge() for _ in range(self.choices.below(6) + 1)]
        self.arena.deliver_together(packets)

    def _icmp(self) -> None:
        """An error about what the victim sent last, or about anything."""
        sent = self.arena.to_peer[-1] if self.arena.to_peer else self._own_packet()
        ip = parse(sent)
        assert isinstance(ip, Ip)
        reporter = self.arena.peer.addresses[0]
        error = bytearray(too_big(ip, sent, self.choices.one_of((0, 68, 576, 1280, 1400, 1500, 65535)), reporter))
        at = 20 if ip.version == 4 else 40
        if self.choices.flag():
            error[at] = self.choices.one_of((3, 11, 12, 4, 1, 2, 8, 128))
            error[at + 1] = self.choices.below(16)
        if self.choices.flag():
            error[at + 8 + self.choices.octet() % (len(error) - at - 8)] ^= self.choices.octet()
        self.arena.deliver(_with_icmp_checksum(bytes(error), at))

    def _own_packet(self) -> bytes:
        own, other = self.arena.ends
        header = PORT.to_bytes(2) + PEER_PORT.to_bytes(2) + bytes(16)
        return repaired(IpTemplate(own, other).header(len(header)) + header)

    def _write(self) -> None:
        self.arena.write(self.choices.one_of((1, 100, 536, 1460, 3000, 10000)))
        self.arena.collect()

    def _read(self) -> None:
        self.arena.read(self.choices.one_of((-1, 1, 100, 2000)))
        self.arena.collect()

    def _calls(self) -> None:
        call = self.choices.one_of(
            (Attempt.rekey, Attempt.write_eof, Attempt.write_eof, Attempt.write_eof, Attempt.close, Attempt.abort)
        )
        self.arena.call(call)
        self.arena.collect()

    def _time(self) -> None:
        self.arena.advance(self.choices.one_of(_PAUSES))

    def _peer_writes(self) -> None:
        how = self.choices.octet()
        self.arena.peer_writes((0, 100, 1460, 5000)[how & 3], end=how & 28 == 28)


def _with_icmp_checksum(packet: bytes, at: int) -> bytes:
    octets = bytearray(packet)
    octets[at + 2 : at + 4] = bytes(2)
    initial = pseudo_header_sum(packet[8:24], packet[24:40], len(packet) - at, 58) if at == 40 else 0
    octets[at + 2 : at + 4] = checksum(octets[at:], initial=initial).to_bytes(2)
    return bytes(octets)


def seeds() -> list[bytes]:
    """Each state in each mode, with a step of each kind."""
    steps = bytes(range(26)) * 2
    return [
        bytes((state, mode, bits, 16 * (state % 16))) + steps
        for state in range(len(_STATES))
        for mode in range(len(MODES))
        for bits in (0, 64 + state)
    ]
