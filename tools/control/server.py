"""The control socket's end in the running command: it serves the same user and root, and nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

from .desk import Clerk
from .fault import OrderFault

_CREDENTIALS = struct.Struct("3i")
# No order is longer than this many octets.
_LIMIT = 1 << 16


def peer_of(sock: socket.socket) -> int:
    """User id of who connected to a local socket, as the kernel knows it (SO_PEERCRED)."""
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(raw)[1])


@contextlib.asynccontextmanager
async def control(path: Path, orders: Clerk) -> AsyncIterator[None]:
    """Serve orders at ``path`` (mode 0600); raises OSError where another command serves there already."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            stranger = peer_of(writer.get_extra_info("socket")) not in (0, os.geteuid())
            while line := await reader.readline():
                answer = _refusal() if stranger else _answer(orders, line)
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError):
            # A line that is too long, or a peer that went away.
            pass
        finally:
            writer.close()

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _clear(path)
    before = os.umask(0o177)
    try:
        server = await asyncio.start_unix_server(serve, str(path), limit=_LIMIT)
    finally:
        os.umask(before)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


def _clear(path: Path) -> None:
    """Remove the socket of a command that ended without doing so; raises OSError where one still serves."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise OSError(errno.EADDRINUSE, "another command is controlled here", str(path))


def _refusal() -> dict[str, object]:
    return {"ok": False, "error": "only the same user and root may control this command"}


def _answer(orders: Clerk, line: bytes) -> dict[str, object]:
    try:
        order = json.loads(line)
    except json.JSONDecodeError:
        return {"ok": False, "error": "an order is a JSON object on one line"}
    return answer(orders, order)


def answer(orders: Clerk, order: object) -> dict[str, object]:
    """The answer to an order, ``ok`` or with an ``error``."""
    try:
        if not isinstance(order, dict):
            raise OrderFault("an order is a JSON object")
        return {"ok": True, **orders.carry_out(order)}
    except OrderFault as fault:
        return {"ok": False, "error": str(fault)}
