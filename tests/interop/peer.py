"""Boots the TCP-AO guest beside a TUN and tells it what to do.

The namespace routes between the TUN, behind which this project's stack is, and a tap device, behind which a User
Mode Linux kernel with TCP-AO is. The guest's files are the host's, read-only.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from tun.netns import Namespace

HERE = Path(__file__).parent
STACK, STACK6 = "10.85.0.2", "fd85::2"
STACK_HOST, STACK_HOST6 = "10.85.0.1", "fd85::1"
GUEST, GUEST6 = "10.86.0.2", "fd86::2"
GUEST_HOST, GUEST_HOST6 = "10.86.0.1", "fd86::1"
_CONTROL_PORT = 9
_BOOT = 60.0
_ANSWER = 30.0


def kernel() -> Path:
    """The guest's kernel, built by the script beside this file where there is none of these inputs yet."""
    inputs = b"".join((HERE / name).read_bytes() for name in ("build_guest.sh", "guest.config"))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    path = cache / "edotun" / f"guest-{sha256(inputs).hexdigest()[:12]}" / "linux"
    path.parent.mkdir(parents=True, exist_ok=True)
    # Tests run in several processes, and one of them builds.
    with (path.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.access(path, os.X_OK):
            subprocess.run([str(HERE / "build_guest.sh"), str(path)], check=True)
    return path


@dataclass
class GuestKey:
    """A key as the guest's kernel takes it; ``snd`` and ``rcv`` are the kernel's own send and receive ids."""

    secret: bytes
    snd: int
    rcv: int
    alg: str = "hmac(sha1)"
    maclen: int = 12
    exclude: bool = False
    peer: str = f"{STACK}/32"
    current: bool = False
    rnext: bool = False

    def order(self) -> dict[str, Any]:
        """What goes over the control connection."""
        return {
            "secret": self.secret.hex(),
            "snd": self.snd,
            "rcv": self.rcv,
            "alg": self.alg,
            "maclen": self.maclen,
            "exclude": self.exclude,
            "peer": self.peer,
            "current": int(self.current),
            "rnext": int(self.rnext),
        }


@dataclass
class Guest:
    """A running guest."""

    space: Namespace
    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter
    _answers: dict[int, asyncio.Queue[dict[str, Any]]] = field(default_factory=dict)
    _ids: itertools.count[int] = field(default_factory=itertools.count)

    async def listen_to(self) -> None:
        """Give each answer to whom it belongs, until the connection ends."""
        while line := await self._reader.readline():
            answer = json.loads(line)
            self._answers[answer["id"]].put_nowait(answer)

    async def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        """Send an order and wait for its answer; a guest that has died answers nothing."""
        async with asyncio.timeout(_ANSWER):
            return await self._send(order).get()

    def _send(self, order: dict[str, Any]) -> asyncio.Queue[dict[str, Any]]:
        number = next(self._ids)
        queue = self._answers[number] = asyncio.Queue()
        self._writer.write(json.dumps({"id": number, **order}).encode() + b"\n")
        return queue

    async def netstat(self) -> dict[str, int]:
        """The kernel's TCPAO counters."""
        answer = await self._ask({"do": "netstat"})
        counters: dict[str, int] = answer["counters"]
        return counters

    async def listen(
        self, port: int, role: str, *keys: GuestKey, v6: bool = False, **more: Any
    ) -> asyncio.Queue[dict[str, Any]]:
        """Have the guest listen; return where the end of the one connection will be told.

        Roles: echo, sink (which expects the pattern), source (``bytes`` of the pattern), client (``bytes`` out and
        back). ``rotate`` {at, snd, rnext}: change keys after so many octets. ``timeout`` in seconds.
        """
        queue = self._send(self._order("listen", port, role, keys, v6, more))
        answer = await queue.get()
        assert answer["event"] == "listening", answer
        return queue

    def connect(
        self, port: int, role: str, *keys: GuestKey, v6: bool = False, **more: Any
    ) -> asyncio.Queue[dict[str, Any]]:
        """Have the guest connect to the stack, from ``isn`` where that is given."""
        return self._send(self._order("connect", port, role, keys, v6, more))

    async def relay(self, port: int, *keys: GuestKey, to: tuple[str, int], source: str) -> None:
        """Have the guest accept under TCP-AO and carry each connection on to ``to``, from ``source``, in clear."""
        order = {**self._order("relay", port, "relay", keys, False, {}), "to": to, "source": source}
        answer = await self._ask(order)
        assert answer["event"] == "listening", answer

    async def execute(self, *argv: str, stay: bool = False) -> str:
        """Run a program in the guest and return what it prints; or start one that stays."""
        answer = await self._ask({"do": "execute", "argv": argv, "stay": stay})
        assert answer.get("status", 0) == 0, answer
        output: str = answer.get("output", "")
        return output

    def _order(
        self, do: str, port: int, role: str, keys: tuple[GuestKey, ...], v6: bool, more: dict[str, Any]
    ) -> dict[str, Any]:
        ends = {"local": GUEST6, "peer": STACK6} if v6 else {"local": GUEST, "peer": STACK}
        return {"do": do, "port": port, "role": role, "keys": [key.order() for key in keys], **ends, **more}

    def halt(self) -> None:
        """Have the guest switch itself off."""
        self._send({"do": "halt"})


def prepare(space: Namespace) -> None:
    """Make the tap and let the namespace route; the TUN is made by who owns the stack."""
    for words in (
        ["ip", "link", "set", "lo", "up"],
        ["ip", "tuntap", "add", "dev", "tapG", "mode", "tap"],
        ["ip", "addr", "add", f"{GUEST_HOST}/24", "dev", "tapG"],
        ["ip", "-6", "addr", "add", f"{GUEST_HOST6}/64", "dev", "tapG", "nodad"],
        # A queue that is full drops without a word.
        ["ip", "link", "set", "tapG", "txqueuelen", "10000", "up"],
        ["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"],
    ):
        space.run(words, check=True)


@contextlib.asynccontextmanager
async def guest(space: Namespace) -> AsyncIterator[Guest]:
    """A guest that is up, for ``async with``; it is switched off at the end."""
    path = kernel()
    init = " ".join(
        (
            f"init={sys.executable} -- -B -u {HERE / 'guest.py'} --dev vec0",
            f"--addr {GUEST}/24 --addr6 {GUEST6}/64 --gateway {GUEST_HOST} --gateway6 {GUEST_HOST6}",
        )
    )
    process = await asyncio.create_subprocess_exec(
        "ip",
        "netns",
        "exec",
        space.name,
        str(path),
        *["mem=256M", "quiet", "rootfstype=hostfs", "ro", "con=null", "con0=null,fd:1", "ssl=null"],
        "vec0:transport=tap,ifname=tapG,depth=128",
        *init.split(),
        start_new_session=True,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "TMPDIR": "/tmp"},
    )
    assert process.stdout is not None
    listening: asyncio.Task[None] | None = None
    seen = b""
    try:
        async with asyncio.timeout(_BOOT):
            while not seen.rstrip().endswith(b"ready"):
                line = await process.stdout.readline()
                assert line, f"the guest did not start: {seen.decode(errors='replace')}"
                seen += line
        # Booting turns on segmentation offload of the tap, whose large frames the guest then drops.
        space.run(["ethtool", "-K", "tapG", "tso", "off", "gso", "off"], check=True, capture_output=True)
        loop = asyncio.get_running_loop()
        sock = space.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        sock.setblocking(False)
        await loop.sock_connect(sock, (GUEST, _CONTROL_PORT))
        running = Guest(space, *await asyncio.open_connection(sock=sock))
        listening = asyncio.create_task(running.listen_to())
        yield running
        running.halt()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await process.wait()
    finally:
        if listening is not None:
            listening.cancel()
        # Helpers of the guest's outlive it and hold its output open; all are of one session.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
