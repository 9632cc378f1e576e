"""What a demonstration gathered, and the judgement: the same checks for either world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from .clear import PIECE, ClearSearch, Exposure
from .frames import SYN, Alteration, Frame, Segment, alterations, arrivals, streams
from .table import Row, handshake

MODE = "ao-enc-dh"


@dataclass(slots=True)
class Download:
    """One download and what the router saw of it.

    ``sent`` and ``received`` are SHA-256 in hex; ``client`` and ``server`` the lines that the two stacks print of
    their connection; ``lost`` counts packets that the capture missed; ``altered`` is the router's own count of
    segments that it changed, None where it keeps none; ``virtual`` whether ``seconds`` are of virtual time.
    """

    octets: int
    sent: str
    received: str
    seconds: float
    client: Mapping[str, object]
    server: Mapping[str, object]
    frames: list[Frame]
    lost: int = 0
    altered: int | None = None
    virtual: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold, whether it did, and the figures."""

    name: str
    held: bool
    detail: str


@dataclass(slots=True)
class Outcome:
    """The whole demonstration. ``world`` is "namespaces" or "memory"; ``seconds`` of real time."""

    world: str
    rows: list[Row] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    connections: dict[str, dict[str, Mapping[str, object]]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def held(self) -> bool:
        """Whether everything held."""
        return bool(self.checks) and all(check.held for check in self.checks)

    def to_json(self) -> dict[str, object]:
        """Return the object that ``--json`` prints."""
        return {
            "world": self.world,
            "held": self.held,
            "seconds": round(self.seconds, 3),
            "checks": [asdict(check) for check in self.checks],
            "handshake": [row.to_json() for row in self.rows],
            "connections": self.connections,
        }


def judge(
    world: str,
    port: int,
    control_port: int,
    file: bytes,
    control_file: bytes,
    control: Download,
    protected: Download,
    altered: Download,
) -> Outcome:
    """Check everything; ``port`` is the protected service's, ``control_port`` that of the unprotected one."""
    outcome = Outcome(world)
    segments = arrivals(protected.frames, port)
    outcome.rows = handshake(segments)
    outcome.connections = {
        "control": {"client": control.client, "server": control.server},
        "protected": {"client": protected.client, "server": protected.server},
        "altered": {"client": altered.client, "server": altered.server},
    }
    checks = outcome.checks
    checks.append(_whole("the download arrived whole", protected))
    checks.append(_agreed(protected))
    checks.append(_authenticated(segments))
    checks += _unread(file, protected, segments)
    checks.append(_control(control_file, control, arrivals(control.frames, control_port)))
    changes, _ = alterations(altered.frames)
    checks.append(_one_bit(changes, altered))
    checks.append(_dropped(altered))
    checks.append(_repaired(altered))
    checks.append(_whole("the download through it arrived whole", altered))
    return outcome


def _whole(name: str, download: Download) -> Check:
    held = download.sent == download.received
    rate = download.octets * 8 / download.seconds / 1e6 if download.seconds else 0.0
    clock = " of virtual time" if download.virtual else f" ({rate:.0f} Mbit/s)"
    same = "SHA-256 equal" if held else f"SHA-256 {download.received[:16]}... instead of {download.sent[:16]}..."
    return Check(name, held, f"{download.octets:,} octets in {download.seconds:.2f} s{clock}, {same}")


def _agreed(download: Download) -> Check:
    client, server = download.client, download.server
    session = client.get("session_id")
    held = (
        client.get("mode") == server.get("mode") == MODE
        and isinstance(session, str)
        and bool(session)
        and session == server.get("session_id")
    )
    detail = (
        f"{client.get('mode')} by placement {client.get('placement')}, {client.get('group')}, {client.get('mac')}, "
        f"{client.get('cipher')}; session {str(session)[:20]}..."
    )
    return Check("both ends agreed on keys and name the same session", held, detail)


def _authenticated(segments: Sequence[Segment]) -> Check:
    """After the first segment with a MAC of a direction, every one of that direction has a MAC."""
    signed: set[tuple[bytes, int, bytes, int]] = set()
    late = with_mac = 0
    clear_payload = 0
    for one in segments:
        if one.clear:
            late += one.key in signed
            clear_payload += bool(one.payload) and not one.flags & SYN
        else:
            signed.add(one.key)
            with_mac += 1
    held = with_mac > 0 and len(signed) == 2 and not late and not clear_payload
    first = len(segments) - with_mac
    detail = f"{with_mac:,} segments with a MAC; {first} without, all before the keys and without data"
    if not held:
        detail = f"{with_mac:,} segments with a MAC, {first} without: {late} after keys, {clear_payload} with data"
    return Check("every segment after the handshake bears a MAC", held, detail)


def _unread(file: bytes, download: Download, segments: Sequence[Segment]) -> list[Check]:
    found = _search(file, download.frames, segments)
    changed, unpaired = alterations(download.frames)
    count = sum(frame.arriving for frame in download.frames)
    complete = not download.lost and not changed and not unpaired and count > 0
    name = f"no {PIECE}-octet piece of the file crossed in clear"
    detail = f"{found.searched:,} captured octets searched at every offset, packets and streams: {found.runs} found"
    whole = f"{count:,} packets came to the router and left it unaltered, {download.lost} missed by the capture"
    if not complete:
        whole += f"; {unpaired} seen on one side only, {len(changed)} altered"
    return [Check(name, not found.runs, detail), Check("the capture is complete", complete, whole)]


def _control(file: bytes, download: Download, segments: Sequence[Segment]) -> Check:
    # In the streams the whole file is found, in the packets most of it once more.
    found = _search(file, download.frames, segments)
    held = found.octets >= len(file) and download.sent == download.received
    share = min(100.0, 100.0 * found.octets / len(file))
    detail = f"an unprotected download of {len(file):,} octets: {share:.0f} % of it found in clear"
    return Check("the same search finds a file that does cross in clear", held, detail)


def _search(file: bytes, frames: Sequence[Frame], segments: Sequence[Segment]) -> Exposure:
    """Search every packet that came, headers and all, and the streams, where a piece may be cut into two segments.

    What left the router is the same octets: that is checked beside it.
    """
    packets = b"".join(frame.packet for frame in frames if frame.arriving)
    return ClearSearch(file).search(packets + b"".join(streams(segments)))


def _one_bit(changes: Sequence[Alteration], download: Download) -> Check:
    counted = download.altered is None or download.altered == 1
    held = len(changes) == 1 and changes[0].bits == 1 and changes[0].checksum_right and counted
    if len(changes) != 1:
        return Check("the router flipped one bit in one segment", False, f"{len(changes)} segments were altered")
    one = changes[0]
    detail = (
        f"sequence number {one.sequence}, {one.payload} octets of data: {one.field} {one.before} -> {one.after}, "
        f"checksum {one.checksum_before} -> {one.checksum_after} ({'right' if one.checksum_right else 'WRONG'})"
    )
    return Check("the router flipped one bit in one segment", held, detail)


def _drops(download: Download) -> dict[str, int]:
    drops = download.client.get("drops")
    return {str(reason): int(count) for reason, count in drops.items()} if isinstance(drops, Mapping) else {}


def _dropped(download: Download) -> Check:
    drops = _drops(download)
    held = drops.get("ao_bad_mac") == 1 and not drops.get("bad_checksum")
    detail = f"ao_bad_mac {drops.get('ao_bad_mac', 0)}, bad_checksum {drops.get('bad_checksum', 0)} at the receiver"
    return Check("the receiver dropped it: its MAC was wrong", held, detail)


def _repaired(download: Download) -> Check:
    count = download.server.get("retransmissions")
    held = isinstance(count, int) and count >= 1
    return Check("the sender repaired it", held, f"{count} retransmission{'' if count == 1 else 's'}")
