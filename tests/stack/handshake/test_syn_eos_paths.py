"""SYN-EOS with what else there is: each row of section 1.4 in docs/syn-eos.md, found as "SYN-EOS Xn"."""

from __future__ import annotations

import struct

import pytest

from edo.negotiation import EdoState
from edo.options import Options
from edo.plan import Plan
from stack.batch import Batch
from stack.config import FastOpen, TcpConfig
from stack.ports import FlowKey
from stack.run import ACK, SYN, Run
from stack.sealer import Sealer
from stack.security import Security
from stack.syneos import SynEos
from stack.tcb import Tcb
from tests.stack.handshake.oob import (
    CLIENT,
    EXPERIMENT,
    MARK,
    SERVER,
    TAKES,
    WANTS,
    Host,
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
    reset,
    retried,
    sent,
    syn,
    syn_ack,
)
from tests.stack.handshake.test_agreed import flags_of, out_of_band, resummed, without_option
from tests.stack.wire import Wire, transfer

WSCALE_7 = bytes.fromhex("03030701")
STAMPED = bytes.fromhex("080a00000005000000000101")


def tcb_of(attempt: object) -> Tcb:
    return attempt.flow.connection  # type: ignore[attr-defined,no-any-return]


# --- SYN-EOS X1: NAT and firewalls ---


def test_a_nat_that_leaves_the_oob_untranslated_costs_200_ms() -> None:
    """SYN-EOS X1: the stray comes from the inner address; nobody answers it."""

    def nat(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if from_client and out_of_band(packet):
            return [(0.0, _from(packet, 0x0A000001, 0x0A000909))]
        return [(0.0, packet)]

    wire, ours, theirs = crossed(WANTS, TAKES, nat)
    assert ours.report()["syn_eos"] == theirs.report()["syn_eos"] == "not confirmed"
    assert wire.server.drops["stray_oob"] == 1
    assert not any(packet[16:20] == bytes((10, 0, 9, 9)) for _, _, packet in wire.sent)


def _from(packet: bytes, before: int, after: int) -> bytes:
    """The packet with another source address, its checksums right."""
    assert packet[12:16] == before.to_bytes(4)
    octets = bytearray(packet)
    octets[12:16] = after.to_bytes(4)
    octets[10:12] = bytes(2)
    total = sum(struct.unpack("!10H", octets[:20]))
    octets[10:12] = (0xFFFF - (total % 0xFFFF)).to_bytes(2)
    return resummed(bytes(octets), 13, octets[33])


# --- SYN-EOS X2: an old server has the OOB first ---


def test_an_old_server_drops_an_oob_that_comes_first() -> None:
    """SYN-EOS X2: LISTEN takes nothing that has neither SYN nor ACK nor RST (RFC 9293 section 3.10.7.2)."""
    host = Host(Security())
    assert host.gets(oob(EXPERIMENT)) == []
    answer = only(host.gets(marked_syn()))
    assert flags_of(answer) == SYN | ACK
    wire, _, _ = crossed(WANTS, Security(), lambda packet, _c, _n: [(0.0 if out_of_band(packet) else 0.05, packet)])
    assert not any(reset(packet) for _, _, packet in wire.sent)


# --- SYN-EOS X3: an old server has it in SYN-RECEIVED ---


def test_an_old_server_in_syn_received_neither_answers_it_nor_takes_it_for_data() -> None:
    """SYN-EOS X3: its payload covers C to C + n - 1, so part of it lies in the window."""
    host = Host(Security())
    answer = only(host.gets(marked_syn()))
    assert host.gets(oob(EXPERIMENT)) == []
    host.gets(host.acknowledges(answer))
    attempt = host.accepted()
    assert attempt.read() == b""
    host.gets(host.acknowledges(answer, text=b"text"))
    assert attempt.read() == b"text"


# --- SYN-EOS X4: SYN cookies ---


@pytest.mark.parametrize("known", [False, True])
def test_cookies_go_without_syn_eos(known: bool) -> None:
    """SYN-EOS X4: also to who sends the OOB again, which must not be reset."""
    wire = Wire()
    if known:
        carried(wire, *wire.open(WANTS, TAKES, port=81))
    wire.sent.clear()
    listener = wire.server.listen(80, security=TAKES, backlog=1)
    wire.server.receive(Batch([made(7, SYN, port=9)]), wire.now)
    wire.server.take_output(wire.now)
    attempt = wire.client.connect(("10.0.0.2", 80), security=WANTS, now=wire.now)
    ends = transfer(wire, attempt, listener, b"up", b"down")
    assert (bytes(ends[1].received), bytes(ends[0].received)) == (b"up", b"down")
    assert wire.server.counters["cookies_good"] == 1
    assert attempt.report()["syn_eos"] == "not confirmed"
    assert all(MARK not in inside(packet) for packet in sent(wire, syn_ack, client=False))
    assert len(sent(wire, retried)) == known
    assert not any(reset(packet) for _, _, packet in wire.sent)


# --- SYN-EOS X5: Fast Open ---

FAST = TcpConfig(fast_open=FastOpen(pending=4))


@pytest.mark.parametrize("lost", [False, True])
def test_text_of_a_fast_open_is_the_syns(lost: bool) -> None:
    """SYN-EOS X5: the OOB's payload is never text, and without it all text arrives, if later."""
    wire = Wire(config=FAST)
    listener = wire.server.listen(80, security=TAKES)
    first = wire.client.connect(("10.0.0.2", 80), security=WANTS, now=wire.now, fast_open=b"")
    transfer(wire, first, listener, b"", b"")
    wire.sent.clear()
    if lost:
        wire.tap = losing(lambda packet: out_of_band(packet) or retried(packet))
    again = wire.client.connect(("10.0.0.2", 80), security=WANTS, now=wire.now, fast_open=b"early text")
    ends = transfer(wire, again, listener, b"", b"answer")
    assert bytes(ends[1].received) == b"early text"
    assert bytes(ends[0].received) == b"answer"
    begins = sent(wire, syn)[0]
    assert begins.endswith(b"early text")
    if not lost:
        # Cookie in the SYN or beside it: either way the text was taken with the SYN.
        assert number(only(sent(wire, syn_ack, client=False)), 8) == number(begins, 4) + 1 + len(b"early text")
    assert again.report()["syn_eos"] == ("not confirmed" if lost else "confirmed")


def test_edo_is_agreed_on_by_a_syn_ack_that_acknowledges_text() -> None:
    """SYN-EOS S7, X5."""
    wire = Wire(config=FAST)
    security = Security(edo="strict")
    listener = wire.server.listen(80, security=security)
    for text in (b"", b"early text"):
        attempt = wire.client.connect(("10.0.0.2", 80), security=security, now=wire.now, fast_open=text)
        transfer(wire, attempt, listener, b"", b"")
        assert attempt.report()["edo"] == "confirmed"


# --- SYN-EOS X6: TCP-AO ---


def test_both_segments_are_signed_with_the_syns_key() -> None:
    """SYN-EOS X6: neither has an ACK, so the destination's ISN is 0; what is beside is taken under it."""
    wire, ours, theirs = crossed(keyed(), keyed())
    assert ours.report()["syn_eos"] == theirs.report()["syn_eos"] == "confirmed"
    assert ours.report()["authenticated"] is theirs.report()["authenticated"] is True
    assert all(inside(packet)[0][0] == 29 for packet in [*sent(wire, syn), *beside(wire)])


@pytest.mark.parametrize("forged", ["unsigned", "changed", "wrong key", "another's"])
def test_an_oob_without_a_good_mac_is_dropped_and_the_right_one_still_taken(forged: str) -> None:
    """SYN-EOS X6: the joined options are not in the SYN's MAC, so nothing of such an OOB is taken."""
    spare = Wire(seed=9)
    spare.open(keyed(), keyed())
    spare.flush()

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if not (from_client and out_of_band(packet)):
            return [(0.0, packet)]
        wrong = {
            "unsigned": made(number(packet, 4), 0, MARK, EXPERIMENT, port=int.from_bytes(packet[20:22])),
            "changed": resummed(packet, len(packet) - 20 - 4, 0xEE),
            "wrong key": resummed(packet, 22, 9),
            "another's": only(beside(spare)),
        }[forged]
        return [(0.0, wrong), (0.001, packet)]

    _, ours, theirs = crossed(keyed(), keyed(), tap)
    assert ours.report()["syn_eos"] == theirs.report()["syn_eos"] == "confirmed"
    assert EXPERIMENT not in theirs.flow.handshake.facts.peer_options


def test_a_forged_oob_alone_leaves_the_syn_as_it_is() -> None:
    """SYN-EOS X6."""

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        changed = from_client and out_of_band(packet)
        return [(0.0, resummed(packet, len(packet) - 20 - 4, 0xEE) if changed else packet)]

    wire, ours, theirs = crossed(keyed(), keyed(), tap)
    assert ours.report()["syn_eos"] == theirs.report()["syn_eos"] == "not confirmed"
    assert not tcb_of(theirs).timestamps
    assert wire.server.drops["ao_bad_mac"] == 1


def test_a_syn_that_is_not_signed_holds_no_place() -> None:
    """SYN-EOS X6."""
    host = Host(keyed())
    assert host.gets(marked_syn()) == []
    assert host.stack.drops["ao_required"] == 1
    assert host.listener.pending(FlowKey((SERVER, 80, CLIENT, 4000))) is None
    assert host.wait(1.0) == []
    assert not host.stack.flows


# --- SYN-EOS X7: the checksum ---


def test_the_oobs_checksum_is_right_and_has_to_be() -> None:
    """SYN-EOS X7: unlike the draft's forerunner, which relied on a wrong one."""
    host = Host()
    host.gets(marked_syn())
    broken = bytearray(oob(EXPERIMENT))
    broken[36] ^= 1
    assert host.gets(bytes(broken)) == []
    assert host.stack.drops["bad_checksum"] == 1
    assert MARK in inside(only(host.gets(oob(EXPERIMENT))))


# --- SYN-EOS X8: no data, no sequence numbers, no round trip ---


def test_an_oob_takes_no_sequence_numbers_and_is_no_data() -> None:
    """SYN-EOS X8."""
    wire = Wire()
    attempt, listener = wire.open(WANTS, TAKES)
    wire.flush()
    connection = tcb_of(attempt)
    isn = number(only(sent(wire, syn)), 4)
    assert number(only(beside(wire)), 4) == isn
    assert connection.snd_nxt == connection.iss + 1
    ours, theirs = carried(wire, attempt, listener)
    assert number(only(sent(wire, syn_ack, client=False)), 8) == isn + 1
    assert ours.report()["octets_out"] == theirs.report()["octets_in"] == 60_000
    assert ours.report()["retransmissions"] == 0


def test_an_oob_is_no_measure_of_the_round_trip() -> None:
    """SYN-EOS X8: one that waited behind its SYN would shorten it."""
    _, ours, _ = crossed(Security(syn_eos=SynEos(options=(EXPERIMENT,), delay=0.005)), TAKES)
    # 20 ms there and back, and 5 ms until the OOB is there.
    assert tcb_of(ours).rtt.srtt >= 0.02


# --- SYN-EOS X9: load balancers ---


@pytest.mark.parametrize("version", [4, 6])
def test_both_segments_have_the_same_addresses_and_ports(version: int) -> None:
    """SYN-EOS X9: what spreads packets by these keeps the pair together."""
    wire = Wire()
    wire.open(WANTS, TAKES, version=version)
    wire.flush()
    first, second = (packet for _, _, packet in wire.sent)
    ends = slice(12, 24) if version == 4 else slice(8, 44)
    assert first[ends] == second[ends]


# --- SYN-EOS X10: simultaneous open ---


def test_once_syns_have_crossed_syn_eos_is_off() -> None:
    """SYN-EOS X10: the peer, in SYN-SENT, drops the OOB, so what was in it alone was offered to nobody."""
    wire = Wire()
    one = wire.client.connect(("10.0.0.2", 80), security=keyed(20, edo=None), now=wire.now, local_port=90)
    other = wire.server.connect(("10.0.0.1", 90), security=keyed(20, edo=None), now=wire.now, local_port=80)
    ends = transfer(wire, one, _Both(other), b"up" * 5000, b"down" * 5000)  # type: ignore[arg-type]
    assert (bytes(ends[1].received), bytes(ends[0].received)) == (b"up" * 5000, b"down" * 5000)
    assert len([packet for _, _, packet in wire.sent if out_of_band(packet)]) == 2
    assert all(MARK not in inside(packet) for _, _, packet in wire.sent if syn_ack(packet))
    for end in (one, other):
        assert end.report()["syn_eos"] == "not confirmed"
        assert end.report()["edo"] == "off"
        assert not tcb_of(end).timestamps


def test_timestamps_of_a_crossed_syn_are_not_taken_where_ours_went_beside() -> None:
    """SYN-EOS X10: the peer saw no offer of them."""
    wire = Wire()
    narrow = TcpConfig(window_scaling=False, sack=False)
    theirs = keyed(20, edo=None, syn_eos=None)
    one = wire.client.connect(("10.0.0.2", 80), security=keyed(20, edo=None), now=wire.now, local_port=90)
    other = wire.server.connect(("10.0.0.1", 90), security=theirs, now=wire.now, local_port=80, config=narrow)
    ends = transfer(wire, one, _Both(other), b"up" * 5000, b"down" * 5000)  # type: ignore[arg-type]
    assert (bytes(ends[1].received), bytes(ends[0].received)) == (b"up" * 5000, b"down" * 5000)
    assert 8 in [option[0] for option in inside(only([p for _, whose, p in wire.sent if not whose and syn(p)]))]
    assert not tcb_of(one).timestamps
    assert (one.report()["drops"], other.report()["drops"]) == ({}, {"stray_oob": 1})


class _Both:
    """The other active opener, as a listener that accepts it."""

    def __init__(self, attempt: object) -> None:
        self._attempts = [attempt]

    def accept(self) -> object | None:
        return self._attempts.pop() if self._attempts else None


def test_crossed_syns_may_agree_on_edo_by_their_own_offer() -> None:
    """SYN-EOS X10."""
    wire = Wire()
    security = keyed()
    one = wire.client.connect(("10.0.0.2", 80), security=security, now=wire.now, local_port=90)
    other = wire.server.connect(("10.0.0.1", 90), security=security, now=wire.now, local_port=80)
    transfer(wire, one, _Both(other), b"up", b"down")  # type: ignore[arg-type]
    assert {end.report()["edo"] for end in (one, other)} == {"confirmed"}


# --- Traps: payload of a SYN-ACK, boxes that remove options ---


def test_who_offered_it_takes_no_payload_of_a_syn_ack() -> None:
    """SYN-EOS S6, profile.md section 1: a box may have removed what says that it is options."""

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if from_client or not syn_ack(packet):
            return [(0.0, packet)]
        return [(0.0, _with_payload(packet, b"options, for all you know"))]

    wire, ours, _ = crossed(WANTS, TAKES, tap)
    assert ours.report()["syn_eos"] == "confirmed"
    first = next(packet for _, whose, packet in wire.sent if whose and flags_of(packet) & ACK)
    assert number(first, 8) == number(only(sent(wire, syn_ack, client=False)), 4) + 1


def _with_payload(packet: bytes, payload: bytes) -> bytes:
    longer = bytearray(packet + payload)
    longer[2:4] = len(longer).to_bytes(2)
    longer[10:12] = bytes(2)
    total = sum(struct.unpack("!10H", longer[:20]))
    longer[10:12] = (0xFFFF - (total % 0xFFFF)).to_bytes(2)
    return resummed(bytes(longer), 13, longer[33])


@pytest.mark.parametrize("lenient", [False, True])
def test_a_box_that_removes_the_confirmation_ends_it_for_both(lenient: bool) -> None:
    """SYN-EOS S4: neither reads options as data, nor waits for what the other does not send."""

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        return [(0.0, packet if from_client else without_option(packet, MARK))]

    edo = "lenient" if lenient else None
    client, server = (Security(syn_eos=one.syn_eos, edo=edo) for one in (WANTS, TAKES))
    _, ours, theirs = crossed(client, server, tap)
    for end in (ours, theirs):
        assert end.report()["syn_eos"] == "not confirmed"
        assert end.flow.edo.state is EdoState.OFF
        assert end.report()["drops"] == {}


def test_options_that_a_box_made_unconfirmed_are_not_in_use() -> None:
    """SYN-EOS S2: the server had taken timestamps beside; without them in the ACK it must not insist on them."""
    host = Host()
    answer = only(host.gets(marked_syn(), oob(STAMPED)))
    assert 8 in [option[0] for option in inside(answer)]
    host.gets(host.acknowledges(answer, text=b"plain"))
    attempt = host.accepted()
    assert attempt.read() == b"plain"
    assert not tcb_of(attempt).timestamps
    assert (attempt.report()["syn_eos"], attempt.report()["edo"]) == ("not confirmed", "off")


def test_timestamps_in_the_last_ack_show_that_the_confirmation_was_read() -> None:
    """SYN-EOS S2: a box that removes the Extension alone ends EDO, and nothing else."""
    host = Host()
    answer = only(host.gets(marked_syn(), oob(STAMPED)))
    stamp = next(option for option in inside(answer) if option[0] == 8)
    ours = bytes((8, 10)) + bytes((0, 0, 0, 6)) + stamp[2:6] + b"\x01\x01"
    host.gets(host.acknowledges(answer, options=ours, text=b"plain"))
    attempt = host.accepted()
    assert attempt.read() == b"plain"
    assert tcb_of(attempt).timestamps
    assert (attempt.report()["syn_eos"], attempt.report()["edo"]) == ("confirmed", "off")


def test_a_malformed_confirmation_is_dropped_and_a_good_one_taken() -> None:
    """SYN-EOS S6: the Extension must be right, and what is behind Data Offset options."""
    wire = Wire()
    attempt = wire.client.connect(("10.0.0.2", 80), security=WANTS, now=wire.now)
    wire.flush()
    begun = sent(wire, syn)[0]
    connection = tcb_of(attempt)
    for options, payload, reason in (
        (MARK + bytes.fromhex("fe080ed0 0007 0024"), WSCALE_7, "edo_header_length"),
        (MARK + bytes.fromhex("fe080ed0 000a 0024"), WSCALE_7, "edo_header_length"),
        (MARK + bytes.fromhex("fe080ed0 0009 0020"), WSCALE_7, "edo_segment_length"),
        (MARK + bytes.fromhex("fe080ed0 0009 0024"), bytes.fromhex("03090701"), "malformed_option"),
    ):
        attempt.flow.drops.clear()
        wire.client.receive(Batch([answered(begun, options, payload)]), wire.now)
        assert attempt.flow.drops == {reason: 1}
        assert connection.snd_una == connection.iss
    good = answered(begun, MARK + bytes.fromhex("fe080ed0 0009 0024"), WSCALE_7)
    wire.client.receive(Batch([good]), wire.now)
    assert (connection.snd_wscale, attempt.flow.edo.state) == (7, EdoState.CONFIRMED)
    assert connection.rcv_nxt == connection.irs + 1


def answered(begun: bytes, options: bytes, payload: bytes) -> bytes:
    """A SYN-ACK for the SYN ``begun``."""
    out: list[bytes] = []
    run = Run(77, number(begun, 4) + 1, SYN | ACK, 65535, Options(), [memoryview(payload)], len(payload))
    sealer = Sealer(SERVER, 80, CLIENT, int.from_bytes(begun[20:22]))
    sealer.seal(run, Plan(options, 20 + len(options)), len(payload), out)
    return out[0]
