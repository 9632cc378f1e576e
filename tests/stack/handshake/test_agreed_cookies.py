"""Agreement with a listener whose backlog is full: SYN cookies under a flood (profile.md §5)."""

from __future__ import annotations

import errno
import random
from dataclasses import replace

import pytest

from stack.batch import Batch
from stack.config import TcpConfig
from stack.events import Closed
from stack.handshake.agreed_b import AgreedB
from stack.listener import Listener
from stack.run import ACK, RST, SYN
from stack.security import Security
from tests.stack.handshake.faults import bare, hello_of
from tests.stack.handshake.test_agreed import DOWN, UP, flags_of, has_option, resummed, without_option
from tests.stack.wire import End, Wire, transfer

REQUIRE = Security("ao-enc-dh")
PREFER = Security("ao-enc-dh", policy="prefer")
BACKLOG = 2


def flooded(server: Security = REQUIRE, config: TcpConfig | None = None) -> tuple[Wire, Listener]:
    """A listener whose backlog is held by SYNs of nobody; the client's host is another."""
    wire = Wire(config=config)
    listener = wire.server.listen(80, security=server, backlog=BACKLOG)
    strangers = Wire(seed=99).client
    for _ in range(BACKLOG):
        strangers.connect(("10.0.0.2", 80), security=replace(REQUIRE, placements=("late",)), now=wire.now)
    wire.server.receive(Batch([bytes(packet) for packet in strangers.take_output(wire.now).packets]), wire.now)
    wire.server.take_output(wire.now)
    assert listener.full
    return wire, listener


def served(wire: Wire, listener: Listener, client: Security, version: int = 4) -> tuple[End, End]:
    remote = ("10.0.0.2", "fd00::2")[version == 6]
    attempt = wire.client.connect((remote, 80), security=client, now=wire.now)
    return transfer(wire, attempt, listener, UP, DOWN, 25.0)


def checked(ends: tuple[End, End]) -> dict[str, object]:
    assert bytes(ends[1].received) == UP
    assert bytes(ends[0].received) == DOWN
    assert ends[0].closed == ends[1].closed == Closed(None, 0)
    client, server = (end.attempt.report() for end in ends)
    assert client["session_id"] == server["session_id"]
    return client


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("client", [REQUIRE, PREFER, replace(REQUIRE, placements=("late",))])
@pytest.mark.parametrize("server", [REQUIRE, PREFER])
def test_a_flood_costs_a_round_trip_and_no_more(server: Security, client: Security, version: int) -> None:
    wire, listener = flooded(server)
    report = checked(served(wire, listener, client, version))
    assert (report["mode"], report["placement"], report["fallback"]) == ("ao-enc-dh", "late", None)
    assert wire.server.counters["cookies_good"] == 1
    syn_ack = next(packet for _, whose, packet in wire.sent if not whose and flags_of(packet) & SYN)
    # Never with SYN-EOS.
    assert b"\xfe\x04\x5e\x05" not in syn_ack


@pytest.mark.parametrize("mtu", [1280, 1500])
@pytest.mark.parametrize("group", ["X25519MLKEM768", "ffdhe3072", "secp256r1"])
def test_every_group(group: str, mtu: int) -> None:
    wire, listener = flooded(replace(REQUIRE, groups=(group,)), TcpConfig(mtu=mtu))
    report = checked(served(wire, listener, replace(REQUIRE, groups=("x25519", group))))
    assert report["group"] == group


def test_the_parts_of_a_hello_may_come_in_any_order() -> None:
    """The second has no copy of the ENO option: both forms are tried."""
    wire, listener = flooded(replace(REQUIRE, groups=("X25519MLKEM768",)), TcpConfig(mtu=1280))
    held: list[bytes] = []

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        first = from_client and hello_of(packet) and b"\xa0\xe1\x01" in packet and not held
        if first:
            held.append(packet)
        return [(0.005 if first else 0.0, packet)]

    wire.tap = tap
    checked(served(wire, listener, replace(REQUIRE, groups=("X25519MLKEM768",))))
    assert held


@pytest.mark.parametrize("number", range(7))
def test_any_one_segment_may_be_lost(number: int) -> None:
    wire, listener = flooded()
    seen = -1

    def tap(packet: bytes, _whose: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal seen
        seen += 1
        return [] if seen == number else [(0.0, packet)]

    wire.tap = tap
    checked(served(wire, listener, REQUIRE))


@pytest.mark.parametrize("seed", range(8))
def test_loss_duplication_and_reordering(seed: int) -> None:
    wire, listener = flooded()
    source = random.Random(seed)

    def tap(packet: bytes, _whose: bool, _now: float) -> list[tuple[float, bytes]]:
        if source.random() < 0.08:
            return []
        delay = source.random() * 0.05 if source.random() < 0.2 else 0.0
        return [(delay * copy, packet) for copy in range(1, 3 if source.random() < 0.1 else 2)]

    wire.tap = tap
    checked(served(wire, listener, REQUIRE))


def exchange(wire: Wire, client: Security) -> tuple[bytes, bytes, bytes]:
    """A client's SYN, the cookie that answers it and the hello that brings it back, which has not arrived."""
    wire.client.connect(("10.0.0.2", 80), security=client, now=wire.now)
    syn = bytes(wire.client.take_output(wire.now).packets[0])
    wire.server.receive(Batch([syn]), wire.now)
    (answer,) = wire.server.take_output(wire.now).packets
    wire.client.receive(Batch([bytes(answer)]), wire.now)
    (hello,) = wire.client.take_output(wire.now).packets
    return syn, bytes(answer), bytes(hello)


def hears(wire: Wire, packet: bytes) -> list[bytes]:
    wire.server.receive(Batch([packet]), wire.now)
    return [bytes(sent) for sent in wire.server.take_output(wire.now).packets]


def test_there_is_no_state_before_a_hello_with_a_good_cookie() -> None:
    wire, _ = flooded()
    before = len(wire.server.flows)
    _, _, hello = exchange(wire, REQUIRE)
    assert len(wire.server.flows) == before
    assert flags_of(hello) == ACK
    # One octet of the cookie, or of the peer's number, and it is nobody's.
    for at in (7, 11):
        (reset,) = hears(wire, resummed(hello, at, hello[20 + at] ^ 1))
        assert flags_of(reset) & RST
    assert len(wire.server.flows) == before
    (answer,) = hears(wire, hello)
    assert hello_of(answer) or b"\xa0\xe1\x02" in answer
    assert len(wire.server.flows) == before + 1


def test_the_cookie_covers_the_eno_option() -> None:
    """A box that makes the hello's copy say the other form finds no connection."""
    wire, _ = flooded()
    _, _, hello = exchange(wire, REQUIRE)
    at = hello.index(b"\x45\x05\xa0\xed\x01", 60) - 20
    before = len(wire.server.flows)
    (reset,) = hears(wire, resummed(hello, at + 4, 2))
    assert flags_of(reset) & RST
    assert len(wire.server.flows) == before


def test_a_hello_replayed_within_a_cookie_s_life_gets_other_keys() -> None:
    wire, _ = flooded()
    _, _, hello = exchange(wire, REQUIRE)
    answers = []
    for _ in range(2):
        (answer,) = hears(wire, hello)
        answers.append(answer[answer.index(b"\xa0\xe1\x02") :])
        (flow,) = (
            flow
            for flow in wire.server.flows.values()
            if isinstance(flow.handshake, AgreedB) and flow.handshake.seen is None
        )
        flow.leave()
    # Random and share differ, and so does everything that comes of them.
    assert answers[0][7 + 2 : 7 + 34] != answers[1][7 + 2 : 7 + 34]
    assert answers[0] != answers[1]


@pytest.mark.parametrize(("server", "mode"), [(REQUIRE, None), (PREFER, "none")])
def test_who_offers_no_eno(server: Security, mode: str | None) -> None:
    wire, listener = flooded(server)
    attempt = wire.client.connect(("10.0.0.2", 80), security=Security(), now=wire.now)
    wire.run(0.2)
    if mode is None:
        assert attempt.error is not None
        assert wire.server.counters["cookies_sent"] == 0
        return
    ends = transfer(wire, attempt, listener, UP, DOWN, 25.0)
    assert bytes(ends[0].received) == DOWN
    assert (ends[1].attempt.report()["mode"], ends[1].attempt.report()["fallback"]) == ("none", "no ENO in the SYN")


def test_other_forms_of_eno_are_not_answered_with_one() -> None:
    """Only the two of profile.md §3 can be told from a cookie."""
    wire, listener = flooded(PREFER)

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if from_client and flags_of(packet) & SYN:
            # A later version of the TEP.
            at = packet.index(b"\x45\x05\xa0\xed\x01", 40) - 20
            return [(0.0, resummed(packet, at + 4, 2))]
        return [(0.0, packet)]

    wire.tap = tap
    ends = served(wire, listener, PREFER)
    assert bytes(ends[0].received) == DOWN
    syn_ack = next(packet for _, whose, packet in wire.sent if not whose and flags_of(packet) & SYN)
    assert not has_option(syn_ack, 69)
    assert ends[0].attempt.report()["fallback"] == "no ENO in the SYN-ACK"


@pytest.mark.parametrize(("policy", "resets"), [("prefer", 0), ("require", 2)])
def test_an_ack_without_a_hello_is_a_fallback_or_reset(policy: str, resets: int) -> None:
    wire, _ = flooded(replace(REQUIRE, policy=policy))
    before = len(wire.server.flows)
    _, answer, hello = exchange(wire, REQUIRE)
    seq = (int.from_bytes(answer[28:32])).to_bytes(4)
    ack = bytearray(bare(hello, ACK))
    ack[24:28] = seq
    sent = hears(wire, resummed(bytes(ack), 13, ACK))
    assert [flags_of(packet) & RST for packet in sent] == [RST] * resets
    assert len(wire.server.flows) == before + (policy == "prefer")


def test_an_ack_with_eno_and_no_hello_is_waited_behind() -> None:
    wire, _ = flooded(PREFER)
    before = len(wire.server.flows)
    _, answer, hello = exchange(wire, REQUIRE)
    # The ACK as it stands inside Data Offset, the hello and the Extension taken away.
    size = 20 + ((hello[32] >> 4) << 2)
    header = bytearray(without_option(hello, b"\xfe\x08\x0e\xd0")[:size])
    header[2:4] = size.to_bytes(2)
    header[10:12] = bytes(2)
    total = sum(int.from_bytes(header[at : at + 2]) for at in range(0, 20, 2))
    header[10:12] = (0xFFFF - (total % 0xFFFF)).to_bytes(2)
    header[24:28] = answer[28:32]
    assert has_option(bytes(header), 69)
    assert hears(wire, resummed(bytes(header), 13, ACK)) == []
    assert len(wire.server.flows) == before
    assert wire.server.drops["clear_segment"] == 1
    assert len(hears(wire, hello)) == 1


def test_a_share_of_compact_is_dropped_meanwhile() -> None:
    wire, listener = flooded(Security("ao-enc-dh", placements=("compact", "auto")))
    ask = Security("ao-enc-dh", placements=("compact",))
    attempt = wire.client.connect(("10.0.0.2", 80), security=ask, now=wire.now)
    wire.run(0.5)
    assert attempt.error is None
    assert not any(not whose for _, whose, _ in wire.sent)
    assert wire.server.drops["backlog_full"] == 1
    for flow in list(wire.server.flows.values()):
        flow.leave()
    ends = transfer(wire, attempt, listener, UP, DOWN, 60.0)
    assert ends[0].attempt.report()["placement"] == "compact"


def test_the_flood_never_gets_an_agreement() -> None:
    """However many SYNs come, nothing is computed and nothing kept for them."""
    wire, _ = flooded()
    before = len(wire.server.flows)
    wire.client.connect(("10.0.0.2", 80), security=REQUIRE, now=wire.now)
    syn = bytes(wire.client.take_output(wire.now).packets[0])
    wire.server.random = lambda octets: pytest.fail("randomness was drawn for a stranger")  # type: ignore[assignment]
    for number in range(300):
        packet = resummed(resummed(syn, 0, number >> 8 | 0x40), 1, number & 0xFF)
        assert len(hears(wire, packet)) == 1
    assert len(wire.server.flows) == before


def test_a_cookie_of_another_policy_lets_nobody_in_without_keys() -> None:
    wire, listener = flooded(PREFER)

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if not from_client:
            # The answer is under way: from now on keys are required.
            listener.security = REQUIRE
        return [(0.0, packet)]

    wire.tap = tap
    attempt = wire.client.connect(("10.0.0.2", 80), security=Security(), now=wire.now)
    wire.run(5.0)
    assert wire.server.counters["cookies_sent"] == 1
    assert wire.server.counters["cookies_good"] == 0
    assert listener.waiting == 0
    assert attempt.error is not None
    assert attempt.error.errno == errno.ECONNRESET


def test_a_translated_port_is_told_where_nothing_of_the_syn_was_kept() -> None:
    wire, listener = flooded()

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        at = 1 if from_client else 3
        return [(0.0, resummed(packet, at, packet[20 + at] ^ 1))]

    wire.tap = tap
    report = checked(served(wire, listener, replace(REQUIRE, placements=("late",))))
    assert wire.server.counters["cookies_good"] == 1
    path = report["path"]
    assert isinstance(path, list)
    assert [(row["of"], row["what"]) for row in path] == [("port", "translated")]
