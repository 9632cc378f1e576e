"""One measurement each: processes at both ends, pinned to a core each, and the figure that comes out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from ..programs import ProgramError
from .ends.kernel import SECRET
from .job import Job, Result
from .network import End, set_offloads
from .nursery import Nursery, Worker

CONGESTION: Final = "cubic"
BBR: Final = "bbr"
MAC: Final = "aes-128-cmac-96"
CIPHER: Final = "aes-128-ctr"
ThingT = TypeVar("ThingT")

KERNEL, STACK, BARE = "kernel", "stack", "bare"
_PORT: Final = 5001
# Of those that are opened; where more of them fail, what is measured is failing.
_MOST_FAILED: Final = 0.05
# A measurement's end may take longer than its time: what is queued has to arrive.
_GRACE: Final = 30.0


@dataclass(frozen=True, slots=True)
class Figure:
    """What one measurement found, and the packets that the devices of the stack or the bare loop lost meanwhile."""

    value: float
    dropped: int = 0


@dataclass(slots=True)
class Place:
    """Where and how long it is measured: the namespaces, the cores, ``seconds`` of each, or ``octets`` where not 0.

    ``keep`` is for what several measurements use, until ``let_go``.
    """

    nursery: Nursery
    ends: tuple[End, End]
    mtu: int
    cores: tuple[int, int]
    seconds: float
    octets: int
    folder: Path
    _offloads: bool | None = field(default=None, init=False)
    _kept: dict[str, Any] = field(default_factory=dict, init=False)
    _session: ExitStack = field(default_factory=ExitStack, init=False)

    def keep(self, key: str, make: Callable[[], AbstractContextManager[ThingT]]) -> ThingT:
        """What ``make`` gave for this key the first time, its context entered; raises what that does."""
        if key not in self._kept:
            self._kept[key] = self._session.enter_context(make())
        found: ThingT = self._kept[key]
        return found

    def let_go(self) -> None:
        """End what was kept."""
        self._kept.clear()
        self._session.close()

    def offloads(self, *, on: bool) -> None:
        """Have the link's offloads on or off; raises OSError."""
        if self._offloads is not on:
            set_offloads(self.ends, on=on)
            self._offloads = on

    def keys(self, protect: str, mac: str, cipher: str) -> str:
        """The path of a keys file for a mode; empty where it needs none."""
        if protect not in ("md5", "ao", "ao-enc"):
            return ""
        file = self.folder / f"{protect}-{mac}.toml"
        if not file.exists():
            file.touch(mode=0o600)
            lines = ["[[mkt]]", f'secret = "{SECRET.decode()}"']
            if protect == "md5":
                lines.append('mac = "md5"')
            else:
                lines += ["send_id = 1", "recv_id = 1", f'mac = "{mac}"']
            if protect == "ao-enc":
                lines.append(f'encrypt = "{cipher}"')
            file.write_text("\n".join(lines) + "\n")
        return str(file)

    def start(self, function: str, job: Job, end: End, name: str) -> Worker:
        """Start one end of a measurement; raises ProgramError."""
        return self.nursery.start(function, job.to_json(), end.namespace.name, name)


class Measure(Protocol):
    """Something that is measured once in each round."""

    @property
    def name(self) -> str:
        """What it is called in tables and messages."""

    def lasts(self, seconds: float) -> float:
        """About how long it takes where a transfer lasts ``seconds``, all told; seconds."""

    def run(self, place: Place) -> Figure:
        """Measure; raises ProgramError or OSError."""


def _ends(place: Place, left: str, right: str) -> tuple[End, End, str, str]:
    """The ends of an opener and a listener of these kinds, and the addresses of both.

    Between two kernels, stacks or bare loops lies the link; between a stack and a kernel only the stack's TUN.
    """
    first, second = place.ends
    if left == right:
        if left == KERNEL:
            return first, second, first.kernel, second.kernel
        return first, second, first.stack, second.stack
    return first, first, *((first.host, first.stack) if left == KERNEL else (first.stack, first.host))


def _jobs(place: Place, left: str, right: str, **more: Any) -> tuple[tuple[Job, End], tuple[Job, End]]:
    """The jobs of an opener and a listener of these kinds, and where they are done."""
    first, second, source, destination = _ends(place, left, right)

    def job(end: End, peer: str, core: int) -> Job:
        return Job(
            core=core,
            address=destination,
            peer=peer,
            port=_PORT,
            seconds=place.seconds,
            octets=place.octets,
            own=end.own,
            host=end.host,
            mtu=place.mtu,
            **more,
        )

    return (job(first, destination, place.cores[0]), first), (job(second, source, place.cores[1]), second)


@dataclass(frozen=True, slots=True)
class Transfer:
    """One stream from ``sends`` to ``receives`` (kernel, stack or bare), under ``protect``; its goodput in Gbit/s.

    ``offloads`` says whether the link between the namespaces has tso, gso and gro on.
    """

    sends: str
    receives: str
    protect: str = "none"
    mac: str = MAC
    cipher: str = CIPHER
    offloads: bool = True
    congestion: str = CONGESTION

    @property
    def name(self) -> str:
        if BARE in (self.sends, self.receives):
            ends = "" if self.sends == self.receives else f"{self.sends} to {self.receives}, "
            return f"bare loop, {ends}{_mode(self)}"
        ends = f"{self.sends} to {self.receives}"
        if self.sends == self.receives == KERNEL:
            return {"none": ends, "md5": "kernel TCP-MD5", "tls": "TLS 1.3 over kernel TCP"}[self.protect] + (
                "" if self.offloads else ", offloads off"
            )
        return f"{ends}, {_mode(self)}"

    def lasts(self, seconds: float) -> float:
        return seconds + (0.1 if KERNEL == self.sends == self.receives else 0.25)

    def run(self, place: Place) -> Figure:
        place.offloads(on=self.offloads)
        more = {
            "congestion": self.congestion,
            "protect": self.protect,
            "mac": self.mac if self.protect not in ("none", "md5") else "",
            "cipher": self.cipher,
            "keys": place.keys(self.protect, self.mac, self.cipher),
        }
        (sender, sends_at), (receiver, receives_at) = _jobs(place, self.sends, self.receives, **more)
        patience = place.seconds + _GRACE
        with ExitStack() as workers:
            sends, receives = _modules(self.sends, self.receives)
            receiving = place.start(receives + ":receive", receiver, receives_at, f"{self.name}: receiver")
            workers.enter_context(receiving)
            receiving.ready()
            sending = place.start(sends + ":send", sender, sends_at, f"{self.name}: sender")
            workers.enter_context(sending)
            sent = Result.read(sending.result(patience))
            result = Result.read(receiving.result(patience))
        return Figure(result.gigabits, sent.dropped + result.dropped)


def _modules(sends: str, receives: str) -> tuple[str, str]:
    """Where the functions of both ends are."""
    bare = "bare" if sends == receives else "bare_kernel"
    first, second = (bare if kind == BARE else f"ends.{kind}" for kind in (sends, receives))
    return first, second


def _mode(one: Transfer | Openings) -> str:
    """A mode as rows name it: with its MAC where it has one."""
    return one.protect if one.protect in ("none", "md5") else f"{one.protect}, {one.mac}"


@dataclass(frozen=True, slots=True)
class Openings:
    """Connections from ``opens`` to ``accepts`` (kernel, stack or bare) in a CPU second of the end ``counted``."""

    opens: str
    accepts: str
    counted: str
    protect: str = "none"
    mac: str = MAC
    cipher: str = CIPHER

    @property
    def name(self) -> str:
        if self.opens == BARE:
            return f"bare loop, handshakes {self.counted}, {self.protect}"
        return f"handshakes {self.counted}, {self.protect}"

    def lasts(self, seconds: float) -> float:
        return seconds + 1.2

    def run(self, place: Place) -> Figure:
        more = {
            "congestion": CONGESTION,
            "protect": self.protect,
            "mac": self.mac if self.protect != "none" else "",
            "cipher": self.cipher,
            "keys": place.keys(self.protect, self.mac, self.cipher),
        }
        (opener, opens_at), (acceptor, accepts_at) = _jobs(place, self.opens, self.accepts, **more)
        patience = place.seconds + _GRACE
        with ExitStack() as workers:
            listening = place.start(_ACCEPTORS[self.accepts], acceptor, accepts_at, f"{self.name}: listener")
            workers.enter_context(listening)
            listening.ready()
            opening = place.start(_OPENERS[self.opens], opener, opens_at, f"{self.name}: client")
            workers.enter_context(opening)
            found = {"opened": opening.result(patience), "accepted": listening.result(patience)}[self.counted]
        handshakes, failed = found["handshakes"], found["failed"]
        if failed > handshakes * _MOST_FAILED:
            raise ProgramError(f"{self.name}: {failed} connections failed, {handshakes} did not")
        return Figure(handshakes / found["cpu"] if found["cpu"] > 0 else 0.0, found["dropped"])


_OPENERS: Final = {KERNEL: "ends.opening:flood", STACK: "ends.opening:open_", BARE: "bare_handshakes:open_"}
_ACCEPTORS: Final = {KERNEL: "ends.opening:take", STACK: "ends.opening:accept", BARE: "bare_handshakes:accept"}
