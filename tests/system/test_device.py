"""A real TUN in a real namespace."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stack.icmp import take
from stack.ip import ICMP, Ip, IpTemplate, address_octets, parse
from tun.device import Tun
from tun.errors import TunError
from tun.netns import Namespace

pytestmark = pytest.mark.tun

HOST, STACK, HOST6, STACK6 = "10.77.0.1", "10.77.0.2", "fd77::1", "fd77::2"


@pytest.fixture
def space(fresh_name: Callable[[str], str]) -> Iterator[Namespace]:
    with Namespace(fresh_name("dev")) as made:
        yield made


@pytest.fixture
def tun(space: Namespace) -> Iterator[Tun]:
    with Tun("et0", [f"{STACK}/24", f"{STACK6}/64"], [HOST, HOST6], netns=space.name, mtu=1400) as made:
        yield made


def udp(space: Namespace, family: int = socket.AF_INET) -> socket.socket:
    return space.call(lambda: socket.socket(family, socket.SOCK_DGRAM))


def read_some(tun: Tun, limit: int = 64) -> list[bytes]:
    assert select.select([tun], [], [], 5)[0], "no packet came"
    return [bytes(packet) for packet in tun.read_batch(limit).packets]


def output(space: Namespace, *command: str) -> str:
    return str(space.run(command, capture_output=True, text=True, check=True).stdout)


def test_device_is_set_up_in_the_namespace_only(space: Namespace, tun: Tun) -> None:
    link = output(space, "ip", "link", "show", "et0")
    assert "mtu 1400" in link
    assert "qlen 10000" in link
    assert "UP" in link
    addresses = output(space, "ip", "addr", "show", "et0")
    assert f"inet {HOST}/24" in addresses
    assert f"inet6 {HOST6}/64 scope global nodad" in addresses
    assert "fe80" not in addresses
    assert f"{STACK} dev et0" in output(space, "ip", "route")
    assert f"{STACK6} dev et0" in output(space, "ip", "-6", "route")
    assert "et0" not in {name for _, name in socket.if_nameindex()}


def test_packets_go_both_ways(space: Namespace, tun: Tun) -> None:
    for host, stack, family in ((HOST, STACK, socket.AF_INET), (HOST6, STACK6, socket.AF_INET6)):
        with udp(space, family) as peer:
            peer.settimeout(5)
            peer.bind((host, 4000))
            peer.sendto(b"there", (stack, 5000))
            (packet,) = read_some(tun)
            ip = parse(packet)
            assert isinstance(ip, Ip)
            assert ip.payload(packet)[8:] == b"there"
            # The kernel's own datagram with its ports and addresses exchanged has the same checksum.
            answer = bytearray(IpTemplate(ip.destination, ip.source, protocol=17).header(13) + ip.payload(packet))
            at = len(answer) - 13
            answer[at : at + 4] = answer[at + 2 : at + 4] + answer[at : at + 2]
            answer[at + 6 : at + 8] = udp_checksum(bytes(answer), at)
            tun.write([bytes(answer)])
            assert peer.recvfrom(100)[:2][0] == b"there"
    assert tun.written == 2


def udp_checksum(packet: bytes, at: int) -> bytes:
    from scapy.layers.inet import IP, UDP
    from scapy.layers.inet6 import IPv6

    whole = (IP if packet[0] >> 4 == 4 else IPv6)(packet)
    whole[UDP].chksum = None
    return bytes(whole)[at + 6 : at + 8]


def test_batches_are_bounded_and_nothing_waits_in_the_end(space: Namespace, tun: Tun) -> None:
    with udp(space) as peer:
        for number in range(100):
            peer.sendto(bytes([number]), (STACK, 9))
    first = read_some(tun, 64)
    assert len(first) == 64
    rest = tun.read_batch(64).packets
    assert [packet[-1] for packet in first + rest] == list(range(100))
    assert tun.read_batch().packets == []


def test_a_new_device_is_silent(space: Namespace, tun: Tun) -> None:
    assert not select.select([tun], [], [], 0.3)[0]


def test_the_queue_is_long(space: Namespace, tun: Tun) -> None:
    with udp(space) as peer:
        peer.setsockopt(socket.SOL_SOCKET, 32, 1 << 24)  # SO_SNDBUFFORCE
        for _ in range(2000):
            peer.sendto(bytes(100), (STACK, 9))
    got = 0
    while batch := tun.read_batch(256).packets:
        got += len(batch)
    assert got == 2000
    assert tun.kernel_drops()[0] == 0


def test_bad_packets_and_a_device_that_is_down_are_counted(space: Namespace, tun: Tun) -> None:
    good = IpTemplate(address_octets(STACK), address_octets(HOST), protocol=253).header(0)
    tun.write([b"", b"\x10" * 40, good])
    assert (tun.written, tun.dropped) == (1, 2)
    output(space, "ip", "link", "set", "et0", "down")
    tun.write([good, good])
    assert (tun.written, tun.dropped) == (1, 4)
    assert tun.pending == 0


def test_a_full_device_makes_packets_wait(tun: Tun, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    room = [3]

    def write(descriptor: int, packet: bytes) -> int:
        if len(written) >= room[0]:
            raise BlockingIOError(11, "full")
        written.append(bytes(packet))
        return len(packet)

    monkeypatch.setattr("tun.device.os.write", write)
    packets = [number.to_bytes(2, "big") for number in range(5000)]
    tun.write(packets[:4000])
    assert (tun.pending, tun.dropped) == (3997, 0)
    tun.write(packets[4000:])
    assert (tun.pending, tun.dropped) == (4096, 901)
    room[0] = 10_000
    tun.flush()
    assert (tun.pending, tun.written) == (0, 4099)
    assert written == packets[:4099]


def test_a_device_that_is_gone_is_told(space: Namespace, tun: Tun) -> None:
    output(space, "ip", "link", "delete", "et0")
    with pytest.raises(TunError, match="device et0 is gone"):
        tun.read_batch()
    with pytest.raises(TunError, match="device et0 is gone"):
        tun.write([b"x"])


def test_close_removes_the_device(space: Namespace, tun: Tun) -> None:
    tun.close()
    tun.close()
    assert "et0" not in output(space, "ip", "link")
    with pytest.raises(TunError, match="closed"):
        tun.fileno()


def test_a_failed_set_up_leaves_no_device(space: Namespace) -> None:
    output(space, "ip", "route", "add", f"{STACK}/32", "dev", "lo")
    with pytest.raises(TunError, match=f"route to {STACK} on et1: there is one already"):
        Tun("et1", [f"{STACK}/24"], netns=space.name)
    assert "et1" not in output(space, "ip", "link")


@pytest.mark.parametrize(
    ("name", "mtu", "message"),
    [
        ("et0", 1400, "device et0 is in use"),
        ("lo", 1400, "name lo is taken by a device of another kind"),
        ("", 1400, "cannot be a device's name"),
        ("a/b", 1400, "cannot be a device's name"),
        ("a b", 1400, "cannot be a device's name"),
        ("x%d", 1400, "cannot be a device's name"),
        ("sixteen-letters-", 1400, "cannot be a device's name"),
        ("et2", 67, "MTU of 67"),
        ("et2", 65536, "MTU of 65536"),
    ],
)
def test_errors_are_one_line(space: Namespace, tun: Tun, name: str, mtu: int, message: str) -> None:
    with pytest.raises(TunError, match=message) as caught:
        Tun(name, ["10.78.0.2/24"], netns=space.name, mtu=mtu)
    assert "\n" not in str(caught.value)


def test_ipv6_needs_1280_octets(space: Namespace) -> None:
    with pytest.raises(TunError, match="1280 to 65535"):
        Tun("et2", ["fd78::2/64"], netns=space.name, mtu=1279)


@pytest.mark.parametrize("name", ["nowhere", "", "..", "a/b"])
def test_unknown_namespace(name: str) -> None:
    with pytest.raises(TunError, match="network namespace"):
        Tun("et2", ["10.78.0.2/24"], netns=name)


def test_missing_device_node(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr("tun.device.TunTapDevice", missing)
    with pytest.raises(TunError, match="no /dev/net/tun"):
        Tun("et2", ["10.78.0.2/24"])


def test_no_permission() -> None:
    """A process without rights gets a line, not a traceback of another library."""
    code = (
        "import os; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "from tun.device import Tun\n"
        "try:\n    Tun('et2', ['10.78.0.2/24'])\n"
        "except OSError as error:\n    print(type(error).__name__, error)\n"
    )
    imports = "import tun.device\n"
    done = subprocess.run(
        [sys.executable, "-c", imports + code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.stdout.startswith("TunError no permission for device et2"), done


def test_kernel_ping_is_answered(space: Namespace, tun: Tun) -> None:
    """The kernel's own echo request, answered by ``stack.icmp``, comes back to the socket that sent it."""
    with space.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)) as pinger:
        pinger.settimeout(5)
        pinger.sendto(bytes.fromhex("0800f7fd00010001"), (STACK, 0))
        (packet,) = read_some(tun)
        ip = parse(packet)
        assert isinstance(ip, Ip)
        assert ip.protocol == ICMP
        reply = take(ip, packet)
        assert isinstance(reply, bytes)
        tun.write([reply])
        assert pinger.recv(100)[20:] == bytes.fromhex("0000fffd00010001")
