"""asyncio's own sockets on 127.0.0.1 in the place of a stack's network, and a bound for every test."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

BOUND = 20.0


def bounded(main: Coroutine[Any, Any, Any]) -> Any:
    async def run() -> Any:
        async with asyncio.timeout(BOUND):
            return await main

    return asyncio.run(run())


class Facts:
    """What an Attempt tells of itself, as far as the tools ask."""

    def __init__(self, peer: str) -> None:
        self.peer = peer

    def report(self) -> dict[str, object]:
        return {"peer": self.peer, "role": "connect", "mode": "none", "error": None}


class Loopback:
    """A Network over the kernel's TCP; port 0 listens on any."""

    def __init__(self) -> None:
        self.servers: list[asyncio.Server] = []
        self.opened: list[dict[str, Any]] = []

    async def open_connection(
        self,
        host: str,
        port: int,
        *,
        started: Callable[[Any], None] | None = None,
        limit: int = 65536,
        **options: Any,
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self.opened.append(options)
        if started is not None:
            started(Facts(f"{host}:{port}"))
        return await asyncio.open_connection(host, port, limit=limit)

    async def start_server(
        self, client_connected_cb: Any, port: int, *, address: str | None = None, limit: int = 65536, **_: Any
    ) -> asyncio.Server:
        server = await asyncio.start_server(client_connected_cb, address or "127.0.0.1", port, limit=limit)
        self.servers.append(server)
        return server

    @property
    def port(self) -> int:
        """Where the last server listens."""
        return int(self.servers[-1].sockets[0].getsockname()[1])
