"""The guest, booted once for each file of tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator

import pytest

from tests.interop.bench import Bench
from tests.interop.peer import guest, prepare
from tun.netns import Namespace


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Namespace(f"ao{os.getpid()}") as space, asyncio.Runner() as runner, contextlib.ExitStack() as ends:
        prepare(space)
        context = guest(space)
        running = runner.run(context.__aenter__())
        ends.callback(lambda: runner.run(context.__aexit__(None, None, None)))
        yield Bench(runner, space, running)
