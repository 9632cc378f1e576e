"""New keys within a connection: on request, by time and by octets, whatever is lost (profile.md §7, Rekeying)."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from itertools import pairwise

import pytest

from stack.config import TcpConfig
from stack.events import Closed, TcpError
from stack.renewal import Renewal
from stack.run import ACK, RST
from stack.security import Security
from tests.stack.handshake.agreed_pair import PROTECTED, Pair, Side
from tests.stack.handshake.test_agreed import flags_of, resummed
from tests.stack.keystream import Keystreams
from tests.stack.wire import End, Tap, Wire, transfer

NEVER = Security("ao-enc-dh", rekey=None)


def dropping(unwanted: Callable[[bytes, bool], object]) -> Tap:
    return lambda packet, from_client, _now: [] if unwanted(packet, from_client) else [(0.0, packet)]


def carries(packet: bytes, kind: int) -> bool:
    return packet.find(b"\xa0\xe1" + bytes((kind,))) > 0


def stream_end(packet: bytes) -> int:
    """The 32-bit number behind the last octet of a packet's payload, which has an Extension of the short form."""
    at = packet.index(b"\xfe\x06\x0e\xd0")
    return int.from_bytes(packet[24:28]) + len(packet) - 20 - 4 * int.from_bytes(packet[at + 4 : at + 6])


@pytest.mark.parametrize("who", ["a", "b"])
def test_either_side_has_new_keys_on_request_in_three_segments(who: str) -> None:
    pair = Pair()
    session = pair.a.attempt.report()["session_id"]
    side: Side = getattr(pair, who)
    side.attempt.rekey()
    pair.wire.run(1.0)
    assert pair.generations == (1, 1)
    # The rekey, its answer, and the ACK that announces the new keys; each is empty and of its own.
    assert [flags_of(packet) for _, _, packet in pair.wire.sent] == [ACK] * 3
    assert [from_client for _, from_client, _ in pair.wire.sent] == [who == "a", who == "b", who == "a"]
    pair.talk()
    assert pair.drops() == {}
    for end in pair.sides:
        assert (end.attempt.report()["generation"], end.attempt.report()["session_id"]) == (1, session)
        assert end.handshake.settled


def test_messages_ride_on_data() -> None:
    pair = Pair()
    pair.a.attempt.rekey()
    pair.wire.client.take_output(pair.wire.now)
    pair.wire.client.advance(pair.wire.now)
    pair.a.attempt.write(b"x" * 5000)
    pair.wire.run(0.001)
    first = pair.wire.sent[0][2]
    assert carries(first, 5)
    # The size from which a path whose ICMP is not believed is probed: the rider takes of the segment's own room.
    assert len(first) == 1200
    assert sum(carries(packet, 5) for _, _, packet in pair.wire.sent) == 1
    pair.wire.run(1.0)
    assert pair.b.attempt.read() == b"x" * 5000
    assert pair.generations == (1, 1)


def test_both_at_once_agree_on_the_rekey_of_a() -> None:
    pair = Pair()
    for side in pair.sides:
        side.attempt.rekey()
    pair.wire.run(1.0)
    assert pair.generations == (1, 1)
    assert [from_client for _, from_client, _ in pair.messages(5)] == [True, False]
    assert [from_client for _, from_client, _ in pair.messages(6)] == [False]
    pair.talk()
    assert pair.drops() == {}


def test_a_request_before_the_first_good_mac_is_kept() -> None:
    wire = Wire()
    attempt, _ = wire.open(PROTECTED, PROTECTED)
    attempt.rekey()
    assert wire.run(5.0, lambda: attempt.report()["generation"] == 1)


def test_requests_where_nothing_can_be_agreed_on_fail() -> None:
    for client, server in ((Security(), Security()), (NEVER, PROTECTED), (PROTECTED, NEVER)):
        wire = Wire()
        attempt, _ = wire.open(client, server)
        wire.run(1.0)
        with pytest.raises(TcpError) as failure:
            attempt.rekey()
        assert failure.value.errno == errno.EOPNOTSUPP


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("who", ["a", "b"])
def test_any_one_segment_of_it_may_be_lost(number: int, who: str) -> None:
    seen = -1

    def tap(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal seen
        seen += 1
        return [] if seen == number else [(0.0, packet)]

    pair = Pair(tap=tap)
    getattr(pair, who).attempt.rekey()
    pair.wire.run(5.0)
    # Where the last of the three was lost the next segment says what it said.
    pair.talk()
    assert pair.generations == (1, 1)
    assert pair.drops() == {}


def test_a_rekey_is_repeated_six_times_and_then_by_what_comes_once_a_minute() -> None:
    pair = Pair(tap=dropping(lambda packet, _: carries(packet, 6)))
    pair.a.attempt.rekey()
    pair.wire.run(600.0)
    rekeys = pair.messages(5)
    assert len(rekeys) == 7
    assert len({message for _, _, message in rekeys}) == 1
    intervals = [later[0] - earlier[0] for earlier, later in pairwise(rekeys)]
    assert all(1.9 < later / earlier < 2.1 for earlier, later in pairwise(intervals)), intervals
    # Each repetition got the same answer.
    assert len(pair.messages(6)) == 7
    assert len({message for _, _, message in pair.messages(6)}) == 1
    for _ in range(3):
        pair.talk(seconds=10.0)
    assert len(pair.messages(5)) == 8
    pair.wire.run(60.0)
    pair.talk()
    assert len(pair.messages(5)) == 9
    pair.wire.tap = lambda packet, _from_client, _now: [(0.0, packet)]
    pair.wire.run(60.0)
    pair.talk()
    assert pair.generations == (1, 1)
    assert pair.drops() == {}


def test_the_old_key_serves_what_is_late_for_a_minute() -> None:
    late: list[bytes] = []

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if from_client and len(packet) > 1000 and not late:
            late.append(packet)
            return []
        return [(0.0, packet)]

    pair = Pair(tap=tap)
    pair.a.attempt.write(b"late" * 300)
    pair.a.attempt.rekey()
    pair.wire.run(1.0)
    assert pair.b.attempt.read() == b"late" * 300
    pair.talk()
    assert pair.generations == (1, 1)
    before = pair.b.ring.tallies[0].good
    pair.wire.put(late[0], True)
    pair.wire.run(1.0)
    assert pair.b.ring.tallies[0].good == before + 1
    pair.wire.run(60.0)
    for side in pair.sides:
        assert side.ring.generations == {1: 1}
    pair.wire.put(late[0], True)
    pair.wire.run(1.0)
    # The copy under the old key was verified, and is old for TCP; the next was not looked at.
    assert pair.drops() == {"paws": 1, "ao_key_not_found": 1}


def test_a_key_is_kept_while_the_peer_has_not_turned_to_the_next() -> None:
    """B's segments under the new key do not arrive: A may be asked under the old one for ever."""
    pair = Pair(tap=dropping(lambda packet, from_client: not from_client and not carries(packet, 6)))
    pair.a.attempt.rekey()
    pair.wire.run(300.0)
    assert pair.a.generation == 1
    assert set(pair.a.ring.generations) == {0, 1}


def test_lost_octets_are_sent_again_under_the_new_key() -> None:
    """A retransmission goes out under the current key, from plaintext: other key, so other ciphertext."""
    dropped = 0

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal dropped
        if from_client and len(packet) > 1000 and dropped < 8:
            dropped += 1
            return []
        return [(0.0, packet)]

    pair = Pair(tap=tap)
    data = random.Random(5).randbytes(8000)
    pair.a.attempt.write(data)
    pair.b.attempt.rekey()
    pair.wire.run(10.0)
    assert pair.b.attempt.read() == data
    assert pair.generations == (1, 1)
    keystreams = Keystreams()
    for _, from_client, packet in pair.wire.sent:
        keystreams.take(packet, from_client)
    assert keystreams.crossing >= 1000
    assert pair.drops() == {}


def changing(seed: int) -> int:
    """A transfer over a bad link whose keys change often, checked to the octet; how many keys there were."""
    source = random.Random(seed)

    def tap(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if source.random() < 0.08:
            return []
        delay = source.random() * 0.05 if source.random() < 0.2 else 0.0
        return [(delay * copy, packet) for copy in range(1, 2 + (source.random() < 0.1))]

    often = Security("ao-enc-dh", rekey=Renewal(octets=source.choice([3_000, 20_000]), seconds=0.7))
    client, server = source.choice([(often, PROTECTED), (PROTECTED, often), (often, often)])
    wire = Wire(seed, tap=tap, config=TcpConfig(mtu=source.choice([600, 1500])))
    up, down = source.randbytes(150_000), source.randbytes(60_000)
    ends = transfer(wire, *wire.open(client, server), up, down)
    assert (bytes(ends[1].received), bytes(ends[0].received)) == (up, down), f"seed {seed}"
    keystreams = Keystreams()
    for _, from_client, packet in wire.sent:
        keystreams.take(packet, from_client)
    for end in ends:
        assert end.closed == Closed(None, 0), f"seed {seed}"
        # Copies of clear handshake segments, and what is late for a key that was given up, aside.
        assert not {"ao_bad_mac", "ke_malformed"} & set(end.attempt.flow.drops), f"seed {seed}"
    return len({key for _, key in keystreams.keys})


@pytest.mark.parametrize("seeds", [range(5), range(5, 10), range(10, 15)], ids=lambda seeds: f"from-{seeds[0]}")
def test_many_changes_under_loss_reordering_and_duplication(seeds: range) -> None:
    # A lost answer costs a second, in which such a transfer may end; five of them do not lose it all.
    assert sum(changing(seed) for seed in seeds) > 10


def test_an_hour_makes_new_keys_by_one_rekey() -> None:
    pair = Pair()
    pair.talk()
    pair.wire.run(3597.0)
    assert pair.generations == (0, 0)
    pair.wire.run(2.0)
    assert pair.generations == (1, 1)
    # B's time is a little longer, so that they do not cross.
    assert [from_client for _, from_client, _ in pair.messages(5)] == [True]


def test_keys_under_which_nothing_was_said_are_left_alone_until_something_is() -> None:
    pair = Pair()
    pair.wire.run(10 * 3600.0)
    assert pair.wire.sent == []
    pair.talk()
    assert pair.generations == (1, 1)
    # Some of that went under the new keys already: they are made anew once more, and then there is silence.
    for _ in range(2):
        pair.wire.run(10 * 3600.0)
        assert len(pair.messages(5)) == 2


def test_b_does_not_wait_for_a_for_ever() -> None:
    pair = Pair(client=Security("ao-enc-dh", rekey=Renewal(seconds=100_000.0)))
    pair.talk()
    pair.wire.run(3600.0 * 1.2)
    assert pair.generations == (1, 1)
    assert [from_client for _, from_client, _ in pair.messages(5)] == [False]


@pytest.mark.parametrize("who", [0, 1], ids=["sender", "receiver"])
def test_octets_in_either_direction_make_new_keys(who: int) -> None:
    securities = [PROTECTED, PROTECTED]
    securities[who] = Security("ao-enc-dh", rekey=Renewal(octets=50_000))
    pair = Pair(*securities)
    for _ in range(40):
        pair.a.attempt.write(bytes(10_000))
        pair.wire.run(0.5)
        pair.b.attempt.read()
    # 400,000 octets: at 50,000 a key there are 8, less what is under way while they are agreed on.
    assert 5 <= pair.generations[0] <= 8
    assert pair.drops() == {}


@pytest.mark.parametrize(("client", "server"), [(0, 1), (1, 0)], ids=["sender", "receiver"])
def test_the_limit_ends_a_connection_that_has_no_new_key(client: int, server: int) -> None:
    """``most`` octets in one direction without a new key: aborted before one octet more."""
    limits = Security("ao-enc-dh", rekey=Renewal(octets=100_000, most=150_000))
    pair = Pair(*[(limits, NEVER)[number] for number in (client, server)])
    ends = [End(side.attempt) for side in pair.sides if side is not pair.a]
    for _ in range(60):
        if pair.a.attempt.finished is not None or ends[0].closed:
            break
        pair.a.attempt.write(bytes(5_000))
        pair.wire.run(0.5)
        ends[0].pump()
    limited = (pair.a, pair.b)[client]
    error = limited.attempt.error
    assert error is not None
    assert error.errno == errno.EKEYEXPIRED
    assert "150000 octets" in str(error)
    numbers = [stream_end(packet) for _, from_client, packet in pair.wire.sent if from_client and len(packet) > 100]
    most = (max(numbers) - pair.a.connection.iss - 1) & 0xFFFFFFFF
    assert 145_000 < most <= 150_000 + (5_000 if client else 0)
    resets = {from_client for _, from_client, packet in pair.wire.sent if flags_of(packet) & RST}
    assert resets == {client == 0}
    pair.wire.run(5.0)
    assert not pair.wire.client.flows
    assert not pair.wire.server.flows


def test_a_refused_rekey_ends_rekeying_and_not_the_connection() -> None:
    pair = Pair()
    # A group that the connection does not have: refuse 3.
    pair.b.protection.rekeying._group = 23
    pair.a.attempt.rekey()
    pair.wire.run(1.0)
    assert [message for _, _, message in pair.messages(8)] == [b"\x01\x03"]
    pair.talk()
    assert (pair.generations, pair.drops()) == ((0, 0), {})
    for side in pair.sides:
        with pytest.raises(TcpError):
            side.attempt.rekey()
    pair.wire.run(5000.0)
    pair.talk()
    assert (pair.generations, len(pair.messages(5))) == ((0, 0), 1)


def test_a_refused_answer_takes_the_announced_key_back() -> None:
    pair = Pair()
    pair.a.attempt.rekey()
    pair.wire.run(0.001)
    pair.a.protection.rekeying._group = 23
    pair.wire.run(1.0)
    assert [(from_client, message) for _, from_client, message in pair.messages(8)] == [(True, b"\x01\x03")]
    pair.talk()
    assert pair.generations == (0, 0)
    assert [side.ring.generations for side in pair.sides] == [{0: 0}, {0: 0}]
    assert pair.drops() == {}


def test_two_hundred_and_sixty_changes_count_mod_256() -> None:
    pair = Pair()
    for _ in range(260):
        pair.a.attempt.rekey()
        pair.talk(10, seconds=61.0)
    assert pair.generations == (260, 260)
    assert pair.b.ring.current.send_id == 4
    assert pair.drops() == {}


def test_a_peer_that_changes_too_fast_waits_for_the_key_with_the_id_of_the_next() -> None:
    """Anybody may agree on keys, and give up old ones at once: 256 changes in less than a minute."""
    pair = Pair()
    a = pair.a
    for _ in range(256):
        for generation in [old for old in a.ring.generations.values() if old < a.ring.newest_heard]:
            a.ring.give_up(generation)
        assert a.handshake.after.renewer is not None
        a.handshake.after.renewer._give_up_at.clear()
        a.attempt.rekey()
        pair.wire.run(0.1)
        a.attempt.write(b"x")
        pair.wire.run(0.05)
    assert pair.generations == (255, 255)
    assert pair.b.attempt.read() == b"x" * 256
    # B's key 0 is given up, and the repeated rekey is answered.
    pair.wire.run(100.0)
    pair.a.attempt.write(b"y")
    pair.wire.run(5.0)
    assert pair.generations == (256, 256)
    assert pair.b.attempt.read() == b"y"


@pytest.mark.parametrize("lost", [1, 3])
def test_a_refusal_that_was_lost_is_said_again(lost: int) -> None:
    left = lost

    def refusal(packet: bytes, _from_client: bool) -> bool:
        nonlocal left
        left -= carries(packet, 8)
        return carries(packet, 8) and left >= 0

    pair = Pair(tap=dropping(refusal))
    pair.b.protection.rekeying._group = 23
    pair.a.attempt.rekey()
    pair.wire.run(30.0)
    assert [message for _, _, message in pair.messages(8)] == [b"\x01\x03"] * (lost + 1)
    assert len(pair.messages(5)) == lost + 1
    assert pair.a.protection.rekeying.ended
    pair.talk()
    assert (pair.generations, pair.drops()) == ((0, 0), {})


@pytest.mark.parametrize("mss", [300, 1100])
def test_a_message_keeps_to_the_mss_of_the_peer(mss: int) -> None:
    """A segment with its options is no longer than MSS and 20 octets (RFC 6691 §2)."""
    security = Security("ao-enc-dh", groups=("X25519MLKEM768",), placements=("late",))
    pair = Pair(security, security, config=TcpConfig(mss=mss), from_start=True)
    pair.a.attempt.rekey()
    pair.wire.run(3.0)
    assert pair.generations == (1, 1)
    assert max(len(packet) for _, _, packet in pair.wire.sent) <= mss + 40


def test_a_path_that_became_too_narrow_costs_a_message_and_no_more() -> None:
    security = Security("ao-enc-dh", groups=("X25519MLKEM768",))
    pair = Pair(security, security)
    for side in pair.sides:
        side.connection.peer_mss = 100
    pair.a.attempt.rekey()
    pair.wire.run(1.0)
    assert pair.wire.client.counters["messages_without_room"] > 0
    pair.talk()
    assert (pair.generations, pair.drops()) == ((0, 0), {})


def test_a_narrow_path_has_a_message_in_two_segments() -> None:
    pair = Pair()
    for side in pair.sides:
        side.connection.lower_path_mtu(130, pair.wire.now)
    pair.a.attempt.write(b"z" * 300)
    pair.a.attempt.rekey()
    pair.wire.run(1.0)
    assert all(len(packet) <= 130 for _, _, packet in pair.wire.sent)
    assert sum(carries(packet, 5) for _, _, packet in pair.wire.sent) == 2
    assert pair.b.attempt.read() == b"z" * 300
    assert pair.generations == (1, 1)


@pytest.mark.parametrize("group", ["X25519MLKEM768", "secp256r1", "x448", "ffdhe3072"])
@pytest.mark.parametrize("mtu", [600, 1500])
def test_every_group_is_renewed_in_as_many_segments_as_it_takes(group: str, mtu: int) -> None:
    security = Security("ao-enc-dh", groups=(group,))
    pair = Pair(security, security, config=TcpConfig(mtu=mtu))
    pair.a.attempt.rekey()
    pair.talk()
    pair.b.attempt.rekey()
    pair.talk()
    assert pair.generations == (2, 2)
    assert pair.drops() == {}
    assert all(len(packet) <= mtu for _, _, packet in pair.wire.sent)


@pytest.mark.parametrize("number", range(6))
def test_any_segment_of_a_large_rekey_may_be_lost(number: int) -> None:
    seen = -1

    def tap(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal seen
        seen += 1
        return [] if seen == number else [(0.0, packet)]

    security = Security("ao-enc-dh", groups=("X25519MLKEM768",))
    pair = Pair(security, security, tap=tap)
    pair.a.attempt.rekey()
    pair.wire.run(5.0)
    pair.talk()
    assert pair.generations == (1, 1)
    assert pair.drops() == {}


def test_a_connection_that_has_ended_says_no_more() -> None:
    """In TIME-WAIT neither a rekey nor a report makes an ACK of its own: the peer has forgotten the connection."""
    pair = Pair(config=TcpConfig(msl=30.0))
    pair.wire.tap = dropping(lambda packet, _: carries(packet, 6))
    pair.a.attempt.rekey()
    pair.a.attempt.close()
    pair.wire.run(0.1)
    pair.b.attempt.close()
    pair.wire.run(0.1)
    assert pair.a.connection.state.name == "TIME_WAIT"
    pair.wire.sent.clear()
    pair.wire.run(50.0)
    assert pair.wire.sent == []


def test_keepalives_and_zero_window_probes_cross_the_change() -> None:
    config = TcpConfig(keepalive=True, keepalive_idle=5.0, keepalive_interval=1.0, receive_buffer=4096)
    pair = Pair(config=config)
    data = random.Random(3).randbytes(20_000)
    pair.a.attempt.write(data)
    # B reads nothing: A's window closes, and probes go out while the keys change.
    pair.wire.run(3.0)
    got = pair.b.connection.readable
    assert got < len(data)
    for _ in range(3):
        pair.b.attempt.rekey()
        pair.wire.run(20.0)
    assert pair.generations[0] >= 3
    received = bytearray()

    def read() -> bool:
        received.extend(pair.b.attempt.read())
        pair.wire.flush()
        return len(received) == len(data)

    assert pair.wire.run(60.0, read)
    assert received == data
    pair.a.attempt.rekey()
    pair.wire.run(30.0)
    assert pair.generations == (pair.b.generation, pair.b.generation)
    keystreams = Keystreams()
    for _, from_client, packet in pair.wire.sent:
        keystreams.take(packet, from_client)
    # The probe of the closed window is the next octet of the stream under each key.
    assert keystreams.resent > 0
    assert pair.drops() == {}


def test_messages_that_cannot_be_parsed_are_counted_and_change_nothing() -> None:
    """A good MAC over a fragment of a hello, which nobody may send now: only the option is discarded."""
    pair = Pair()
    flow = pair.a.flow
    flow.send(pair.a.connection.segment(ACK), flow.stack.out, (bytes.fromhex("fe0aa0e10100590000") + b"\x01",))
    pair.wire.flush()
    pair.wire.run(1.0)
    assert pair.drops() == {"ke_malformed": 1}
    pair.talk()
    assert pair.generations == (0, 0)


def ke_option(kind: int, message: bytes) -> bytes:
    head = bytes((254, 9 + len(message))) + b"\xa0\xe1" + bytes((kind,))
    return head + len(message).to_bytes(2) + bytes(2) + message


def test_a_whole_message_that_cannot_be_parsed_is_as_if_it_had_not_come() -> None:
    pair = Pair()
    flow = pair.a.flow
    flow.send(pair.a.connection.segment(ACK), flow.stack.out, (ke_option(5, b"\x01\x01 is too short"),))
    pair.wire.run(1.0)
    assert pair.drops() == {"ke_malformed": 1}
    # The one that follows is the first of its kind, and not another one.
    pair.a.attempt.rekey()
    pair.wire.run(1.0)
    assert pair.generations == (1, 1)
    assert pair.drops() == {"ke_malformed": 1}


def inserting(option: bytes) -> Tap:
    """A box that puts an option in the place of the timestamps of the client's segments, inside Data Offset."""

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        at = packet.find(b"\x08\x0a", 40)
        if not from_client or at < 0:
            return [(0.0, packet)]
        for index, octet in enumerate(option):
            packet = resummed(packet, at - 20 + index, octet)
        return [(0.0, packet)]

    return tap


def test_options_outside_the_mac_are_no_messages() -> None:
    """Flag 0x02: whoever is on the path may write any option inside Data Offset, a refusal of rekeying for one."""
    outside = Security("ao-enc-dh", cover_options=False)
    pair = Pair(outside, outside, config=TcpConfig(tolerate_missing_timestamps=True))
    # Ten octets are too few for a refusal, and enough for a fragment that would make one's whole message malformed.
    pair.wire.tap = inserting(ke_option(8, b"\x01"))
    pair.b.attempt.rekey()
    pair.talk()
    assert pair.generations == (1, 1)
    assert "ke_malformed" not in pair.drops()
    assert "ao_bad_mac" not in pair.drops()


def test_a_rekey_in_a_segment_whose_mac_fails_is_nothing() -> None:
    def tap(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        return [(0.0, resummed(packet, 24, packet[20 + 24] ^ 1) if carries(packet, 5) else packet)]

    pair = Pair(tap=tap)
    pair.a.attempt.rekey()
    pair.wire.run(1.0)
    assert pair.messages(6) == []
    assert pair.drops()["ao_bad_mac"] == len(pair.messages(5))


def test_keys_are_wiped_when_the_connection_is_forgotten() -> None:
    pair = Pair()
    pair.a.attempt.rekey()
    pair.wire.run(1.0)
    pair.a.attempt.abort()
    pair.wire.run(1.0)
    for side in pair.sides:
        assert side.protection.rekeying.schedule().chain == b""
        assert side.protection.rekeying.ended
        assert list(side.ring) == []
