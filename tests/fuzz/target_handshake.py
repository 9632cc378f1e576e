"""Key agreement on a path that loses, repeats, turns round and changes what it carries, and adds messages.

Whatever happens: nothing raises, nothing of the stream is taken before there are keys, ends that have keys have the
same, and an attempt comes to an end.
"""

from __future__ import annotations

from typing import Final

from edo.codepoints import DEFAULT
from edo.eno import NON_SYN, syn_ack_option, syn_option
from edo.messages import MOST_IN_OPTION, cut
from edo.options import Options
from edo.plan import Form, Plan
from edo.syneos import option as syn_eos_option
from stack.attempt import Attempt
from stack.config import TcpConfig
from stack.renewal import Renewal
from stack.run import ACK, FIN, RST, SYN, Run
from stack.sealer import Sealer
from stack.security import PLACEMENTS
from stack.states import State
from tests.fuzz.arena import PEER_PORT, PORT, Arena
from tests.fuzz.choices import Choices
from tests.fuzz.forge import changed, forge
from tests.fuzz.oracle import view
from tests.fuzz.setting import Setting

_POLICIES: Final = ("require", "prefer")
# One group, one that the other may not have, two in either order: a retry, a second hello, a refusal.
_GROUPS: Final = (("x25519",), ("secp256r1",), ("x25519", "secp256r1"), ("X25519MLKEM768", "x25519"))
_MOST_STEPS: Final = 40
_PAUSES: Final = (0.01, 0.06, 0.2, 1.0, 1.1, 3.0, 7.0, 31.0)


def run(data: bytes) -> None:
    """Begin an agreement, interfere as the input says, then leave it alone."""
    choices = Choices(data)
    how = choices.octet()
    placement = choices.one_of(PLACEMENTS)
    groups = choices.octet()
    setting = Setting(
        "ao-dh" if how & 32 else "ao-enc-dh",
        _POLICIES[how & 1],
        six=how >> 1 & 1,
        config=TcpConfig(timestamps=not how & 8),
        placement=placement,
        groups=_GROUPS[groups & 3],
        peer_groups=_GROUPS[groups >> 2 & 3],
        renewal=None if how & 64 else Renewal(5.0, 2500, 1 << 20),
        strict_syn=bool(how & 128) and placement != "compact",
    )
    arena = Arena(setting)
    if how & 4:
        arena.open_actively(crossed=bool(how & 16))
    else:
        arena.open_passively()
    path = Path(choices, arena)
    for _ in range(_MOST_STEPS):
        if not choices.left:
            break
        path.step()
        arena.accept()
        agree(arena)
    for _ in range(3):
        arena.settle()
        arena.peer.advance(arena.now)
        arena.advance(1.0)
    agree(arena)
    arena.read()
    arena.advance(500.0)
    _came_to_an_end(arena)
    arena.end()


def agree(arena: Arena) -> None:
    """Both ends that have confirmed have the same session."""
    flow, peer = arena.flow, arena.peer_flow
    if flow is None or peer is None or not (flow.handshake.settled and peer.handshake.settled):
        return
    ours, theirs = flow.handshake.facts, peer.handshake.facts
    if flow.protection.authenticates and peer.protection.authenticates:
        assert ours.session_id == theirs.session_id, "two ends with different keys"
        assert (ours.mac, ours.cipher, ours.group) == (theirs.mac, theirs.cipher, theirs.group)


def _came_to_an_end(arena: Arena) -> None:
    flow = arena.flow
    if flow is not None and arena.setting.policy == "require":
        assert flow.announced or flow.connection.state > State.SYN_RECEIVED, "an attempt without an end"


class Path:
    """What lies between both ends."""

    def __init__(self, choices: Choices, arena: Arena) -> None:
        self.choices = choices
        self.arena = arena
        self.seen: list[bytes] = []
        self._steps = (
            *(self._to_victim,) * 5,
            *(self._to_peer,) * 5,
            *(self._lost, self._again, self._again_to_peer, self._changed, self._changed_to_peer),
            *(self._message, self._message, self._message, self._oob, self._syn_ack, self._clear, self._clear),
            *(self._time, self._time, self._peer_time, self._calls),
        )

    def step(self) -> None:
        """One of the steps."""
        self.choices.one_of(self._steps)()

    def _deliver(self, packet: bytes) -> None:
        if len(self.seen) < 64:
            self.seen.append(packet)
        self.arena.deliver(packet)

    def _to_victim(self) -> None:
        waiting = self.arena.to_victim
        if waiting:
            self._deliver(waiting.pop(self.choices.octet() % len(waiting)))

    def _to_peer(self) -> None:
        waiting = self.arena.to_peer
        if waiting:
            packet = waiting.pop(self.choices.octet() % len(waiting))
            if len(self.seen) < 64:
                self.seen.append(packet)
            self.arena.peer_takes(packet)

    def _lost(self) -> None:
        how = self.choices.octet()
        del self.arena.to_victim[: how & 3]
        del self.arena.to_peer[: how >> 2 & 3]

    def _again(self) -> None:
        if self.seen:
            self.arena.deliver(self.choices.one_of(self.seen))

    def _again_to_peer(self) -> None:
        if self.seen:
            self.arena.peer_takes(self.choices.one_of(self.seen))

    def _changed(self) -> None:
        if self.arena.to_victim:
            self._deliver(changed(self.choices, self.arena.to_victim[0]))

    def _changed_to_peer(self) -> None:
        if self.arena.to_peer:
            self.arena.peer_takes(changed(self.choices, self.arena.to_peer[0]))

    def _clear(self) -> None:
        self._deliver(forge(self.choices, self.arena, None, oob=self.choices.below(4) == 3))

    def _time(self) -> None:
        self.arena.advance(self.choices.one_of(_PAUSES))

    def _peer_time(self) -> None:
        self.arena.peer.advance(self.arena.now)
        self.arena.collect()

    def _calls(self) -> None:
        how = self.choices.octet()
        match how & 7:
            case 0:
                self.arena.call(Attempt.close)
            case 1:
                self.arena.call(Attempt.write_eof)
            case 5 | 6:
                self.arena.call(Attempt.rekey)
            case 2:
                self.arena.peer_writes(100, end=bool(how & 8))
            case 3 | 4:
                self.arena.peer_writes(1000)
            case _:
                self.arena.write(1000)
        self.arena.collect()

    # --- messages ----------------------------------------------------------------------------------------

    def _pieces(self) -> tuple[bytes, ...]:
        """A message that was really made, or the like of one, cut in any way; some pieces may be left out."""
        choices = self.choices
        kind = choices.one_of((1, 2, 2, 3, 4, 5, 7, 8))
        made = [
            getattr(flow.handshake, "agreement", None) for flow in (self.arena.flow, self.arena.peer_flow) if flow
        ]
        message = b""
        for agreement in made:
            message = getattr(agreement, "hello" if kind in (1, 4) else "answer", None) or message
        if not message or choices.below(4) == 3:
            message = choices.octets(120)
        octets = bytearray(message or b"\x01\x01")
        for _ in range(choices.below(3)):
            octets[choices.octet() % len(octets)] = choices.octet()
        rooms = choices.one_of((MOST_IN_OPTION, 100, 40, 17))
        pieces = cut(kind, bytes(octets), first_room=rooms, room=rooms)
        first = choices.octet()
        return pieces[first & 1 : len(pieces) - (first >> 1 & 1)] or pieces

    def _message(self) -> None:
        """A clear segment with pieces of a message behind Data Offset, where profile.md §5 has it, or nearby."""
        seen = view(self.arena.flow)
        if seen is None:
            return
        behind = b"".join(self._pieces())
        eno = NON_SYN if self.choices.flag() else b""
        shift = self.choices.one_of((0, 0, 0, 0, 1, -4))
        self._send(eno, behind, (seen.irs, seen.iss + 1), ACK, shift=shift)

    def _syn_ack(self) -> None:
        """A SYN-ACK that confirms SYN-EOS, with pieces of a message behind Data Offset."""
        seen = view(self.arena.flow)
        if seen is None:
            return
        peer = self.arena.peer_attempt
        irs = peer.flow.connection.iss if peer is not None else seen.irs or 1000
        inside = self.choices.one_of((syn_ack_option(), syn_option(), b"")) + syn_eos_option()
        payload = b"text" if self.choices.flag() else b""
        self._send(inside, b"".join(self._pieces()), (irs, seen.iss + 1), SYN | ACK, payload=payload)

    def _oob(self) -> None:
        """An out-of-band segment beside the peer's SYN."""
        peer = self.arena.peer_attempt
        if peer is None:
            return
        local, _, remote, _ = self.arena.key
        area = syn_eos_option()
        payload = b"".join(self._pieces())
        payload += b"\x01" * (-len(payload) % 4)
        flags = self.choices.one_of((0, 0, 0, FIN, RST))
        run = Run(peer.flow.connection.iss, 0, flags, 1000, Options(), [memoryview(payload)], len(payload))
        out: list[bytes] = []
        Sealer(remote, PEER_PORT, local, PORT).seal(run, Plan(area, 24), 65535, out)
        self._deliver(out[0])

    def _send(
        self,
        inside: bytes,
        behind: bytes,
        numbers: tuple[int, int],
        flags: int,
        *,
        payload: bytes = b"",
        shift: int = 0,
    ) -> None:
        behind += b"\x01" * (-len(behind) % 4)
        offset = 20 + len(inside) + 6
        inside += b"\x01" * (-offset % 4)
        offset += -offset % 4
        octets = DEFAULT.extension(Form.SHORT, offset + len(behind)) + inside + behind
        irs, ack = numbers
        seq = irs if flags & SYN else max(irs + 1 - len(behind) + shift, 0)
        run = Run(seq, ack, flags, 1000, Options(), [memoryview(payload)] if payload else (), len(payload))
        local, _, remote, _ = self.arena.key
        out: list[bytes] = []
        Sealer(remote, PEER_PORT, local, PORT).seal(run, Plan(octets, offset), 65535, out)
        self._deliver(out[0])


def seeds() -> list[bytes]:
    """Each side, policy and placement; packets go across in order, and one step of another kind."""
    return [
        bytes((how, placement, how ^ step))
        + bytes((0, 0, 5, 0)) * 3
        + bytes((step, 0, 0, 0, 0, 0))
        + bytes((0, 0, 5, 0)) * 3
        for how in (0, 33, 4, 5, 21)
        for placement in range(3)
        for step in range(10, 26)
    ]
