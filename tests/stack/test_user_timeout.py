"""The user timeout option on the wire, and what it does to the timeout (RFC 5482)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scapy.layers.inet import TCP

from edo.fast import read_options
from edo.layout import lay_out
from edo.options import Options
from edo.walk import walk
from stack.attempt import Attempt
from stack.config import TcpConfig, TimeoutOption
from stack.states import State
from tests.conformance.peer import ISN, Peer
from tests.stack.wire import Wire

ON = TcpConfig(timeout_option=TimeoutOption(enabled=True, advertised=200.0, most=1000.0))


def field(seconds: int, *, minutes: bool = False) -> bytes:
    """The option as octets (§3.3)."""
    return bytes((28, 4)) + (minutes << 15 | seconds).to_bytes(2)


def told(packet: object) -> int | None:
    octets = memoryview(bytes(packet))[20:]  # type: ignore[call-overload]  # a packet of scapy
    spans = walk(octets, 20, octets[12] >> 4 << 2)
    assert spans is not None
    return read_options(octets, spans).user_timeout


def opened(config: TcpConfig, option: bytes = b"") -> tuple[Peer, Attempt, list[int | None]]:
    """A passive open whose SYN has ``option``; what each segment of ours said until the first answer to data."""
    peer = Peer(config)
    listener = peer.stack.listen(80)
    (answer,) = peer.send(peer.segment("S", options=option))
    peer.seq, peer.ack = ISN + 1, answer[TCP].seq + 1
    sent = [answer, *peer.send(peer.segment("PA", b"x"))]
    peer.seq += 1
    sent += peer.wait(0.1)
    attempt = listener.accept()
    assert attempt is not None
    return peer, attempt, [told(packet) for packet in sent]


def test_it_is_off_by_default() -> None:
    # §3: ENABLED "applies to both sending and receiving. Default is false".
    _, attempt, fields = opened(TcpConfig(), field(700))
    assert set(fields) == {None}
    assert attempt.flow.connection.user_timeout == 0.0


def test_the_syn_ack_and_the_first_segment_after_it_carry_it() -> None:
    _, _, fields = opened(ON)
    assert fields == [200, 200]


def test_the_syn_of_an_active_open_carries_it_and_no_later_segment_but_the_first() -> None:
    peer = Peer(ON)
    attempt, syn = peer.dialled()
    assert told(syn) == 200
    peer.seq = ISN
    sent = peer.send(peer.segment("SA"))
    peer.seq += 1
    assert [told(packet) for packet in sent] == [200]
    attempt.write(b"octets")
    assert [told(packet) for packet in peer.take()] == [None]


@pytest.mark.parametrize(
    ("option", "timeout"),
    [
        (field(700), 700.0),
        (field(10), 200.0),  # max(ADV_UTO, REMOTE_UTO, L_LIMIT)
        (field(9, minutes=True), 540.0),
        (field(30000), 1000.0),  # U_LIMIT
        (field(0), 0.0),  # §3.4: reserved
        (field(0, minutes=True), 0.0),
        (bytes((28, 3, 0, 1)), 0.0),  # another Length is no such option
        (b"", 0.0),
    ],
)
def test_the_formula_of_3_1(option: bytes, timeout: float) -> None:
    _, attempt, _ = opened(ON, option)
    assert attempt.flow.connection.user_timeout == timeout


def test_the_least_is_more_than_the_retransmission_timeout() -> None:
    config = replace(ON, timeout_option=TimeoutOption(enabled=True, advertised=1.0, least=1.0), rto_min=5.0)
    _, attempt, _ = opened(config, field(2))
    assert attempt.flow.connection.user_timeout == 2 * attempt.flow.connection.rtt.rto


def test_any_segment_may_bring_it_data_in_order_too() -> None:
    peer, attempt, _ = opened(ON)
    peer.send(peer.segment("A", b"more", options=field(600)))
    assert attempt.flow.connection.user_timeout == 600.0
    assert attempt.read() == b"xmore"


def test_a_timeout_of_the_application_is_not_changed_and_is_what_is_told() -> None:
    # §3: CHANGEABLE becomes false when the application sets a timeout.
    _, attempt, fields = opened(replace(ON, user_timeout=50.0), field(700))
    assert fields == [50, 50]
    assert attempt.flow.connection.user_timeout == 50.0
    assert attempt.flow.connection.remote_timeout == 700.0


def test_a_new_timeout_is_told_with_the_next_segment() -> None:
    peer, attempt, _ = opened(ON)
    attempt.configure(replace(ON, user_timeout=90.0))
    attempt.write(b"octets")
    assert [told(packet) for packet in peer.take()] == [90]


def test_before_the_handshake_ends_the_usual_limits_hold() -> None:
    # §3.3: "Connections in other states MUST use the default timeout values".
    peer = Peer(replace(ON, syn_retries=2))
    peer.stack.listen(80)
    peer.send(peer.segment("S", options=field(900)))
    assert len(peer.wait(60.0)) == 2
    assert not len(peer.stack.half_open)


def test_the_peers_wish_is_what_a_connection_lives_by() -> None:
    """Both tell 200 s and one is cut off: it gives up then, though R2 would have it wait on."""
    dead = [False]
    wire = Wire(config=replace(ON, data_retries=100), tap=lambda p, _c, _n: [] if dead[0] else [(0.0, p)])
    attempt, _ = wire.open()
    connection = attempt.flow.connection
    assert wire.run(5.0, lambda: connection.state is State.ESTABLISHED)
    assert connection.user_timeout == 200.0
    dead[0] = True
    attempt.write(b"nobody hears this")
    began = wire.now
    assert wire.run(1000.0, lambda: connection.state is State.CLOSED)
    assert wire.now - began == pytest.approx(200.0, abs=1.0)


def test_where_it_has_no_room_the_segment_goes_without() -> None:
    options = Options(ts_val=1, user_timeout=5)
    assert bytes((28, 4, 0, 5)) in lay_out(options, ao_octets=20).octets
    plan = lay_out(options, ao_octets=28)
    assert plan.header_octets <= 60
    assert bytes((28, 4)) not in plan.octets


@pytest.mark.parametrize("wrong", [{"least": 0.0}, {"least": 5.0, "most": 4.0}, {"advertised": 0.5}])
def test_limits_must_be_in_order(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="user timeouts"):
        TimeoutOption(**wrong)  # type: ignore[arg-type]
