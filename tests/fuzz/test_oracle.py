"""The harness itself: it brings a connection into each state, and it sees what it is there to see."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ao.reasons import AoDrop
from edo.codepoints import DEFAULT
from stack import protection
from stack.buffers import ReceiveBuffer
from stack.config import TcpConfig
from stack.memory import Memory
from stack.run import ACK, RST, SYN
from stack.states import State
from tests.edo.authority import Authority
from tests.forms import replaces_code
from tests.fuzz.arena import Arena
from tests.fuzz.choices import Choices
from tests.fuzz.families import segment
from tests.fuzz.forge import forge, repaired
from tests.fuzz.oracle import NotAllowed, Seen, View, judge, view
from tests.fuzz.setting import MODES, Setting
from tests.fuzz.states import REACHED, established


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", REACHED)
def test_every_state_is_reached(name: str, mode: str) -> None:
    reach, state = REACHED[name]
    arena = Arena(Setting(mode))
    reach(arena)
    assert arena.state is state
    arena.end()


# --- faults that are seen ----------------------------------------------------------------------------------


def _standing(setting: Setting) -> Arena:
    arena = Arena(setting)
    established(arena)
    flow = arena.flow
    assert flow is not None
    arena.marks = flow.connection.rcv_nxt, flow.connection.snd_una
    return arena


def _stamps(arena: Arena) -> bytes:
    flow = arena.flow
    assert flow is not None
    return b"\x01\x01\x08\x0a" + flow.connection.ts_recent.to_bytes(4) + bytes(4)


@pytest.mark.parametrize(
    ("habit", "flags", "seq"),
    [({"insecure_rst": True}, RST, 5), ({"insecure_syn": True}, SYN, 5)],
)
def test_a_reset_that_rfc_5961_does_not_allow_is_seen(habit: dict[str, bool], flags: int, seq: int) -> None:
    arena = _standing(Setting(config=TcpConfig(**habit)))  # type: ignore[arg-type]
    with pytest.raises(NotAllowed, match="nothing may change"):
        arena.deliver(segment(arena, seq, flags=flags, inside=_stamps(arena)))
    arena = _standing(Setting())
    arena.deliver(segment(arena, seq, flags=flags, inside=_stamps(arena)))
    assert arena.state is State.ESTABLISHED


@replaces_code
@pytest.mark.parametrize("mode", ["ao", "ao-enc-dh"])
def test_a_mac_that_is_not_checked_is_seen(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def forged() -> tuple[Arena, bytes]:
        arena = _standing(Setting(mode))
        good = forge(Choices(bytes(16)), arena, arena.peer_flow)
        bad = good[:-1] + bytes((good[-1] ^ 1,))
        arena.genuine.clear()
        return arena, bad[:36] + bytes(2) + bad[38:]

    arena, bad = forged()
    assert arena.flow is not None
    arena.deliver(repaired(bad))
    assert arena.flow.drops[AoDrop.ao_bad_mac] == 1

    def believing(segment: object, number: int, key: object, *_: object) -> object:
        return key

    arena, bad = forged()
    monkeypatch.setattr(protection, "verify", believing)
    monkeypatch.setattr("stack.handshake.configured.verify", believing)
    with pytest.raises(AssertionError, match="without a good MAC"):
        arena.deliver(repaired(bad))


@replaces_code
def test_octets_that_nobody_wrote_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    append = ReceiveBuffer.append

    def garbled(self: ReceiveBuffer, payload: list[memoryview], length: int, *rest: object) -> None:
        append(self, [memoryview(bytes(length))], length, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(ReceiveBuffer, "append", garbled)
    with pytest.raises(AssertionError, match="nobody wrote"):
        _standing(Setting())


@replaces_code
def test_an_account_that_is_wrong_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    charge = Memory.charge
    monkeypatch.setattr(Memory, "charge", lambda self, octets: charge(self, max(octets, 0)))
    with pytest.raises(AssertionError, match="the account has"):
        _standing(Setting()).end()


# --- the model ---------------------------------------------------------------------------------------------

_BEFORE = View(
    state=State.ESTABLISHED,
    passive=True,
    iss=1000,
    irs=5000,
    snd_una=2000,
    snd_nxt=3000,
    snd_wnd=10_000,
    max_snd_wnd=10_000,
    snd_wl1=6000,
    snd_wl2=2000,
    rcv_nxt=6000,
    rcv_adv=7000,
    rcv_up=6000,
    fin_number=-1,
    probing=False,
    peer_fin=-1,
    held=((6200, 6300),),
    timestamps=False,
    ts_recent=0,
    ts_recent_at=0.0,
    read_closed=False,
    octets_in=999,
)


def _seen(seq: int, ack: int = 2000, flags: int = ACK, length: int = 0) -> Seen:
    tcp = bytes(4) + seq.to_bytes(4) + ack.to_bytes(4) + bytes((0x50, flags, 0, 100)) + bytes(4 + length)
    return Seen(tcp, Authority(DEFAULT), extended=False)


ALLOWED: list[tuple[str, View, Seen, View | None]] = [
    ("text in order", _BEFORE, _seen(6000, length=100), replace(_BEFORE, rcv_nxt=6100)),
    ("text that fills a hole", _BEFORE, _seen(6000, length=200), replace(_BEFORE, rcv_nxt=6300, held=())),
    ("an acknowledgment", _BEFORE, _seen(6000, 2500), replace(_BEFORE, snd_una=2500)),
    ("an acknowledgment at the right edge", _BEFORE, _seen(7000, 2500), replace(_BEFORE, snd_una=2500)),
    ("the exact reset", _BEFORE, _seen(6000, flags=RST), None),
    (
        "a FIN",
        _BEFORE,
        _seen(6000, flags=ACK | 1, length=200),
        replace(_BEFORE, rcv_nxt=6300, held=(), peer_fin=6200),
    ),
    ("dropped all the same", _BEFORE, _seen(6000, length=100), _BEFORE),
]


@pytest.mark.parametrize(("name", "before", "segment", "after"), ALLOWED, ids=[each[0] for each in ALLOWED])
def test_allowed(name: str, before: View, segment: Seen, after: View | None) -> None:
    judge(before, segment, after, 1.0, listening=False)


FORBIDDEN: list[tuple[str, View | None, Seen, View | None]] = [
    ("text beyond the window", _BEFORE, _seen(7000, length=10), replace(_BEFORE, held=((7000, 7010),))),
    ("text beyond a hole moves RCV.NXT", _BEFORE, _seen(6100, length=10), replace(_BEFORE, rcv_nxt=6110)),
    ("more than there was", _BEFORE, _seen(6000, length=100), replace(_BEFORE, rcv_nxt=6101)),
    ("an acknowledgment of what was not sent", _BEFORE, _seen(6000, 3001), replace(_BEFORE, snd_una=3001)),
    ("SND.UNA goes back", _BEFORE, _seen(6000, 1500), replace(_BEFORE, snd_una=1500)),
    ("a reset in the window", _BEFORE, _seen(6001, flags=RST), None),
    ("a SYN in the window", _BEFORE, _seen(6001, flags=SYN), None),
    ("without ACK", _BEFORE, _seen(6000, flags=0, length=5), replace(_BEFORE, rcv_nxt=6005)),
    ("a FIN beyond a hole", _BEFORE, _seen(6400, flags=ACK | 1), replace(_BEFORE, state=State.CLOSE_WAIT)),
    ("a close of nobody's", _BEFORE, _seen(6000), replace(_BEFORE, state=State.FIN_WAIT_1, rcv_nxt=6001)),
    ("the window shrinks", _BEFORE, _seen(6000, length=1), replace(_BEFORE, rcv_nxt=6001, rcv_adv=6900)),
    ("an old acknowledgment", replace(_BEFORE, snd_una=20_000, snd_nxt=30_000), _seen(6000, 9000), None),
    (
        "a SYN-ACK for another SYN",
        replace(_BEFORE, state=State.SYN_SENT, snd_una=1000, snd_nxt=1001),
        _seen(9, 1000, SYN | ACK),
        replace(_BEFORE, irs=9, rcv_nxt=10),
    ),
    (
        "an old timestamp",
        replace(_BEFORE, timestamps=True, ts_recent=100),
        _seen(6000, length=1),
        replace(_BEFORE, rcv_nxt=6001),
    ),
    ("a connection out of nothing", None, _seen(6000), _BEFORE),
    ("a SYN where nobody listens", None, _seen(6000, flags=SYN), replace(_BEFORE, state=State.SYN_RECEIVED)),
]


@pytest.mark.parametrize(("name", "before", "segment", "after"), FORBIDDEN, ids=[each[0] for each in FORBIDDEN])
def test_forbidden(name: str, before: View | None, segment: Seen, after: View | None) -> None:
    with pytest.raises(NotAllowed):
        judge(before, segment, after, 1.0, listening=False)


def test_a_view_is_the_same_of_a_record_and_of_its_connection() -> None:
    arena = Arena(Setting())
    REACHED["syn-received"][0](arena)
    kept = view(arena.victim.half_open.find(arena.key))
    assert kept == view(arena.victim.half_open.revive(arena.key))
