"""What Python's sockets do over the kernel, ours do over a stack: results, errors and readiness are equal."""

from __future__ import annotations

import difflib
import socket
from collections.abc import Iterator

import pytest

from stack.socket_core import LINUX
from stack.sockets import Net
from tun.threaded import BlockingLoopback

from .cases import CASES, CASES_V4, CASES_V6
from .twins import Barrier, Quiet, Twin, kernel_twin, our_twin

V4 = {**CASES, **CASES_V4}
V6 = {**CASES, **CASES_V6}


@pytest.fixture(scope="module")
def barrier() -> Iterator[Barrier]:
    made = Barrier()
    yield made
    made.close()


def compare(case: str, kernel: Twin, ours: Twin) -> None:
    """Do what a case says twice, and compare."""
    logs = [twin.run(case) for twin in (kernel, ours)]
    assert logs[0], "nothing was done"
    assert logs[0] == logs[1], "\n" + "\n".join(difflib.unified_diff(*logs, "kernel", "ours", lineterm="", n=99))


@pytest.mark.parametrize("name", V4)
def test_ipv4(loopback: BlockingLoopback, barrier: Barrier, name: str) -> None:
    net = Net(loopback, profile=LINUX)
    compare(V4[name], kernel_twin(socket.AF_INET, barrier), our_twin(socket.AF_INET, net, Quiet(loopback)))


@pytest.mark.parametrize("name", V6)
def test_ipv6(loopback: BlockingLoopback, barrier: Barrier, name: str) -> None:
    net = Net(loopback, profile=LINUX)
    compare(V6[name], kernel_twin(socket.AF_INET6, barrier), our_twin(socket.AF_INET6, net, Quiet(loopback)))
