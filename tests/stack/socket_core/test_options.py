"""Options: what each may be, what it reads as, and what it does to the connection."""

from __future__ import annotations

import errno
import struct
from itertools import pairwise

import pytest

from ao.md5 import Md5Key, Md5Table
from edo.codepoints import FormChoice
from edo.negotiation import EdoState
from stack.config import TcpConfig
from stack.security import Security
from stack.socket_core import FREEBSD, LINUX, OWN, Profile, SocketCore
from stack.socket_core import numbers as n
from stack.socket_core.info import information, packed
from stack.states import State

from .bench import ACK, Bench, accepted, fails


def get(core: SocketCore, level: int, name: int, bench: Bench) -> int | bytes:
    return core.getsockopt(level, name, bench.now)


def test_what_is_no_option() -> None:
    bench = Bench()
    core = bench.client()
    for level, name in ((n.SOL_SOCKET, 9999), (n.IPPROTO_TCP, 9999), (77, 1)):
        fails(errno.ENOPROTOOPT, core.setsockopt, level, name, 1)
        fails(errno.ENOPROTOOPT, core.getsockopt, level, name, bench.now)
    for name in (n.SO_ERROR, n.SO_TYPE, n.SO_ACCEPTCONN, n.SO_DOMAIN, n.SO_PROTOCOL):
        fails(errno.ENOPROTOOPT, core.setsockopt, n.SOL_SOCKET, name, 1)
    fails(errno.ENOPROTOOPT, core.setsockopt, n.IPPROTO_IPV6, n.IPV6_V6ONLY, 1)
    fails(errno.EINVAL, core.setsockopt, n.SOL_SOCKET, n.SO_KEEPALIVE, b"1")
    core.setsockopt(n.SOL_SOCKET, n.SO_KEEPALIVE, struct.pack("i", 1))
    assert get(core, n.SOL_SOCKET, n.SO_KEEPALIVE, bench) == 1
    fails(errno.EOPNOTSUPP, core.setsockopt, n.SOL_SOCKET, n.SO_OOBINLINE, 0)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        (n.TCP_KEEPIDLE, (1, 32767), (0, 32768)),
        (n.TCP_KEEPINTVL, (1, 32767), (0, 32768)),
        (n.TCP_KEEPCNT, (1, 127), (0, 128)),
        (n.TCP_SYNCNT, (1, 127), (0, 128)),
        (n.TCP_MAXSEG, (88, 32767), (87, 32768, -1)),
        (n.TCP_USER_TIMEOUT, (0, 1000), (-1,)),
        (n.TCP_NOTSENT_LOWAT, (0, 1 << 20), ()),
    ],
)
def test_bounds(name: int, good: tuple[int, ...], bad: tuple[int, ...]) -> None:
    bench = Bench()
    core = bench.client()
    for value in good:
        core.setsockopt(n.IPPROTO_TCP, name, value)
        assert get(core, n.IPPROTO_TCP, name, bench) == (value or (536 if name == n.TCP_MAXSEG else 0))
    for value in bad:
        fails(errno.EINVAL, core.setsockopt, n.IPPROTO_TCP, name, value)
        assert get(core, n.IPPROTO_TCP, name, bench) == good[-1]


@pytest.mark.parametrize(
    ("profile", "reads", "least"), [(OWN, 50_000, 2048), (LINUX, 100_000, 2304), (FREEBSD, 50_000, 2048)]
)
def test_buffers_by_profile(profile: Profile, reads: int, least: int) -> None:
    bench = Bench(profile=profile)
    core = bench.client()
    for name in (n.SO_RCVBUF, n.SO_SNDBUF):
        core.setsockopt(n.SOL_SOCKET, name, 50_000)
        assert get(core, n.SOL_SOCKET, name, bench) == reads
        core.setsockopt(n.SOL_SOCKET, name, 1)
        assert get(core, n.SOL_SOCKET, name, bench) == least
        core.setsockopt(n.SOL_SOCKET, name, -1)
        assert get(core, n.SOL_SOCKET, name, bench) == profile.largest_buffer


def test_buffers_rounded_to_segments() -> None:
    bench = Bench(config=TcpConfig(round_buffers=True))
    listener, client = bench.listener(), bench.client()
    client.setsockopt(n.SOL_SOCKET, n.SO_SNDBUF, 50_000)
    client.connect(bench.host, 80, bench.now)
    bench.run()
    # 35 segments of 1460 octets.
    assert get(client, n.SOL_SOCKET, n.SO_SNDBUF, bench) == 51_100
    assert accepted(listener.accept(bench.now)).connected


def test_the_receive_buffer_is_the_window() -> None:
    bench = Bench()
    listener, client = bench.listener(), bench.client()
    listener.setsockopt(n.SOL_SOCKET, n.SO_RCVBUF, 30_000)
    client.setsockopt(n.SOL_SOCKET, n.SO_RCVBUF, 20_000)
    client.connect(bench.host, 80, bench.now)
    bench.run()
    syn, syn_ack = bench.seen()[:2]
    assert (syn.window, syn_ack.window) == (20_000, 30_000)


def test_the_largest_segment() -> None:
    bench = Bench()
    client, _ = bench.pair()
    assert get(client, n.IPPROTO_TCP, n.TCP_MAXSEG, bench) == 1448
    small = bench.client()
    bench.listener()
    assert get(small, n.IPPROTO_TCP, n.TCP_MAXSEG, bench) == 536
    small.setsockopt(n.IPPROTO_TCP, n.TCP_MAXSEG, 500)
    small.connect(bench.host, 80, bench.now)
    bench.run()
    began = bench.now
    small.send(bytes(2000), 0, bench.now)
    bench.run()
    sizes = [len(segment.payload) for segment in bench.seen(began, True) if segment.payload]
    # 12 of the 500 octets are the timestamps option's (RFC 6691 §2).
    assert max(sizes) == get(small, n.IPPROTO_TCP, n.TCP_MAXSEG, bench) == 488


def test_nagle_and_no_delay() -> None:
    for nodelay, segments in ((0, 1), (1, 3)):
        bench = Bench()
        client, _ = bench.pair()
        client.setsockopt(n.IPPROTO_TCP, n.TCP_NODELAY, nodelay)
        assert get(client, n.IPPROTO_TCP, n.TCP_NODELAY, bench) == nodelay
        began = bench.now
        for _ in range(3):
            client.send(b"x", 0, bench.now)
            bench.wire.flush()
        assert len([segment for segment in bench.seen(began, True) if segment.payload]) == segments


def test_quick_acknowledgments() -> None:
    for quick, most in ((1, 0.011), (0, 0.2)):
        bench = Bench()
        client, server = bench.pair()
        server.setsockopt(n.IPPROTO_TCP, n.TCP_QUICKACK, quick)
        assert get(server, n.IPPROTO_TCP, n.TCP_QUICKACK, bench) == quick
        began = bench.now
        client.send(b"x", 0, bench.now)
        bench.run()
        acknowledged = bench.seen(began, False)[0].at - began
        assert (acknowledged < 0.011) is bool(quick)
        assert acknowledged < most


def test_keepalive_probes_and_gives_up() -> None:
    deaf = [False]
    bench = Bench(tap=lambda packet, *_: [] if deaf[0] else [(0.0, packet)])
    client, _ = bench.pair()
    for name, value in ((n.TCP_KEEPIDLE, 10), (n.TCP_KEEPINTVL, 5), (n.TCP_KEEPCNT, 3)):
        client.setsockopt(n.IPPROTO_TCP, name, value)
    client.setsockopt(n.SOL_SOCKET, n.SO_KEEPALIVE, 1)
    began = bench.now
    bench.run(25)
    # They are answered.
    assert len(bench.seen(began + 1, True)) == 2
    assert client.connected
    deaf[0] = True
    began = bench.now
    assert bench.run(60, lambda: client.pending_error != 0)
    assert client.pending_error == errno.ETIMEDOUT
    probes = [segment.at - began for segment in bench.seen(began, True) if segment.flags == ACK]
    assert [round(after - before) for before, after in pairwise(probes)] == [5, 5]


def test_marks_of_the_ip_header() -> None:
    bench = Bench()
    client, _ = bench.pair()
    for value in (0, 256, -2):
        fails(errno.EINVAL, client.setsockopt, n.IPPROTO_IP, n.IP_TTL, value)
    client.setsockopt(n.IPPROTO_IP, n.IP_TTL, 7)
    client.setsockopt(n.IPPROTO_IP, n.IP_TOS, 0xB9)
    # The last two bits are ECN's, and TCP's own (RFC 3168 §5).
    assert get(client, n.IPPROTO_IP, n.IP_TOS, bench) == 0xB8
    began = bench.now
    client.send(b"x", 0, bench.now)
    bench.run(0.001)
    assert {(segment.ttl, segment.tos) for segment in bench.seen(began, True)} == {(7, 0xB8)}
    client.setsockopt(n.IPPROTO_IP, n.IP_TTL, -1)
    assert get(client, n.IPPROTO_IP, n.IP_TTL, bench) == 64


def test_controllers_by_name() -> None:
    bench = Bench()
    client, _ = bench.pair()
    assert bytes(get(client, n.IPPROTO_TCP, n.TCP_CONGESTION, bench)).rstrip(b"\0") == b"cubic"
    fails(errno.ENOENT, client.setsockopt, n.IPPROTO_TCP, n.TCP_CONGESTION, b"nope")
    fails(errno.EINVAL, client.setsockopt, n.IPPROTO_TCP, n.TCP_CONGESTION, 1)
    client.setsockopt(n.IPPROTO_TCP, n.TCP_CONGESTION, b"reno\0")
    assert get(client, n.IPPROTO_TCP, n.TCP_CONGESTION, bench) == b"reno".ljust(16, b"\0")
    assert client.send(b"x", 0, bench.now) == 1


def test_the_window_clamp() -> None:
    bench = Bench()
    listener, client = bench.listener(), bench.client()
    client.setsockopt(n.IPPROTO_TCP, n.TCP_WINDOW_CLAMP, 5000)
    assert get(client, n.IPPROTO_TCP, n.TCP_WINDOW_CLAMP, bench) == 5000
    fails(errno.EINVAL, client.setsockopt, n.IPPROTO_TCP, n.TCP_WINDOW_CLAMP, -1)
    client.connect(bench.host, 80, bench.now)
    bench.run()
    assert bench.seen()[0].window == 5000
    assert accepted(listener.accept(bench.now)).connected


def test_info() -> None:
    bench = Bench(config=TcpConfig(receive_buffer=20_000))
    client, _ = bench.pair()
    client.send(bytes(30_000), 0, bench.now)
    bench.run()
    info = client.info()
    assert info["state"] == "ESTABLISHED"
    assert info["tcpi_state"] == 1
    assert 19_000 <= int(info["tcpi_rtt"]) <= 80_000
    assert info["tcpi_snd_mss"] == 1448
    assert int(info["tcpi_notsent_bytes"]) >= 10_000
    octets = get(client, n.IPPROTO_TCP, n.TCP_INFO, bench)
    assert isinstance(octets, bytes)
    # struct tcp_info of linux/tcp.h: eight octets, then numbers of 32 bits, of which rtt is the 16th.
    assert octets[0] == 1
    assert struct.unpack_from("I", octets, 8 + 4 * 15)[0] == info["tcpi_rtt"]
    assert struct.unpack_from("I", octets, 8 + 4 * 2)[0] == 1448
    assert octets[6] & 15 == info["tcpi_snd_wscale"]
    fresh = bench.client()
    assert fresh.info()["state"] == "CLOSED"
    assert bench.listener().info()["state"] == "LISTEN"
    nothing = information(None, State.CLOSED, 0.0)
    assert len(packed(nothing)) == len(octets)


def test_edo_is_switched_by_the_option_of_a_prototype() -> None:
    """0 is off, 1 the short form, 2 the long one; before it connects or listens (EDO N6)."""
    bench = Bench()
    listener, core = bench.server(), bench.client()
    assert get(core, n.IPPROTO_TCP, n.TCP_EXT_DATA_OFFSET, bench) == 0
    fails(errno.EINVAL, core.setsockopt, n.IPPROTO_TCP, n.TCP_EXT_DATA_OFFSET, 3)
    for value in (1, 0, 2):
        core.setsockopt(n.IPPROTO_TCP, n.TCP_EXT_DATA_OFFSET, value)
        assert get(core, n.IPPROTO_TCP, n.TCP_EXT_DATA_OFFSET, bench) == value
    listener.setsockopt(n.IPPROTO_TCP, n.TCP_EXT_DATA_OFFSET, struct.pack("i", 1))
    listener.bind("", 80)
    listener.listen(5)
    core.connect(bench.host, 80, bench.now)
    bench.run()
    child = accepted(listener.accept(bench.now))
    child.send(b"!", 0, bench.now)
    bench.run()
    for end, form in ((core, FormChoice.LONG), (child, FormChoice.SHORT)):
        edo = end._attempt.flow.edo  # type: ignore[union-attr]
        assert (edo.state, edo.dialect.form) == (EdoState.CONFIRMED, form)
        fails(errno.EISCONN, end.setsockopt, n.IPPROTO_TCP, n.TCP_EXT_DATA_OFFSET, 0)
    signed = Security("md5", md5_keys=Md5Table([Md5Key("key", b"secret")]))
    other = bench.client()
    other.set_protection(signed)
    fails(errno.EINVAL, other.setsockopt, n.IPPROTO_TCP, n.TCP_EXT_DATA_OFFSET, 2)
    assert other.protection is signed
