"""A middlebox with keys for headers and none for payload: what it can do to each protection, and what it cannot."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ao.mkt import Mkt, MktTable
from edo.fast import find_ao
from stack.attempt import Attempt
from stack.batch import Octets
from stack.box import Box, Direction, Emission
from stack.config import TcpConfig
from stack.events import Closed, TcpError
from stack.host import Stack
from stack.ip import TCP, Ip, parse
from stack.renewal import Renewal
from stack.run import ACK, RST, SYN
from stack.security import Security
from stack.segment import Segment
from stack.simulator import Delay, Tap
from stack.simulator.world import SimRunner, World

from ..boxes.box_keys import BoxKeys, ConfiguredBoxKeys, HeldBoxKeys
from ..boxes.cooperating import Cooperating
from ..boxes.signing import Signatory, write_checksum
from .cell import Cell, Outcome

WINDOW: Final = 20_000
"""What the box holds windows to, octets."""

_OCTETS: Final = 400_000
_RENEWAL: Final = Renewal(octets=100_000)
_RTT: Final = 0.02
_PATIENCE: Final = 400.0
_PORT: Final = 80
_FLIPPED: Final = 20  # which data segment of the client the flipping box changes
_SEARCHED: Final = 64  # octets of plaintext that nobody finds by chance


@dataclass(slots=True)
class _Flip:
    """Flips a bit of the payload of one segment and signs it anew: what trust in such a box means."""

    signatory: Signatory
    next_deadline: float | None = None
    seen: int = 0
    flipped: int = 0

    def process(self, packets: list[Octets], direction: Direction, now: float) -> list[Emission]:
        """Let packets pass, one of them changed."""
        return [(now, direction, self._passed(packet, direction)) for packet in packets]

    def _passed(self, packet: Octets, direction: Direction) -> Octets:
        ip = parse(packet)
        if not isinstance(ip, Ip) or ip.protocol != TCP:
            return packet
        segment = Segment(ip.source, ip.destination, ip.ttl, ip.ecn, ip.total_octets, ip.payload(packet))
        if not self.signatory.look(segment):
            return packet
        signed = find_ao(segment.spans)[0] >= 0
        seal = self.signatory.verified(segment) if signed else None
        if direction is not Direction.FORWARD or len(segment.tcp) < 1000:
            return packet
        self.seen += 1
        if self.seen != _FLIPPED or (signed and seal is None):
            return packet
        changed = bytearray(packet)
        tcp = memoryview(changed)[ip.header_octets : ip.total_octets]
        tcp[-1] ^= 1
        if seal is not None:
            seal.renew(tcp, segment.data_offset)
        write_checksum(tcp, ip, signed=signed)
        tcp.release()
        self.flipped += 1
        return bytes(changed)


class _End:
    """A program that sends everything, ends its direction, and keeps what comes."""

    def __init__(self, runner: SimRunner[Stack], attempt: Attempt, own: bytes) -> None:
        self.attempt = attempt
        self.received = bytearray()
        self.error: TcpError | None = None
        self.closed = False
        attempt.owner = self
        with contextlib.suppress(TcpError):
            attempt.write(own)
            attempt.write_eof()
        runner.wake()
        self.on_ready()

    def on_ready(self) -> None:
        """Take what is there."""
        while (event := self.attempt.next_event()) is not None:
            if isinstance(event, Closed):
                self.closed, self.error = True, event.error
        while octets := self.attempt.read():
            self.received += octets

    def told(self) -> dict[str, object]:
        """What it saw, and what its connection tells."""
        report = self.attempt.report()
        found: dict[str, object] = {
            "received": len(self.received),
            "error": None if self.error is None else str(self.error.strerror),
        }
        return found | {name: report[name] for name in ("mode", "placement", "generation", "drops", "path")}


class _Wire:
    """What stands on the wire at one place: each way's largest window field, and the client's octets."""

    def __init__(self) -> None:
        self.windows = [0, 0]
        self.octets = bytearray()

    def see(self, packet: Octets, direction: Direction, now: float) -> None:
        """Look at one packet; windows of SYNs are not scaled, and count apart."""
        ip = parse(packet)
        if not isinstance(ip, Ip):
            return
        segment = Segment(ip.source, ip.destination, ip.ttl, ip.ecn, ip.total_octets, ip.payload(packet))
        if segment.flags & (SYN | RST | ACK) == ACK:
            self.windows[direction] = max(self.windows[direction], segment.window)
        if direction is Direction.FORWARD:
            self.octets += packet


def _largest(ends: list[_End], up: _Wire, down: _Wire) -> int:
    """The largest window of what goes up at one place, and down at another, octets."""
    fields = (up.windows[Direction.FORWARD], down.windows[Direction.BACKWARD])
    return max(field << end.attempt.flow.connection.rcv_wscale for field, end in zip(fields, ends, strict=False))


def _agreed(mode: str, placement: str) -> Callable[[], Security]:
    return lambda: Security(mode, placements=(placement,), rekey=_RENEWAL)


_KEY: Final = Mkt("key", 1, 1, b"a key that the box has too")
PROTECTIONS: Final[dict[str, Callable[[], Security]]] = {
    "none": Security,
    "ao": lambda: Security("ao", keys=MktTable([_KEY])),
    "ao-dh": _agreed("ao-dh", "auto"),
    "ao-enc-dh syn": _agreed("ao-enc-dh", "syn"),
    "ao-enc-dh late": _agreed("ao-enc-dh", "late"),
    "ao-enc-dh compact": _agreed("ao-enc-dh", "compact"),
}
BOXES: Final = (
    "none",
    "lowers windows; no keys",
    "lowers windows; keys",
    "flips a bit; no keys",
    "flips a bit; keys",
)


def _box(name: str, keys: BoxKeys) -> Box | None:
    held = keys if name.endswith("; keys") else None
    if name.startswith("lowers"):
        return Cooperating(held, window=WINDOW, insist=held is None)
    if name.startswith("flips"):
        # Without keys it does what it can: it changes clear segments only.
        return _Flip(Signatory(held))
    return None


class Cooperation:
    """``protection`` by ``box``."""

    name = "cooperation"
    rows = ("protection",)
    columns = ("box",)
    real = False

    def cells(self, *, reduced: bool, seed: int) -> list[Cell]:
        """Every protection with every box; the reduced ones leave out what differs by placement only."""
        chosen = ("none", "ao", "ao-enc-dh syn") if reduced else tuple(PROTECTIONS)
        return [Cell(self.name, {"protection": one, "box": box}, seed) for one in chosen for box in BOXES]

    def run(self, cell: Cell) -> Outcome:
        """Have two programs exchange octets through the box; the client's stack gives it its keys."""
        name, security = str(cell.parameters["box"]), PROTECTIONS[str(cell.parameters["protection"])]()
        world = World(random.Random(f"cooperation {cell.seed}"))
        client, server = (
            world.add(Stack([f"10.0.0.{host}/24"], random=world.octets, config=TcpConfig(nagle=False)))
            for host in (1, 2)
        )
        keys: BoxKeys = ConfiguredBoxKeys([_KEY])
        if security.agrees:
            keys = held = HeldBoxKeys()
            client.stack.keylog = held.take
        box = _box(name, keys)
        before, behind = _Wire(), _Wire()
        boxes: tuple[Box, ...] = () if box is None else (box,)
        world.link(client, server, Tap(before.see), *boxes, Tap(behind.see), Delay(_RTT / 2))
        listener = server.stack.listen(_PORT, security=security)
        up, down = (random.Random(f"{way} {cell.seed}").randbytes(_OCTETS) for way in ("up", "down"))
        attempt = client.stack.connect(("10.0.0.2", _PORT), security=security, now=world.now)
        ends = [_End(client, attempt, up)]

        def over() -> bool:
            while (accepted := listener.accept()) is not None:
                ends.append(_End(server, accepted, down))
            return all(end.closed for end in ends)

        while not over() and world.now < _PATIENCE and world.step():
            pass
        found: dict[str, object] = {
            "seconds": round(world.now, 4),
            "largest window sent": _largest(ends, before, behind),
            "largest window told": _largest(ends, behind, before),
            "payload can be read on the path": up[-_SEARCHED:] in before.octets,
            "box": _told(box),
            "client": ends[0].told(),
            "server": ends[1].told() if len(ends) > 1 else None,
        }
        return Outcome(_word(ends, up, down), found | {"shown": _shown(found)})


def _told(box: Box | None) -> dict[str, int]:
    if isinstance(box, Cooperating):
        return dict(box.counts)
    return {"flipped": box.flipped} if isinstance(box, _Flip) else {}


def _shown(found: dict[str, object]) -> str:
    window = found["largest window told"]
    assert isinstance(window, int)
    return f"window {window}; {found['seconds']} s"


def _word(ends: list[_End], up: bytes, down: bytes) -> str:
    expected = (down, up)
    if any(not whole.startswith(end.received) for end, whole in zip(ends, expected, strict=False)):
        return "delivered wrong data"
    if len(ends) == 2 and all(end.received == whole for end, whole in zip(ends, expected, strict=True)):
        return "works"
    return "fails" if any(end.error is not None for end in ends) else "hangs"


MATRIX: Final = Cooperation()
