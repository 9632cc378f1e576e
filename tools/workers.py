"""A command in several processes: the parent makes them, speaks for them, and ends all when one ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

# The most that an order has, octets. What a worker says, which may be long, goes in pieces: the kernel takes no
# message that is longer than what it lets wait.
_LARGEST: Final = 1 << 17
_PIECE: Final = 1 << 15
_MORE: Final = b"+"
_LAST: Final = b"."
# How long an answer may take, seconds.
_PATIENCE: Final = 10.0
_KILL_AFTER: Final = 15.0


class Link:
    """A worker's line to the parent: orders come, answers and news go. The parent's end is the worker's end."""

    def __init__(self, line: socket.socket, stop: asyncio.Event) -> None:
        self._line = line
        self._stop = stop
        self._carry_out: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None
        self._waiting: deque[bytes] = deque()
        asyncio.get_running_loop().add_reader(line.fileno(), self._readable)

    def ready(self) -> None:
        """Tell that connections are accepted."""
        self._send({"ready": True})

    def fault(self, text: str) -> None:
        """Tell why this worker, and so the command, ends."""
        self._send({"fault": text})
        self._stop.set()

    def serve(self, carry_out: Callable[[Mapping[str, Any]], dict[str, Any]]) -> None:
        """Have orders carried out by ``carry_out`` from now on, which returns the whole answer."""
        self._carry_out = carry_out

    def _readable(self) -> None:
        try:
            message = self._line.recv(_LARGEST)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            asyncio.get_running_loop().remove_reader(self._line.fileno())
            self._stop.set()
            return
        asked = json.loads(message)
        answer = {"ok": False, "error": "the worker is not ready yet"}
        if self._carry_out is not None:
            answer = self._carry_out(asked["order"])
        self._send({"number": asked["number"], "answer": answer})

    def _send(self, message: Mapping[str, Any]) -> None:
        octets = json.dumps(message).encode()
        for at in range(0, len(octets), _PIECE):
            piece = octets[at : at + _PIECE]
            self._waiting.append((_LAST if at + _PIECE >= len(octets) else _MORE) + piece)
        self._flush()

    def _flush(self) -> None:
        """Send what waits, as far as there is room now."""
        waiting = self._waiting
        try:
            while waiting:
                self._line.send(waiting[0])
                waiting.popleft()
        except BlockingIOError:
            asyncio.get_running_loop().add_writer(self._line.fileno(), self._flush)
            return
        except OSError:
            # The parent is gone, which is told by the line's end.
            waiting.clear()
        asyncio.get_running_loop().remove_writer(self._line.fileno())


Work = Callable[[int, Link, asyncio.Event], Awaitable[None]]


class _Worker:
    def __init__(self, number: int, process: int, line: socket.socket) -> None:
        self.number = number
        self.process = process
        self.line = line
        self.ready = False
        self.over = False
        self._begun = bytearray()

    def whole(self, piece: bytes) -> dict[str, Any] | None:
        """The message that a piece from the line ends; None where more has to come."""
        self._begun += piece[1:]
        if piece[:1] == _MORE:
            return None
        told: dict[str, Any] = json.loads(self._begun)
        self._begun.clear()
        return told


class Workers:
    """``count`` processes that run ``work(number, link, stop)`` each, forked when this is made.

    In a worker the constructor does not return. ``run`` returns the command's exit status.
    """

    def __init__(self, count: int, work: Work) -> None:
        self._workers: list[_Worker] = []
        for number in range(count):
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            sys.stdout.flush()
            sys.stderr.flush()
            process = os.fork()
            if process == 0:
                ours.close()
                for worker in self._workers:
                    worker.line.close()
                _be_worker(number, theirs, work)
            theirs.close()
            ours.setblocking(False)
            self._workers.append(_Worker(number, process, ours))
        self._fault: str | None = None
        self._stopping = False
        self._asked = 0

    @property
    def processes(self) -> list[int]:
        """The workers' process ids."""
        return [worker.process for worker in self._workers]

    def ask(self, order: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Have every worker carry out ``order``; their answers. Raises OSError where one does not answer."""
        self._asked += 1
        octets = json.dumps({"number": self._asked, "order": order}).encode()
        for worker in self._workers:
            worker.line.send(octets)
        return [self._answer(worker) for worker in self._workers]

    def _answer(self, worker: _Worker) -> dict[str, Any]:
        """The worker's answer to the last order; one to an earlier order came too late for anybody."""
        worker.line.settimeout(_PATIENCE)
        try:
            while piece := worker.line.recv(_LARGEST):
                told = worker.whole(piece)
                if told is None:
                    continue
                if told.get("number") == self._asked:
                    answer: dict[str, Any] = told["answer"]
                    return answer
                self._take(worker, told)
        finally:
            worker.line.setblocking(False)
        raise OSError("it has ended")

    async def run(
        self, inside: Callable[[], contextlib.AbstractAsyncContextManager[None]], tell: Callable[[], None]
    ) -> int:
        """Run until all have ended; ``inside`` is entered, and ``tell`` called, once all accept connections."""
        loop = asyncio.get_running_loop()
        news = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)
        for worker in self._workers:
            loop.add_reader(worker.line.fileno(), self._hear, worker, news)
        async with contextlib.AsyncExitStack() as ends:
            told = False
            while not all(worker.over for worker in self._workers):
                if not told and all(worker.ready for worker in self._workers):
                    told = True
                    try:
                        await ends.enter_async_context(inside())
                    except OSError as error:
                        self._end(f"{error.filename}: {error.strerror}" if error.filename else str(error))
                    else:
                        tell()
                await news.wait()
                news.clear()
        if self._fault is not None:
            print(f"edotun: {self._fault}", file=sys.stderr, flush=True)
        return 0 if self._fault is None else 1

    def _hear(self, worker: _Worker, news: asyncio.Event) -> None:
        news.set()
        try:
            piece = worker.line.recv(_LARGEST)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if piece:
            told = worker.whole(piece)
            if told is not None:
                self._take(worker, told)
            return
        asyncio.get_running_loop().remove_reader(worker.line.fileno())
        _, status = os.waitpid(worker.process, 0)
        worker.over = True
        code = os.waitstatus_to_exitcode(status)
        if code == 0:
            # A signal told it to, one to all perhaps that this process has not seen yet.
            self._stop_once()
        elif not self._stopping or code not in (-signal.SIGTERM, -signal.SIGINT):
            how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
            self._end(f"worker {worker.number} {how}")

    def _take(self, worker: _Worker, told: Mapping[str, Any]) -> None:
        worker.ready = worker.ready or bool(told.get("ready"))
        if told.get("fault"):
            self._end(str(told["fault"]))

    def _end(self, fault: str) -> None:
        self._fault = self._fault or fault
        self._stop_once()

    def _stop_once(self) -> None:
        """End all; those that are about to end are not told again, which could find them without a handler."""
        if not self._stopping:
            self._stop()

    def _stop(self) -> None:
        first = not self._stopping
        self._stopping = True
        for worker in self._workers:
            if not worker.over:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.process, signal.SIGTERM)
        if first:
            asyncio.get_running_loop().call_later(_KILL_AFTER, self._kill)

    def _kill(self) -> None:
        for worker in self._workers:
            if not worker.over:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.process, signal.SIGKILL)


def _be_worker(number: int, line: socket.socket, work: Work) -> None:
    """Run ``work`` in this process, then end it."""
    line.setblocking(False)
    status = 1

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for signal_ in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signal_, stop.set)
        link = Link(line, stop)
        try:
            await work(number, link, stop)
        except OSError as error:
            text = error.strerror or str(error)
            link.fault(f"{error.filename}: {text}" if error.filename else text)
            raise

    try:
        asyncio.run(main())
        status = 0
    except OSError:
        pass
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
