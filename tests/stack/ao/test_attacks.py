"""Attacks on a connection under TCP-AO that stands: it goes on, nothing of it changes, and nothing is answered.

RFC 5925 §7.5 has the order (the MAC before everything else) and the silence, §7.8 what becomes of ICMP; RFC 5961
and RFC 9293 §3.10.7.4 what would be answered if the MAC had been good.
"""

from __future__ import annotations

import random
import struct
from ipaddress import ip_network

import pytest

from ao.mkt import Mkt, MktTable
from stack import ao_counters
from stack.batch import Batch
from stack.checksum import checksum, pseudo_header_sum
from stack.events import SoftError
from stack.ip import ICMP, ICMPV6, IpTemplate
from stack.run import ACK, FIN, PSH, RST, SYN
from stack.security import Security
from stack.states import State
from tests.stack.ao.standing import (
    CLIENT_ID,
    PORT,
    SERVER_ID,
    Standing,
    client_packets,
    header_at,
    header_octets,
    option,
)
from tests.stack.handshake.test_agreed import resummed

MACS = ["hmac-sha-1-96", "aes-128-cmac-96", "hmac-sha256-128"]
MAC_OCTETS = {"hmac-sha-1-96": 12, "aes-128-cmac-96": 12, "hmac-sha256-128": 16}


def unharmed(standing: Standing, packets: list[bytes]) -> dict[str, int]:
    """Have the server take these packets: no answer, no change, and it goes on; what was counted."""
    state, counted = standing.state(), standing.counted
    assert standing.attack(packets) == []
    assert standing.state() == state
    grown = standing.since(counted)
    standing.goes_on()
    return grown


# --- segments from nowhere --------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [RST, RST | ACK, SYN, SYN | ACK, FIN | ACK, ACK, PSH | ACK, FIN, 0, 0xFF])
@pytest.mark.parametrize(("mac", "cover_options"), [(MACS[0], True), (MACS[2], False)])
def test_a_forged_segment_meets_silence(mac: str, cover_options: bool, flags: int) -> None:
    """At the number that is expected, in the window, below, beyond; without TCP-AO, wrong MAC, unknown key."""
    standing = Standing(mac=mac, cover_options=cover_options)
    payload = b"forged octets" if flags & PSH else b""
    wrong = bytes(MAC_OCTETS[mac])
    packets = [
        standing.forge(flags, seq=seq, payload=payload, options=options)
        for seq in (0, 1000, -1000, 1 << 29)
        for options in (b"", option(wrong), option(wrong, key_id=7))
    ]
    assert unharmed(standing, packets) == {"required": 4, "bad": 4, "key_not_found": 4}


@pytest.mark.parametrize("version", [4, 6])
def test_a_storm_of_acknowledgments_draws_none(version: int) -> None:
    """Old, duplicate and impossible ones, with octets below the window: each would be answered without a MAC."""
    standing = Standing(version=version)
    packets = [
        standing.forge(ACK, seq=seq, ack=ack, options=options, payload=payload)
        for seq in (-5000, -1, 0, 1 << 20)
        for ack in (-100_000, -1, 0, 1, 100_000)
        for payload in (b"", b"x")
        for options in (b"", option())
    ] * 10
    counted = unharmed(standing, packets)
    assert counted == {"required": len(packets) // 2, "bad": len(packets) // 2}


def test_every_key_id_is_tried() -> None:
    standing = Standing()
    packets = [standing.forge(RST, options=option(key_id=key_id)) for key_id in range(256)]
    assert unharmed(standing, packets) == {"key_not_found": 254, "bad": 2}


@pytest.mark.parametrize("rnext", [SERVER_ID, SERVER_ID + 1, 0, 255])
def test_a_forged_wish_for_another_key_is_no_wish(rnext: int) -> None:
    """RNextKeyID counts under a good MAC only (RFC 5925 §7.5)."""
    standing = Standing()
    assert unharmed(standing, [standing.forge(options=option(rnext=rnext))]) == {"bad": 1}


# --- segments that were seen ------------------------------------------------------------------------------


def test_replayed_segments_of_this_connection_bring_nothing_new() -> None:
    """Their MACs are good: they are old octets to RFC 9293, answered by acknowledgments (RFC 5961 §7)."""
    standing = Standing()
    replayed = client_packets(standing.wire)
    numbers = ("rcv_nxt", "snd_una", "snd_nxt", "state", "keys", "rcv_up", "octets_in", "peer_fin")
    before, counted = standing.state(), standing.counted
    for packet in [*replayed, *reversed(replayed)]:
        for answer in standing.attack([packet]):
            assert answer[header_at(answer) + 13] & (SYN | FIN | RST) == 0
            assert len(answer) == header_at(answer) + header_octets(answer)
    after = standing.state()
    assert {name: after[name] for name in numbers} == {name: before[name] for name in numbers}
    assert standing.since(counted) == {"good": 2 * len(replayed)}
    assert not standing.server.read()
    standing.goes_on()


@pytest.mark.parametrize("first_to_close", ["client", "server"])
def test_segments_of_an_earlier_incarnation_verify_no_more(first_to_close: str) -> None:
    """The same socket pair, other ISNs: other traffic keys (RFC 5925 §5.2). Only the SYN's key is the old one's.

    It is a SYN from outside the window, and has what such a SYN has of a peer that is believed: a challenge ACK.
    """
    old = Standing(port=5000)
    ends = [old.client, old.server] if first_to_close == "client" else [old.server, old.client]
    for end in ends:
        end.close()
        old.wire.run(1.0)
    earlier = client_packets(old.wire)
    if first_to_close == "client":
        old.wire.run(300.0)
    else:
        # The server is in TIME-WAIT, which a SYN that verifies ends early (RFC 6191 §2).
        assert old.flow.connection.state is State.TIME_WAIT
    new = Standing(before=old, port=5000)
    assert new.flow.key == old.flow.key
    syns = [packet for packet in earlier if packet[header_at(packet) + 13] & SYN]
    others = [packet for packet in earlier if packet not in syns]
    assert len(others) > 5
    assert unharmed(new, others) == {"bad": len(others)}
    state, counted = new.state(), new.counted
    for answer in new.attack(syns):
        assert answer[header_at(answer) + 13] == ACK
    assert new.since(counted) == {"good": len(syns)}
    after = new.state()
    assert all(after[name] == state[name] for name in ("state", "rcv_nxt", "snd_nxt", "snd_una", "keys"))
    new.goes_on()


# --- segments that were changed ---------------------------------------------------------------------------


def flips(packet: bytes, start: int, stop: int) -> list[bytes]:
    """The packet with each bit of these octets of its TCP part flipped, one at a time, its checksum repaired."""
    at = header_at(packet)
    octets = [octet for octet in range(start, stop) if octet not in (16, 17)]
    return [resummed(packet, octet, packet[at + octet] ^ 1 << bit) for octet in octets for bit in range(8)]


@pytest.mark.parametrize(("mac", "version"), [(MACS[0], 4), (MACS[1], 6), (MACS[2], 4)])
def test_every_bit_of_header_options_and_payload_is_covered(mac: str, version: int) -> None:
    """Of the ports a change is another connection's, which the rest of these bits do not make it."""
    standing = Standing(mac=mac, version=version)
    good = standing.signed_but_kept()
    packets = flips(good, 4, len(good) - header_at(good))
    state, drops = standing.state(), standing.flow.drops.copy()
    assert standing.attack(packets) == []
    assert standing.state() == state
    reasons = standing.flow.drops - drops
    assert reasons.total() == len(packets)
    assert set(reasons) <= {
        "ao_bad_mac",
        "ao_bad_length",
        "ao_key_not_found",
        "ao_required",
        "malformed_option",
        "ao_md5_conflict",
        "sne_underflow",
    }
    assert reasons["ao_key_not_found"] == 8
    counted = standing.counted
    standing.attack([good])
    assert standing.since(counted) == {"good": 1}
    assert standing.server.read() == b"the next octets"
    standing.goes_on()


def test_what_is_not_covered_may_change_and_nothing_else_may() -> None:
    """``cover_options`` off: options other than TCP-AO, and they alone, are outside the MAC (RFC 5925 §5.1)."""
    standing = Standing(cover_options=False)
    good = standing.signed_but_kept()
    at, header = header_at(good), header_octets(good)
    ao = good.index(bytes((29, 16, CLIENT_ID)), at + 20) - at
    timestamps = good.index(bytes((8, 10)), at + 20) - at
    covered = [
        *flips(good, 4, 12),
        *flips(good, 13, 20),
        *flips(good, ao, ao + 16),
        *flips(good, header, len(good) - at),
    ]
    state, counted = standing.state(), standing.counted
    assert standing.attack(covered) == []
    assert standing.state() == state
    assert "good" not in standing.since(counted)
    # TSecr may change without harm.
    echoes = flips(good, timestamps + 6, timestamps + 10)
    counted = standing.counted
    standing.attack(echoes)
    assert standing.since(counted) == {"good": len(echoes)}
    standing.wire.run(30.0)
    assert standing.server.read() == b"the next octets"
    standing.goes_on()
    # TSval is believed as well, and later segments may be old to PAWS (RFC 7323 §5): what the switch costs.
    values = flips(good, timestamps + 2, timestamps + 6)
    counted = standing.counted
    standing.attack(values)
    assert standing.since(counted) == {"good": len(values)}


@pytest.mark.parametrize("cover_options", [True, False])
def test_a_flipped_port_is_another_connections(cover_options: bool) -> None:
    standing = Standing(cover_options=cover_options)
    good = standing.signed_but_kept()
    state, counted = standing.state(), standing.counted
    for answer in standing.attack(flips(good, 0, 4)):
        # It belongs to nobody, and has an unsigned reset (RFC 5925 §7.7), which no connection with keys believes.
        assert answer[header_at(answer) + 13] & RST
        standing.wire.put(answer, from_client=False)
    assert standing.state() == state
    assert standing.since(counted) == {}
    standing.wire.run(30.0)
    assert standing.server.read() == b"the next octets"
    standing.goes_on()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (option(bytes(11)), "ao_bad_length"),
        (option(bytes(8)), "ao_bad_length"),
        (option(bytes(16)), "ao_bad_length"),
        (option(b""), "ao_bad_length"),
        (bytes((29, 3, CLIENT_ID)), "ao_bad_length"),
        (bytes((29, 2)), "ao_bad_length"),
        (bytes((29, 1)), "malformed_option"),
        (bytes((29, 0)), "malformed_option"),
        (bytes((29,)), "malformed_option"),
        (option(length=40), "malformed_option"),
        (option() + option(), "malformed_option"),
        (option() + bytes((19, 18)) + bytes(16), "ao_md5_conflict"),
        (bytes((19, 18)) + bytes(16), "ao_required"),
        (bytes((0,)) + option(), "ao_required"),
    ],
)
def test_an_option_that_is_none_is_dropped_before_its_mac_is_looked_at(options: bytes, reason: str) -> None:
    """RFC 5925 §2.2: lengths, a second option, and one of RFC 2385 beside it."""
    standing = Standing()
    packet = standing.forge(RST, options=options)
    drops = standing.flow.drops.copy()
    if reason == "malformed_option" and len(options) == 1:
        # Its padding would be its length.
        packet = resummed(packet, 21, 0)
    counted = unharmed(standing, [packet])
    assert standing.flow.drops - drops == {reason: 1}
    assert counted == {"ao_bad_length": {"bad": 1}, "ao_required": {"required": 1}}.get(reason, {})


@pytest.mark.parametrize("octets", [0, 1, 4, 11])
def test_a_truncated_mac_is_no_mac(octets: int) -> None:
    """Shortened with everything moved up, as an attacker would who guesses fewer octets."""
    standing = Standing()
    good = standing.signed_but_kept()
    at = header_at(good)
    mac = good[at + 24 : at + 24 + octets]
    assert unharmed_but_for_sent(standing, standing.forge(PSH | ACK, options=option(mac), payload=b"x")) == {
        "bad": 1
    }


def unharmed_but_for_sent(standing: Standing, packet: bytes) -> dict[str, int]:
    """As ``unharmed``, where a segment of the client's was kept and is repeated."""
    state, counted = standing.state(), standing.counted
    assert standing.attack([packet]) == []
    assert standing.state() == state
    grown = standing.since(counted)
    standing.wire.run(30.0)
    assert standing.server.read() == b"the next octets"
    standing.goes_on()
    return grown


# --- what others say ---------------------------------------------------------------------------------------


def icmp(standing: Standing, kind: int, code: int, quoted: bytes, word: int = 0) -> bytes:
    """An ICMP message to the server that quotes ``quoted``, from a router on the way."""
    local = standing.flow.key[0]
    router = bytes((10, 9, 9, 9)) if len(local) == 4 else bytes.fromhex("fd00000000000000000000000000ffff")
    message = bytearray(struct.pack("!BBHI", kind, code, 0, word) + quoted[:548])
    initial = 0 if len(local) == 4 else pseudo_header_sum(router, local, len(message), ICMPV6)
    struct.pack_into("!H", message, 2, checksum(message, initial=initial))
    protocol = ICMP if len(local) == 4 else ICMPV6
    return IpTemplate(router, local, protocol=protocol).header(len(message)) + bytes(message)


# Echo requests are the host's to answer, whatever they hold.
_ECHO = {4: 8, 6: 128}


@pytest.mark.parametrize("version", [4, 6])
def test_no_icmp_message_of_any_type_and_code_moves_it(version: int) -> None:
    """RFC 5925 §7.8, and Packet Too Big with it; the quoted segment is one in flight (RFC 5927 §4.1)."""
    standing = Standing(version=version)
    taken: list[bytes] = []
    tap, standing.wire.tap = standing.wire.tap, lambda packet, *_: taken.append(packet) or []
    standing.server.write(b"in flight")
    standing.wire.flush()
    standing.wire.tap = tap
    packets = [
        icmp(standing, kind, code, taken[0], word)
        for kind in range(256)
        if kind != _ECHO[version]
        for code in (*range(17), 255)
        for word in (0, 68 if version == 4 else 1280)
    ]
    state, counted = standing.state(), standing.counted
    assert standing.attack(packets) == []
    assert standing.state() == state
    # Unreachable, too big, time exceeded, parameter problem; of every code, twice.
    assert standing.since(counted) == {"dropped_icmp": (3 if version == 4 else 4) * 18 * 2}
    standing.wire.run(30.0)
    assert standing.client.read() == b"in flight"
    assert standing.server.next_event() is None or standing.server.error is None
    standing.goes_on()


def test_icmp_is_believed_where_that_is_asked_for() -> None:
    """``accept_icmps``: as far as a connection without keys believes it; nothing that stands ends (RFC 5927)."""
    standing = Standing(accept_icmps=True)
    taken: list[bytes] = []
    tap, standing.wire.tap = standing.wire.tap, lambda packet, *_: taken.append(packet) or []
    standing.server.write(bytes(5000))
    standing.wire.flush()
    standing.wire.tap = tap
    counted = standing.counted
    while standing.server.next_event() is not None:
        pass
    standing.attack([icmp(standing, 3, 2, taken[0])])
    assert isinstance(standing.server.next_event(), SoftError)
    standing.attack([icmp(standing, 3, 4, taken[0], 1200)])
    assert standing.flow.connection.path_mtu_octets == 1200
    # Beyond what is in flight it is nobody's.
    standing.attack([icmp(standing, 3, 4, resummed(taken[0], 4, taken[0][24] ^ 0x40), 700)])
    assert standing.flow.connection.path_mtu_octets == 1200
    assert standing.since(counted) == {}
    standing.wire.run(30.0)
    assert standing.client.read() == bytes(5000)
    standing.goes_on()


# --- the listener -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mac", [MACS[0], MACS[2]])
def test_a_flood_of_forged_syns_leaves_nothing(mac: str) -> None:
    """No half-open connection, no answer, and who has the key is taken at once."""
    source = random.Random(9)
    standing = Standing(mac=mac)
    stack = standing.wire.server
    packets = []
    for port in range(1024, 1024 + 600):
        syn = standing.forge(
            SYN,
            seq=source.randrange(1 << 32),
            options=bytes((2, 4, 5, 180)) + option(source.randbytes(MAC_OCTETS[mac])),
        )
        packets.append(resummed(resummed(syn, 0, port >> 8), 1, port & 0xFF))
    before = ao_counters.of_stack(stack)
    flows = set(stack.flows)
    assert standing.attack(packets) == []
    assert set(stack.flows) == flows
    assert len(stack.half_open) == 0
    after = ao_counters.of_stack(stack)
    assert {name: after[name] - n for name, n in before.items() if after[name] != n} == {"bad": len(packets)}
    standing.goes_on()
    Standing(before=standing, mac=mac)


def test_a_flood_without_tcp_ao_leaves_nothing_either() -> None:
    standing = Standing()
    packets = [resummed(standing.forge(SYN, options=bytes((2, 4, 5, 180))), 1, port) for port in range(256)]
    own = [packet for packet in packets if packet[20:22] == standing.ends[1].to_bytes(2, "big")]
    assert standing.attack([packet for packet in packets if packet not in own]) == []
    assert len(standing.wire.server.half_open) == 0
    standing.goes_on()
    Standing(before=standing)


def test_several_keys_of_one_peer_are_not_confused() -> None:
    """A MAC under one key with the KeyID of another is bad, whichever way (RFC 5925 §7.5)."""
    both = [
        Mkt("a", 1, 2, b"first", peer=ip_network("10.0.0.0/24")),
        Mkt("b", 3, 4, b"second", peer=ip_network("10.0.0.0/24")),
    ]
    standing = Standing()
    wire = standing.wire
    listener = wire.server.listen(PORT + 1, security=Security("ao", keys=MktTable(both)))
    mirrored = MktTable([Mkt("a", 2, 1, b"first"), Mkt("b", 4, 3, b"second")])
    attempt = wire.client.connect(("10.0.0.2", PORT + 1), security=Security("ao", keys=mirrored), now=wire.now)
    wire.run(1.0)
    accepted = listener.accept()
    assert accepted is not None
    attempt.write(b"octets")
    wire.run(1.0)
    last = client_packets(wire)[-1]
    used = last[header_at(last) + 22]
    other = {2: 4, 4: 2}[used]
    wire.server.receive(Batch([resummed(last, 22, other)]), wire.now)
    assert ao_counters.of_keys(accepted.flow)[other] == {"good": 0, "bad": 1}
