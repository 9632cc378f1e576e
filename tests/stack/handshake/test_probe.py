"""A clear SYN or RST on a living protected connection: the peer is asked whether it lives (profile.md §8)."""

from __future__ import annotations

import errno

import pytest

from edo.layout import lay_out
from edo.options import Options
from stack.config import TcpConfig
from stack.handshake.stages import Stage
from stack.host import Stack
from stack.run import ACK, RST, SYN, Run
from stack.security import Security
from tests.stack.handshake.agreed_pair import PROTECTED, Pair
from tests.stack.handshake.faults import Server, bare, changed
from tests.stack.handshake.test_agreed import flags_of, has_option
from tests.stack.wire import transfer

SEQ = 4


def forge(pair: Pair, flags: int, seq: int, *, at_server: bool = True) -> None:
    """A clear segment from the peer's address arrives, its number ``seq`` beyond RCV.NXT."""
    side, other = (pair.b, pair.a) if at_server else (pair.a, pair.b)
    flow = other.flow
    out: list[bytes] = []
    run = Run(side.connection.rcv_nxt + seq, 0, flags, 0, Options())
    flow.sealer.seal(run, lay_out(run.options), 1, out)
    pair.wire.put(out[0], at_server)


def keepalives(pair: Pair, from_client: bool = False) -> list[float]:
    """When segments below SND.NXT without text were sent by one side, from now on."""
    connection = (pair.a if from_client else pair.b).connection
    below = (connection.snd_nxt - 1) & 0xFFFFFFFF
    return [
        at
        for at, whose, packet in pair.wire.sent
        if whose is from_client and int.from_bytes(packet[24:28]) == below and has_option(packet, 29)
    ]


@pytest.mark.parametrize(("flags", "seq"), [(SYN, 12345), (RST, 0), (RST | ACK, 0)], ids=["syn", "rst", "rst-ack"])
@pytest.mark.parametrize("at_server", [True, False], ids=["b", "a"])
def test_a_living_peer_answers_and_nothing_changes(flags: int, seq: int, at_server: bool) -> None:
    pair = Pair()
    forge(pair, flags, seq, at_server=at_server)
    pair.wire.run(100.0)
    # The keepalive, behind an ACK whose timestamp is echoed, one answer, and silence.
    assert [from_client for _, from_client, _ in pair.wire.sent] == [not at_server, not at_server, at_server]
    assert all(has_option(packet, 29) for _, _, packet in pair.wire.sent)
    assert pair.drops() == {"clear_segment": 1}
    pair.talk()
    assert all(side.handshake.settled for side in pair.sides)


@pytest.mark.parametrize(("flags", "seq"), [(RST, 1), (RST, -1), (ACK, 0), (SYN | ACK, 100), (SYN | RST, 100)])
def test_other_clear_segments_start_nothing(flags: int, seq: int) -> None:
    pair = Pair()
    forge(pair, flags, seq)
    pair.wire.run(100.0)
    assert pair.wire.sent == []
    assert pair.drops() == {"clear_segment": 1}


def test_a_late_copy_of_the_connection_s_own_syn_starts_nothing() -> None:
    pair = Pair(from_start=True)
    syn = next(packet for _, _, packet in pair.wire.sent if flags_of(packet) == SYN)
    pair.wire.sent.clear()
    pair.wire.put(syn, True)
    pair.wire.run(100.0)
    assert pair.wire.sent == []


def test_one_probe_in_ten_seconds() -> None:
    pair = Pair()
    for _ in range(100):
        forge(pair, SYN, 1000)
        pair.wire.run(0.5)
    assert len(keepalives(pair)) == 5


def test_keepalives_after_0_1_2_4_rto_and_then_every_5_seconds() -> None:
    pair = Pair(tap=lambda _packet, _from_client, _now: [])
    rto = pair.b.connection.rtt.rto
    begun = pair.wire.now + pair.wire.latency
    forge(pair, SYN, 1000)
    pair.wire.run(29.0)
    times = [round(at - begun, 3) for at in keepalives(pair)]
    assert times[:4] == [0.0, round(rto, 3), round(2 * rto, 3), round(4 * rto, 3)]
    assert [round(later - 4 * rto, 3) for later in times[4:]] == [5.0, 10.0, 15.0, 20.0, 25.0][: len(times) - 4]
    pair.wire.run(2.0)
    error = pair.b.attempt.error
    assert error is not None
    assert error.errno == errno.ETIMEDOUT
    assert "restarted" in str(error)
    assert not pair.wire.server.flows


@pytest.mark.parametrize(("timeout", "ends"), [(60.0, 60.0), (0.0, None)])
def test_the_patience_is_a_setting(timeout: float, ends: float | None) -> None:
    patient = Security("ao-enc-dh", restart_timeout=timeout)
    pair = Pair(server=patient, tap=lambda _packet, _from_client, _now: [])
    begun = pair.wire.now
    forge(pair, SYN, 1000)
    done = pair.wire.run(200.0, lambda: pair.b.attempt.error is not None)
    assert done is (ends is not None)
    if ends is not None:
        assert pair.wire.now - begun == pytest.approx(ends, abs=0.1)


def test_zero_means_the_user_timeout() -> None:
    patient = Security("ao-enc-dh", restart_timeout=0.0)
    pair = Pair(server=patient, tap=lambda _packet, _from_client, _now: [], config=TcpConfig(user_timeout=80.0))
    begun = pair.wire.now
    forge(pair, SYN, 1000)
    assert pair.wire.run(200.0, lambda: pair.b.attempt.error is not None)
    assert pair.wire.now - begun == pytest.approx(80.0, abs=0.1)


def restart(pair: Pair) -> None:
    """The client's host comes up again, without its connections."""
    source = iter(range(1, 1 << 30))
    pair.wire.client = Stack(
        ["10.0.0.1"], random=lambda octets: next(source).to_bytes(octets), config=pair.wire.client.config
    )


def test_a_restarted_client_has_its_port_again_within_seconds() -> None:
    """Its SYN starts the probe, its resets end the old connection, its repeated SYN opens the new one."""
    pair = Pair()
    port = pair.a.attempt.local[1]
    restart(pair)
    begun = pair.wire.now
    attempt = pair.wire.client.connect(("10.0.0.2", 80), local_port=port, security=PROTECTED, now=begun)
    # The old connection is in the new one's place, so the client answers keepalives in SYN-SENT with RST.
    ends = transfer(pair.wire, attempt, pair.listener, b"again", b"welcome")
    assert (bytes(ends[1].received), bytes(ends[0].received)) == (b"again", b"welcome")
    assert pair.b.attempt.error is not None
    assert pair.b.attempt.error.errno == errno.ETIMEDOUT
    assert pair.wire.now - begun < 60.0


def test_resets_of_a_restarted_peer_end_the_connection_after_four_keepalives() -> None:
    pair = Pair()
    restart(pair)
    rto = pair.b.connection.rtt.rto
    begun = pair.wire.now
    pair.b.attempt.write(b"is anybody there?")
    assert pair.wire.run(60.0, lambda: pair.b.attempt.error is not None)
    assert pair.b.attempt.error is not None
    assert pair.b.attempt.error.errno == errno.ETIMEDOUT
    assert pair.wire.now - begun == pytest.approx(4 * rto, abs=0.2)
    assert len([packet for _, from_client, packet in pair.wire.sent if from_client and flags_of(packet) & RST]) >= 4


def test_a_timer_that_has_backed_off_does_not_delay_the_end() -> None:
    pair = Pair(tap=lambda _packet, _from_client, _now: [])
    pair.b.attempt.write(b"unheard")
    pair.wire.run(100.0)
    assert pair.b.connection.rtt.rto > 50.0
    begun = pair.wire.now
    forge(pair, SYN, 1000)
    assert pair.wire.run(60.0, lambda: pair.b.attempt.error is not None)
    assert pair.wire.now - begun == pytest.approx(30.0, abs=0.1)


def test_an_old_segment_with_a_good_mac_does_not_pass_for_an_answer() -> None:
    """An attacker plays back what the peer sent before: its timestamps echo nothing of the probe."""
    pair = Pair()
    pair.talk()
    old = [packet for _, from_client, packet in pair.wire.sent if from_client][-1]
    pair.wire.run(10.0)
    pair.wire.tap = lambda _packet, _from_client, _now: []
    forge(pair, SYN, 1000)
    for _ in range(60):
        pair.wire.put(old, True)
        pair.wire.run(0.6)
    assert pair.b.attempt.error is not None
    assert pair.b.attempt.error.errno == errno.ETIMEDOUT


def test_without_timestamps_any_good_segment_is_an_answer() -> None:
    pair = Pair(config=TcpConfig(timestamps=False))
    forge(pair, SYN, 1000)
    pair.wire.run(100.0)
    assert len(keepalives(pair)) == 1
    pair.talk()


def test_a_signed_syn_gets_a_signed_challenge() -> None:
    pair = Pair()
    run = pair.a.connection.segment(ACK)
    run.flags |= SYN
    pair.a.flow.send(run, pair.a.flow.stack.out)
    pair.wire.run(10.0)
    answers = [packet for _, from_client, packet in pair.wire.sent if not from_client]
    assert len(answers) == 1
    assert has_option(answers[0], 29)
    assert flags_of(answers[0]) == ACK
    pair.talk()


def test_in_time_wait_a_clear_syn_with_a_later_timestamp_begins_anew() -> None:
    pair = Pair(config=TcpConfig(msl=30.0))
    port = pair.a.attempt.local[1]
    # B closes first, so that TIME-WAIT is its.
    pair.b.attempt.write_eof()
    pair.wire.run(0.1)
    pair.a.attempt.write_eof()
    pair.wire.run(1.0)
    assert [flow.connection.state.name for flow in pair.wire.server.flows.values()] == ["TIME_WAIT"]
    pair.b.attempt.close()
    begun = pair.wire.now
    attempt = pair.wire.client.connect(("10.0.0.2", 80), local_port=port, security=PROTECTED, now=begun)
    assert pair.wire.run(5.0, lambda: pair.listener.waiting > 0)
    assert attempt.report()["mode"] == "ao-enc-dh"


LATE = Security("ao-enc-dh", placements=("late",))
COMPACT = Security("ao-enc-dh", placements=("compact",))


@pytest.mark.parametrize(
    ("client", "stage"), [(LATE, Stage.SYN_TAKEN), (PROTECTED, Stage.ANSWERED), (COMPACT, Stage.ANSWERED)]
)
def test_before_the_first_good_mac_another_syn_is_challenged_in_clear(client: Security, stage: Stage) -> None:
    server = Server(client, client if client is COMPACT else PROTECTED, stage)
    answers = server.meets(changed(server.syn, SEQ, 77))
    assert [flags_of(packet) for packet in answers] == [ACK]
    assert not has_option(answers[0], 29)
    assert int.from_bytes(answers[0][28:32]) == (server.flow.connection.irs + 1) & 0xFFFFFFFF
    # No more than ten in five seconds (RFC 5961 §7).
    assert sum(len(server.meets(changed(server.syn, SEQ, 78 + n))) for n in range(30)) == 9
    # What its sender answers, in SYN-SENT, ends the half-open connection.
    server.meets(bare(server.syn, RST, 1))
    assert server.flow.over
