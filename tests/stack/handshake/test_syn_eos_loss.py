"""SYN-EOS where a segment does not come: each row of the loss table in docs/syn-eos.md, found as "SYN-EOS Ln"."""

from __future__ import annotations

import pytest

from edo.negotiation import EdoState
from stack.config import TcpConfig
from stack.run import ACK, SYN
from stack.security import Security
from stack.syneos import SynEos
from tests.stack.handshake.oob import (
    EXPERIMENT,
    ISN,
    MARK,
    TAKES,
    WANTS,
    Host,
    behind,
    beside,
    carried,
    crossed,
    inside,
    keyed,
    losing,
    made,
    marked_syn,
    number,
    only,
    oob,
    retried,
    sent,
    syn_ack,
)
from tests.stack.handshake.test_agreed import flags_of, out_of_band
from tests.stack.wire import Tap, Wire

PAYLOAD = EXPERIMENT
EXTENSION = bytes.fromhex("fe080ed00007001c")


# --- SYN-EOS L1: SYN with SYN-EOS, no OOB ---


@pytest.mark.parametrize(("rto", "wait"), [(1.0, 0.2), (0.4, 0.1)])
def test_a_listener_goes_on_as_if_there_was_no_syn_eos(rto: float, wait: float) -> None:
    """SYN-EOS L1: after min(200 ms, initial RTO / 4)."""
    host = Host(config=TcpConfig(rto_initial=rto))
    assert host.gets(marked_syn()) == []
    assert host.wait(wait - 0.001) == []
    answer = only(host.wait(0.002))
    assert flags_of(answer) == SYN | ACK
    assert MARK not in inside(answer)
    assert not host.listener.pending((bytes((10, 0, 0, 2)), 80, bytes((10, 0, 0, 1)), 4000))  # type: ignore[arg-type]


def test_the_next_syn_of_the_prefix_does_not_wait() -> None:
    """SYN-EOS L1: ten minutes long (profile.md section 5)."""
    host = Host()
    host.gets(marked_syn())
    host.wait(0.3)
    assert MARK not in inside(only(host.gets(marked_syn(port=4001))))
    host.wait(601.0)
    assert host.gets(marked_syn(port=4002)) == []


def test_a_repeated_syn_does_not_wait_longer() -> None:
    """SYN-EOS L1."""
    host = Host()
    host.gets(marked_syn())
    host.wait(0.15)
    assert host.gets(marked_syn()) == []
    assert len(host.wait(0.06)) == 1


# --- SYN-EOS L2: SYN-ACK without SYN-EOS, and the client is content ---


def test_the_client_goes_on_as_if_it_had_not_asked() -> None:
    """SYN-EOS L2: a plain ACK; timestamps that only the OOB had are not in use, nor is EDO."""
    wire, ours, theirs = crossed(keyed(20, edo=None), keyed(20, edo=None), losing(out_of_band))
    assert ours.report()["syn_eos"] == theirs.report()["syn_eos"] == "not confirmed"
    assert ours.flow.edo.state is theirs.flow.edo.state is EdoState.OFF
    later = [packet for _, _, packet in wire.sent if not flags_of(packet) & SYN and not out_of_band(packet)]
    assert {tuple(option[0] for option in inside(packet)) for packet in later} == {(29,)}
    assert ours.report()["drops"] == theirs.report()["drops"] == {}


def test_it_cannot_tell_from_an_old_server() -> None:
    """SYN-EOS L2: nor need it."""
    _, ours, theirs = crossed(WANTS, Security())
    assert ours.report()["syn_eos"] == "not confirmed"
    assert theirs.report()["edo"] == "off"


# --- SYN-EOS L3: SYN-ACK without SYN-EOS, and the client sends the OOB again ---


def losing_second_oob() -> Tap:
    """Lose the OOBs without ACK but the first."""
    seen = [0]

    def wanted(packet: bytes) -> bool:
        if out_of_band(packet):
            seen[0] += 1
        return out_of_band(packet) and seen[0] > 1

    return losing(wanted)


@pytest.mark.parametrize("keys", ["", "ao", "ao-enc"])
def test_a_known_server_gets_the_oob_again_and_answers_anew(keys: str) -> None:
    """SYN-EOS L3: SEQ = C, ACK = S + 1, under keys with those of the connection; no ordinary ACK before."""
    cipher = "aes-128-ctr" if keys == "ao-enc" else None
    client = keyed(20, edo=None, cipher=cipher) if keys else WANTS
    server = client if keys else TAKES
    wire = Wire(tap=losing_second_oob())
    carried(wire, *wire.open(client, server))
    wire.sent.clear()
    ours, theirs = carried(wire, *wire.open(client, server, port=81))
    assert ours.report()["syn_eos"] == theirs.report()["syn_eos"] == "confirmed"
    again = only(sent(wire, retried))
    first, second = sent(wire, syn_ack, client=False)
    assert behind(again) == behind(only(beside(wire)))
    isn = number(wire.sent[0][2], 4)
    assert (number(again, 4), number(again, 8)) == (isn, number(first, 4) + 1)
    assert MARK not in inside(first)
    assert MARK in inside(second)
    order = [packet for _, _, packet in wire.sent]
    assert all(flags_of(packet) & SYN or out_of_band(packet) for packet in order[: order.index(again)])
    connection = ours.flow.connection  # type: ignore[attr-defined]
    assert connection.timestamps
    # Neither the wait nor the repetition is taken for a round trip.
    assert 0.0 < connection.rtt.srtt < 0.1
    assert ours.report()["drops"] == theirs.report()["drops"] == {}
    assert theirs.report()["retransmissions"] == 1


def test_a_server_that_is_not_known_to_speak_it_gets_no_oob_with_ack() -> None:
    """SYN-EOS L3, Traps: an old one might take the options for data."""
    for server in (TAKES, Security()):
        wire, ours, _ = crossed(WANTS, server, losing(out_of_band))
        assert sent(wire, retried) == []
        assert ours.report()["syn_eos"] == "not confirmed"


def test_without_an_answer_to_the_second_the_client_goes_on() -> None:
    """SYN-EOS L3: after twice the round trip and 200 ms, once; what was remembered can be erased."""
    wire = Wire(tap=losing_second_oob())
    carried(wire, *wire.open(WANTS, TAKES))
    tap = wire.tap
    wire.tap = lambda packet, from_client, now: [] if retried(packet) else tap(packet, from_client, now)
    wire.sent.clear()
    began = wire.now
    ours, theirs = carried(wire, *wire.open(WANTS, TAKES, port=81))
    assert ours.report()["syn_eos"] == theirs.report()["syn_eos"] == "not confirmed"
    assert len(sent(wire, retried)) == 1
    first = next(at for at, whose, packet in wire.sent if whose and flags_of(packet) & ACK and not retried(packet))
    # 20 ms and the listener's wait, then twice as much and 200 ms.
    assert first - began == pytest.approx(0.22 + 2 * 0.22 + 0.2)
    assert ours.flow.connection.rtt.srtt < 0.3  # type: ignore[attr-defined]
    wire.client.peers.forget()
    wire.sent.clear()
    carried(wire, *wire.open(WANTS, TAKES, port=82))
    assert sent(wire, retried) == []


def test_a_server_takes_the_oob_with_ack_only_before_the_last_ack_and_by_its_numbers() -> None:
    """SYN-EOS L3."""
    host = Host()
    host.gets(marked_syn())
    answer = only(host.wait(0.3))
    theirs = number(answer, 4)
    wrong = [
        made(ISN, ACK, MARK, PAYLOAD, ack=theirs + 2),
        made(ISN + 1, ACK, MARK, PAYLOAD, ack=theirs + 1),
        made(ISN, ACK, MARK, PAYLOAD + PAYLOAD, ack=theirs + 1),
    ]
    assert host.gets(*wrong) == []
    again = only(host.gets(made(ISN, ACK, MARK, PAYLOAD, ack=theirs + 1)))
    assert MARK in inside(again)
    assert number(again, 4) == theirs
    assert host.gets(made(ISN, ACK, MARK, PAYLOAD, ack=theirs + 1)) == []
    host.gets(host.acknowledges(answer, options=EXTENSION))
    attempt = host.accepted()
    assert (attempt.report()["syn_eos"], attempt.read()) == ("confirmed", b"")


# --- SYN-EOS L4: the last ACK came, then an OOB ---


@pytest.mark.parametrize("security", [TAKES, Security()], ids=["new", "old"])
@pytest.mark.parametrize("ack", [False, True])
def test_an_oob_behind_the_last_ack_is_discarded(security: Security, ack: bool) -> None:
    """SYN-EOS L4: never answered, never data, whatever is open."""
    host = Host(security)
    answer = only(host.gets(marked_syn()) + host.wait(0.3))
    host.gets(host.acknowledges(answer, text=b"text"))
    attempt = host.accepted()
    flags, acknowledged = (ACK, number(answer, 4) + 1) if ack else (0, 0)
    late = made(ISN, flags, MARK, EXPERIMENT, ack=acknowledged)
    assert host.gets(late) == []
    assert attempt.read() == b"text"
    assert attempt.report()["drops"] == {"stray_oob": 1}
    # Its octets are not what comes next either.
    host.gets(made(ISN + 5, ACK, b"", b"more", ack=number(answer, 4) + 1))
    assert attempt.read() == b"more"


def test_an_oob_behind_a_confirmation_is_discarded() -> None:
    """SYN-EOS L4."""
    host = Host()
    answer = only(host.gets(marked_syn(), oob(PAYLOAD)))
    host.gets(host.acknowledges(answer, options=EXTENSION))
    attempt = host.accepted()
    assert host.gets(oob(PAYLOAD), made(ISN, ACK, MARK, PAYLOAD, ack=number(answer, 4) + 1)) == []
    assert attempt.read() == b""


# --- SYN-EOS L5: an OOB without SYN ---


@pytest.mark.parametrize("port", [80, 81])
def test_a_stray_oob_is_never_answered_and_makes_no_state(port: int) -> None:
    """SYN-EOS L5: on open and closed ports (profile.md section 1)."""
    host = Host()
    if port != 80:
        host.listener.close()
    held = host.stack.memory.held
    assert host.gets(oob(PAYLOAD)) == host.wait(2.0) == []
    assert host.stack.memory.held == held
    assert host.stack.drops["stray_oob"] == 1
    # The SYN that follows is not the one that it belonged to.
    assert host.gets(marked_syn()) == [] or port != 80


def test_without_the_option_a_segment_is_what_rfc_9293_says() -> None:
    """SYN-EOS L5: a closed port resets it, LISTEN drops it (RFC 9293 section 3.10.7)."""
    host = Host()
    bare = made(ISN, 0, b"", PAYLOAD)
    assert host.gets(bare) == []
    host.listener.close()
    assert flags_of(only(host.gets(bare))) & 0x04


EARLY = Security(syn_eos=SynEos(early=True))


def test_an_early_oob_may_be_kept_for_a_second() -> None:
    """SYN-EOS L5: where a listener wants it, as a public server may."""
    host = Host(EARLY)
    held = host.stack.memory.held
    assert host.gets(oob(PAYLOAD)) == []
    assert host.stack.memory.held > held
    host.wait(0.9)
    assert MARK in inside(only(host.gets(marked_syn())))
    assert host.gets(oob(PAYLOAD, port=4001)) == []
    host.wait(1.1)
    assert host.gets(marked_syn(port=4001)) == []
    assert host.stack.drops["stray_oob"] == 1


def test_early_oobs_are_bounded_and_the_first_of_a_syn_counts() -> None:
    """SYN-EOS L5, S8: 256 of them, the oldest giving way; none where memory is short."""
    host = Host(EARLY)
    held = host.stack.memory.held
    for port in range(5000, 5400):
        host.gets(oob(PAYLOAD, port=port))
    bound = host.stack.memory.held - held
    assert bound == 256 * 3072
    host.gets(oob(bytes((201, 4, 1, 1)), port=5399))
    assert host.stack.memory.held - held == bound
    assert host.gets(marked_syn(port=5000)) == []
    answer = only(host.gets(marked_syn(port=5399)))
    host.gets(made(ISN + 1, ACK, EXTENSION, port=5399, ack=number(answer, 4) + 1))
    assert host.accepted().flow.handshake.facts.peer_options == (PAYLOAD,)
    host.wait(1.5)
    assert host.stack.memory.held - held < 64 * 1024
    host.stack.memory.charge(host.stack.memory.limit)
    short = host.stack.memory.held
    host.gets(oob(PAYLOAD, port=6000))
    assert host.stack.memory.held == short


# --- SYN-EOS L6: memory is short ---


def test_under_memory_pressure_no_syn_is_kept() -> None:
    """SYN-EOS L6: it is answered at once, as if it had no SYN-EOS."""
    host = Host(memory=1 << 20)
    host.stack.memory.charge(int(0.8 * (1 << 20)))
    assert MARK not in inside(only(host.gets(marked_syn())))
    assert host.gets(oob(PAYLOAD)) == []


def test_pending_syns_are_bounded() -> None:
    """SYN-EOS L6: 256 for a listener, and none beyond half its backlog."""
    host = Host()
    answers = host.gets(*(marked_syn(port=port) for port in range(4000, 4050)))
    assert len(answers) == 50 - 32
    assert all(MARK not in inside(answer) for answer in answers)
    roomy = Host()
    roomy.listener.backlog = 2000
    assert len(roomy.gets(*(marked_syn(port=port) for port in range(4000, 4300)))) == 300 - 256


def test_what_waits_is_charged_with_its_text() -> None:
    """SYN-EOS L6: a SYN may bring 60,000 octets of it; of early OOBs none has more than can be joined."""
    host = Host(EARLY)
    held = host.stack.memory.held
    host.gets(marked_syn(payload=bytes(60_000)))
    assert host.stack.memory.held - held > 60_000
    host.listener.close()
    assert host.stack.memory.held == held
    host = Host(EARLY)
    host.gets(oob(PAYLOAD + b"\x01" * 1024, port=4001))
    assert host.stack.memory.held == held
    assert host.stack.drops["stray_oob"] == 1
