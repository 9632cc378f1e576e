"""Interface in the namespace where the program runs: no ``netns`` named, as most programs will use it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.cli import running
from tools.link import Link
from tun.netns import Namespace

pytestmark = pytest.mark.tun

PROGRAM = """
import asyncio, socket, threading
import edotun

def echo(server):
    with server, server.accept()[0] as connection:
        while data := connection.recv(1000):
            connection.sendall(data.upper())

async def main():
    async with edotun.Interface(tun="if0", addr=["10.83.0.2/24"], host=["10.83.0.1"]) as interface:
        server = socket.create_server(("10.83.0.1", 0))
        threading.Thread(target=echo, args=(server,)).start()
        reader, writer = await interface.open_connection("10.83.0.1", server.getsockname()[1])
        writer.write(b"hello\\n")
        print((await reader.readline()).decode(), writer.get_extra_info("security")["mode"])
        writer.close()
        await writer.wait_closed()

asyncio.run(main())
"""


def test_a_program_needs_no_namespace_of_its_own(fresh_name: Callable[[str], str]) -> None:
    root = Path(__file__).parent.parent.parent
    with Namespace(fresh_name("if")) as namespace:
        done = namespace.run([sys.executable, "-c", PROGRAM], cwd=root, capture_output=True, text=True, timeout=60)
    assert isinstance(done, subprocess.CompletedProcess)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["HELLO", "none"]


def test_the_commands_have_their_congestion_control_and_delay_nothing(fresh_name: Callable[[str], str]) -> None:
    async def main(link: Link) -> tuple[str, bool]:
        async with running.interface(link, lambda _: None) as interface:
            return interface.stack.config.congestion, interface.stack.config.nagle

    with Namespace(fresh_name("if")) as namespace:
        link = Link("if1", ("10.83.0.2/24",), ("10.83.0.1",), namespace.name, 1500, None, congestion="bbr")
        assert asyncio.run(main(link)) == ("bbr", False)
