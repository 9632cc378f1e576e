"""The guide's example: two BGP daemons as they are, one behind ``edotun gateway``, one beyond Linux's TCP-AO."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.peer import GUEST, STACK, GuestKey, guest, prepare
from tun.netns import Namespace

pytestmark = [pytest.mark.tun, pytest.mark.programs("bird", "birdc", "ip", "ethtool")]

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "bgp"
EDOTUN = [sys.executable, "-m", "tools.cli.main"]
FAR_ROUTE, NEAR_ROUTE = "198.51.100.0/24", "203.0.113.0/24"
BOUND = 60.0


@contextlib.contextmanager
def running(space: Namespace, *argv: str) -> Iterator[subprocess.Popen[str]]:
    """A program in the namespace, ended by SIGTERM."""
    command = ["ip", "netns", "exec", space.name, *argv]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as program:
        try:
            yield program
        finally:
            program.send_signal(signal.SIGTERM)
            try:
                program.communicate(timeout=20)
            finally:
                program.kill()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The example as a reader has it, the keys file made private."""
    folder = tmp_path / "bgp"
    shutil.copytree(EXAMPLE, folder)
    (folder / "keys.toml").chmod(0o600)
    return folder


def routes(folder: Path) -> str:
    """What the near daemon has learnt."""
    command = ["birdc", "-s", str(folder / "near.ctl"), "show", "route"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def rotate(folder: Path) -> None:
    """Add a key to the running gateway and ask for it; the kernel follows while the session stands."""
    file = folder / "next.toml"
    file.write_text(
        '[[mkt]]\nname = "next"\nsend_id = 85\nrecv_id = 62\nsecret = "the next"\nmac = "hmac-sha-1-96"\n'
    )
    file.chmod(0o600)
    for words in (["add", str(file)], ["rotate", "next", "--wait", "20"]):
        done = keys(folder, *words)
        assert done.returncode == 0, f"{done.stderr}{keys(folder, 'status').stdout}"


def keys(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """``edotun keys`` for the running gateway."""
    command = [*EDOTUN, "keys", *words, "--control", str(folder / "c.sock")]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=BOUND)


def test_both_daemons_learn_the_others_route(files: Path) -> None:
    async def main(space: Namespace) -> None:
        async with guest(space) as far:
            for address in ("10.91.0.1/32", "10.91.0.9/32"):
                await far.execute("ip", "addr", "add", address, "dev", "lo")
            keys = (GuestKey(b"the next", 62, 85), GuestKey(b"change me", 61, 84))
            await far.relay(179, *keys, to=("10.91.0.1", 179), source="10.91.0.9")
            bird = ("bird", "-c", str(files / "far.conf"), "-s", "/run/far.ctl", "-P", "/run/far.pid", "-f")
            await far.execute(*bird, stay=True)
            gateway = [*EDOTUN, "gateway", str(files / "gateway.toml"), "--control", str(files / "c.sock")]
            near = ["bird", "-f", "-c", str(files / "near.conf"), "-s", str(files / "near.ctl")]
            with running(space, *gateway) as relay:
                assert relay.stderr is not None
                line = await asyncio.to_thread(relay.stderr.readline)
                assert line.startswith("listening on 10.90.0.9:179"), line
                with running(space, *near, "-P", str(files / "near.pid")):
                    async with asyncio.timeout(BOUND):
                        while FAR_ROUTE not in routes(files):
                            await asyncio.sleep(0.5)
                        show = ("birdc", "-s", "/run/far.ctl", "show", "route")
                        while NEAR_ROUTE not in await far.execute(*show):
                            await asyncio.sleep(0.5)
                    await asyncio.to_thread(rotate, files)
                    assert FAR_ROUTE in routes(files)
                    assert "Established" in await far.execute("birdc", "-s", "/run/far.ctl", "show", "protocols")
                    counters = await far.netstat()
                    assert counters["TCPAOGood"] > 5
                    assert {name for name, n in counters.items() if n} == {"TCPAOGood"}

    with Namespace(f"bgp{os.getpid()}") as space:
        prepare(space)
        for address in ("10.90.0.1/32", "10.90.0.9/32"):
            space.run(["ip", "addr", "add", address, "dev", "lo"], check=True)
        asyncio.run(main(space))
    assert STACK in (EXAMPLE / "gateway.toml").read_text()
    assert GUEST in (EXAMPLE / "gateway.toml").read_text()
