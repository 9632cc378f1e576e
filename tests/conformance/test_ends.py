"""Acknowledging, resets and the layer below: RFC 9293 §3.5.2, §3.8.6.3, §3.9.1.9, §3.9.2, §3.10.7.4."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, TCP, IPOption_LSRR, IPOption_RR, IPOption_Timestamp
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from stack.batch import Batch
from stack.config import TcpConfig
from stack.host import Stack
from stack.run import ACK, RST
from stack.states import State
from tests.conformance.peer import Peer
from tests.stack.core.script import Script


def test_a_reset_may_carry_data() -> None:
    """SHLD-2: it resets all the same, in the synchronized states and in SYN-SENT."""
    s = Script()
    assert s.seg(1, 1, b"because of this", RST) == []
    assert s.state() is State.CLOSED
    assert s.c.read() == b""
    peer = Peer()
    attempt, _ = peer.dialled()
    peer.send(peer.segment("RA", b"no"))
    assert attempt.error is not None


def test_an_acknowledgment_is_never_late() -> None:
    """MUST-40, SHLD-18: below half a second, whatever is configured."""
    for delay in (0.5, 0.6, -0.1):
        with pytest.raises(ValueError, match="less than half a second"):
            TcpConfig(delayed_ack=delay)
    for config in (TcpConfig(), TcpConfig(delayed_ack=0.49)):
        s = Script(config)
        assert s.seg(1, 1, b"a") == []
        (ack,) = s.wait(0.499)
        assert s.ack(ack) == 2


def test_octets_beyond_a_hole_are_kept() -> None:
    """SHLD-31, MAY-13."""
    s = Script()
    (ack,) = s.seg(4, 1, b"def")
    assert s.ack(ack) == 1
    (ack,) = s.seg(1, 1, b"abc")
    assert s.ack(ack) == 7
    assert s.c.read() == b"abcdef"


def test_half_duplex_close_says_that_data_are_lost() -> None:
    """MAY-1, SHLD-3, MUST-12: what nobody will read is answered with RST; an orderly end is told as such."""
    peer = Peer()
    attempt = peer.opened()
    peer.send(peer.segment(data=b"unread"))
    attempt.close()
    (reset,) = peer.take()
    assert reset[TCP].flags.R
    assert attempt.error is not None
    peer = Peer()
    attempt = peer.opened()
    attempt.close()
    (fin,) = peer.take()
    assert fin[TCP].flags == "FA"
    peer.ack += 1
    (reset,) = peer.send(peer.segment(data=b"too late"))
    assert reset[TCP].flags.R
    peer = Peer()
    attempt = peer.opened()
    peer.send(peer.segment("FA"))
    attempt.close()
    peer.take()
    peer.seq += 1
    peer.ack += 1
    peer.send(peer.segment())
    assert attempt.finished is not None
    assert attempt.error is None


def test_ttl_and_dscp_are_the_applications() -> None:
    """MUST-48, MUST-49, SHLD-21, SHLD-22: from the SYN on, in every segment, and changed at any time."""
    peer = Peer(TcpConfig(ttl=7, dscp=46))
    attempt, syn = peer.dialled()
    assert (syn.ttl, syn.tos) == (7, 46 << 2)
    attempt.write(b"data")
    sent = peer.send(peer.segment("SA")) + peer.wait(1.0)
    assert {(packet.ttl, packet.tos) for packet in sent} == {(7, 46 << 2)}
    attempt.mark(dscp=8)
    attempt.mark(ttl=255)
    sent = peer.wait(10.0)
    assert {(packet.ttl, packet.tos) for packet in sent} == {(255, 8 << 2)}
    for wrong in (64, -1):
        with pytest.raises(ValueError, match="dscp 0-63"):
            attempt.mark(dscp=wrong)
    stack = Stack(["fd00::2"], random=bytes, config=TcpConfig(ttl=9, dscp=63))
    stack.connect(("fd00::9", 80), now=1.0)
    packet = IPv6(bytes(stack.take_output(1.0).packets[0]))
    assert (packet.hlim, packet.tc) == (9, 63 << 2)
    assert IPv6(bytes(packet)).version == 6


def test_a_listeners_connections_have_the_stacks_ttl() -> None:
    """MUST-49: SYN-ACK and resets too."""
    peer = Peer(TcpConfig(ttl=3))
    peer.stack.listen(80)
    for port, flags in ((80, "SA"), (81, "RA")):
        peer.ours = port
        (answer,) = peer.send(peer.segment("S"))
        assert (answer[TCP].flags, answer.ttl) == (flags, 3)


@pytest.mark.parametrize(
    "option",
    [IPOption_RR(routers=["0.0.0.0"] * 3), IPOption_Timestamp(), IPOption_LSRR(routers=["10.9.9.9"], pointer=8)],
)
def test_ip_options_are_passed_over(option: object) -> None:
    """MUST-50: and none is sent back."""
    peer = Peer()
    attempt = peer.opened()
    segment = peer.segment(data=b"data")
    packet = IP(src=segment.src, dst=segment.dst, proto=6, options=[option]) / Raw(bytes(segment)[20:])
    peer.stack.receive(Batch([bytes(packet)]), peer.now)
    assert attempt.read() == b"data"
    assert {answer.ihl for answer in peer.wait(1.0)} == {5}


def test_an_aggregate_is_acknowledged_once() -> None:
    """MUST-58, MUST-59: what arrived together is processed before anything is acknowledged."""
    peer = Peer()
    peer.opened()
    segments = []
    for _ in range(8):
        segments.append(peer.segment(data=bytes(1000)))
        peer.seq += 1000
    (ack,) = peer.send(*segments)
    assert (ack[TCP].ack, ack[TCP].flags) == (peer.seq, "A")


def test_acknowledgments_of_data_never_sent_are_challenged() -> None:
    """MAY-12, RFC 5961 §5: blind injection."""
    s = Script(window=1000)
    (answer,) = s.seg(1, 2, b"injected")
    assert (answer.flags, answer.length) == (ACK, 0)
    (answer,) = s.seg(1, -2000, b"injected")
    assert s.c.readable == 0
