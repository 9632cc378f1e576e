"""docs/examples/authentication: peers sign the session identifier, and a man in the middle is found."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

import edotun

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "authentication" / "authentication.py"
SPEC = importlib.util.spec_from_file_location("authentication", EXAMPLE)
assert SPEC is not None
assert SPEC.loader is not None
authentication = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(authentication)

AGREED = edotun.Security(protect="ao-enc-dh")
HOST = "192.0.2.1"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Person:
    """Someone with a key in SSH's form, and the file of those whom they know."""

    def __init__(self, folder: Path, name: str) -> None:
        key = Ed25519PrivateKey.generate()
        self.private = folder / f"id_{name}"
        self.private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
        public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
        self.line = f"{public} {name}\n"
        self.peers = folder / f"peers_of_{name}"

    def knows(self, *others: Person) -> None:
        self.peers.write_text("# those who are let in\n\n" + "".join(other.line for other in others))

    async def authenticate(self, streams: Streams) -> str:
        own, peers = authentication.private_key(self.private), authentication.known_peers(self.peers)
        name: str = await authentication.authenticate(*streams, own, peers)
        return name


@pytest.fixture
def people(tmp_path: Path) -> tuple[Person, Person, Person]:
    client, server, middle = (Person(tmp_path, name) for name in ("client", "server", "mallory"))
    client.knows(server)
    server.knows(client)
    middle.knows(client, server)
    return client, server, middle


def run(main: Callable[[edotun.Loopback], Coroutine[Any, Any, None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(30), edotun.Loopback() as loopback:
            await main(loopback)

    asyncio.run(within())


def serve(
    person: Person, met: list[str], ended: asyncio.Event | None = None
) -> Callable[..., Coroutine[Any, Any, None]]:
    """An echo for those who are let in; ``met`` gets their names, or why they were refused; ``ended`` follows."""

    async def service(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            met.append(await person.authenticate((reader, writer)))
            writer.write(await reader.readline())
        except authentication.Refused as refusal:
            met.append(str(refusal))
        writer.close()
        if ended is not None:
            ended.set()

    return service


async def relay(loopback: edotun.Loopback, heard: list[bytes], speak: Person | None) -> None:
    """Mallory listens on port 23, connects to port 22 and passes everything on; he may sign with his own key."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            heard.append(data)
            writer.write(data)
        writer.close()

    async def between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await loopback.open_connection(HOST, 22, security=AGREED)
        if speak is not None:
            with_client = asyncio.ensure_future(speak.authenticate((reader, writer)))
            with_server = asyncio.ensure_future(speak.authenticate(there))
            await asyncio.gather(with_client, with_server, return_exceptions=True)
        await asyncio.gather(pump(reader, there[1]), pump(there[0], writer), return_exceptions=True)

    await loopback.start_server(between, 23, security=AGREED)


def test_peers_know_each_other(people: tuple[Person, Person, Person]) -> None:
    client, server, _ = people
    met: list[str] = []

    async def main(loopback: edotun.Loopback) -> None:
        await loopback.start_server(serve(server, met), 22, security=AGREED)
        streams = await loopback.open_connection(HOST, 22, security=AGREED)
        assert not streams[1].get_extra_info("security")["authenticated"]
        assert await client.authenticate(streams) == "server"
        assert streams[1].get_extra_info("report")["authenticated"]
        streams[1].write(b"hello\n")
        assert await streams[0].readline() == b"hello\n"
        streams[1].close()

    run(main)
    assert met == ["client"]


def test_without_signatures_a_man_in_the_middle_reads_everything(people: tuple[Person, Person, Person]) -> None:
    """What he cannot do is hide that the session is another one."""
    heard: list[bytes] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    async def main(loopback: edotun.Loopback) -> None:
        await loopback.start_server(echo, 22, security=AGREED)
        await relay(loopback, heard, None)
        reader, writer = await loopback.open_connection(HOST, 23, security=AGREED)
        assert writer.get_extra_info("security")["mode"] == "ao-enc-dh"
        writer.write(b"a secret\n")
        assert await reader.readline() == b"a secret\n"
        writer.close()

    run(main)
    assert b"a secret\n" in heard


@pytest.mark.parametrize("signs", [False, True])
def test_a_man_in_the_middle_is_refused_by_both(people: tuple[Person, Person, Person], signs: bool) -> None:
    client, server, middle = people
    met: list[str] = []
    heard: list[bytes] = []

    async def main(loopback: edotun.Loopback) -> None:
        ended = asyncio.Event()
        await loopback.start_server(serve(server, met, ended), 22, security=AGREED)
        await relay(loopback, heard, middle if signs else None)
        streams = await loopback.open_connection(HOST, 23, security=AGREED)
        with pytest.raises(authentication.Refused, match="not among" if signs else "someone stands between"):
            await client.authenticate(streams)
        assert not streams[1].get_extra_info("security")["authenticated"]
        streams[1].close()
        await ended.wait()

    run(main)
    assert len(met) == 1
    assert "not among" in met[0] if signs else "someone stands between" in met[0]


def test_a_stranger_is_refused(people: tuple[Person, Person, Person]) -> None:
    _, server, stranger = people
    met: list[str] = []

    async def main(loopback: edotun.Loopback) -> None:
        await loopback.start_server(serve(server, met), 22, security=AGREED)
        streams = await loopback.open_connection(HOST, 22, security=AGREED)
        assert await stranger.authenticate(streams) == "server"
        assert await streams[0].read() == b""
        streams[1].close()

    run(main)
    assert met == ["the peer's key is not among those that are let in"]


def test_keys_are_those_of_ssh_keygen(tmp_path: Path) -> None:
    key = tmp_path / "id"
    try:
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "someone", "-f", str(key)]
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no ssh-keygen")
    own = authentication.private_key(key)
    assert authentication.known_peers(key.with_suffix(".pub")) == {own.public_key().public_bytes_raw(): "someone"}


def test_nothing_is_vouched_for_without_a_session() -> None:
    async def main(loopback: edotun.Loopback) -> None:
        await loopback.start_server(lambda reader, writer: writer.close(), 22)
        _, writer = await loopback.open_connection(HOST, 22)
        with pytest.raises(OSError, match="no keys were agreed on"):
            writer.transport.vouch()  # type: ignore[attr-defined]
        writer.close()

    run(main)
