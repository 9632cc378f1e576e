"""A path between two devices that are pairs of sockets, and what is wrong with a call of ``edotun path``."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path as File
from typing import Any

import pytest
from typer.testing import CliRunner

from stack.batch import Batch, Octets
from stack.box import Box
from stack.simulator.boxes import Delay, Tap
from tests.tools.boxes.support import UNKNOWN, dissected, named, segment
from tools.boxes.registry import BOXES
from tools.cli.main import app
from tools.path import Path
from tun.errors import TunError


class Device:
    """A device whose other side is ``kernel``; it takes packets only while it has ``room``."""

    def __init__(self) -> None:
        self.kernel, self._own = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._own.setblocking(False)
        self.kernel.setblocking(False)
        self.room = True
        self.gone = False
        self._waiting: list[bytes] = []

    @property
    def pending(self) -> int:
        return len(self._waiting)

    def fileno(self) -> int:
        return self._own.fileno()

    def use_offload(self) -> bool:
        return False

    def read_batch(self, limit: int = 64) -> Batch:
        if self.gone:
            raise TunError("device is gone", 19)
        packets: list[bytes] = []
        try:
            while len(packets) < limit:
                packets.append(self._own.recv(65_536))
        except BlockingIOError:
            pass
        return Batch(packets)

    def write(self, packets: Sequence[Octets]) -> None:
        self._waiting += [bytes(packet) for packet in packets]
        self.flush()

    def flush(self) -> None:
        while self.room and self._waiting:
            self._own.send(self._waiting.pop(0))

    def close(self) -> None:
        self._own.close()
        self.kernel.close()


def carried(boxes: Sequence[Box], program: Callable[[Device, Device, Path], Awaitable[None]]) -> None:
    async def main() -> None:
        client, server = Device(), Device()
        try:
            with Path(client, server, boxes) as path:
                async with asyncio.timeout(10.0):
                    await program(client, server, path)
        finally:
            client.close()
            server.close()

    asyncio.run(main())


async def _next(device: Device) -> bytes:
    return await asyncio.get_running_loop().sock_recv(device.kernel, 65_536)


def test_packets_pass_both_ways_and_are_counted() -> None:
    seen = []

    async def program(client: Device, server: Device, path: Path) -> None:
        up, down = segment(b"up"), segment(b"down", backward=True)
        client.kernel.send(up)
        assert await _next(server) == up
        server.kernel.send(down)
        assert await _next(client) == down
        assert path.packets == [1, 1]
        assert [direction.name for direction in seen] == ["FORWARD", "BACKWARD"]

    carried([Tap(lambda _packet, direction, _now: seen.append(direction))], program)


def test_what_a_box_lets_out_later_comes_later_and_what_it_answers_goes_back() -> None:
    async def program(client: Device, server: Device, path: Path) -> None:
        began = asyncio.get_running_loop().time()
        for number in range(3):
            client.kernel.send(segment(bytes((number,))))
        assert [(await _next(server))[-1] for _ in range(3)] == [0, 1, 2]
        assert asyncio.get_running_loop().time() - began >= 0.02
        client.kernel.send(segment(options=[UNKNOWN]))
        assert dissected(await _next(client))["TCP"].flags == "R"

    carried([Delay(0.01), named("drop-unknown:reset"), Delay(0.01)], program)


def test_packets_wait_for_a_device_that_is_full() -> None:
    async def program(client: Device, server: Device, path: Path) -> None:
        server.room = False
        client.kernel.send(segment(b"waits"))
        while not server.pending:
            await asyncio.sleep(0)
        server.room = True
        assert (await _next(server)).endswith(b"waits")

    carried([], program)


def test_a_device_that_is_gone_ends_the_path() -> None:
    async def program(client: Device, server: Device, path: Path) -> None:
        server.gone = True
        server.kernel.send(segment())
        with pytest.raises(TunError, match="device is gone"):
            await path.wait()

    carried([], program)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["--box", "no-such"], "--box: there is no box 'no-such' (edotun path --list)"),
        (["--box", "strip:kinds=x"], "--box: box strip: kinds: 'x' is not of kind numbers"),
        (["--delay", "-1"], "--delay: -1 is not in 0-60000"),
        (["--client-tun", "a/b"], "--client-tun: 'a/b' is not a device name"),
        (["--server-addr", "10.1.1.1"], "--server-addr: '10.1.1.1' has no prefix length"),
        (["--server-side", "10.1.1.1/24"], "--server-side: 10.1.1.1/24 has host bits set"),
        (["--server-netns", "no-such"], "--server-netns: there is no namespace 'no-such'"),
        (["--client-tun", "path1"], "--server-tun: path1 is the client's device already"),
        (["--mtu", "500"], "--mtu: 500 is not in 1280-65535"),
        (["--capture", "/no/such/x.pcapng"], "--capture: there is no folder /no/such"),
        (["--with", "/no/such.py"], "--with: /no/such.py: No such file or directory"),
    ],
)
def test_usage(arguments: list[str], fault: str) -> None:
    result = CliRunner().invoke(app, ["path", *arguments])
    assert result.exit_code == 2, result.output
    assert fault in result.output
    assert len(result.output.splitlines()) == 1


def test_the_list_has_every_box_with_its_parameters(tmp_path: File) -> None:
    result = CliRunner().invoke(app, ["path", "--list", "--json"])
    rows: dict[str, Any] = {row["name"]: row for row in map(json.loads, result.stdout.splitlines())}
    assert set(rows) == set(BOXES)
    assert rows["strip"]["parameters"][0] == {"name": "kinds", "type": "numbers", "default": ""}
    text = CliRunner().invoke(app, ["path", "--list"]).stdout
    assert "strip: overwrites options by NOPs" in text
    assert "    after=0  (integer)" in text
