"""The parent of several processes: whose answer is whose, and what ends them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any

import pytest

from tools import workers as module
from tools.workers import Link, Work, Workers

Make = Callable[[int, Work], Workers]


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes workers; those that have not ended by the end of the test are ended."""
    made: list[Workers] = []

    def begin(count: int, work: Work) -> Workers:
        made.append(Workers(count, work))
        return made[-1]

    yield begin
    for one in made:
        for process in one.processes:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(process, signal.SIGKILL)
                os.waitpid(process, 0)


@contextlib.asynccontextmanager
async def nothing() -> AsyncIterator[None]:
    yield


def run(workers: Workers, then: Callable[[], Awaitable[None]]) -> int:
    """The command's exit status, where ``then`` happens once all accept connections."""

    async def main() -> int:
        told = asyncio.Event()
        running = asyncio.ensure_future(workers.run(nothing, told.set))
        await told.wait()
        await then()
        return await running

    async def bounded() -> int:
        async with asyncio.timeout(60.0):
            return await main()

    return asyncio.run(bounded())


def test_an_answer_that_comes_late_is_not_taken_for_the_next_order_s(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.05)
    release, hold = os.pipe()[::-1]

    async def work(number: int, link: Link, stop: asyncio.Event) -> None:
        def carry_out(order: Mapping[str, Any]) -> dict[str, Any]:
            if order["do"] == "hang" and number == 0:
                os.read(hold, 1)
            return {"ok": True, "did": order["do"], "worker": number}

        link.serve(carry_out)
        link.ready()
        await stop.wait()

    workers = make(2, work)

    async def then() -> None:
        with pytest.raises(OSError, match="timed out"):
            workers.ask({"do": "hang"})
        monkeypatch.setattr(module, "_PATIENCE", 30.0)
        os.write(release, b"x")
        assert workers.ask({"do": "list"}) == [{"ok": True, "did": "list", "worker": number} for number in (0, 1)]
        os.kill(os.getpid(), signal.SIGTERM)

    assert run(workers, then) == 0
    os.close(release)
    os.close(hold)


def test_a_fault_that_comes_before_an_answer_is_told(make: Make, capfd: pytest.CaptureFixture[str]) -> None:
    async def work(number: int, link: Link, stop: asyncio.Event) -> None:
        def carry_out(_: Mapping[str, Any]) -> dict[str, Any]:
            if number == 1:
                link.fault("device wk0 is gone")
            return {"ok": True}

        link.serve(carry_out)
        link.ready()
        await stop.wait()

    workers = make(2, work)

    async def then() -> None:
        assert workers.ask({"do": "list"}) == [{"ok": True}, {"ok": True}]

    assert run(workers, then) == 1
    assert capfd.readouterr().err == "edotun: device wk0 is gone\n"


def test_a_worker_that_a_signal_ends_ends_all_and_that_is_no_fault(
    make: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of a signal to all processes of a terminal the parent may be the last to learn."""

    async def work(_number: int, link: Link, stop: asyncio.Event) -> None:
        link.ready()
        await stop.wait()

    workers = make(3, work)

    async def then() -> None:
        os.kill(workers.processes[1], signal.SIGINT)

    assert run(workers, then) == 0
    assert capfd.readouterr().err == ""


def test_a_worker_that_dies_ends_all_and_that_is_told(make: Make, capfd: pytest.CaptureFixture[str]) -> None:
    async def work(_number: int, link: Link, stop: asyncio.Event) -> None:
        link.ready()
        await stop.wait()

    workers = make(3, work)

    async def then() -> None:
        os.kill(workers.processes[1], signal.SIGKILL)

    assert run(workers, then) == 1
    assert capfd.readouterr().err == "edotun: worker 1 was killed by signal 9\n"


def test_an_answer_may_be_as_long_as_ten_thousand_connections_make_it(make: Make) -> None:
    rows = [{"local": "10.9.0.2:443", "peer": f"10.9.0.1:{port}", "generation": 0} for port in range(10_000)]

    async def work(number: int, link: Link, stop: asyncio.Event) -> None:
        link.serve(lambda order: {"ok": True, "connections": rows, "worker": number})
        link.ready()
        await stop.wait()

    workers = make(3, work)

    async def then() -> None:
        for _ in range(2):
            answers = workers.ask({"do": "list"})
            assert [answer["worker"] for answer in answers] == [0, 1, 2]
            assert all(answer["connections"] == rows for answer in answers)
        os.kill(os.getpid(), signal.SIGTERM)

    assert run(workers, then) == 0
