"""nginx as server of the stack, and of curl through a gateway: connections kept alive, ranges, many requests."""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.programs import Program
from tun.interface import Interface

from .relayed import (
    PATIENCE,
    PROGRAMS,
    RELAY,
    STACK,
    Place,
    bracketed,
    from_programs,
    gateway,
    place,
    to_programs,
    unharmed,
)

pytestmark = [pytest.mark.tun, pytest.mark.programs("nginx", "curl")]

PORT, NEAR = 8080, 8081
REQUESTS = 100
SMALL = random.Random(1).randbytes(20_000)
LARGE = random.Random(2).randbytes(5_000_000)
CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr notice;
events {{}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000;
    server {{
        listen {port};
        listen [::]:{port};
        root {folder}/files;
    }}
}}
"""


@pytest.fixture
def nginx(fresh_name: Callable[[str], str], tmp_path: Path) -> Iterator[Place]:
    """An nginx among the programs, with a small and a large file."""
    files = tmp_path / "files"
    files.mkdir()
    (files / "small").write_bytes(SMALL)
    (files / "large").write_bytes(LARGE)
    for folder in (tmp_path, files):
        # nginx reads files as another user where it was started by root.
        folder.chmod(0o755)
    file = tmp_path / "nginx.conf"
    file.write_text(CONFIGURATION.format(folder=tmp_path, port=PORT))
    command = ("nginx", "-e", "stderr", "-p", str(tmp_path), "-c", str(file))
    with place(fresh_name, tmp_path) as one, Program("nginx", command, one.programs.name) as server:
        server.line("err", lambda text: "start worker" in text or "using the" in text, PATIENCE)
        yield one


def requests_logged(nginx: Place) -> list[str]:
    return (nginx.folder / "access.log").read_text().splitlines()


class Client:
    """As much HTTP/1.1 as is needed to ask for files on one connection of the stack."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def ask(self, path: str, *fields: str) -> None:
        """Send a request."""
        head = [f"GET {path} HTTP/1.1", "Host: nginx", *fields]
        self.writer.write(("\r\n".join(head) + "\r\n\r\n").encode())

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next answer: status, fields, content."""
        status, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
        fields = dict(re.split(r":\s*", line.lower(), maxsplit=1) for line in lines)
        return int(status.split()[1]), fields, await self.reader.readexactly(int(fields["content-length"]))


@pytest.mark.parametrize("version", [4, 6])
def test_the_stack_asks_nginx(nginx: Place, version: int) -> None:
    addresses = [f"{STACK[4]}/24", f"{STACK[6]}/64"]

    async def asking(client: Client) -> None:
        for _ in range(REQUESTS):
            client.ask("/small")
            status, fields, content = await client.answer()
            assert (status, fields["connection"], content) == (200, "keep-alive", SMALL)
        # Requests that do not wait for the answers before.
        ranges = [(0, 0), (1, 1_000_000), (4_999_999, 4_999_999), (2_500_000, 3_999_999)]
        for first, last in ranges:
            client.ask("/large", f"Range: bytes={first}-{last}")
        for first, last in ranges:
            status, fields, content = await client.answer()
            assert (status, fields["content-range"]) == (206, f"bytes {first}-{last}/{len(LARGE)}")
            assert content == LARGE[first : last + 1]
        client.ask("/large", "Range: bytes=5000000-")
        assert (await client.answer())[0] == 416
        client.ask("/none")
        assert (await client.answer())[0] == 404
        client.ask("/large", "Connection: close")
        status, fields, content = await client.answer()
        assert (status, fields["connection"]) == (200, "close")
        assert hashlib.sha256(content).digest() == hashlib.sha256(LARGE).digest()
        assert await client.reader.read() == b""

    async def main() -> dict[str, object]:
        network = Interface(addr=addresses, host=["10.85.0.1", "fd85::1"], netns=nginx.relay.name)
        async with network, asyncio.timeout(PATIENCE):
            reader, writer = await network.open_connection(PROGRAMS[version], PORT)
            await asking(Client(reader, writer))
            writer.close()
            await writer.wait_closed()
            report: dict[str, object] = writer.get_extra_info("report")
            return report

    report = asyncio.run(main())
    assert unharmed(report), (report["drops"], report["error"])
    assert len(requests_logged(nginx)) == REQUESTS + 7


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("opens", ["kernel", "stack"])
def test_curl_asks_nginx_through_the_stack(nginx: Place, opens: str, version: int) -> None:
    forward = to_programs(version, PORT) if opens == "kernel" else from_programs(version, NEAR, PORT)
    where = f"{bracketed(STACK[version])}:{PORT}" if opens == "kernel" else f"{bracketed(RELAY[version])}:{NEAR}"
    got = nginx.folder / "got"
    with gateway(nginx, forward) as relay:
        # A hundred requests on one connection of curl's.
        url = f"http://{where}/small?[1-{REQUESTS}]"
        done = nginx.run("curl", "-sf", "-o", f"{got}#1", "-w", "%{http_code} %{num_connects}\n", url)
        assert done.stdout.decode().split("\n") == ["200 1"] + ["200 0"] * (REQUESTS - 1) + [""]
        nginx.run("curl", "-sf", "-r", "1000000-2999999", "-o", f"{got}-part", f"http://{where}/large")
        nginx.run("curl", "-sf", "-o", f"{got}-all", f"http://{where}/large")
        reports = relay.reports(3)
    for number in range(1, REQUESTS + 1):
        assert Path(f"{got}{number}").read_bytes() == SMALL
    assert Path(f"{got}-part").read_bytes() == LARGE[1_000_000:3_000_000]
    assert Path(f"{got}-all").read_bytes() == LARGE
    assert len(reports) == 3
    assert all(map(unharmed, reports)), [(report["drops"], report["error"]) for report in reports]
    assert len(requests_logged(nginx)) == REQUESTS + 2
