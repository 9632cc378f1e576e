"""SYN-EOS outside key agreement: the rules S1 to S10 of docs/syn-eos.md, each found as "SYN-EOS Sn"."""

from __future__ import annotations

import errno

import pytest

from edo.codepoints import Dialect, EdoKind
from edo.negotiation import EdoState
from edo.rivals.base import Fields, Part, Space, Want, Wanted
from edo.rivals.registry import find
from stack.config import TcpConfig
from stack.run import ACK, SYN
from stack.security import Security
from stack.syneos import SynEos
from stack.tcb import Tcb
from tests.stack.handshake.oob import (
    CLIENT,
    EXPERIMENT,
    ISN,
    MARK,
    SUPPORTED,
    TAKES,
    WANTS,
    Host,
    behind,
    beside,
    carried,
    crossed,
    end_of,
    inside,
    keyed,
    kinds,
    losing,
    made,
    marked_syn,
    number,
    only,
    oob,
    sent,
    signed,
    syn,
    syn_ack,
)
from tests.stack.handshake.test_agreed import flags_of, out_of_band
from tests.stack.wire import Wire

MSS_100 = bytes.fromhex("02040064")
MSS_900 = bytes.fromhex("02040384")
WSCALE_7 = bytes.fromhex("03030701")
SACK_PERMITTED = bytes.fromhex("04020101")
STAMPED = bytes.fromhex("080a0000000500000000 0101")
MSS, WSCALE, PERMITTED, TIMESTAMPS, AO = 2, 3, 4, 8, 29


def tcb_of(attempt: object) -> Tcb:
    return attempt.flow.connection  # type: ignore[attr-defined,no-any-return]


# --- SYN-EOS S1: used only when the options do not fit; the SYN keeps what old servers know ---


def test_what_fits_a_syn_needs_no_syn_eos() -> None:
    """SYN-EOS S1."""
    for client in (TAKES, Security(syn_eos=SynEos(options=(EXPERIMENT[:1] + b"\x06" + bytes(4),))), keyed(12)):
        wire, ours, theirs = crossed(client, keyed(12) if client.keys else TAKES)
        assert MARK not in inside(only(sent(wire, syn)))
        assert beside(wire) == []
        assert ours.report()["syn_eos"] is theirs.report()["syn_eos"] is None


def test_the_syn_keeps_what_old_servers_know() -> None:
    """SYN-EOS S1."""
    wire, ours, theirs = crossed(WANTS, Security())
    assert kinds(inside(only(sent(wire, syn)))) == [MSS, WSCALE, PERMITTED, TIMESTAMPS, 254]
    for end in (ours, theirs):
        connection = tcb_of(end)
        assert (connection.timestamps, connection.sack_ok, connection.scaling) == (True, True, True)
    # Under keys something has to yield: timestamps first.
    wire, _, _ = crossed(keyed(), keyed())
    assert kinds(inside(only(sent(wire, syn)))) == [AO, MSS, WSCALE, PERMITTED, 254, 254]


@pytest.mark.parametrize(
    ("octets", "dialect", "yielding"),
    [
        (16, Dialect(), [TIMESTAMPS]),
        (20, Dialect(), [PERMITTED, TIMESTAMPS]),
        (26, Dialect(), [MSS, WSCALE, PERMITTED]),
        (28, Dialect(kind=EdoKind.NATIVE_79_80), [MSS, WSCALE, PERMITTED]),
    ],
)
def test_what_yields_is_had_all_the_same(octets: int, dialect: Dialect, yielding: list[int]) -> None:
    """SYN-EOS S1: what a MAC leaves no room for goes beside. Timestamps do not where no later segment has room."""
    security = keyed(octets, dialect=dialect)
    wire, ours, theirs = crossed(security, security)
    assert kinds(behind(only(beside(wire)))) == yielding
    for end in (ours, theirs):
        assert end.report()["syn_eos"] == "confirmed"
        assert end.report()["drops"] == {}
        connection = tcb_of(end)
        assert (connection.timestamps, connection.sack_ok, connection.scaling) == (octets <= 20, True, True)


def test_a_mac_of_32_octets_has_its_mss_beside() -> None:
    """SYN-EOS S1: with EDO's native numbers. Its SYN-ACK has no room for an Extension, and answers no more."""
    security = keyed(32, edo=None, dialect=Dialect(kind=EdoKind.NATIVE_79_80))
    wire, ours, theirs = crossed(security, security)
    assert kinds(inside(only(sent(wire, syn)))) == [AO, 254]
    assert kinds(behind(only(beside(wire)))) == [MSS, WSCALE, PERMITTED]
    assert tcb_of(theirs).peer_mss == 1460
    assert ours.report()["edo"] == theirs.report()["edo"] == "confirmed"


def test_what_cannot_fit_is_an_error_before_anything_is_sent() -> None:
    """SYN-EOS S1, profile.md section 1."""
    with pytest.raises(ValueError, match="a MAC of 32 octets, and beside EDO a SYN has room for 28"):
        keyed(32)
    with pytest.raises(ValueError, match="a MAC of 32 octets, and beside EDO a SYN has room for 30"):
        keyed(32, edo=None)
    big = Security(syn_eos=SynEos(options=tuple(bytes((kind, 200)) + bytes(198) for kind in range(200, 204))))
    narrow = Wire(config=TcpConfig(mtu=576))
    with pytest.raises(OSError, match="800 octets of options do not fit an out-of-band segment of 532") as raised:
        narrow.open(big, TAKES)
    assert raised.value.errno == errno.EMSGSIZE
    assert narrow.client.flows == {}


def test_timestamps_without_room_are_not_taken_either() -> None:
    """SYN-EOS S1: of a peer that offers them beside a MAC with which no segment could carry them."""
    security = keyed(26)
    host = Host(security)
    head = bytes((AO, 30, 1, 1)) + bytes(26) + MARK + b"\x01\x01"
    assert host.gets(signed(security, made(ISN, SYN, head))) == []
    answer = only(host.gets(signed(security, made(ISN, 0, head, STAMPED + WSCALE_7))))
    assert MARK in inside(answer)
    assert kinds(behind(answer)) == [MSS, WSCALE]


# --- SYN-EOS S2: all as if in the SYN ---


def test_the_payloads_options_count_as_if_in_the_syn() -> None:
    """SYN-EOS S2."""
    host = Host()
    assert host.gets(marked_syn(MSS_900)) == []
    answer = only(host.gets(oob(WSCALE_7 + SACK_PERMITTED + STAMPED + EXPERIMENT)))
    assert kinds(inside(answer)) == [MSS, WSCALE, PERMITTED, TIMESTAMPS, 254]
    ((_, flow),) = host.stack.flows.items()
    connection = flow.connection
    assert (connection.peer_mss, connection.snd_wscale, connection.sack_ok) == (900, 7, True)
    assert (connection.timestamps, connection.ts_recent) == (True, 5)
    assert flow.handshake.facts.peer_options == (EXPERIMENT,)


def test_an_option_of_the_segment_alone_is_not_joined() -> None:
    """SYN-EOS S2: TCP-AO stands before SYN-EOS and speaks of its own segment, so the payload has none."""
    host = Host()
    host.gets(marked_syn())
    answer = only(host.gets(oob(WSCALE_7 + bytes((AO, 16)) + bytes(14))))
    assert MARK not in inside(answer)
    assert WSCALE not in kinds(inside(answer))


# --- SYN-EOS S3: the OOB's header has SYN-EOS alone ---


def test_the_oobs_header_has_syn_eos_and_the_mac_alone() -> None:
    """SYN-EOS S3."""
    wire, _, _ = crossed(WANTS, TAKES)
    assert inside(only(beside(wire))) == [MARK]
    wire, _, _ = crossed(keyed(), keyed())
    assert kinds(inside(only(beside(wire)))) == [AO, 254]


def test_options_of_the_oobs_header_are_not_processed_again() -> None:
    """SYN-EOS S3."""
    host = Host()
    host.gets(marked_syn(MSS_900))
    assert MARK in inside(only(host.gets(oob(WSCALE_7, MSS_100))))
    ((_, flow),) = host.stack.flows.items()
    assert flow.connection.peer_mss == 900


# --- SYN-EOS S4, S5: the SYN-ACK confirms SYN-EOS, EDO and that both came ---


def test_syn_eos_in_the_syn_ack_confirms() -> None:
    """SYN-EOS S4: no EDO Supported beside it."""
    wire, ours, theirs = crossed(WANTS, TAKES)
    options = inside(only(sent(wire, syn_ack, client=False)))
    assert MARK in options
    assert SUPPORTED not in options
    for end in (ours, theirs):
        assert end.report()["syn_eos"] == "confirmed"
    assert theirs.flow.handshake.facts.peer_options == (EXPERIMENT,)


def test_success_brings_edo() -> None:
    """SYN-EOS S5: no SYN offered EDO, and it is on in every segment."""
    wire, ours, theirs = crossed(WANTS, TAKES)
    assert SUPPORTED not in inside(only(sent(wire, syn)))
    assert ours.flow.edo.state is theirs.flow.edo.state is EdoState.CONFIRMED
    later = [packet for _, _, packet in wire.sent if not flags_of(packet) & SYN and not out_of_band(packet)]
    assert all(any(option[:4] == b"\xfe\x08\x0e\xd0" for option in inside(packet)) for packet in later)


# --- SYN-EOS S6: the SYN-ACK may be extended ---


def test_the_syn_ack_is_extended_where_its_options_do_not_fit() -> None:
    """SYN-EOS S6: 20 octets of TCP-AO, 13 of others, 6 of Extension; timestamps stand behind."""
    wire, ours, _ = crossed(keyed(), keyed())
    answer = only(sent(wire, syn_ack, client=False))
    assert kinds(inside(answer)) == [AO, MSS, WSCALE, PERMITTED, 254, 254]
    assert inside(answer)[-1] == bytes.fromhex("fe060ed0") + ((len(answer) - 20) // 4).to_bytes(2)
    assert kinds(behind(answer)) == [TIMESTAMPS]
    assert tcb_of(ours).timestamps


def test_the_syn_ack_is_not_extended_without_need_nor_without_the_oob() -> None:
    """SYN-EOS S6, Traps: only who sent SYN-EOS could read it, and only who has the OOB knows that."""
    wire, _, _ = crossed(WANTS, TAKES)
    answer = only(sent(wire, syn_ack, client=False))
    assert len(answer) == 20 + end_of(answer)
    wire, ours, theirs = crossed(keyed(), keyed(), losing(out_of_band))
    answer = only(sent(wire, syn_ack, client=False))
    assert len(answer) == 20 + end_of(answer)
    assert not tcb_of(ours).timestamps
    assert not tcb_of(theirs).timestamps


def test_a_listeners_options_go_behind_the_extension_of_a_syn_ack() -> None:
    """SYN-EOS S6: if all that is sent to an address that has shown nothing stays within three times what came."""
    small, big = EXPERIMENT, tuple(bytes((kind, 250)) + bytes(248) for kind in (201, 202, 203))
    wire, ours, theirs = crossed(WANTS, Security(syn_eos=SynEos(options=(small,))))
    answer = only(sent(wire, syn_ack, client=False))
    assert behind(answer) == [small]
    assert inside(answer)[-1] == bytes.fromhex("fe080ed0") + bytes(
        (0, (len(answer) - 20) // 4, 0, len(answer) - 20)
    )
    assert ours.report()["peer_options"] == theirs.report()["peer_options"] == [small.hex()]
    wire, ours, _ = crossed(WANTS, Security(syn_eos=SynEos(options=big)))
    answer = only(sent(wire, syn_ack, client=False))
    assert behind(answer) == []
    assert (ours.report()["method"], ours.report()["peer_options"]) == ("syn-eos", [])


# --- SYN-EOS S7: EDO for the case that SYN-EOS fails ---


@pytest.mark.parametrize(
    ("server", "answered", "edo"),
    [
        (TAKES, MARK, EdoState.CONFIRMED),
        (Security(edo="strict"), SUPPORTED, EdoState.CONFIRMED),
        (Security(), None, EdoState.OFF),
    ],
    ids=["both", "EDO only", "neither"],
)
def test_a_syn_may_offer_edo_as_well(server: Security, answered: bytes | None, edo: EdoState) -> None:
    """SYN-EOS S7: a server with both answers SYN-EOS, one with EDO only EDO Supported."""
    wire, ours, theirs = crossed(Security(edo="strict", syn_eos=WANTS.syn_eos), server)
    assert {MARK, SUPPORTED} <= set(inside(only(sent(wire, syn))))
    options = inside(only(sent(wire, syn_ack, client=False)))
    assert [option for option in (MARK, SUPPORTED) if option in options] == ([answered] if answered else [])
    assert ours.flow.edo.state is theirs.flow.edo.state is edo


def test_edo_that_was_not_offered_is_not_had() -> None:
    """SYN-EOS S7: without EDO Supported in the SYN, a server that answers it all the same is not believed."""
    wire = Wire()
    attempt = wire.client.connect(("10.0.0.2", 80), security=WANTS, now=wire.now)
    wire.server.listen(80)
    wire.flush()
    first = only(sent(wire, syn))
    host = Host(Security(edo="strict"))
    answer = only(host.gets(made(number(first, 4), SYN, SUPPORTED, port=int.from_bytes(first[20:22]))))
    wire.put(answer, from_client=False, delay=-wire.latency)
    wire.run(0.005)
    assert attempt.flow.edo.state is EdoState.OFF
    assert tcb_of(attempt).snd_una == tcb_of(attempt).iss + 1


def test_a_confirmation_behind_edos_end_counts_as_not_read() -> None:
    """SYN-EOS S7: the fourth SYN gives EDO up for good (EDO rule N8); what it brought ends for the server too."""
    held: list[bytes] = []

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if from_client and syn(packet):
            held.append(packet)
            return [(0.0, packet)] if len(held) == 1 else []
        if syn_ack(packet):
            return [(7.5, packet)]
        return [(0.0, packet)]

    # The server's answers to the first pair of segments come after the fourth SYN.
    _, ours, theirs = crossed(keyed(20, edo=None), keyed(20, edo=None), tap)
    assert len(held) == 4
    assert ours.report()["syn_eos"] == theirs.report()["syn_eos"] == "not confirmed"
    assert ours.report()["edo"] == theirs.report()["edo"] == "off"
    assert not tcb_of(ours).timestamps
    assert not tcb_of(theirs).timestamps


def test_a_peer_where_edo_was_damaged_is_not_asked() -> None:
    """SYN-EOS S5: since it would bring EDO; nor is such a peer's OOB waited for."""
    wire = Wire()
    wire.client.peers.edo_damaged(bytes((10, 0, 0, 2)), "test", wire.now)
    ours, theirs = carried(wire, *wire.open(WANTS, TAKES))
    assert beside(wire) == []
    assert ours.report()["syn_eos"] is theirs.report()["syn_eos"] is None
    host = Host()
    host.stack.peers.edo_damaged(CLIENT, "test", host.now)
    assert MARK not in inside(only(host.gets(marked_syn())))
    other = Host()
    other.gets(marked_syn())
    other.stack.peers.edo_damaged(CLIENT, "test", other.now)
    assert MARK not in inside(only(other.gets(oob(EXPERIMENT))))


# --- SYN-EOS S8: one OOB ---


def test_all_oobs_are_the_same() -> None:
    """SYN-EOS S8: also under keys, and though the clock of the timestamps in it goes on."""
    for security in (WANTS, keyed()):
        wire, _, _ = crossed(security, TAKES if security is WANTS else security, losing_first_answers(1))
        first, second = beside(wire)
        assert first == second
        assert len(sent(wire, syn)) == 2


def losing_first_answers(count: int):  # type: ignore[no-untyped-def]
    left = [count]

    def wanted(packet: bytes) -> bool:
        if syn_ack(packet) and left[0]:
            left[0] -= 1
            return True
        return False

    return losing(wanted)


@pytest.mark.parametrize("edo", [None, "strict"])
def test_silence_is_remembered(edo: str | None) -> None:
    """SYN-EOS S9: the next connection does without, for a minute; EDO is offered where it is wanted anyway."""
    wire = Wire(tap=losing(lambda packet: MARK in inside(packet)))
    client = Security(edo=edo, syn_eos=WANTS.syn_eos)
    carried(wire, *wire.open(client, TAKES))
    for port, age, marked in ((81, 30.0, False), (82, 60.0, True)):
        wire.run(age)
        wire.sent.clear()
        ours, _ = carried(wire, *wire.open(client, TAKES, port=port))
        assert (MARK in inside(sent(wire, syn)[0])) is marked
        assert ours.report()["edo"] == ("confirmed" if edo else "off")
        if not marked:
            assert ours.report()["fallback"] == "remembered: SYNs with SYN-EOS met silence"


def test_the_segments_are_those_that_are_drawn() -> None:
    """``edotun options --method syn-eos`` and a connection say the same of SYN, OOB and SYN-ACK, to the octet."""
    client = Security(edo="strict", syn_eos=WANTS.syn_eos)
    wire, ours, theirs = crossed(client, TAKES)
    first, answer = only(sent(wire, syn)), only(sent(wire, syn_ack, client=False))
    method, space = find("syn-eos"), Space(mtu=1500)
    wanted = Wanted(syn=wants(first, EXPERIMENT), syn_ack=wants(answer))
    for part, packet in ((Part.SYN, first), (Part.BESIDE, only(beside(wire))), (Part.SYN_ACK, answer)):
        laid = method.lay_out(part, wanted, space)
        assert laid is not None
        assert laid.segment(Fields())[20:] == packet[40:], part
    assert ours.report()["syn_eos"] == theirs.report()["syn_eos"] == "confirmed"


def wants(packet: bytes, *more: bytes) -> tuple[Want, ...]:
    """TCP's own options as they stand in a packet, and ``more``."""
    own = [option for option in inside(packet) if option[0] != 254]
    return tuple(Want(f"option {option[0]}", option) for option in (*own, *more))


@pytest.mark.parametrize("marked", [True, False])
def test_a_syn_that_comes_again_is_confirmed_again(marked: bool) -> None:
    """SYN-EOS S9: the SYN-ACK was lost; the third SYN announces no OOB, and the one that came stands."""
    host = Host()
    host.gets(marked_syn(), oob(EXPERIMENT))
    again = only(host.gets(marked_syn() if marked else made(ISN, SYN)))
    assert MARK in inside(again)
    host.gets(host.acknowledges(again, options=bytes.fromhex("fe080ed00007001c")))
    assert host.accepted().flow.edo.state is EdoState.CONFIRMED


def test_a_server_uses_the_first_oob() -> None:
    """SYN-EOS S8."""
    host = Host()
    other = bytes((201, 4, 1, 1))
    answer = only(host.gets(marked_syn(), oob(EXPERIMENT + b"\x01"), oob(other)))
    assert host.gets(oob(other)) == []
    host.gets(host.acknowledges(answer, options=bytes.fromhex("fe080ed00007001c")))
    attempt = host.accepted()
    assert attempt.flow.handshake.facts.peer_options == (EXPERIMENT,)
    assert attempt.report()["drops"] == {"stray_oob": 2}


# --- SYN-EOS S9: whenever the SYN is sent again, so is the OOB ---


def test_the_oob_goes_with_every_syn_that_announces_it() -> None:
    """SYN-EOS S9: from the third on the SYN announces none, since a path may swallow what it does not know."""
    wire = Wire(tap=lambda packet, from_client, now: [])
    wire.open(WANTS, TAKES)
    wire.run(8.0)
    assert [(flags_of(packet), MARK in inside(packet)) for _, _, packet in wire.sent] == [
        (SYN, True),
        (0, True),
        (SYN, True),
        (0, True),
        (SYN, False),
        (SYN, False),
    ]


@pytest.mark.parametrize("edo", [False, True])
def test_a_path_that_swallows_syn_eos_costs_two_syns(edo: bool) -> None:
    """SYN-EOS S9: one more where it swallows EDO's offer too."""
    client = Security(edo="strict", syn_eos=WANTS.syn_eos) if edo else WANTS
    wire, ours, theirs = crossed(
        client, TAKES, losing(lambda packet: bool({MARK, SUPPORTED} & set(inside(packet))))
    )
    assert ours.report()["syn_eos"] == "not confirmed"
    assert theirs.report()["syn_eos"] is None
    assert len(sent(wire, syn)) == 3 + edo


# --- SYN-EOS S10: the OOB may wait a little behind the SYN ---


def test_the_oob_may_wait_behind_its_syn() -> None:
    """SYN-EOS S10."""
    wire, _, theirs = crossed(Security(syn_eos=SynEos(options=(EXPERIMENT,), delay=0.05)), TAKES)
    at = [
        round(when - 100.0, 6)
        for when, from_client, packet in wire.sent
        if from_client and not flags_of(packet) & ACK
    ]
    assert at == [0.0, 0.05]
    assert theirs.report()["syn_eos"] == "confirmed"


def test_an_oob_that_waits_is_not_sent_behind_the_answer() -> None:
    """SYN-EOS S10: an old server has answered before it was due."""
    wire, ours, _ = crossed(Security(syn_eos=SynEos(options=(EXPERIMENT,), delay=0.2)), Security())
    assert beside(wire) == []
    assert ours.report()["syn_eos"] == "not confirmed"


# --- settings ---


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda: SynEos(options=(b"\xc8\x05\x00",)), "not whole"),
        (lambda: SynEos(options=(b"\xc8",)), "not whole"),
        (lambda: SynEos(options=tuple(bytes((kind, 250)) + bytes(248) for kind in range(200, 204))), "1000 octets"),
        (lambda: SynEos(delay=0.3), "delay"),
        (lambda: Security(syn_eos=SynEos(options=(EXPERIMENT, EXPERIMENT))), "there twice"),
        (lambda: Security(syn_eos=SynEos(options=(b"\x05\x04\x00\x00",))), "own"),
        (lambda: Security(syn_eos=SynEos(options=(b"\xfd\x06\x5e\x05\x00\x00",))), "own"),
        (lambda: Security("ao-enc-dh", syn_eos=SynEos()), "modes none, ao and ao-enc"),
        (lambda: Security(syn_eos=SynEos(), edo="off"), "cannot be off"),
    ],
)
def test_wrong_settings_are_named(make, fault: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=fault):
        make()


def test_the_ends_of_the_joined_list_and_its_bounds() -> None:
    """Traps: at most 1,024 octets with the SYN's, and nothing twice."""
    for payload, taken in (
        (bytes((201, 252)) + bytes(250), True),
        (b"\x01" * 1016, True),
        (b"\x01" * 1020, False),
        (MSS_100, False),
        (EXPERIMENT + EXPERIMENT, False),
        (b"\x08\x0a\x00\x00", False),
    ):
        host = Host()
        answers = host.gets(marked_syn(MSS_900), oob(payload))
        assert len(answers) == 1
        assert (MARK in inside(answers[0])) is taken, payload
        assert number(answers[0], 8) == ISN + 1
