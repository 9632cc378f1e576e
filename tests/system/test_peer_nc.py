"""netcat, which half-closes, as client and as server of the stack."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import subprocess
from collections.abc import Callable, Iterator

import pytest

from stack.states import State
from tun.interface import Interface
from tun.netns import Namespace

from .relayed import unharmed

pytestmark = [pytest.mark.tun, pytest.mark.programs("nc")]

HOST = {4: "10.86.0.1", 6: "fd86::1"}
STACK = {4: "10.86.0.2", 6: "fd86::2"}
PIPE = subprocess.PIPE
PATIENCE = 120.0


@pytest.fixture
def namespace(fresh_name: Callable[[str], str]) -> Iterator[Namespace]:
    with Namespace(fresh_name("nc")) as one:
        yield one


def interface(namespace: Namespace) -> Interface:
    addresses = [f"{STACK[4]}/24", f"{STACK[6]}/64"]
    return Interface(tun="nc0", addr=addresses, host=list(HOST.values()), netns=namespace.name)


@contextlib.contextmanager
def netcat(namespace: Namespace, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with namespace.popen(["nc", *arguments], stdin=PIPE, stdout=PIPE, stderr=PIPE) as nc:
        try:
            yield nc
        finally:
            nc.kill()


@pytest.mark.parametrize("version", [4, 6])
def test_nc_ends_its_direction_and_then_hears_the_answer(namespace: Namespace, version: int) -> None:
    question, answer = random.Random(1).randbytes(3_000_000), random.Random(2).randbytes(3_000_000)
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # read() ends with the client's direction: nothing is said before.
        heard.extend(await reader.read())
        writer.write(answer)
        writer.close()

    async def main() -> tuple[bytes, dict[str, int]]:
        async with interface(namespace) as network:
            await network.start_server(serve, 70)
            with netcat(namespace, "-N", "-n", STACK[version], "70") as nc:
                out, err = await asyncio.to_thread(nc.communicate, question, PATIENCE)
            assert (nc.returncode, err) == (0, b"")
            return out, dict(network.stack.drops)

    out, drops = asyncio.run(main())
    assert bytes(heard) == question
    assert hashlib.sha256(out).digest() == hashlib.sha256(answer).digest()
    assert drops.keys() <= {"unknown_protocol", "not_ours"}


@pytest.mark.parametrize("version", [4, 6])
def test_the_stack_ends_its_direction_and_then_hears_nc(namespace: Namespace, version: int) -> None:
    question, answer = random.Random(3).randbytes(3_000_000), random.Random(4).randbytes(3_000_000)
    heard = bytearray()
    reports: list[dict[str, object]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(question)
        writer.write_eof()
        heard.extend(await reader.read())
        writer.close()
        await writer.wait_closed()
        reports.append(writer.get_extra_info("report"))

    async def main() -> bytes:
        async with interface(namespace) as network:
            await network.start_server(serve, 71)
            with netcat(namespace, "-N", "-n", STACK[version], "71") as nc:
                got: bytes = await asyncio.to_thread(nc.stdout.read, len(question))
                # Only behind our end, once nc's kernel has acknowledged it, is nc given something to say.
                (flow,) = network.stack.flows.values()
                async with asyncio.timeout(PATIENCE):
                    while flow.connection.state is not State.FIN_WAIT_2:
                        await asyncio.sleep(0.01)
                await asyncio.to_thread(nc.communicate, answer, PATIENCE)
                async with asyncio.timeout(PATIENCE):
                    while not reports:
                        await asyncio.sleep(0.01)
            assert nc.returncode == 0
            return got

    assert asyncio.run(main()) == question
    assert bytes(heard) == answer
    (report,) = reports
    assert (report["octets_out"], report["octets_in"]) == (len(question), len(answer))
    assert unharmed(report), (report["drops"], report["error"])


@pytest.mark.parametrize("version", [4, 6])
def test_the_stack_connects_to_nc_which_ends_first(namespace: Namespace, version: int) -> None:
    question, answer = random.Random(5).randbytes(3_000_000), random.Random(6).randbytes(3_000_000)

    async def main() -> tuple[bytes, bytes, dict[str, object]]:
        async with interface(namespace) as network:
            with netcat(namespace, "-N", "-n", "-v", "-l", HOST[version], "74") as nc:
                assert (await asyncio.to_thread(nc.stderr.readline)).startswith(b"Listening on")
                reader, writer = await network.open_connection(HOST[version], 74)
                saying = asyncio.ensure_future(asyncio.to_thread(nc.communicate, question, PATIENCE))
                got = await reader.read()
                writer.write(answer)
                writer.close()
                await writer.wait_closed()
                heard, _ = await saying
            assert nc.returncode == 0
            return got, heard, writer.get_extra_info("report")

    got, heard, report = asyncio.run(main())
    assert got == question
    assert heard == answer
    assert unharmed(report), (report["drops"], report["error"])


@pytest.mark.parametrize("version", [4, 6])
def test_nc_finds_which_ports_are_open(namespace: Namespace, version: int) -> None:
    async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def main() -> list[tuple[int, str]]:
        async with interface(namespace) as network:
            await network.start_server(ignore, 72)
            found = []
            for port in ("72", "73"):
                command = ["nc", "-z", "-v", "-n", STACK[version], port]
                done = await asyncio.to_thread(namespace.run, command, stderr=PIPE, text=True, timeout=PATIENCE)
                found.append((done.returncode, done.stderr))
            return found

    (opened, said), (closed, refused) = asyncio.run(main())
    assert (opened, closed) == (0, 1)
    assert "succeeded" in said
    assert "refused" in refused
