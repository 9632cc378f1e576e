"""Opening: RFC 9293 §3.4.1, §3.5, §3.6.1, §3.9.1.1, §3.9.2.3."""

from __future__ import annotations

import errno

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6

from stack.events import Established
from stack.isn import InitialNumbers
from stack.states import State
from tests.conformance.peer import ISN, THEM, US, Peer

PAIR = (b"\x0a\0\0\x01", 80, b"\x0a\0\0\x02", 999)


def test_initial_numbers_follow_a_clock_of_4_microseconds() -> None:
    """MUST-8."""
    numbers = InitialNumbers(bytes(32))
    first = numbers.number(PAIR, 1000.0)
    assert (numbers.number(PAIR, 1001.0) - first) & 0xFFFFFFFF == 250_000
    assert (numbers.number(PAIR, 1000.000_04) - first) & 0xFFFFFFFF == 10
    # 4.55 hours for one round.
    assert abs((numbers.number(PAIR, 1000.0 + 2**32 * 4e-6) - first + 9) & 0xFFFFFFFF) <= 18


def test_initial_numbers_are_unrelated_between_pairs_and_secrets() -> None:
    """SHLD-1, MUST-9."""
    others = [
        (b"\x0a\0\0\x03", 80, b"\x0a\0\0\x02", 999),
        (b"\x0a\0\0\x01", 81, b"\x0a\0\0\x02", 999),
        (b"\x0a\0\0\x01", 80, b"\x0a\0\0\x03", 999),
        (b"\x0a\0\0\x01", 80, b"\x0a\0\0\x02", 998),
    ]
    found = {
        InitialNumbers(secret).number(pair, 5.0) for pair in [PAIR, *others] for secret in (bytes(32), b"s" * 32)
    }
    assert len(found) == 10
    ours = [Peer(seed=seed).dialled()[1][TCP].seq for seed in (1, 2)]
    assert ours[0] != ours[1]


def test_a_passive_open_touches_no_other() -> None:
    """MUST-41: the second call is an error, and what the first made goes on; another address is another record."""
    peer = Peer()
    attempt = peer.opened()
    with pytest.raises(OSError, match="already listening") as caught:
        peer.stack.listen(80)
    assert caught.value.errno == errno.EADDRINUSE
    peer.stack.listen(80, address="10.0.1.2")
    peer.send(peer.segment(data=b"goes on"))
    assert attempt.read() == b"goes on"
    peer.take()
    peer.theirs, peer.seq, peer.ack = 1001, ISN, 0
    (answer,) = peer.send(peer.segment("S"))
    assert answer[TCP].flags == "SA"


def test_a_port_may_be_listened_on_while_a_connection_begins_on_it() -> None:
    """MUST-42: in SYN-SENT and in SYN-RECEIVED."""
    peer = Peer()
    peer.dialled(local_port=80)
    listener = peer.stack.listen(80)
    peer.theirs = 1001
    (answer,) = peer.send(peer.segment("S"))
    assert answer[TCP].flags == "SA"
    assert {flow.connection.state for flow in peer.stack.flows.values()} == {State.SYN_SENT}
    assert len(peer.stack.half_open) == 1
    listener.close()
    peer.take()
    peer.stack.listen(80)
    peer.theirs = 1002
    (answer,) = peer.send(peer.segment("S"))
    assert answer[TCP].flags == "SA"


def test_the_local_address_may_be_named() -> None:
    """MUST-43, both ways."""
    peer = Peer()
    _, syn = peer.dialled(local_address="10.0.1.2")
    assert syn.src == "10.0.1.2"
    peer.ours, peer.ack = 80, 0
    peer.stack.listen(80, address="10.0.1.2")
    (answer,) = peer.send(peer.segment("S"))
    assert answer[TCP].flags == "RA"
    (answer,) = peer.send(peer.segment("S", destination="10.0.1.2"))
    assert (answer[TCP].flags, answer.src) == ("SA", "10.0.1.2")


def test_an_address_is_chosen_where_none_is_named_and_then_kept() -> None:
    """MUST-44, MUST-45: one of the remote's family, the same in every segment, or the one the SYN came to."""
    peer = Peer()
    attempt, syn = peer.dialled()
    assert syn.src == US
    attempt.write(b"data")
    sent = peer.send(peer.segment("SA")) + peer.wait(3.0)
    assert len(sent) > 2
    assert {packet.src for packet in sent} == {US}
    peer.stack.connect(("fd00::9", 80), now=peer.now)
    packet = IPv6(bytes(peer.stack.take_output(peer.now).packets[0]))
    assert packet.src == "fd00::2"
    peer.stack.listen(80)
    peer.ours, peer.theirs = 80, 1001
    answers = peer.send(peer.segment("S", destination="10.0.1.2")) + peer.wait(1.5)
    assert {answer.src for answer in answers if answer.version == 4 and answer[TCP].dport == 1001} == {"10.0.1.2"}


GROUPS = ["255.255.255.255", "224.0.0.1", "240.0.0.1", "10.0.0.255"]


@pytest.mark.parametrize("address", [*GROUPS, "0.0.0.0", "ff02::1", "::"])
def test_an_open_to_no_single_host_is_an_error(address: str) -> None:
    """MUST-46; 10.0.0.255 is the broadcast address of the stack's own network."""
    peer = Peer()
    with pytest.raises(OSError, match="not the address of one host"):
        peer.stack.connect((address, 80), now=peer.now)
    assert peer.take() == []
    assert not peer.stack.flows


@pytest.mark.parametrize("destination", GROUPS)
def test_a_syn_to_a_group_is_dropped_silently(destination: str) -> None:
    """MUST-57."""
    peer = Peer()
    peer.stack.listen(80)
    assert peer.send(peer.segment("S", destination=destination)) == []
    assert not peer.stack.flows


@pytest.mark.parametrize("source", [*GROUPS, "0.0.0.0", "127.0.0.1", "10.0.1.255"])
def test_a_syn_from_nobody_is_dropped_silently(source: str) -> None:
    """MUST-63."""
    peer = Peer()
    peer.stack.listen(80)
    for port in (80, 81):
        peer.ours = port
        assert peer.send(peer.segment("S", source=source)) == []
    assert not peer.stack.flows
    assert peer.stack.drops == {"ip_bad_source": 2}


@pytest.mark.parametrize("source", ["::", "::1", "ff02::1"])
def test_a_syn_from_nobody_is_dropped_silently_over_ipv6(source: str) -> None:
    """MUST-63."""
    peer = Peer()
    peer.stack.listen(80)
    for port in (80, 81):
        assert peer.send(IPv6(src=source, dst="fd00::2") / TCP(sport=999, dport=port, flags="S")) == []
    assert not peer.stack.flows
    assert peer.stack.drops == {"ip_bad_source": 2}


def in_time_wait(options: object) -> Peer:
    """The stack has closed first and lingers."""
    peer = Peer()
    attempt = peer.opened(options)
    attempt.close()
    (fin,) = peer.take()
    peer.ack = fin[TCP].seq + 1
    stamps = [("Timestamp", (2000, 0))] if options else []
    (last,) = peer.send(peer.segment("FA", options=stamps))
    assert last[TCP].flags == "A"
    peer.seq += 1
    (flow,) = peer.stack.flows.values()
    assert flow.connection.state is State.TIME_WAIT
    return peer


@pytest.mark.parametrize(("ahead", "taken"), [(1, True), (100_000, True), (-1, False), (-70_000, False)])
def test_a_syn_beyond_the_old_numbers_reopens_from_time_wait(ahead: int, taken: bool) -> None:
    """MAY-2: the new connection's ISN is also beyond the old one's numbers."""
    peer = in_time_wait(())
    old = peer.ack
    peer.seq += ahead
    peer.now += 1.0
    (answer,) = peer.send(peer.segment("S"))
    assert (answer[TCP].flags == "SA") == taken
    if taken:
        assert 0 < (answer[TCP].seq - old) & 0xFFFFFFFF < 1 << 31


@pytest.mark.parametrize(("stamp", "taken"), [(2001, True), (1999, False)])
def test_timestamps_shorten_time_wait(stamp: int, taken: bool) -> None:
    """SHLD-4: a newer timestamp is enough, whatever the sequence number (RFC 6191 §2)."""
    peer = in_time_wait((("MSS", 1460), ("Timestamp", (1000, 0))))
    peer.seq -= 50_000 if taken else -50_000
    peer.now += 1.0
    (answer,) = peer.send(peer.segment("S", options=[("Timestamp", (stamp, 0))]))
    assert (answer[TCP].flags == "SA") == taken


def test_who_opened_is_remembered_in_syn_received() -> None:
    """MUST-11: a reset ends a passive open in silence and tells an active one that it was refused."""
    peer = Peer()
    listener = peer.stack.listen(80)
    peer.send(peer.segment("S"))
    peer.seq += 1
    assert peer.send(peer.segment("R")) == []
    assert listener.accept() is None
    assert not peer.stack.flows
    active = Peer()
    attempt, _ = active.dialled()
    (answer,) = active.send(active.segment("S"))
    assert answer[TCP].flags == "SA"
    active.seq += 1
    active.send(active.segment("R"))
    assert attempt.error is not None
    assert attempt.error.errno == errno.ECONNREFUSED


def test_another_syn_in_syn_received_means_what_the_open_was() -> None:
    """MUST-11 (§3.10.7.4, fourth step): back to LISTEN, or a challenge where both sides had called."""
    peer = Peer()
    peer.stack.listen(80)
    peer.send(peer.segment("S"))
    peer.seq += 1000
    assert peer.send(peer.segment("S")) == []
    assert not peer.stack.flows
    (answer,) = peer.send(peer.segment("S"))
    assert answer[TCP].flags == "SA"
    assert answer[TCP].ack == peer.seq + 1
    active = Peer()
    active.dialled()
    active.send(active.segment("S"))
    active.seq += 1000
    (answer,) = active.send(active.segment("S"))
    assert (answer[TCP].flags, answer[TCP].ack) == ("A", ISN + 1)
    assert active.stack.flows


def test_the_peer_is_who_the_application_named() -> None:
    """The pair of sockets names the connection (RFC 9293 §3.3.1)."""
    peer = Peer()
    attempt, syn = peer.dialled()
    assert (syn.dst, syn[TCP].dport) == attempt.peer == (THEM, 999)
    assert isinstance(syn, IP)
    peer.send(peer.segment("SA"))
    assert attempt.next_event() == Established()
