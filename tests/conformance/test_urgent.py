"""Urgent data: RFC 9293 §3.8.5, RFC 6093."""

from __future__ import annotations

from scapy.layers.inet import TCP

from edo.options import Options
from stack.config import TcpConfig
from stack.events import Readable, Urgent
from stack.run import ACK, SYN, URG, Run
from stack.states import State
from tests.conformance.peer import Peer
from tests.stack.core.script import IRS, ISS, PLAIN, Script


def urgent(s: Script, seq: int, data: bytes, pointer: int) -> None:
    """The peer sends a segment whose urgent field is ``pointer``."""
    run = s.make(seq, 1, data, ACK | URG)
    run.urgent = pointer
    s.batch(run)


def test_a_pointer_is_told_and_what_is_left_can_be_asked() -> None:
    """MUST-30, MUST-32, MUST-33: the application learns of it at once, whether or not the octets have come."""
    s = Script()
    urgent(s, 1, b"abc", 10)
    assert s.events() == [Urgent(), Readable()]
    assert s.c.urgent == 10
    assert s.c.read(2) == b"ab"
    assert s.c.urgent == 8
    urgent(s, 4, b"defgh", 7)
    assert s.events() == [Readable()], "the pointer has not advanced"
    urgent(s, 9, b"ij", 5)
    assert s.events() == [Urgent(), Readable()]
    assert s.c.urgent == 11
    s.seg(11, 1, b"klmn")
    assert s.c.read() == b"cdefghijklmn"
    assert s.c.urgent == 0


def test_the_pointer_is_the_octet_behind_urgent_data() -> None:
    """MUST-62: what is urgent ends before it."""
    s = Script()
    urgent(s, 1, b"!rest", 1)
    assert s.c.urgent == 1
    assert s.c.read(1) == b"!"
    assert s.c.urgent == 0
    s.c.write(b"now!", urgent=True)
    s.c.write(b" later")
    (run,) = s.take()
    assert run.urgent == 4


def test_pointers_that_cannot_be_do_no_harm() -> None:
    """RFC 9293 §3.8.5: a pointer that recedes, lies behind what was read, or beyond the FIN."""
    s = Script()
    s.seg(1, 1, b"x" * 100)
    s.c.read()
    s.events()
    urgent(s, 1, b"x" * 100, 50)
    assert s.events() == []
    assert s.c.urgent == 0
    urgent(s, 101, b"", 0)
    assert s.events() == []
    urgent(s, 101, b"y", 0xFFFF)
    assert s.c.urgent == 0xFFFF
    s.seg(102, 1, b"", 0x11)
    assert s.c.urgent == 1
    s.c.read()
    assert s.c.urgent == 0
    assert s.state() is State.CLOSE_WAIT


def test_urgent_octets_stay_in_the_stream() -> None:
    """RFC 6093 §6: no octet is taken out of band."""
    s = Script()
    urgent(s, 1, b"abcdef", 3)
    assert s.c.read() == b"abcdef"


def test_urgent_data_of_any_length() -> None:
    """MUST-31: more than the 16 bits of the field, told by every segment that precedes its end."""
    peer = Peer(TcpConfig(initial_window=200))
    attempt = peer.opened((("MSS", 1460), ("WScale", 4)))
    peer.send(peer.segment())
    attempt.write(b"u" * 100_000, urgent=True)
    attempt.write(b"n" * 20_000)
    sent = peer.take()
    end = peer.ack + 100_000
    assert sum(len(packet[TCP].payload) for packet in sent) == 120_000
    for packet in sent:
        tcp = packet[TCP]
        left = (end - tcp.seq) & 0xFFFFFFFF
        if left < 1 << 31 and left > 0:
            assert tcp.flags.U
            assert tcp.urgptr == min(left, 0xFFFF)
        else:
            assert not tcp.flags.U
            assert tcp.urgptr == 0


def test_urgent_data_received_of_any_length() -> None:
    """MUST-31, MUST-32: each advance of the pointer is told."""
    s = Script()
    told = 0
    for n in range(100):
        urgent(s, 1 + n * 1000, b"u" * 1000, 0xFFFF)
        told += sum(isinstance(event, Urgent) for event in s.events())
        assert len(s.c.read()) == 1000
        s.take()
    assert told == 100
    assert s.c.urgent == 0xFFFF - 1000


def test_a_pointer_crosses_a_closed_window() -> None:
    """MUST-66, and RFC 9293 §3.10.2: it is told and taken where no octet can be."""
    s = Script(TcpConfig(receive_buffer=1000))
    s.seg(1, 1, b"x" * 1000)
    s.events()
    assert s.c.rcv_wnd == 0
    urgent(s, 1001, b"!", 1)
    assert s.events() == [Urgent()]
    assert s.c.urgent == 1001
    urgent(s, 1001, b"", 5)
    assert s.events() == [Urgent()]
    sender = Script(window=0)
    sender.c.write(b"now!", urgent=True)
    (told,) = sender.take()
    assert (told.length, told.urgent) == (0, 4)


def test_urgent_octets_do_not_wait_for_nagle() -> None:
    s = Script()
    assert len(s.write(b"first")) == 1
    s.c.write(b"now", urgent=True)
    (run,) = s.take()
    assert run.urgent == run.length == 3


def test_a_repeated_segment_points_to_the_same_octet() -> None:
    s = Script()
    s.c.write(b"now!", urgent=True)
    s.take()
    (again,) = s.wait(s.c.rtt.rto)
    assert again.urgent == 4
    s.seg(1, 5)
    s.c.write(b"plain")
    (plain,) = s.take()
    assert plain.urgent == 0
    (ack,) = s.seg(1, 5, b"x" * 3000)
    assert ack.urgent == 0


def test_a_pointer_with_the_syn_ack() -> None:
    """RFC 9293 §3.10.7.3: other controls of the segment go on at the sixth step."""
    s = Script(establish=False)
    s.c.connect(s.now)
    s.take()
    s.batch(Run(IRS, ISS + 1, SYN | ACK | URG, 4096, PLAIN, [memoryview(b"hi")], 2, urgent=3))
    assert s.c.urgent == 2
    late = Script(establish=False)
    late.c.accept(Run(IRS, 0, SYN, 4096, Options(mss=1460)), late.now)
    late.take()
    urgent(late, 1, b"!", 1)
    assert late.c.urgent == 1


def test_octets_written_before_the_connection_stands_may_be_urgent() -> None:
    peer = Peer()
    attempt, _ = peer.dialled()
    attempt.write(b"calm")
    attempt.write(b"now!", urgent=True)
    attempt.write(b"calm")
    sent = peer.send(peer.segment("SA"))
    data = next(packet for packet in sent if packet[TCP].payload)
    assert data[TCP].flags.U
    assert data[TCP].urgptr == 8
    peer.seq += 1
    peer.ack = data[TCP].seq + 12
    peer.send(peer.segment("UA", b"!", urgent=1))
    assert attempt.urgent == 1
    assert attempt.read() == b"!"
