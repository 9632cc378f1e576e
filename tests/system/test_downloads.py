"""50 MB each way between the stack and the kernel's own TCP over a TUN: clean, and over a link that is not."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stack.box import Box
from stack.simulator import Duplicate, Loss, Reorder
from tools.http import http
from tools.pattern import pattern
from tun.interface import Interface
from tun.netns import Namespace

pytestmark = pytest.mark.tun

OCTETS = 50_000_000
STACK = {4: "10.78.0.2", 6: "fd78::2"}
HOST = {4: "10.78.0.1", 6: "fd78::1"}
ADDR = ["10.78.0.2/24", "fd78::2/64"]
EDOTUN = [sys.executable, "-m", "tools.cli.main"]
DEVICE = ["--addr", ADDR[0], "--addr", ADDR[1], "--host", HOST[4], "--host", HOST[6]]


@pytest.fixture
def namespace(fresh_name: Callable[[str], str]) -> Iterator[Namespace]:
    with Namespace(fresh_name("dl")) as one:
        yield one


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with a file of random octets, and their hash."""
    folder = tmp_path_factory.mktemp("served")
    octets = random.Random(50).randbytes(OCTETS)
    (folder / "file").write_bytes(octets)
    return folder, hashlib.sha256(octets).hexdigest()


def bad_link(seed: int) -> list[Box]:
    """2 % loss, 2 % reordering, 1 % duplication, each way."""
    source = random.Random(seed)
    return [Loss(0.02, source), Reorder(0.02, 0.01, source), Duplicate(0.01, source, 0.001)]


class Sink(threading.Thread):
    """A kernel socket in a namespace that takes one connection and hashes what comes."""

    def __init__(self, namespace: Namespace, version: int) -> None:
        super().__init__(daemon=True)
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        # Bound to no address: the device, and with it the address, may come later.
        self.socket = namespace.call(lambda: socket.create_server(("", 0), family=family))
        self.port = self.socket.getsockname()[1]
        self.octets = 0
        self.hash = hashlib.sha256()

    def run(self) -> None:
        with self.socket, self.socket.accept()[0] as connection:
            while data := connection.recv(1 << 18):
                self.octets += len(data)
                self.hash.update(data)


def url(version: int, name: str = "file") -> str:
    address = STACK[version] if version == 4 else f"[{STACK[version]}]"
    return f"http://{address}/{name}"


def fetched(namespace: Namespace, version: int) -> str:
    """The hash of what curl fetches in the namespace."""
    command = ["curl", "--silent", "--fail", "--max-time", "300", url(version)]
    with namespace.popen(command, stdout=subprocess.PIPE) as curl:
        assert curl.stdout is not None
        digest = hashlib.sha256()
        while data := curl.stdout.read(1 << 18):
            digest.update(data)
    assert curl.returncode == 0
    return digest.hexdigest()


@pytest.mark.parametrize("bad", [False, True], ids=["clean", "lossy"])
@pytest.mark.parametrize("version", [4, 6])
def test_curl_fetches_from_the_stack(
    namespace: Namespace, served: tuple[Path, str], version: int, bad: bool
) -> None:
    async def run() -> str:
        boxes = bad_link(version) if bad else []
        hosts = list(HOST.values())
        async with Interface(tun="dl0", addr=ADDR, host=hosts, netns=namespace.name, boxes=boxes) as interface:
            server = await interface.start_server(http(served[0]), 80)
            try:
                return await asyncio.to_thread(fetched, namespace, version)
            finally:
                server.close()

    assert asyncio.run(run()) == served[1]


@pytest.mark.parametrize("bad", [False, True], ids=["clean", "lossy"])
@pytest.mark.parametrize("version", [4, 6])
def test_a_kernel_socket_takes_what_the_stack_sends(namespace: Namespace, version: int, bad: bool) -> None:
    data = random.Random(51).randbytes(OCTETS)

    async def run() -> Sink:
        boxes = bad_link(10 + version) if bad else []
        hosts = list(HOST.values())
        async with Interface(tun="dl0", addr=ADDR, host=hosts, netns=namespace.name, boxes=boxes) as interface:
            sink = Sink(namespace, version)
            sink.start()
            _, writer = await interface.open_connection(HOST[version], sink.port)
            for start in range(0, OCTETS, 1 << 20):
                writer.write(data[start : start + (1 << 20)])
                await writer.drain()
            writer.close()
            await writer.wait_closed()
            await asyncio.to_thread(sink.join, 60)
            return sink

    sink = asyncio.run(run())
    assert sink.octets == OCTETS
    assert sink.hash.digest() == hashlib.sha256(data).digest()


@pytest.mark.parametrize("version", [4, 6])
def test_the_commands_serve_and_connect(namespace: Namespace, served: tuple[Path, str], version: int) -> None:
    """``edotun serve http:DIR`` for curl, then ``edotun connect`` to a kernel sink, with their last lines."""
    place = [*DEVICE, "--netns", namespace.name, "--json"]
    command = [*EDOTUN, "serve", f"http:{served[0]}", "--tun", "dl1", *place]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as serve:
        assert serve.stderr is not None
        assert serve.stderr.readline().startswith("listening on ")
        assert fetched(namespace, version) == served[1]
        serve.send_signal(signal.SIGINT)
        out, _ = serve.communicate(timeout=30)
    assert serve.returncode == 0
    line = json.loads(out)
    assert (line["role"], line["mode"], line["error"]) == ("accept", "none", None)
    assert line["octets_out"] > OCTETS

    sink = Sink(namespace, version)
    sink.start()
    command = [*EDOTUN, "connect", HOST[version], str(sink.port), "--tun", "dl2", *place, "--bytes", str(OCTETS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    sink.join(30)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["octets_out"] == OCTETS
    assert sink.hash.digest() == hashlib.sha256(pattern(0, OCTETS)).digest()


def test_two_hundred_downloads_at_once(namespace: Namespace, tmp_path: Path) -> None:
    octets = random.Random(52).randbytes(100_000)
    (tmp_path / "small").write_bytes(octets)
    files = [tmp_path / f"got{number}" for number in range(200)]
    command = ["curl", "--silent", "--fail", "--parallel", "--parallel-max", "200"]
    for file in files:
        command += [url(4, "small"), "--output", str(file)]

    async def run() -> tuple[int, set[str]]:
        hosts = list(HOST.values())
        async with Interface(tun="dl0", addr=ADDR, host=hosts, netns=namespace.name) as interface:
            server = await interface.start_server(http(tmp_path), 80)
            done = await asyncio.to_thread(namespace.run, command)
            server.close()
            return done.returncode, set(interface.stack.drops)

    status, drops = asyncio.run(run())
    assert status == 0
    # The kernel multicasts on every device.
    assert drops <= {"not_ours"}
    assert all(file.read_bytes() == octets for file in files)
