"""IP options and source routes: RFC 9293 §3.9.2, §3.9.2.1, RFC 791 §3.1."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import (
    IP,
    TCP,
    IPOption,
    IPOption_LSRR,
    IPOption_RR,
    IPOption_SSRR,
    IPOption_Timestamp,
    in4_chksum,
)
from scapy.packet import Packet, Raw

from stack import ip_options
from stack.config import TcpConfig
from tests.conformance.peer import ROUTER, THEM, US, Peer, icmp

HOPS = ["10.0.0.21", "10.0.0.22", "10.0.0.23"]
OTHERS = ["10.0.0.31", "10.0.0.32"]


def octets(option: IPOption) -> bytes:
    return bytes(option)


def followed(kind: type[IPOption], hops: list[str]) -> IPOption:
    """A source route at its end, every hop having put its own address there."""
    return kind(pointer=4 + 4 * len(hops), length=3 + 4 * len(hops), routers=hops)


def routed(packet: Packet, option: IPOption) -> Packet:
    """The packet with an option in its IP header; TCP's checksum is that of the packet without."""
    tcp = bytes(IP(bytes(packet))[TCP])
    return IP(src=packet[IP].src, dst=packet[IP].dst, proto=6, options=[option]) / Raw(tcp)


def route_of(packet: Packet) -> tuple[str, list[str]]:
    """Where a packet goes first, and where then."""
    (option,) = (option for option in packet[IP].options if option.option in (3, 9))
    assert option.pointer == 4
    return packet[IP].dst, option.routers


def good_checksum(packet: Packet, final: str) -> bool:
    """Whether TCP's checksum is that of a packet whose destination is ``final``."""
    tcp = bytes(packet[TCP])
    return in4_chksum(6, IP(src=packet[IP].src, dst=final, proto=6), tcp) == 0


def test_options_that_the_application_gives_stand_in_each_packet() -> None:
    """MAY-10, MAY-11: timestamps and record route; the segment is less by them (MUST-16)."""
    given_options = octets(IPOption_RR(routers=["0.0.0.0"] * 2, pointer=4)) + octets(
        IPOption_Timestamp(flg=0, timestamp=0)
    )
    peer = Peer(TcpConfig(ip_options=given_options))
    attempt = peer.opened()
    size = -(-len(given_options) // 4) * 4
    assert attempt.flow.connection.segment_size == 1460 - size
    attempt.write(bytes(3000))
    sent = peer.take()
    assert [len(packet[TCP].payload) for packet in sent] == [1460 - size, 1460 - size, 3000 - 2 * (1460 - size)]
    assert max(map(len, sent)) == 1500
    for packet in sent:
        assert packet.ihl == 5 + size // 4
        assert [option.option for option in packet.options if option.option] == [7, 4]
        again = IP(bytes(packet))
        del again.chksum
        assert IP(bytes(again)).chksum == packet.chksum
        assert good_checksum(packet, THEM)


@pytest.mark.parametrize("kind", [IPOption_LSRR, IPOption_SSRR])
def test_the_application_names_a_source_route(kind: type[IPOption]) -> None:
    """MUST-51: first to the first hop, the destination last; the checksum is of the destination (§3.1)."""
    peer = Peer()
    attempt, syn = peer.dialled(config=TcpConfig(ip_options=octets(kind(routers=HOPS))))
    assert route_of(syn) == (HOPS[0], [*HOPS[1:], THEM])
    assert good_checksum(syn, THEM)
    (ack,) = peer.send(peer.segment("SA"))
    assert route_of(ack) == (HOPS[0], [*HOPS[1:], THEM])
    assert attempt.peer == (THEM, 999)


def opened_by_route(config: TcpConfig, option: IPOption) -> tuple[Peer, Packet]:
    peer = Peer(config)
    peer.stack.listen(80)
    (answer,) = peer.send(routed(peer.segment("S"), option))
    peer.seq, peer.ack = peer.seq + 1, answer[TCP].seq + 1
    return peer, answer


def test_the_route_of_a_syn_is_kept_and_reversed() -> None:
    """MUST-53."""
    peer, answer = opened_by_route(TcpConfig(source_routes=True), followed(IPOption_LSRR, HOPS))
    back = (HOPS[2], [HOPS[1], HOPS[0], THEM])
    assert answer[TCP].flags == "SA"
    assert route_of(answer) == back
    assert good_checksum(answer, THEM)
    peer.send(peer.segment())
    (flow,) = peer.stack.flows.values()
    assert flow.attempt is not None
    flow.attempt.write(b"data")
    assert [route_of(packet) for packet in peer.take()] == [back]
    assert flow.connection.segment_size == 536 - 16


def test_a_later_route_overrides_an_earlier_one() -> None:
    """SHLD-24; not that of a segment outside of the window, which anybody may have sent."""
    peer, _ = opened_by_route(TcpConfig(source_routes=True), followed(IPOption_LSRR, HOPS))
    peer.send(peer.segment())
    peer.now += 1
    peer.seq += 1 << 20
    peer.send(routed(peer.segment(data=b"forged"), followed(IPOption_LSRR, OTHERS)))
    peer.seq -= 1 << 20
    peer.now += 1
    peer.send(peer.segment(data=b"data"))
    assert route_of(peer.wait(1.0)[-1])[0] == HOPS[2]
    peer.seq += 4
    peer.send(routed(peer.segment(data=b"data"), followed(IPOption_SSRR, OTHERS)))
    assert route_of(peer.wait(1.0)[-1]) == (OTHERS[1], [OTHERS[0], THEM])


def test_the_applications_route_precedes_a_received_one() -> None:
    """MUST-52."""
    config = TcpConfig(source_routes=True, ip_options=octets(IPOption_LSRR(routers=OTHERS)))
    _, answer = opened_by_route(config, followed(IPOption_LSRR, HOPS))
    assert route_of(answer) == (OTHERS[0], [OTHERS[1], THEM])


def test_no_strangers_route_is_followed_unless_allowed() -> None:
    """RFC 7126 §4.3: off by default; and a route that is not at its end tells no way back."""
    _, answer = opened_by_route(TcpConfig(), followed(IPOption_LSRR, HOPS))
    assert (answer.dst, answer.options) == (THEM, [])
    unfinished = IPOption_LSRR(pointer=4, length=15, routers=HOPS)
    _, answer = opened_by_route(TcpConfig(source_routes=True), unfinished)
    assert (answer.dst, answer.options) == (THEM, [])


def test_errors_about_routed_packets_find_their_connection() -> None:
    """MUST-54: what is quoted names the first hop, the connection is that of the route's end."""
    peer = Peer()
    attempt, syn = peer.dialled(config=TcpConfig(ip_options=octets(IPOption_LSRR(routers=HOPS))))
    message = icmp(3, 3, syn)
    message[Raw].load = bytes(syn)[: syn.ihl * 4 + 8]
    assert (syn.dst, message.src) == (HOPS[0], ROUTER)
    peer.send(message)
    assert attempt.error is not None
    assert attempt.local[0] == US


@pytest.mark.parametrize("wrong", ["00" * 41, "83", "83010401", "44280500", "07000000"])
def test_options_that_are_none_are_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="IP options"):
        TcpConfig(ip_options=bytes.fromhex(wrong))


@given(st.binary(max_size=40), st.binary(min_size=4, max_size=4))
def test_octets_of_strangers_do_no_harm(options: bytes, address: bytes) -> None:
    back = ip_options.way_back(options)
    assert len(ip_options.target(options, address)) == 4
    if back is not None:
        ip_options.check(back)
        first, laid = ip_options.laid_out(back, address)
        assert len(first) == 4
        assert len(laid) <= ip_options.MOST
        assert ip_options.target(laid, first) == address
