"""Ends that are the stack on a TUN, by its API for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stack.config import TcpConfig
from tun.device import Tun
from tun.interface import Interface

from ...protect import check_security
from ..job import Job
from .quota import CHUNK, CONNECT_PATIENCE, OCTETS, Quota, Received

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stack.security import Security

_LIMIT: Final = 1 << 20


def security_of(job: Job, confirm: str | None = None) -> Security:
    """What the job says of protection, made into a Security."""
    return check_security(
        protect=job.protect,
        policy="require",
        edo=None,
        keys=Path(job.keys) if job.keys else None,
        suite=f"{job.mac}+{job.cipher}" if job.protect.endswith("-dh") else None,
        confirm=confirm,
        notice=lambda text: None,
    )


@asynccontextmanager
async def interface_of(job: Job) -> AsyncIterator[Interface]:
    """The stack of a job on its device; raises TunError."""
    config = TcpConfig(
        congestion=job.congestion,
        nagle=False,
        # Packets have the size that is measured from the first on, and are not grown to it while it is measured.
        mtu_probing="black-hole",
        # Strangers may draw as many agreements as there are handshakes to be counted.
        unproven_agreements=1e9,
    )
    async with Interface(addr=(job.own,), host=(job.host,), mtu=job.mtu, config=config) as interface:
        yield interface


def drops(interface: Interface) -> int:
    """Packets that were lost at the stack's device: not taken by the kernel, or dropped by it either way."""
    device = interface.driver.device
    assert isinstance(device, Tun)
    on_their_way, coming_from_us = device.kernel_drops()
    return device.dropped + on_their_way + coming_from_us


def send(job: dict[str, Any], _: Callable[[], None]) -> dict[str, Any]:
    """Connect, send, and wait for the receiver's end of the stream."""
    return asyncio.run(_send(Job.read(job)))


async def _send(job: Job) -> dict[str, Any]:
    async with interface_of(job) as interface:
        async with asyncio.timeout(CONNECT_PATIENCE):
            reader, writer = await interface.open_connection(job.address, job.port, security=security_of(job))
        quota = Quota(job)
        while count := quota.next():
            writer.write(OCTETS[:count])
            await writer.drain()
            # drain() gives the loop no turn while the buffer has room.
            await asyncio.sleep(0)
        writer.write_eof()
        while await reader.read(CHUNK):
            pass
        writer.close()
        result = quota.result()
        return replace(result, dropped=drops(interface)).to_json()


def receive(job: dict[str, Any], ready: Callable[[], None]) -> dict[str, Any]:
    """Accept one connection and read it to its end."""
    return asyncio.run(_receive(Job.read(job), ready))


async def _receive(job: Job, ready: Callable[[], None]) -> dict[str, Any]:
    done: asyncio.Future[Received] = asyncio.get_running_loop().create_future()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(_LIMIT)
            received = Received()
            while data := await reader.read(_LIMIT):
                received.add(len(data))
            writer.close()
            done.set_result(received)
        except OSError as error:
            done.set_exception(error)

    async with interface_of(job) as interface:
        await interface.start_server(take, job.port, address=job.address, security=security_of(job), limit=_LIMIT)
        ready()
        result = (await done).result()
        return replace(result, dropped=drops(interface)).to_json()
