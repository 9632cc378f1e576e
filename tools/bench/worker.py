"""``python -m tools.bench.worker``: forks a process for each line of its input that asks for one.

A process sees everything as it was when this one had loaded it. Lines of the output are [number, what, value].
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import select
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from tun.netns import enter, open_namespace

from .nursery import ENDED, ERROR, READY, RESULT

ENDS: Final = ("bare", "bare_handshakes", "bare_kernel", "ends.kernel", "ends.stack", "ends.opening")
# linux/prctl.h
_PR_SET_PDEATHSIG: Final = 1
Function = Callable[[dict[str, Any], Callable[[], None]], dict[str, Any]]


def _load() -> None:
    for name in ENDS:
        import_module(f"tools.bench.{name}")
    from .ends.kernel import certificate

    # Both ends of TLS have it from here.
    certificate()
    # What is loaded is looked at by no garbage collection of a worker, and shared with it.
    gc.collect()
    gc.freeze()


def _say(number: int, what: str, value: object) -> None:
    # A line is shorter than what a pipe takes at once, so lines of several processes do not mix.
    os.write(1, json.dumps([number, what, value]).encode() + b"\n")


def _function(name: str) -> Function:
    module, _, function = name.partition(":")
    found: Function = getattr(import_module(f"tools.bench.{module}"), function)
    return found


def _work(message: dict[str, Any]) -> None:
    number = message["start"]
    # Whatever ends who forked it ends this too.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        namespace = open_namespace(message["namespace"])
        enter(namespace)
        os.close(namespace)
        job = message["job"]
        if job.get("core", -1) >= 0:
            os.sched_setaffinity(0, {job["core"]})
        result = _function(message["function"])(job, lambda: _say(number, READY, True))
        _say(number, RESULT, result)
    except Exception as error:
        _say(number, ERROR, f"{type(error).__name__}: {error}"[:1000])


def main() -> None:
    """Fork until the input ends, then end what was forked."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _load()
    children: dict[int, int] = {}
    told, tell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(tell)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    source = sys.stdin.buffer
    rest = b""
    while True:
        ready = select.select([source, told], [], [])[0]
        if told in ready:
            os.read(told, 4096)
            _reap(children)
        if source not in ready:
            continue
        octets = os.read(source.fileno(), 1 << 16)
        if not octets:
            break
        *lines, rest = (rest + octets).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if "stop" in message:
                for child in [child for child, number in children.items() if number == message["stop"]]:
                    os.kill(child, signal.SIGKILL)
                continue
            child = os.fork()
            if child:
                children[child] = message["start"]
                continue
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for descriptor in (0, told, tell):
                os.close(descriptor)
            _work(message)
            os._exit(0)
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def _reap(children: dict[int, int]) -> None:
    while children:
        child, status = os.waitpid(-1, os.WNOHANG)
        if not child:
            return
        _say(children.pop(child), ENDED, os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
