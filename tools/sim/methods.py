"""Methods of finding room for SYN options, compared by runs: ``python -m tools.sim.methods`` prints the tables.

A client with an option that its SYN has no room for opens a connection and sends a few octets; a server with an
option of its own takes them. What is counted is what crossed the link until the server's application had the text.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from edo.rivals.base import Method, Part, Space, Want, Wanted
from edo.rivals.registry import METHODS
from stack.attempt import Attempt
from stack.batch import Octets
from stack.box import Box, Direction
from stack.host import Stack
from stack.ip import Ip, parse
from stack.run import ACK, RST, SYN
from stack.security import Security
from stack.segment import Segment
from stack.simulator import Delay, Filter, Strip, Tap
from stack.simulator.world import World
from stack.syn_space import SynSpace
from stack.syneos import SynEos

ROUND_TRIP: Final = 0.1
_PORT: Final = 80
_TEXT: Final = b"the client's first octets"
# The client's fits no SYN beside TCP's own options, and one segment of any method has room for it.
_OPTION: Final = bytes((200, 24)) + bytes(22)
_ANSWER: Final = bytes((201, 8)) + bytes(6)
_PATIENCE: Final = 60.0
_MTU: Final = 1500


@dataclass(frozen=True, slots=True)
class Run:
    """One run: ``seconds`` until the text arrived (None: never), ``packets`` and IP ``octets`` of both sides.

    ``heard``: whether each side was told of the other's option, the server first; ``error`` of the client.
    """

    seconds: float | None
    packets: int
    octets: int
    heard: tuple[bool, bool]
    error: str | None


def asking(method: str, option: bytes) -> Security:
    """What asks for ``method`` with an option of the application's own."""
    if method == "syn-eos":
        return Security(syn_eos=SynEos((option,)))
    if method in ("legacy", "edo"):
        return Security(edo="strict" if method == "edo" else "off")
    return Security(syn_space=SynSpace(method, (option,)))


def run(client: Security, server: Security, *boxes: Box) -> Run:
    """Open a connection, send text, and end when it has come or nothing more will happen."""
    world = World(random.Random(1))
    crossed: list[int] = []
    tap = Tap(lambda packet, _direction, _now: crossed.append(len(packet)))
    first = world.add(Stack(["10.0.0.1/24"], random=world.octets), "client")
    second = world.add(Stack(["10.0.0.2/24"], random=world.octets), "server")
    world.link(first, second, tap, *boxes, Delay(ROUND_TRIP / 2))
    listener = second.stack.listen(_PORT, security=server)
    attempt = first.stack.connect(("10.0.0.2", _PORT), security=client, now=world.now)
    attempt.write(_TEXT)
    first.wake()
    accepted: list[Attempt] = []

    def arrived() -> bool:
        while (one := listener.accept()) is not None:
            accepted.append(one)
        return any(one.readable >= len(_TEXT) for one in accepted) or attempt.error is not None

    while world.now < _PATIENCE and not arrived() and world.step():
        pass
    got = next((one for one in accepted if one.readable), None)
    seconds = None if got is None or attempt.error is not None else round(world.now, 6)
    packets, octets = len(crossed), sum(crossed)
    world.run(world.now + 5.0)
    heard = got is not None and _OPTION in _options(got), _ANSWER in _options(attempt)
    return Run(seconds, packets, octets, heard, None if attempt.error is None else str(attempt.error.strerror))


def _options(attempt: Attempt) -> tuple[bytes, ...]:
    return attempt.flow.handshake.facts.peer_options


# --- boxes -----------------------------------------------------------------------------------------------------


def _segment(packet: Octets) -> Segment:
    ip = parse(packet)
    assert isinstance(ip, Ip)
    return Segment(ip.source, ip.destination, ip.ttl, ip.ecn, ip.total_octets, ip.payload(packet))


def _passing(bad: Callable[[Segment], bool]) -> Callable[[], Box]:
    return lambda: Filter(lambda packet, _direction, _now: not bad(_segment(packet)))


def _tracked(segment: Segment) -> bool:
    """What connection tracking calls invalid: neither SYN nor ACK nor RST, or a SYN-ACK of the client."""
    flags = segment.flags & (SYN | ACK | RST)
    return not flags or (flags == SYN | ACK and segment.destination_port == _PORT)


BOXES: Final[dict[str, Callable[[], Box]]] = {
    "removes experimental options": lambda: Strip(lambda kind, _exid: kind in (253, 254)),
    "removes them in SYN-ACKs only": lambda: Strip(
        lambda kind, _exid: kind in (253, 254), syn=True, only=Direction.BACKWARD
    ),
    "drops reserved bits": _passing(lambda segment: bool(segment.tcp[12] & 0x0E)),
    "drops Data Offset below 5": _passing(lambda segment: segment.tcp[12] >> 4 < 5),
    "drops SYNs with text": _passing(
        lambda segment: bool(segment.flags & SYN) and segment.sound and len(segment.tcp) > segment.data_offset
    ),
    "drops what tracking calls invalid": _passing(_tracked),
}
"""Boxes on the path, by what they do; a new one for each run."""


# --- tables ----------------------------------------------------------------------------------------------------


def room(method: Method) -> int:
    """The most octets of options that the client's side of a handshake has, whatever the size of each."""
    return max(_room(method, size) for size in (4, 10, 20, 35, 100, 250))


def _room(method: Method, size: int) -> int:
    wants = (Want(f"{n}", bytes((100 + n % 150, size)) + n.to_bytes(2) + bytes(size - 4)) for n in range(500))
    own = [one for one in method.exchange(Wanted(syn=tuple(wants)), Space(mtu=_MTU)) if one.sender == "client"]
    carried = {one.octets for laid in own if laid.part is not Part.DATA for one in laid.carried}
    return sum(map(len, carried))


def _rounds(one: Run) -> str:
    return "never" if one.seconds is None else f"{one.seconds / ROUND_TRIP:.1f}"


def costs() -> list[str]:
    """The table of what each method costs, with a peer that knows it and with one that does not."""
    rows = [
        "| method | most octets of SYN options | packets | IP octets | round trips | old server: packets "
        "| round trips | what an old server makes of it |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, method in METHODS.items():
        new = run(asking(name, _OPTION), asking(name, _ANSWER))
        old = run(asking(name, _OPTION), Security())
        rows.append(
            f"| `{name}` | {room(method)} | {new.packets} | {new.octets} | {_rounds(new)} "
            f"| {old.packets} | {_rounds(old)} | {method.fallback} |"
        )
    return rows


def outcomes() -> list[str]:
    """The table of what becomes of each method behind each box, both ends knowing it."""
    names = [name for name in METHODS if name not in ("legacy", "edo")]
    rows = ["| box | " + " | ".join(f"`{name}`" for name in names) + " |", "|---" * (len(names) + 1) + "|"]
    for what, box in {"none": lambda: Delay(0.0), **BOXES}.items():
        cells = [_outcome(run(asking(name, _OPTION), asking(name, _ANSWER), box())) for name in names]
        rows.append(f"| {what} | " + " | ".join(cells) + " |")
    return rows


def _outcome(one: Run) -> str:
    if one.seconds is None:
        return f"fails: {one.error or 'silence'}"
    what = {(True, True): "works", (False, False): "ordinary"}.get(one.heard, "half")
    return f"{what}, {_rounds(one)}"


def main() -> None:
    """Print both tables."""
    print("\n".join((*costs(), "", *outcomes())))


if __name__ == "__main__":
    main()
