"""Two processes with many connections between them, ordered about: what ``idle`` and ``echo`` measure on."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from ..programs import PYTHON, Program, ProgramError
from .crowd_worker import Post
from .pair import pair

# Addresses for documentation (RFC 5737).
_ACCEPTS: Final = "192.0.2.1"
_OPENS: Final = "192.0.2.2"
_PATIENCE: Final = 300.0
_LARGEST: Final = 1 << 16

KEYED: Final = ("md5", "ao", "ao-enc")


def write_keys(folder: Path, protect: str) -> str:
    """Write a keys file for ``protect`` that serves every connection; its path, empty where the mode takes none."""
    if protect not in KEYED:
        return ""
    secret = f'secret_hex = "{os.urandom(16).hex()}"'
    ids = f"send_id = 1\nrecv_id = 1\n{secret}\n"
    lines = {
        "md5": f'mac = "md5"\n{secret}\n',
        "ao": f'{ids}mac = "aes-128-cmac-96"\n',
        "ao-enc": f'{ids}mac = "aes-128-cmac-96"\nencrypt = "aes-128-ctr"\n',
    }
    file = folder / f"{protect}.toml"
    file.touch(mode=0o600)
    file.write_text(f"[[mkt]]\n{lines[protect]}")
    return str(file)


@dataclass(frozen=True, slots=True)
class Echoes:
    """Seconds: the median and the 99th percentile of round trips, and CPU time for each at either side."""

    median: float
    p99: float
    accepted: float
    opened: float


class Hand:
    """One of the processes, and the socket over which it is ordered; a context manager that ends it."""

    def __init__(self, name: str, post: Post, namespace: str | None = None) -> None:
        self.name = name
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            post = replace(post, orders=theirs.fileno())
            descriptors = [theirs.fileno()] + ([post.wire] if post.wire >= 0 else [])
            command = (*PYTHON, "-m", "tools.bench.crowd_worker", post.line())
            self._program = Program(name, command, namespace, descriptors=descriptors)
        self._orders.settimeout(_PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._orders.close()
        self._program.stop()

    def ready(self) -> None:
        """Wait until it takes orders; raises ProgramError."""
        self._answer()

    def ask(self, what: str, **about: int) -> dict[str, Any]:
        """Return the answer to one order (``crowd_worker``); raises ProgramError."""
        self._orders.sendall(json.dumps({"do": what, **about}).encode())
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        try:
            answer = self._orders.recv(_LARGEST)
        except TimeoutError:
            raise ProgramError(f"{self.name}: no answer: {self._program.complaint}") from None
        if not answer:
            self._program.end(5.0)
            raise ProgramError(f"{self.name}: has ended: {self._program.complaint}")
        found: dict[str, Any] = json.loads(answer)
        return found


class Crowd:
    """An accepting process and an opening one, and the connections between them."""

    def __init__(self, accepting: Hand, opening: Hand) -> None:
        self.accepting = accepting
        self.opening = opening
        self.open = 0

    def grow(self, count: int) -> None:
        """Have ``count`` connections stand, more than before; raises ProgramError."""
        self.opening.ask("open", count=count - self.open)
        self.open = count

    def resident(self) -> tuple[int, int]:
        """Return octets of memory of the accepting and of the opening process; raises ProgramError."""
        first, second = (hand.ask("memory") for hand in (self.accepting, self.opening))
        if first["connections"] != self.open or second["connections"] != self.open:
            raise ProgramError(f"{first['connections']} of {self.open} connections stand")
        return first["rss"], second["rss"]

    def echo(self, times: int, busy: int) -> Echoes:
        """Have one octet come back ``times`` times, over the first ``busy`` connections in turn; ProgramError."""
        before = self.accepting.ask("cpu")["cpu"]
        told = self.opening.ask("echo", times=times, busy=busy)
        used = self.accepting.ask("cpu")["cpu"] - before
        return Echoes(told["median"], told["p99"], used / times, told["cpu"] / times)


@contextmanager
def joined(accepting: Post, opening: Post, places: tuple[str | None, str | None] = (None, None)) -> Iterator[Crowd]:
    """Start both processes, in the namespaces ``places``, and end them at the end; raises ProgramError."""
    with ExitStack() as stack:
        first = stack.enter_context(Hand("the accepting side", accepting, places[0]))
        first.ready()
        second = stack.enter_context(Hand("the opening side", opening, places[1]))
        second.ready()
        yield Crowd(first, second)


@contextmanager
def in_memory(protect: str, folder: Path, cores: tuple[int, int] = (-1, -1)) -> Iterator[Crowd]:
    """Two stacks joined by a pair of sockets, so without a device or privileges; raises ProgramError."""
    keys = write_keys(folder, protect)
    left, right = pair()
    with left, right:
        posts = [
            Post(
                accepts=accepts,
                orders=-1,
                address=_ACCEPTS,
                wire=end.fileno(),
                own=f"{own}/24",
                protect=protect,
                keys=keys,
                core=core,
            )
            for accepts, end, own, core in (
                (True, left, _ACCEPTS, cores[0]),
                (False, right, _OPENS, cores[1]),
            )
        ]
        with joined(posts[0], posts[1]) as crowd:
            yield crowd
