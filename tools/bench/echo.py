"""Echoes of one octet: how long they take, and what CPU time they cost with many connections open.

Round trips cross TUNs in network namespaces; what an echo costs is measured between two stacks that a pair of
sockets joins. There CPU time, user and system, is that of the accepting process, and all echoes are on one
connection, or each connection has its turn, so that nothing of the next one is in the processor's caches. (Where
a connection's next turn is later than a delayed acknowledgment, the acknowledgment of an echo is a segment of
its own, one more to be received for each.) Connections stand as long as one row, or several, are measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .crowd import Crowd, Echoes, in_memory, joined, write_keys
from .crowd_worker import Post
from .idle import OPENING
from .measures import Figure, Place
from .network import End

MEDIAN, P99 = "median", "99th percentile"
FEW: Final = 10
"""Connections beside which it is seen what many cost."""
_US: Final = 1e6
# Not measured: caches and the estimate of the round trip settle.
_WARM: Final = 50
# Echoes of a measurement for each second of its time.
_RATE: Final = 1250
_LEAST: Final = 20


def _times(place: Place) -> int:
    return max(int(_RATE * place.seconds), _LEAST)


# --- how long they take --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Way:
    """Between whom an echo goes: whether a stack opens and accepts (else the kernel), and its protection."""

    name: str
    opens: bool
    accepts: bool
    protect: str = "none"


WAYS: Final = (
    Way("kernel to kernel", opens=False, accepts=False),
    Way("kernel to stack, none", opens=False, accepts=True),
    Way("stack to stack, none", opens=True, accepts=True),
    Way("stack to stack, ao", opens=True, accepts=True, protect="ao"),
    Way("stack to stack, ao-enc-dh", opens=True, accepts=True, protect="ao-enc-dh"),
)


def _posts(way: Way, place: Place, keys: str) -> tuple[Post, Post, tuple[str, str]]:
    """Return both posts, the accepting one first, and their namespaces; a stack and a kernel share one."""
    first, second = place.ends
    opens: End = first
    accepts = second if way.opens == way.accepts else first
    if way.accepts:
        address = accepts.stack
    else:
        address = accepts.host if way.opens else accepts.kernel
    accepting, opening = (
        Post(
            accepts=side,
            orders=-1,
            address=address,
            stack=stack,
            own=at.own,
            host=at.host,
            netns=at.namespace.name,
            mtu=place.mtu,
            protect=way.protect,
            keys=keys,
            core=core,
        )
        for side, at, stack, core in (
            (True, accepts, way.accepts, place.cores[1]),
            (False, opens, way.opens, place.cores[0]),
        )
    )
    return accepting, opening, (accepts.namespace.name, opens.namespace.name)


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """How long an echo takes ``way``, microseconds: the ``quantile`` of those of one round."""

    way: Way
    quantile: str

    @property
    def name(self) -> str:
        return f"echo, {self.way.name}, {self.quantile}"

    def lasts(self, seconds: float) -> float:
        return 0.5 + seconds / 2

    def run(self, place: Place) -> Figure:
        echoes = self._crowd(place).echo(_times(place), 1)
        return Figure(_US * (echoes.median if self.quantile == MEDIAN else echoes.p99))

    def _crowd(self, place: Place) -> Crowd:
        keys = write_keys(place.folder, self.way.protect)
        accepting, opening, names = _posts(self.way, place, keys)
        crowd = place.keep(self.way.name, lambda: joined(accepting, opening, names))
        return _stands(crowd, 1)


# --- what they cost ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU time of the end that accepted, for each echo with so many ``connections`` open, microseconds.

    They are ``in_turn`` on all of them, else on one.
    """

    protect: str
    connections: int
    in_turn: bool = False

    @property
    def name(self) -> str:
        which = "all in turn" if self.in_turn else "one busy"
        return f"CPU of an echo, {self.protect}, {which} of {self.connections:,}"

    def lasts(self, seconds: float) -> float:
        return 0.5 + seconds / 2 + self.connections * OPENING.get(self.protect, 0.001) / 10

    def run(self, place: Place) -> Figure:
        crowd = place.keep(
            f"{self.protect} {self.connections}", lambda: in_memory(self.protect, place.folder, place.cores)
        )
        busy = self.connections if self.in_turn else 1
        echoes: Echoes = _stands(crowd, self.connections).echo(_times(place), busy)
        return Figure(_US * echoes.accepted)


def _stands(crowd: Crowd, connections: int) -> Crowd:
    if crowd.open < connections:
        crowd.grow(connections)
        crowd.echo(_WARM, 1)
    return crowd
