"""One stack in a thread for the tests of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stack.config import TcpConfig
from stack.sockets import Socket
from tun.threaded import BlockingLoopback


@pytest.fixture(scope="module")
def loopback() -> Iterator[BlockingLoopback]:
    # Without delayed acknowledgments, as the kernel has it at the beginning of a connection.
    with BlockingLoopback(config=TcpConfig(delayed_ack=0.0)) as made:
        yield made


@pytest.fixture(autouse=True)
def _closed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Close what a test has left open."""
    yield
    if "loopback" in request.fixturenames:
        loopback: BlockingLoopback = request.getfixturevalue("loopback")
        for made in list(loopback.net._home._sockets):
            assert isinstance(made, Socket)
            made._real_close()
