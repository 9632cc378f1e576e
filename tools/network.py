"""What the programs of the command line need of a network: opening and accepting connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from stack.aio_streams import ClientConnected
from stack.security import Security


class Network(Protocol):
    """``edotun.Interface``, or what stands for it in a test."""

    async def open_connection(
        self,
        host: str,
        port: int,
        *,
        security: Security | None = None,
        local_port: int = 0,
        local_address: str | None = None,
        limit: int = ...,
        started: Callable[[Any], None] | None = None,
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect, as ``stack.aio.open_connection``."""

    async def start_server(
        self,
        client_connected_cb: ClientConnected,
        port: int,
        *,
        address: str | None = None,
        security: Security | None = None,
        limit: int = ...,
    ) -> asyncio.AbstractServer:
        """Listen, as ``stack.aio.start_server``."""


class Reported(Protocol):
    """What holds a report: an Attempt."""

    def report(self) -> dict[str, object]:
        """The facts of a connection by the names of its line."""


def report_of(writer: asyncio.StreamWriter) -> dict[str, object]:
    """Return the report of a connection, empty where its transport has none."""
    report: dict[str, object] | None = writer.get_extra_info("report")
    return {} if report is None else report


async def close(writer: asyncio.StreamWriter, patience: float) -> str | None:
    """Close a connection and wait at most ``patience`` seconds until all was acknowledged, then abort it.

    Returns what went wrong, None for nothing.
    """
    writer.close()
    try:
        async with asyncio.timeout(patience):
            await writer.wait_closed()
    except TimeoutError as error:
        # The connection's own has an errno, that of the deadline has none.
        if error.errno is not None:
            return str(error.strerror)
        writer.transport.abort()
        return f"not everything was acknowledged within {patience:g} s"
    except OSError as error:
        return str(error.strerror or error)
    return None
