"""``edotun path`` on real packets: kernels and stacks on both sides of boxes, in namespaces."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tools.programs import EDOTUN, PYTHON, Program
from tun.capture_reader import read_capture
from tun.netns import Namespace, namespaces

pytestmark = pytest.mark.tun

PATIENCE = 60.0
OCTETS = 300_000
FILE = bytes(range(256)) * 2000


@pytest.fixture
def ends(fresh_name: Callable[[str], str]) -> Iterator[tuple[Namespace, Namespace]]:
    with namespaces(fresh_name("pac"), fresh_name("pas")) as (client, server):
        client.forward()
        server.forward()
        yield client, server


@contextmanager
def path(ends: tuple[Namespace, Namespace], *arguments: str) -> Iterator[dict[str, Any]]:
    """The command between both namespaces; what it tells in the end is in the dictionary afterwards."""
    client, server = ends
    command = [*EDOTUN, "path", "--client-netns", client.name, "--server-netns", server.name, "--json", *arguments]
    told: dict[str, Any] = {}
    with Program("path", command) as program:
        program.line("err", lambda text: text.startswith("path up: path0 in "), PATIENCE)
        yield told
        program.process.send_signal(signal.SIGINT)
        assert program.end(PATIENCE) == 0, program.complaint
        told.update(json.loads(program.line("out", lambda _: True, PATIENCE)))


def fetched(ends: tuple[Namespace, Namespace], folder: Path, address: str) -> bytes:
    """What curl at the client gets from Python's HTTP server at the server: both on their kernels' TCP."""
    (folder / "file").write_bytes(FILE)
    serve = [*PYTHON, "-u", "-m", "http.server", "8000", "--bind", address, "-d", str(folder)]
    bracketed = f"[{address}]" if ":" in address else address
    with Program("http.server", serve, ends[1].name) as server:
        server.line("out", lambda text: text.startswith("Serving HTTP"), PATIENCE)
        get = ["curl", "-s", "-m", "30", f"http://{bracketed}:8000/file"]
        done = ends[0].run(get, capture_output=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    found: bytes = done.stdout
    return found


@pytest.mark.programs("curl")
def test_kernels_speak_through_boxes_in_a_row(ends: tuple[Namespace, Namespace], tmp_path: Path) -> None:
    boxes = ["nat:address=192.0.2.1", "sequence", "timestamps", "split:most=500,copy=no,only=server"]
    capture, other = tmp_path / "client.pcapng", tmp_path / "server.pcapng"
    arguments = [word for box in boxes for word in ("--box", box)]
    arguments += ["--delay", "2", "--client-side", "192.0.2.0/24", "--seed", "1"]
    with path(ends, *arguments, "--capture", str(capture), "--server-capture", str(other)) as told:
        assert fetched(ends, tmp_path, "10.71.0.1") == FILE
    assert [one["box"] for one in told["boxes"]] == boxes
    nat, _, _, split = told["boxes"]
    assert nat["mapped"] == 1
    assert 1000 < nat["translated"] <= nat["in_from_client"] + nat["in_from_server"]
    assert split["cut"] > 0
    assert split["out_from_server"] > split["in_from_server"]
    # Each side sees its own addresses, and the server the NAT's. Kernels send a little more by IPv6, unasked.
    sources = [
        {bytes(packet.data[12:16]) for packet in read_capture(file) if packet.data[0] >> 4 == 4}
        for file in (capture, other)
    ]
    assert sources[0] == {bytes((10, 70, 0, 1)), bytes((10, 71, 0, 1))}
    assert sources[1] == {bytes((192, 0, 2, 1)), bytes((10, 71, 0, 1))}


@pytest.mark.programs("curl")
def test_a_proxy_stands_between_two_kernels_on_ipv6(ends: tuple[Namespace, Namespace], tmp_path: Path) -> None:
    with path(ends, "--box", "proxy", "--box", "mss:most=700") as told:
        assert fetched(ends, tmp_path, "fd71::1") == FILE
    assert told["boxes"][0]["connections"] == 1
    assert told["boxes"][1]["clamped"] == 2


def test_two_stacks_agree_on_keys_through_a_nat(ends: tuple[Namespace, Namespace]) -> None:
    client, server = ends
    sides = ["--client-side", "10.79.0.0/24", "--client-side", "192.0.2.0/24", "--server-side", "10.80.0.0/24"]
    serve = [*EDOTUN, "serve", "echo", "--tun", "bx1", "--addr", "10.80.0.2/24", "--host", "10.80.0.1"]
    serve += ["--netns", server.name, "--protect", "ao-enc-dh", "--json"]
    connect = [*EDOTUN, "connect", "10.80.0.2", "7", "--tun", "bx0", "--addr", "10.79.0.2/24"]
    connect += ["--host", "10.79.0.1", "--netns", client.name, "--protect", "ao-enc-dh"]
    connect += ["--bytes", str(OCTETS), "--expect-echo", "--json"]
    with path(ends, "--box", "symmetric-nat:address=192.0.2.1", *sides) as told, Program("serve", serve) as service:
        service.ready(PATIENCE)
        done = subprocess.run(connect, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stderr
        far = json.loads(service.line("out", lambda _: True, PATIENCE))
    near = json.loads(done.stdout)
    assert near["mode"] == far["mode"] == "ao-enc-dh"
    assert near["session_id"] == far["session_id"]
    assert far["peer"].startswith("192.0.2.1:")
    assert told["boxes"][0]["mapped"] == 1


def test_a_box_with_keys_for_headers_changes_them_and_nobody_minds(
    ends: tuple[Namespace, Namespace], tmp_path: Path
) -> None:
    """The client writes its keys of MACs while it runs, through changes of keys; the box reads them in time."""
    client, server = ends
    keys = tmp_path / "box.keys"
    sides = ["--client-side", "10.79.0.0/24", "--server-side", "10.80.0.0/24"]
    serve = [*EDOTUN, "serve", "echo", "--tun", "bx1", "--addr", "10.80.0.2/24", "--host", "10.80.0.1"]
    serve += ["--netns", server.name, "--protect", "ao-enc-dh", "--json"]
    connect = [*EDOTUN, "connect", "10.80.0.2", "7", "--tun", "bx0", "--addr", "10.79.0.2/24"]
    connect += ["--host", "10.79.0.1", "--netns", client.name, "--protect", "ao-enc-dh", "--box-keys", str(keys)]
    connect += ["--rekey", "octets=100000", "--bytes", str(OCTETS), "--expect-echo", "--json"]
    box = f"cooperating:keys={keys},window=20000,mss=1000"
    with path(ends, "--box", box, *sides) as told, Program("serve", serve) as service:
        service.ready(PATIENCE)
        done = subprocess.run(connect, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stderr
        far = json.loads(service.line("out", lambda _: True, PATIENCE))
    near = json.loads(done.stdout)
    assert near["mode"] == far["mode"] == "ao-enc-dh"
    assert near["drops"] == far["drops"] == {}
    for report in (near, far):
        assert {row["of"]: row["seen"] for row in report["path"]} == {"window": "20000", "MSS": "1000"}
        assert report["generation"] > 1
    assert keys.stat().st_mode & 0o777 == 0o600
    (counts,) = told["boxes"]
    assert counts["signed"] > OCTETS // 1000
    assert counts.get("foreign", 0) == 0


def test_a_box_of_ones_own(ends: tuple[Namespace, Namespace], tmp_path: Path) -> None:
    """A file of a user's: nothing passes its box, and it counts."""
    mine = tmp_path / "mine.py"
    mine.write_text(
        "from collections import Counter\n"
        "import edotun\n"
        '@edotun.box("hole", "lets nothing through")\n'
        "class Hole:\n"
        "    next_deadline = None\n"
        "    def __init__(self): self.counts = Counter()\n"
        "    def process(self, packets, direction, now):\n"
        '        self.counts["gone"] += len(packets)\n'
        "        return []\n"
    )
    with path(ends, "--with", str(mine), "--box", "hole") as told:
        ping = ends[0].run([sys.executable, "-c", PING], capture_output=True, timeout=PATIENCE)
        assert ping.returncode == 0, ping.stderr
    (hole,) = told["boxes"]
    assert hole["gone"] == hole["in_from_client"] + hole["in_from_server"] >= 1
    assert hole["out_from_client"] == 0


PING = """
import socket
one = socket.socket()
one.settimeout(0.2)
try:
    one.connect(("10.71.0.1", 9))
except TimeoutError:
    pass
"""
