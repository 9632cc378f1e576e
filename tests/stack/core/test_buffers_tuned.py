"""Buffers that follow what a connection needs: right-sizing of the window, room to write (RFC 7323 §1.1, §2.2)."""

from __future__ import annotations

from edo.options import Options
from stack.config import TcpConfig
from stack.memory import Memory
from stack.run import ACK
from tests.stack.bottleneck import run as through_a_bottleneck
from tests.stack.core.script import PLAIN, Script

SCALED = Options(mss=1460, wscale=8)
FIRST = TcpConfig().first_receive_buffer


def reading(s: Script, octets: int, *, until: int, interval: float = 0.1) -> int:
    """The peer sends ``octets`` each ``interval`` up to number ``until``, and all is read at once; the end."""
    position = s.c.rcv_nxt - s.irs
    while position < until:
        s.now += interval
        for at in range(position, position + octets, 1460):
            s.seg(at, 1, bytes(min(1460, position + octets - at)))
        position += octets
        s.c.read()
        s.take()
    return position


def test_the_window_grows_to_twice_what_is_read_in_a_round_trip() -> None:
    s = Script(TcpConfig(), offer=SCALED)
    assert s.c.receive_target == FIRST
    reading(s, 150 * 1460, until=3 * 150 * 1460)
    assert s.c.receive_target == 2 * 150 * 1460
    assert s.c.rcv_wnd > FIRST, "and the peer is told"


def test_it_does_not_grow_for_a_slow_peer() -> None:
    s = Script(TcpConfig(), offer=SCALED)
    reading(s, 20 * 1460, until=20 * 20 * 1460)
    assert s.c.receive_target == FIRST


def test_it_ends_at_the_maximum_for_which_the_shift_was_chosen() -> None:
    """RFC 7323 §2.2: the shift cannot change later."""
    config = TcpConfig(receive_buffer_most=400_000)
    s = Script(config, offer=SCALED)
    assert s.c.rcv_wscale == 3
    reading(s, 180 * 1460, until=6 * 180 * 1460)
    assert s.c.receive_target == 400_000
    assert 0xFFFF << s.c.rcv_wscale >= 400_000


def test_a_buffer_that_was_asked_for_stays() -> None:
    s = Script(TcpConfig(receive_buffer=100_000, send_buffer=50_000), offer=SCALED)
    reading(s, 60 * 1460, until=10 * 60 * 1460)
    assert s.c.receive_target == 100_000
    assert s.c.rcv_wscale == 1
    s.c.control.cwnd = 1 << 20
    assert s.c.send_buffer == 50_000


def test_nothing_grows_while_memory_is_short() -> None:
    s = Script(TcpConfig(), offer=SCALED)
    memory = Memory(1 << 20)
    s.c.open_account(memory)
    memory.charge(800_000)
    reading(s, 200 * 1460, until=3 * 200 * 1460)
    assert s.c.receive_target == FIRST
    s.c.control.cwnd = 1 << 20
    assert s.c.send_buffer == TcpConfig().first_send_buffer


def test_room_to_write_follows_the_congestion_window() -> None:
    """One window under way, one to follow it."""
    s = Script(TcpConfig(send_buffer_most=1 << 20), offer=PLAIN)
    assert s.c.send_room == FIRST
    s.c.control.cwnd = 300_000
    assert s.c.send_room == 600_000
    s.write(bytes(100_000))
    assert s.c.send_room == 500_000
    s.c.control.cwnd = 1 << 30
    assert s.c.send_buffer == 1 << 20


def test_asking_later_fixes_the_size_and_takes_nothing_back() -> None:
    s = Script(TcpConfig(), offer=SCALED)
    reading(s, 200 * 1460, until=3 * 200 * 1460)
    edge = s.c.rcv_adv
    s.c.configure(TcpConfig(receive_buffer=20_000), s.now)
    s.seg(s.c.rcv_nxt - s.irs, 1, b"x" * 1460, ACK)
    assert s.c.rcv_adv == edge
    assert s.c.receive_buffer == 20_000


def test_a_long_fat_path_is_filled() -> None:
    """20 Mbit/s and 300 ms: 750,000 octets have to be under way, three times the first buffers."""
    outcome = through_a_bottleneck(TcpConfig(), rate=20e6, rtt=0.3, seconds=6.0, warm=4.0)
    assert outcome.shares[0] > 0.75 > 2 * FIRST * 8 / 0.3 / 20e6
