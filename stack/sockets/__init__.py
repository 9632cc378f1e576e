"""Blocking sockets over a userspace stack, with the names, results and errors of Python's ``socket`` module.

    with edotun.BlockingInterface(addr=["10.9.0.2/24"], host=["10.9.0.1"]) as interface:
        net = edotun.sockets.Net(interface)
        with net.create_connection(("10.9.0.1", 80)) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")

The descriptor of ``Socket.fileno()`` can be given to select, poll, epoll, selectors and asyncio: see ``Mirror``.
"""

from __future__ import annotations

from .blocking import Socket
from .net import Net
from .shared import SharedRunner

__all__ = ["Net", "SharedRunner", "Socket"]
