"""Interface: a TUN device, a stack on it and what drives both, as one asynchronous context."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from edo.codepoints import Dialect
from stack.aio import Server, open_connection, start_server
from stack.aio_streams import LIMIT, ClientConnected
from stack.aio_transport import drain_closing
from stack.box import Box
from stack.config import TcpConfig
from stack.host import Stack
from stack.memory import MEMORY
from stack.security import Security

from .capture import Capture
from .device import Tun
from .driver import Device, Driver
from .errors import TunError
from .keylog import BoxKeyLog, KeyLog
from .qlog import Qlog

if TYPE_CHECKING:
    from ao.keylog import LoggedKeys
    from stack.attempt import Attempt

# How long the end waits for connections that are closed and whose FIN was not acknowledged yet, seconds.
_LAST_FIN: Final = 2.0


def _tell_each(logs: Sequence[Callable[[LoggedKeys], None]], keys: LoggedKeys) -> None:
    for log in logs:
        log(keys)


class Interface:
    """A stack of its own on a TUN device of its own, for ``async with``.

    ``tun`` names the device; ``addr`` are the stack's addresses ("ADDR/N"), ``host`` the kernel's on the device;
    ``netns`` is the namespace where the device appears; ``mtu`` in octets; ``capture`` a file for a pcapng of
    every packet, those that the stack dropped with the reason as comment; ``qlog`` one for the connections'
    events; ``keylog`` one for the secrets of agreed keys, a line a generation (``edotun decrypt``);
    ``box_keys`` one for what lets a box on the path sign, and not read; ``config`` the base of every connection's
    settings, of which ``mtu`` is replaced (None: TCP's defaults, but for Nagle's algorithm, which asyncio turns off
    in its connections, too); ``memory`` bounds what all connections hold together, octets; ``offload`` off: the
    device neither finishes checksums nor cuts segments (nor does it with ``capture`` or ``boxes``, which see
    packets as they are on a wire); ``edo`` (off, strict, lenient) and ``dialect`` hold for connections whose
    security names none; ``boxes`` stand between stack and device. Entering raises TunError or another OSError, one
    line that says what could not be had.
    """

    def __init__(
        self,
        *,
        addr: Sequence[str],
        tun: str = "edotun0",
        host: Sequence[str] = (),
        netns: str | None = None,
        mtu: int = 1500,
        capture: str | Path | None = None,
        qlog: str | Path | None = None,
        keylog: str | Path | None = None,
        box_keys: str | Path | None = None,
        config: TcpConfig | None = None,
        memory: int = MEMORY,
        offload: bool = True,
        edo: str = "off",
        dialect: Dialect | None = None,
        boxes: Sequence[Box] = (),
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._name = tun
        self._addresses = tuple(addr)
        self._hosts = tuple(host)
        self._netns = netns
        self._mtu = mtu
        self._capture = capture
        self._qlog = qlog
        self._keylog = keylog
        self._box_keys = box_keys
        self._config = config or TcpConfig(nagle=False)
        self._memory = memory
        self._offload = offload
        self._edo = edo
        self._dialect = dialect
        self._boxes = tuple(boxes)
        self._random = random
        self._driver: Driver[Stack] | None = None
        self._resources = ExitStack()

    async def __aenter__(self) -> Self:
        config = replace(self._config, mtu=self._mtu)
        stack = Stack(
            self._addresses,
            config=config,
            random=self._random,
            memory=self._memory,
            edo=self._edo,
            dialect=self._dialect,
        )
        with ExitStack() as resources:
            device = self._device(resources)
            capture = None
            epoch = time.time() - asyncio.get_running_loop().time()
            if self._qlog is not None:
                stack.trace = resources.enter_context(Qlog(self._qlog, title=self._name, epoch=epoch))
            logs: list[Callable[[LoggedKeys], None]] = []
            if self._keylog is not None:
                logs.append(resources.enter_context(KeyLog(self._keylog)))
            if self._box_keys is not None:
                logs.append(resources.enter_context(BoxKeyLog(self._box_keys)))
            if logs:
                stack.keylog = partial(_tell_each, logs)
            if self._capture is not None:
                stack.dropped = []
                capture = resources.enter_context(Capture(self._capture, name=self._name, epoch=epoch))
            self._driver = resources.enter_context(Driver(stack, device, capture=capture, boxes=self._boxes))
            self._resources = resources.pop_all()
        return self

    def _device(self, resources: ExitStack) -> Device:
        """Make the device, to be given back with ``resources``."""
        tun = Tun(
            self._name,
            self._addresses,
            self._hosts,
            netns=self._netns,
            mtu=self._mtu,
            offload=self._offload,
        )
        return resources.enter_context(tun)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait shortly for the last FINs, then remove the device; connections that are open end with it."""
        try:
            if self.error is None:
                await drain_closing(self.driver, _LAST_FIN)
        finally:
            self._resources.close()

    @property
    def driver(self) -> Driver[Stack]:
        """What drives the stack (its Runner); RuntimeError before the context is entered."""
        if self._driver is None:
            raise RuntimeError("the interface is not set up: use it with 'async with'")
        return self._driver

    @property
    def stack(self) -> Stack:
        """The stack; RuntimeError before the context is entered."""
        return self.driver.stack

    @property
    def error(self) -> TunError | None:
        """Why the device is gone, None while it is there."""
        return self.driver.error

    async def wait(self) -> None:
        """Wait until the interface is closed; raises TunError where the device is gone before."""
        await self.driver.wait()

    async def open_connection(
        self,
        host: str,
        port: int,
        *,
        security: Security | None = None,
        local_port: int = 0,
        local_address: str | None = None,
        limit: int = LIMIT,
        started: Callable[[Attempt], None] | None = None,
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect; as ``stack.aio.open_connection``."""
        return await open_connection(
            self.driver,
            host,
            port,
            security=security,
            local_port=local_port,
            local_address=local_address,
            limit=limit,
            started=started,
        )

    async def start_server(
        self,
        client_connected_cb: ClientConnected,
        port: int,
        *,
        address: str | None = None,
        security: Security | None = None,
        backlog: int = 1024,
        limit: int = LIMIT,
    ) -> Server:
        """Listen; as ``stack.aio.start_server``."""
        return await start_server(
            client_connected_cb,
            self.driver,
            port,
            address=address,
            security=security,
            backlog=backlog,
            limit=limit,
        )
