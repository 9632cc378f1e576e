"""Namespaces, veth pairs, routes and commands inside."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tun.errors import TunError
from tun.netns import Namespace, call_in, join, namespaces

pytestmark = pytest.mark.tun


def test_three_in_a_row_forward(fresh_name: Callable[[str], str]) -> None:
    names = [fresh_name("net") for _ in range(3)]
    with namespaces(*names) as (left, middle, right):
        join(left, "e0", middle, "e0")
        join(middle, "e1", right, "e0", mtu=1400)
        left.add_addresses("e0", "10.80.0.1/24", "fd80::1/64")
        middle.add_addresses("e0", "10.80.0.2/24", "fd80::2/64")
        middle.add_addresses("e1", "10.81.0.2/24", "fd81::2/64")
        right.add_addresses("e0", "10.81.0.1/24", "fd81::1/64")
        middle.forward()
        left.add_route("default", via="10.80.0.2")
        left.add_route("fd81::/64", via="fd80::2", device="e0")
        right.add_route("10.80.0.0/24", via="10.81.0.2")
        right.add_route("default", via="fd81::2")
        assert "mtu 1400" in right.run(["ip", "link", "show", "e0"], capture_output=True, text=True).stdout
        for family, source, target in (
            (socket.AF_INET, "10.80.0.1", "10.81.0.1"),
            (socket.AF_INET6, "fd80::1", "fd81::1"),
        ):
            server = right.call(lambda family=family: socket.socket(family, socket.SOCK_DGRAM))
            client = left.call(lambda family=family: socket.socket(family, socket.SOCK_DGRAM))
            with server, client:
                server.settimeout(5)
                server.bind((target, 9000))
                client.sendto(b"through", (target, 9000))
                data, peer = server.recvfrom(100)
                assert (data, peer[0]) == (b"through", source)
    assert not any(Path("/run/netns", name).exists() for name in names)


def test_commands_run_inside_and_the_caller_stays_outside(fresh_name: Callable[[str], str]) -> None:
    def identity() -> int:
        return Path("/proc/thread-self/ns/net").stat().st_ino

    outside = identity()
    with Namespace(fresh_name("net")) as space:
        inside = space.call(identity)
        told = space.run(
            ["stat", "-L", "-c", "%i", "/proc/self/ns/net"], capture_output=True, text=True, check=True
        )
        assert int(told.stdout) == inside != outside
        with space.popen(["stat", "-L", "-c", "%i", "/proc/self/ns/net"], stdout=subprocess.PIPE) as process:
            assert int(process.communicate()[0]) == inside
        assert call_in(None, identity) == outside
        with pytest.raises(ZeroDivisionError):
            space.call(lambda: 1 // 0)
        space.sysctl("net.ipv4.ip_default_ttl", "33")
        assert space.call(Path("/proc/sys/net/ipv4/ip_default_ttl").read_text) == "33\n"
        assert Path("/proc/sys/net/ipv4/ip_default_ttl").read_text() != "33\n"
    assert identity() == outside


def test_errors(fresh_name: Callable[[str], str]) -> None:
    with pytest.raises(TunError, match="no network namespace 'nowhere'"):
        call_in("nowhere", lambda: None)
    name = fresh_name("net")
    with Namespace(name) as space:
        with pytest.raises(TunError, match="exists already"):
            Namespace(name)
        with pytest.raises(TunError, match="no device 'e9'"):
            space.add_addresses("e9", "10.0.0.1/24")
        with pytest.raises(TunError, match=r"cannot set address 10.0.0.1/24: File exists"):
            space.add_addresses("lo", "10.0.0.1/24", "10.0.0.1/24")
        with pytest.raises(TunError, match=r"net.ipv4.no_such = 1: No such file"):
            space.sysctl("net.ipv4.no_such", "1")
    space.delete()
