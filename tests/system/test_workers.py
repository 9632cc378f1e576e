"""Several processes on one device: what comes finds the process of its connection, whoever has opened it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP, fragment
from scapy.packet import Raw

from tun.netns import Namespace

pytestmark = [pytest.mark.tun, pytest.mark.programs("nft", "ip")]

EDOTUN = "from tools.cli.main import main; main()"
# As on a kernel, or for a user, that may not load the program.
UNSTEERED = "import tun.device; tun.device.steer = lambda queue: False; " + EDOTUN
WAYS = {"steered": EDOTUN, "unsteered": UNSTEERED}
STACK, HOST, STACK6, HOST6 = "10.87.0.2", "10.87.0.1", "fd87::2", "fd87::1"
DEVICE = ["--tun", "wk0", "--addr", f"{STACK}/24", "--addr", f"{STACK6}/64", "--host", HOST, "--host", HOST6]
MANY = 40


@contextmanager
def edotun(space: Namespace, way: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command in the namespace, once it accepts connections; it is ended, if it has not."""
    command = [sys.executable, "-c", WAYS[way], *arguments]
    with space.popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stderr is not None
            line = running.stderr.readline()
            assert line.startswith("listening on "), line + running.stderr.read()
            yield running
        finally:
            if running.poll() is None:
                running.terminate()


def end(running: subprocess.Popen[str]) -> list[dict[str, object]]:
    """Ask the command to end; the lines that it has printed."""
    running.send_signal(signal.SIGTERM)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def space(fresh_name: Callable[[str], str]) -> Iterator[Namespace]:
    with Namespace(fresh_name("wrk")) as made:
        yield made


@pytest.mark.parametrize("way", list(WAYS))
def test_connections_of_the_kernel_are_spread_and_echoed(space: Namespace, way: str, tmp_path: Path) -> None:
    serve = ["serve", "echo", *DEVICE, "--netns", space.name, "--workers", "3", "--json"]
    with edotun(space, way, *serve, "--control", str(tmp_path / "control")) as running:
        peers = []
        for index in range(MANY):
            target = (STACK6 if index % 4 == 3 else STACK, 7)
            peers.append(space.call(lambda target=target: socket.create_connection(target, timeout=20)))
        ports = [peer.getsockname()[1] for peer in peers]
        for index, peer in enumerate(peers):
            peer.sendall(index.to_bytes(2) * 3000)
        for index, peer in enumerate(peers):
            with closing(peer):
                got = b""
                while len(got) < 6000:
                    got += peer.recv(65_536)
                assert got == index.to_bytes(2) * 3000
                peer.shutdown(socket.SHUT_WR)
                assert peer.recv(1) == b""
        lines = end(running)
    owners = {int(str(line["peer"]).rpartition(":")[2]): line["worker"] for line in lines}
    assert owners == {port: (port ^ 7) % 3 for port in ports}
    assert set(owners.values()) == {0, 1, 2}
    assert all(line["octets_in"] == 6000 and not line["error"] for line in lines)


GATEWAY = """
[tun]
name = "wk0"
addr = ["{stack}/24"]
host = ["{host}"]

[[forward]]
name = "opens"
listen = "kernel:127.0.0.1:9001"
connect = "stack:{host}:9000"

[[forward]]
name = "refused"
listen = "kernel:127.0.0.1:9002"
connect = "stack:{host}:81"
"""
# What the kernel says of each SYN to this port, by ICMP that quotes it.
REJECT = """
table ip refusing {
    chain in {
        type filter hook input priority 0
        tcp dport 81 reject with icmp type port-unreachable
    }
}
"""


@pytest.mark.parametrize("way", list(WAYS))
def test_answers_and_icmp_find_who_has_opened(space: Namespace, way: str, tmp_path: Path) -> None:
    """Of 40 connections that are opened here all stand; of 20 that ICMP refuses all learn of it at once."""
    file = tmp_path / "gateway.toml"
    file.write_text(GATEWAY.format(stack=STACK, host=HOST))
    space.run(["ip", "link", "set", "lo", "up"])
    # The kernel would tell once a second.
    space.sysctl("net.ipv4.icmp_ratelimit", "0")
    space.run(["nft", "-f", "-"], input=REJECT, text=True, check=True)
    control = str(tmp_path / "control")
    with edotun(space, way, "gateway", str(file), "--workers", "3", "--json", "--control", control) as running:
        assert running.stderr is not None
        running.stderr.readline()

        def listen() -> socket.socket:
            return socket.create_server(("", 9000), backlog=MANY)

        def opened(port: int) -> socket.socket:
            return socket.create_connection(("127.0.0.1", port), timeout=20)

        with space.call(listen) as listener:
            listener.settimeout(20)
            for index in range(MANY):
                with space.call(lambda: opened(9001)) as near, listener.accept()[0] as far:
                    near.sendall(index.to_bytes(2))
                    far.settimeout(20)
                    assert far.recv(10) == index.to_bytes(2)
                    far.sendall(b"seen")
                    assert near.recv(10) == b"seen"
        for _ in range(MANY // 2):
            with pytest.raises(ConnectionResetError), space.call(lambda: opened(9002)) as near:
                near.recv(1)
        lines = end(running)
    assert Counter(line["forward"] for line in lines) == {"opens": MANY, "refused": MANY // 2}
    assert {line["worker"] for line in lines if line["forward"] == "opens"} == {0, 1, 2}
    assert {line["worker"] for line in lines if line["forward"] == "refused"} == {0, 1, 2}
    for line in lines:
        if line["forward"] == "refused":
            assert "code 3" in str(line["error"])
            assert float(str(line["seconds"])) < 0.9, "the SYN was repeated"
        local = int(str(line["local"]).rpartition(":")[2])
        peer = int(str(line["peer"]).rpartition(":")[2])
        assert line["worker"] == (local ^ peer) % 3


# The kernel knows nothing of a connection that is played by hand.
SILENT = """
table ip silent {
    chain out {
        type filter hook output priority 0
        tcp flags & rst == rst drop
    }
}
"""


@pytest.mark.parametrize("way", list(WAYS))
def test_fragments_reach_the_connection_s_process(space: Namespace, way: str, tmp_path: Path) -> None:
    """A SYN in fragments, then octets in one packet: one process has to see both."""
    space.run(["nft", "-f", "-"], input=SILENT, text=True, check=True)
    serve = ["serve", "echo", *DEVICE, "--netns", space.name, "--workers", "3", "--json"]
    with edotun(space, way, *serve, "--control", str(tmp_path / "control")) as running:
        raw = space.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP))
        with closing(raw):
            raw.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
            raw.settimeout(20)
            for port in (50_000, 50_001, 50_002, 50_003):
                head = IP(src=HOST, dst=STACK, id=port)
                syn = head / TCP(sport=port, dport=7, seq=99, flags="S", options=[("NOP", None)] * 20)
                for piece in fragment(syn, 24):
                    raw.sendto(bytes(piece), (STACK, 0))
                answer = received(raw, port, lambda tcp: "S" in str(tcp.flags))
                text = head / TCP(sport=port, dport=7, seq=100, ack=answer.seq + 1, flags="PA") / Raw(b"hello")
                raw.sendto(bytes(text), (STACK, 0))
                assert received(raw, port, lambda tcp: len(tcp.payload) > 0).payload.load[:5] == b"hello"
        running.kill()


def received(raw: socket.socket, port: int, wanted: Callable[[TCP], bool]) -> TCP:
    """The first segment to ``port`` that is wanted; a reset is none."""
    while True:
        tcp = IP(raw.recv(65_536)).getlayer(TCP)
        if tcp is not None and tcp.dport == port:
            assert "R" not in str(tcp.flags)
            if wanted(tcp):
                return tcp


def test_one_that_dies_ends_all(space: Namespace, tmp_path: Path) -> None:
    serve = ["serve", "sink", *DEVICE, "--netns", space.name, "--workers", "3"]
    with edotun(space, "steered", *serve, "--control", str(tmp_path / "control")) as running:
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        assert len(children) == 3
        os.kill(int(children[1]), signal.SIGKILL)
        _, err = running.communicate(timeout=60)
        assert running.returncode == 1
        assert err == "edotun: worker 1 was killed by signal 9\n"
    for child in children:
        assert not Path("/proc", child).exists()


def test_what_cannot_be_had_is_one_line(space: Namespace) -> None:
    with edotun(space, "steered", "serve", "sink", *DEVICE, "--netns", space.name):
        again = [sys.executable, "-c", EDOTUN, "serve", "sink", *DEVICE, "--netns", space.name, "--workers", "2"]
        ended = space.run(again, check=False, capture_output=True, text=True)
        assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
        assert ended.stderr == "edotun: device name wk0 is taken by a device of another kind\n"


KEYS = """
[[mkt]]
name = "first"
send_id = 1
recv_id = 1
secret_hex = "00112233445566778899aabbccddeeff"
mac = "aes-128-cmac-96"
"""


def test_orders_reach_every_process(space: Namespace, tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.touch(mode=0o600)
    keys.write_text(KEYS)
    more = tmp_path / "more.toml"
    more.touch(mode=0o600)
    more.write_text(KEYS.replace("first", "second").replace("= 1", "= 2"))
    control = str(tmp_path / "control")
    serve = ["serve", "echo", *DEVICE, "--netns", space.name, "--workers", "3", "--protect", "ao"]

    def keys_command(*order: str) -> list[str]:
        return [sys.executable, "-c", EDOTUN, "keys", *order, "--control", control, "--json"]

    def ask(*order: str) -> dict[str, object]:
        done = subprocess.run(keys_command(*order), check=True, capture_output=True, text=True)
        answer: dict[str, object] = json.loads(done.stdout)
        return answer

    with edotun(space, "steered", *serve, "--keys", str(keys), "--control", control) as running:

        def names() -> list[tuple[str, int]]:
            rows = ask("list")["keys"]
            assert isinstance(rows, list)
            return [(row["name"], row["connections"]) for row in rows]

        assert names() == [("first", 0)]
        # One process that had not heard of it would have it missing there.
        assert ask("add", str(more))["key"] == "second"
        assert names() == [("first", 0), ("second", 0)]
        assert ask("remove", "first")["key"] == "first"
        assert names() == [("second", 0)]
        refused = subprocess.run(keys_command("remove", "third"), check=False, capture_output=True, text=True)
        assert refused.stderr.endswith("there is no key 'third'\n")
        end(running)
