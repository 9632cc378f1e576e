"""What poll and epoll say: levels in every phase, edges, and who is called when."""

from __future__ import annotations

from stack.config import TcpConfig
from stack.socket_core import Event
from stack.socket_core.numbers import SHUT_RD, SHUT_RDWR, SHUT_WR

from .bench import Bench, accepted

NOTHING = Event(0)
OPEN = Event.WRITABLE | Event.CONNECTED


def test_levels_while_opening() -> None:
    bench = Bench()
    client = bench.client()
    assert client.ready(bench.now) == Event.WRITABLE | Event.HANGUP
    listener = bench.listener()
    assert listener.ready(bench.now) == NOTHING
    client.connect(bench.host, 80, bench.now)
    assert client.ready(bench.now) == NOTHING
    bench.run()
    assert client.ready(bench.now) == OPEN
    assert listener.ready(bench.now) == Event.READABLE | Event.ACCEPTABLE
    server = accepted(listener.accept(bench.now))
    assert listener.ready(bench.now) == NOTHING
    assert server.ready(bench.now) == OPEN


def test_levels_of_a_refused_connection() -> None:
    bench = Bench()
    client = bench.client()
    client.connect(bench.host, 80, bench.now)
    bench.run()
    over = Event.READABLE | Event.WRITABLE | Event.HANGUP | Event.PEER_HANGUP | Event.CONNECTED | Event.CLOSED
    assert client.ready(bench.now) == over | Event.ERROR
    # The bits of poll(2) are the low ones.
    assert int(client.ready(bench.now)) & 0xFFFF == 0x201D


def test_levels_of_half_closes() -> None:
    bench = Bench()
    client, server = bench.pair()
    client.shutdown(SHUT_WR, bench.now)
    # Sending would not wait: it fails at once.
    assert client.ready(bench.now) == OPEN
    bench.run()
    assert server.ready(bench.now) == OPEN | Event.READABLE | Event.PEER_HANGUP
    server.shutdown(SHUT_WR, bench.now)
    assert server.ready(bench.now) & Event.HANGUP
    one, other = Bench().pair()
    one.shutdown(SHUT_RD, bench.now)
    assert one.ready(bench.now) == OPEN | Event.READABLE | Event.PEER_HANGUP
    other.shutdown(SHUT_RDWR, bench.now)
    assert other.ready(bench.now) & (Event.HANGUP | Event.READABLE) == Event.HANGUP | Event.READABLE


def test_an_edge_for_everything_that_happens() -> None:
    bench = Bench(config=TcpConfig(send_buffer=5000))
    client = bench.client()
    listener = bench.listener()
    assert client.take_edge(bench.now) == NOTHING
    client.connect(bench.host, 80, bench.now)
    assert client.take_edge(bench.now) == NOTHING
    bench.run()
    assert client.take_edge(bench.now) == OPEN
    assert client.take_edge(bench.now) == NOTHING
    assert listener.take_edge(bench.now) & Event.READABLE
    assert listener.take_edge(bench.now) == NOTHING
    server = accepted(listener.accept(bench.now))
    server.take_edge(bench.now)
    for octets in (b"first", b"second"):
        # New octets are news, though those before them were not read.
        client.send(octets, 0, bench.now)
        bench.run()
        assert server.take_edge(bench.now) & Event.READABLE
        assert server.take_edge(bench.now) == NOTHING
    # Room is news for those alone who have met a full buffer.
    client.take_edge(bench.now)
    client.send(b"fits", 0, bench.now)
    bench.run()
    assert client.take_edge(bench.now) == NOTHING
    assert client.send(bytes(6000), 0, bench.now) == 5000
    assert client.take_edge(bench.now) == NOTHING
    bench.run()
    assert client.take_edge(bench.now) & Event.WRITABLE
    server.recv(1 << 20, 0, bench.now)
    client.shutdown(SHUT_WR, bench.now)
    bench.run()
    assert server.take_edge(bench.now) & Event.PEER_HANGUP
    server.abort(bench.now)
    bench.run()
    assert client.take_edge(bench.now) & Event.ERROR


def test_who_waits_is_told() -> None:
    bench = Bench()
    listener, client = bench.listener(), bench.client()
    told: list[str] = []
    listener.on_ready = lambda: told.append("listener")
    client.on_ready = lambda: told.append("client")
    client.connect(bench.host, 80, bench.now)
    bench.run()
    assert set(told) == {"listener", "client"}
    server = accepted(listener.accept(bench.now))
    told.clear()
    server.send(b"x", 0, bench.now)
    bench.run()
    assert told[0] == "client"
    told.clear()
    # What a call on the socket itself changes is told, too: another thread may wait for it.
    client.shutdown(SHUT_RD, bench.now)
    assert told == ["client"]
    told.clear()
    listener.shutdown(SHUT_RD, bench.now)
    assert told == ["listener"]
