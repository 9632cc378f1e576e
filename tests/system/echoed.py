"""An echo on a stack, and a kernel's socket that speaks to it."""

from __future__ import annotations

import asyncio
import socket


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 18):
        writer.write(data)
        await writer.drain()
    writer.close()


async def exchange(peer: socket.socket, octets: bytes) -> bytes:
    """Send everything and FIN by a kernel socket; return what came until the other side's FIN."""
    loop = asyncio.get_running_loop()

    async def send() -> None:
        await loop.sock_sendall(peer, octets)
        peer.shutdown(socket.SHUT_WR)

    sending = asyncio.create_task(send())
    got = bytearray()
    while data := await loop.sock_recv(peer, 1 << 18):
        got += data
    await sending
    return bytes(got)
