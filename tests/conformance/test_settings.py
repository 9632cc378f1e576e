"""What the application chooses for each connection, at its beginning and while it lasts: RFC 9293 §3.9.1."""

from __future__ import annotations

import errno
from dataclasses import replace

from scapy.layers.inet import TCP
from scapy.packet import Packet

from stack.config import TcpConfig
from stack.socket_core import SocketCore
from stack.socket_core.numbers import AF_INET, MSG_MORE
from stack.states import State
from tests.conformance.peer import ISN, THEM, Peer
from tests.stack.core.script import Script


def texts(peer: Peer) -> list[bytes]:
    """Payloads that are sent now."""
    return [bytes(packet[TCP].payload) for packet in peer.take() if packet[TCP].payload]


def test_nagle_is_a_choice_of_each_connection() -> None:
    """MUST-17."""
    for config, second in ((None, []), (TcpConfig(nagle=False), [b"two"])):
        peer = Peer()
        attempt, _ = peer.dialled(config=config)
        peer.send(peer.segment("SA"))
        attempt.write(b"one")
        assert texts(peer) == [b"one"]
        attempt.write(b"two")
        assert texts(peer) == second
    peer = Peer()
    attempt = peer.opened()
    attempt.write(b"one")
    peer.take()
    attempt.write(b"two")
    assert texts(peer) == []
    attempt.configure(replace(attempt.flow.connection.config, nagle=False))
    assert texts(peer) == [b"two"]


def test_a_send_is_pushed_unless_more_is_said_to_follow() -> None:
    """MAY-15: MSG_MORE is a SEND without PUSH."""
    peer = Peer()
    core = SocketCore(peer.stack, family=AF_INET)
    core.connect(THEM, 999, peer.now)
    (syn,) = peer.take()
    peer.ours, peer.ack = syn[TCP].sport, syn[TCP].seq + 1
    peer.send(peer.segment("SA"))
    core.send(b"one ", MSG_MORE, peer.now)
    assert peer.take() == []
    core.send(b"two", 0, peer.now)
    (sent,) = peer.take()
    assert bytes(sent[TCP].payload) == b"one two"
    assert sent[TCP].flags == "PA"


def test_keepalives_are_a_choice_of_each_connection() -> None:
    """MUST-24."""
    peer = Peer()
    attempt = peer.opened()
    config = attempt.flow.connection.config
    attempt.configure(replace(config, keepalive=True, keepalive_idle=30.0))
    assert peer.wait(29.0) == []
    (probe,) = peer.wait(1.5)
    assert probe[TCP].seq == (peer.ack - 1) & 0xFFFFFFFF
    peer.send(peer.segment())
    attempt.configure(config)
    assert peer.wait(100_000.0) == []


def test_keepalives_may_be_chosen_from_the_beginning() -> None:
    """MUST-24."""
    peer = Peer()
    peer.stack.listen(80, config=TcpConfig(keepalive=True, keepalive_idle=30.0))
    (answer,) = peer.send(peer.segment("S"))
    peer.seq, peer.ack = ISN + 1, answer[TCP].seq + 1
    peer.send(peer.segment())
    assert peer.wait(29.0) == []
    assert len(peer.wait(1.0)) == 1


def test_the_user_timeout_ends_it_and_sends_nothing_more() -> None:
    """MUST-21: three retransmissions fit into three seconds, whatever the number allowed."""
    s = Script(TcpConfig(user_timeout=3.0))
    s.write(b"anyone?")
    assert len(s.wait(2.99)) == 3
    assert s.state() is State.ESTABLISHED
    assert s.wait(100.0) == []
    assert s.state() is State.CLOSED


def test_r2_is_a_choice_of_each_connection() -> None:
    """MUST-21: a user timeout, or a number of retransmissions."""
    for config in (TcpConfig(user_timeout=3.0), TcpConfig(data_retries=2)):
        peer = Peer()
        attempt, _ = peer.dialled(config=config)
        peer.send(peer.segment("SA"))
        attempt.write(b"anyone?")
        peer.wait(10.0)
        assert attempt.error is not None
        assert attempt.error.errno == errno.ETIMEDOUT


def test_a_listeners_settings_are_those_of_its_connections() -> None:
    peer = Peer()
    peer.stack.listen(80, config=TcpConfig(ttl=9, dscp=10))
    (answer,) = peer.send(peer.segment("S"))
    assert (answer.ttl, answer.tos) == (9, 10 << 2)


def test_a_smaller_buffer_does_not_take_back_the_window() -> None:
    """SHLD-14: the right edge stays, whatever the application does."""
    peer = Peer(TcpConfig(receive_buffer=20_000))
    attempt = peer.opened()
    edge = peer.seq + 20_000
    attempt.configure(replace(attempt.flow.connection.config, receive_buffer=2000))
    for _ in range(10):
        peer.seq += 1
        answers = peer.send(repeated(peer)) + peer.wait(1.0)
        for answer in answers:
            tcp = answer[TCP]
            assert tcp.ack + tcp.window >= edge


def repeated(peer: Peer) -> Packet:
    """A segment that repeats the last octet, so that it is answered."""
    peer.seq -= 1
    segment = peer.segment(data=b"x")
    peer.seq += 1
    return segment


def test_reading_tells_of_no_window_that_cannot_be_larger() -> None:
    """Without window scale 65,535 octets are the most that can be told (RFC 9293 §3.8.6.2.2)."""
    peer = Peer()
    attempt = peer.opened()
    for _ in range(5):
        peer.send(peer.segment(data=b"x"))
        peer.seq += 1
        assert attempt.read() == b"x"
        assert peer.take() == [], "the acknowledgment is still delayed"
    assert peer.seq == ISN + 6
    assert attempt.peer[0] == THEM
