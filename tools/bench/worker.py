"""One end of a transfer, a process of its own: ``python -m tools.bench.worker JOB``."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from pathlib import Path
from typing import Final

from stack.config import TcpConfig
from stack.security import Security
from tun.interface import Interface

from ..protect import check_security
from .job import Job, Result

_CHUNK: Final = 1 << 18
_LIMIT: Final = 1 << 20
_OCTETS: Final = bytes(range(256)) * (_CHUNK // 256)
_CONNECT_PATIENCE: Final = 10.0


def run(job: Job) -> Result:
    """Do ``job``; the sender's result counts what it wrote."""
    if job.core >= 0:
        os.sched_setaffinity(0, {job.core})
    if job.stack:
        return asyncio.run(_stack(job))
    return _kernel_send(job) if job.sends else _kernel_receive(job)


def _listening(job: Job) -> None:
    print(f"listening on {job.address}:{job.port}", file=sys.stderr, flush=True)


class _Quota:
    """How much is still to be sent."""

    def __init__(self, job: Job) -> None:
        self._left = job.octets or None
        self._end = time.monotonic() + job.seconds
        self.sent = 0

    def next(self) -> int:
        """Octets of the next write, 0 at the end."""
        if self._left is None:
            count = _CHUNK if time.monotonic() < self._end else 0
        else:
            count = min(_CHUNK, self._left)
            self._left -= count
        self.sent += count
        return count


def _kernel_socket(job: Job) -> socket.socket:
    one = socket.socket()
    # The machine's default may be one that paces, which would decide the figures.
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, job.congestion.encode())
    return one


def _kernel_send(job: Job) -> Result:
    with _kernel_socket(job) as one:
        one.settimeout(_CONNECT_PATIENCE)
        one.connect((job.address, job.port))
        one.settimeout(None)
        quota, began = _Quota(job), time.monotonic()
        octets = memoryview(_OCTETS)
        while count := quota.next():
            one.sendall(octets[:count])
        one.shutdown(socket.SHUT_WR)
        while one.recv(_CHUNK):
            pass
        return Result(quota.sent, time.monotonic() - began)


def _kernel_receive(job: Job) -> Result:
    with _kernel_socket(job) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Beside a stack the address appears only with the sender's TUN.
        listener.bind(("", job.port))
        listener.listen()
        _listening(job)
        one, _ = listener.accept()
    with one:
        room = bytearray(_LIMIT)
        one.recv_into(room)
        began = last = time.monotonic()
        octets = 0
        while count := one.recv_into(room):
            octets += count
            last = time.monotonic()
        return Result(octets, last - began)


async def _stack(job: Job) -> Result:
    security = check_security(
        protect=job.protect,
        policy="require",
        edo=None,
        keys=Path(job.keys) if job.keys else None,
        notice=lambda text: None,
    )
    config = TcpConfig(congestion=job.congestion)
    async with Interface(
        addr=(job.own,), host=(job.host,), netns=job.netns, mtu=job.mtu, config=config
    ) as interface:
        work = _stack_send if job.sends else _stack_receive
        return await work(job, interface, security)


async def _stack_send(job: Job, interface: Interface, security: Security) -> Result:
    async with asyncio.timeout(_CONNECT_PATIENCE):
        reader, writer = await interface.open_connection(job.address, job.port, security=security)
    quota, began = _Quota(job), time.monotonic()
    while count := quota.next():
        writer.write(_OCTETS[:count])
        await writer.drain()
        # drain() gives the loop no turn while the buffer has room.
        await asyncio.sleep(0)
    writer.write_eof()
    while await reader.read(_CHUNK):
        pass
    writer.close()
    return Result(quota.sent, time.monotonic() - began)


async def _stack_receive(job: Job, interface: Interface, security: Security) -> Result:
    done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(_LIMIT)
            began = last = time.monotonic()
            octets = 0
            while data := await reader.read(_LIMIT):
                octets += len(data)
                last = time.monotonic()
            writer.close()
            done.set_result(Result(octets, last - began))
        except OSError as error:
            done.set_exception(error)

    await interface.start_server(take, job.port, address=job.address, security=security, limit=_LIMIT)
    _listening(job)
    return await done


if __name__ == "__main__":
    try:
        print(run(Job.read(sys.argv[1])).line(), flush=True)
    except OSError as fault:
        sys.exit(f"{type(fault).__name__}: {fault}")
