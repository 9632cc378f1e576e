"""The stack as a host: calls that it refuses, packets for nobody, listeners that close (RFC 9293 §3.10)."""

from __future__ import annotations

import errno
import random
from ipaddress import ip_network

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.packet import Packet, Raw

from ao.mkt import Mkt, MktTable
from stack.batch import Batch, Checksum
from stack.checksum import pseudo_header_sum
from stack.config import TcpConfig
from stack.host import Stack
from stack.reassembly import LIFETIME
from stack.run import ACK, RST, SYN
from stack.security import Security
from tests.conformance.peer import THEM, US, Peer
from tests.stack.handshake.test_agreed import flags_of, out_of_band
from tests.stack.wire import SERVER, Wire, transfer

PROTECTED = Security("ao-enc-dh")


def made(*addresses: str) -> Stack:
    return Stack(addresses, random=random.Random(1).randbytes)


# --- calls ------------------------------------------------------------------------------------------------


def test_a_stack_has_an_address() -> None:
    with pytest.raises(ValueError, match="at least one address"):
        made()
    with pytest.raises(ValueError, match="does not appear to be"):
        made("10.0.0.300")


@pytest.mark.parametrize("port", [0, 65_536, -1])
def test_ports_are_in_range(port: int) -> None:
    with pytest.raises(ValueError, match="not in 1-65535"):
        made("10.0.0.1").listen(port)
    with pytest.raises(ValueError, match="not in 1-65535"):
        made("10.0.0.1").connect(("10.0.0.2", port), now=0.0)


def test_a_port_is_listened_on_once_for_each_address() -> None:
    stack = made("10.0.0.1", "10.0.0.2", "fd00::1")
    for address in (None, "10.0.0.1", "10.0.0.2", "0.0.0.0", "::", "fd00::1"):
        stack.listen(80, address=address)
        with pytest.raises(OSError, match="already listening") as caught:
            stack.listen(80, address=address)
        assert caught.value.errno == errno.EADDRINUSE
    with pytest.raises(OSError, match="not an address of this stack") as caught:
        stack.listen(81, address="10.0.0.3")
    assert caught.value.errno == errno.EADDRNOTAVAIL


@pytest.mark.parametrize(
    ("addresses", "remote", "local", "code"),
    [
        (["10.0.0.1/24"], "10.0.0.255", None, errno.ENETUNREACH),
        (["10.0.0.1/24"], "224.0.0.1", None, errno.ENETUNREACH),
        (["10.0.0.1/24"], "10.0.0.9", "10.0.0.2", errno.EADDRNOTAVAIL),
        (["10.0.0.1/24", "fd00::1"], "10.0.0.9", "fd00::1", errno.EAFNOSUPPORT),
        (["10.0.0.1/24"], "fd00::9", None, errno.EAFNOSUPPORT),
        (["fd00::1"], "10.0.0.9", None, errno.EAFNOSUPPORT),
    ],
)
def test_where_no_connection_can_begin(addresses: list[str], remote: str, local: str | None, code: int) -> None:
    stack = made(*addresses)
    with pytest.raises(OSError, match=r"address|IP versions") as caught:
        stack.connect((remote, 80), local_address=local, now=0.0)
    assert caught.value.errno == code
    assert stack.flows == {}


def test_a_socket_pair_is_used_once() -> None:
    stack = made("10.0.0.1")
    stack.connect(("10.0.0.2", 80), local_port=5000, now=0.0)
    stack.connect(("10.0.0.2", 81), local_port=5000, now=0.0)
    with pytest.raises(OSError, match="in use towards this peer") as caught:
        stack.connect(("10.0.0.2", 80), local_port=5000, now=0.0)
    assert caught.value.errno == errno.EADDRINUSE


def test_a_peer_has_as_many_connections_as_there_are_ports() -> None:
    config = TcpConfig(local_ports=(50_000, 50_049))
    stack = Stack(["10.0.0.1"], random=random.Random(1).randbytes, config=config)
    ports = {stack.connect(("10.0.0.2", 80), now=0.0).local[1] for _ in range(50)}
    assert ports == set(range(50_000, 50_050))
    with pytest.raises(OSError, match="no free port") as caught:
        stack.connect(("10.0.0.2", 80), now=0.0)
    assert caught.value.errno == errno.EADDRNOTAVAIL
    # Towards another there are as many again.
    stack.connect(("10.0.0.2", 81), now=0.0)


def test_a_process_among_several_takes_ports_by_which_answers_find_it() -> None:
    config = TcpConfig(local_ports=(50_000, 50_049), port_share=(1, 3))
    stack = Stack(["10.0.0.1"], random=random.Random(1).randbytes, config=config)
    own = {port for port in range(50_000, 50_050) if (port ^ 80) % 3 == 1}
    assert {stack.connect(("10.0.0.2", 80), now=0.0).local[1] for _ in own} == own
    with pytest.raises(OSError, match="no free port"):
        stack.connect(("10.0.0.2", 80), now=0.0)
    with pytest.raises(OSError, match="another process") as caught:
        stack.connect(("10.0.0.2", 80), now=0.0, local_port=80 ^ 2)
    assert caught.value.errno == errno.EADDRNOTAVAIL
    stack.connect(("10.0.0.2", 80), now=0.0, local_port=80 ^ 4)


def test_without_a_configured_key_require_cannot_begin_and_prefer_is_plain() -> None:
    keys = MktTable([Mkt("k", 1, 1, b"secret", peer=ip_network("10.7.0.0/16"))])
    stack = made("10.0.0.1")
    with pytest.raises(OSError, match="no configured key") as caught:
        stack.connect(("10.0.0.2", 80), security=Security("ao", keys=keys), now=0.0)
    assert caught.value.errno == errno.ENOKEY
    wire = Wire()
    attempt, listener = wire.open(Security("ao", keys=keys, policy="prefer"), Security())
    transfer(wire, attempt, listener, b"up", b"down")
    report = attempt.report()
    assert (report["mode"], report["fallback"]) == ("none", "no configured key matches this peer")


# --- packets ----------------------------------------------------------------------------------------------


def test_what_is_no_tcp_of_ours_is_dropped_by_its_reason() -> None:
    peer = Peer()
    ip = IP(src=THEM, dst=US)
    stray = IP(src=THEM, dst="10.9.9.9") / UDP() / Raw(bytes(2000))
    unknown = IP(src=US, dst=THEM) / TCP(sport=80, dport=999)
    packets: list[tuple[str, Packet]] = [
        ("unknown_protocol", ip / UDP(sport=1, dport=2)),
        ("not_ours", IP(src=THEM, dst="10.9.9.9") / TCP()),
        ("not_ours", fragment(stray, fragsize=1000)[0]),
        ("malformed_option", ip / Raw(bytes(TCP())[:19])),
        ("icmp_no_connection", ip / ICMP(type=3, code=1) / Raw(bytes(unknown)[:28])),
    ]
    packets[3][1].proto = 6
    for reason, packet in packets:
        before = peer.stack.drops[reason]
        assert peer.send(packet) == []
        assert peer.stack.drops[reason] == before + 1
    assert sum(peer.stack.drops.values()) == len(packets)


def test_a_fragment_whose_rest_does_not_come_is_forgotten_in_time() -> None:
    peer = Peer()
    attempt = peer.opened()
    first, *_ = fragment(IP(bytes(peer.segment(data=bytes(2000)))), fragsize=1000)
    peer.wait(1.0)
    begun = peer.now
    assert peer.send(first) == []
    assert peer.stack.next_deadline == begun + LIFETIME
    # Beside a timer of TCP the earlier one counts.
    attempt.write(b"x")
    peer.take()
    deadline = peer.stack.next_deadline
    assert deadline is not None
    assert deadline < begun + LIFETIME
    attempt.abort()
    peer.wait(LIFETIME + 1.0)
    assert peer.stack.drops["fragment_timeout"] == 1
    assert peer.stack.next_deadline is None


def test_a_segment_of_a_broadcast_address_is_answered_by_nobody() -> None:
    peer = Peer()
    peer.stack.listen(80)
    assert peer.send(peer.segment("S", source="10.0.0.255")) == []
    assert peer.send(peer.segment("S", source=THEM)) != []


def test_checksums_are_believed_where_the_device_has_judged_them() -> None:
    peer = Peer()
    peer.stack.listen(80)
    packet = bytearray(bytes(peer.segment("S")))
    packet[36] ^= 0xFF
    for state, answered in ((Checksum.FINISHED, 0), (Checksum.BAD, 0), (Checksum.UNFINISHED, 1)):
        before = peer.stack.drops["bad_checksum"]
        peer.stack.receive(Batch([bytes(packet)], [state]), peer.now)
        assert len(peer.take()) == answered
        assert peer.stack.drops["bad_checksum"] == before + 1 - answered
    right = bytes(peer.segment("S", source="10.0.0.77"))
    peer.stack.receive(Batch([right], [Checksum.BAD]), peer.now)
    assert peer.take() == []
    # One that stands for several is no better for being cut, where it would get a checksum that is right.
    joined = bytearray(bytes(peer.segment("S", source="10.0.0.78")))
    partial = pseudo_header_sum(bytes(joined[12:16]), bytes(joined[16:20]), len(joined) - 20)
    joined[36:38] = (partial % 0xFFFF).to_bytes(2, "big")
    for state, answered in ((Checksum.BAD, 0), (Checksum.UNFINISHED, 1)):
        peer.stack.receive(Batch([bytes(joined)], [state], [100]), peer.now)
        assert len(peer.take()) == answered


# --- listeners --------------------------------------------------------------------------------------------


def test_a_listener_that_closes_resets_what_nobody_has_accepted() -> None:
    wire = Wire()
    attempt, listener = wire.open()
    assert wire.run(1.0, lambda: listener.waiting == 1)
    taken = wire.client.connect((SERVER[0], 80), now=wire.now)
    assert wire.run(1.0, lambda: listener.waiting == 2)
    first = listener.accept()
    listener.close()
    listener.close()
    wire.run(1.0)
    assert first is not None
    assert (first.error, attempt.error) == (None, None)
    assert taken.error is not None
    assert taken.error.errno == errno.ECONNRESET
    late = wire.client.connect((SERVER[0], 80), now=wire.now)
    wire.run(1.0)
    assert late.error is not None
    assert late.error.errno == errno.ECONNREFUSED


def test_a_listener_that_closes_ends_handshakes_that_are_under_way() -> None:
    """One client's ACK is still to come, another's out-of-band segment."""
    wire = Wire(
        tap=lambda packet, from_client, _: [] if from_client and flags_of(packet) & ACK else [(0.0, packet)]
    )
    attempt, listener = wire.open()
    wire.run(0.05)
    assert len(wire.server.half_open) == 1
    listener.close()
    wire.run(1.0)
    assert not len(wire.server.half_open)
    assert wire.server.flows == {}
    assert attempt.error is not None

    wire = Wire(tap=lambda packet, _, __: [] if out_of_band(packet) else [(0.0, packet)])
    attempt, listener = wire.open(PROTECTED)
    assert wire.run(1.0, lambda: bool(wire.sent) and wire.now >= 100.01)
    listener.close()
    wire.sent.clear()
    wire.run(0.9)
    # Nobody answers the SYN any more, however long its out-of-band segment is waited for.
    assert not any(flags_of(packet) & SYN for _, from_client, packet in wire.sent if not from_client)
    assert attempt.finished is None
    wire.run(1.0)
    assert attempt.error is not None
    assert any(flags_of(packet) & RST for _, from_client, packet in wire.sent if not from_client)


def test_so_many_syns_wait_for_their_out_of_band_segments_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stack.listener._PENDING_LIMIT", 5)
    wire = Wire(tap=lambda packet, _, __: [] if out_of_band(packet) else [(0.0, packet)])
    listener = wire.server.listen(80, security=PROTECTED)
    for _ in range(8):
        wire.client.connect((SERVER[0], 80), security=PROTECTED, now=wire.now)
    wire.run(0.015)
    # Three were answered at once, as if they had no segment to wait for.
    assert len(wire.server.flows) == 3
    wire.run(2.0)
    assert listener.waiting == 8
