"""A stack that talks to itself, and asyncio over it: TLS too."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Coroutine
from pathlib import Path
from random import Random
from typing import Any

import pytest

from stack.simulator import Loss
from tun.loopback import ADDRESSES, Loopback, LoopbackDevice

from .certificate import NAME, contexts

HOST, HOST6 = (address.partition("/")[0] for address in ADDRESSES)


def bounded(main: Coroutine[Any, Any, None]) -> None:
    async def run() -> None:
        async with asyncio.timeout(60):
            await main

    asyncio.run(run())


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()


def test_packets_come_back_in_order_and_once() -> None:
    device = LoopbackDevice()
    try:
        device.write([b"1", memoryview(b"2"), b"3"])
        device.write([b"4"])
        assert device.read_batch(3).packets == [b"1", b"2", b"3"]
        assert device.waiting == 1
        assert device.read_batch().packets == [b"4"]
        assert device.read_batch().packets == []
        device.write([])
        assert device.read_batch().packets == []
    finally:
        device.close()


@pytest.mark.parametrize("host", [HOST, HOST6])
def test_a_stack_reaches_itself(host: str) -> None:
    octets = Random(1).randbytes(500_000)

    async def main() -> None:
        async with Loopback() as loopback:
            await loopback.start_server(echo, 7)
            reader, writer = await loopback.open_connection(host, 7)
            writer.write(octets)
            writer.write_eof()
            assert await reader.read(-1) == octets
            writer.close()
            await writer.wait_closed()

    bounded(main())


def test_boxes_stand_in_the_way() -> None:
    async def main() -> None:
        async with Loopback(boxes=[Loss(1.0, Random(1))]) as loopback:
            await loopback.start_server(echo, 7)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(loopback.open_connection(HOST, 7), 0.05)

    bounded(main())


def test_tls_by_start_tls(tmp_path: Path) -> None:
    """``StreamWriter.start_tls`` at both ends, after octets in the clear."""
    server_side, client_side = contexts(tmp_path)
    octets = Random(2).randbytes(300_000)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"STARTTLS\n"
        writer.write(b"go ahead\n")
        await writer.start_tls(server_side)
        await echo(reader, writer)

    async def main() -> None:
        async with Loopback() as loopback:
            await loopback.start_server(serve, 7)
            reader, writer = await loopback.open_connection(HOST, 7)
            writer.write(b"STARTTLS\n")
            assert await reader.readline() == b"go ahead\n"
            await writer.start_tls(client_side, server_hostname=NAME)
            assert writer.get_extra_info("cipher") is not None
            assert writer.get_extra_info("security")["mode"] == "none"
            writer.write(octets)
            assert await reader.readexactly(len(octets)) == octets
            writer.close()
            await writer.wait_closed()

    bounded(main())


def test_tls_that_does_not_trust_the_peer_fails(tmp_path: Path) -> None:
    server_side, _ = contexts(tmp_path)
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await writer.start_tls(server_side)
        ended.set()

    async def main() -> None:
        async with Loopback() as loopback:
            await loopback.start_server(serve, 7)
            _, writer = await loopback.open_connection(HOST, 7)
            with pytest.raises(ssl.SSLCertVerificationError):
                await writer.start_tls(ssl.create_default_context(), server_hostname=NAME)
            await ended.wait()

    bounded(main())
