"""Segments made by hand and captures of them, for tests of what explains segments."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from edo.codepoints import Dialect
from edo.messages import encode
from edo.options import Fragment
from edo.plan import Form
from stack.checksum import checksum, pseudo_header_sum
from tools.cli.main import app
from tools.demo.memory import download
from tun.capture import Capture

CLIENT, SERVER = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))
SYN, RST, PSH, ACK = 0x02, 0x04, 0x08, 0x10


def tcp(
    options: bytes = b"",
    payload: bytes = b"",
    *,
    behind: bytes = b"",
    flags: int = ACK,
    seq: int = 1001,
    ack: int = 5001,
    ports: tuple[int, int] = (40000, 80),
) -> bytes:
    """A segment: ``options`` fill whole words; ``behind`` and ``payload`` follow. Its checksum is 0."""
    assert len(options) % 4 == 0
    offset = (5 + len(options) // 4) << 4
    return struct.pack(">HHIIBBHHH", *ports, seq, ack, offset, flags, 8192, 0, 0) + options + behind + payload


def packet(segment: bytes, source: bytes = CLIENT, target: bytes = SERVER) -> bytes:
    """The IPv4 or IPv6 packet of a segment, checksums right."""
    summed = checksum(segment, initial=pseudo_header_sum(source, target, len(segment)))
    segment = segment[:16] + summed.to_bytes(2) + segment[18:]
    if len(source) == 16:
        return struct.pack(">IHBB", 6 << 28, len(segment), 6, 64) + source + target + segment
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(segment), 7, 0x4000, 64, 6, 0, source, target)
    return head[:10] + checksum(head).to_bytes(2) + head[12:] + segment


def there(*arguments: Any, **fields: Any) -> bytes:
    """A packet from the client."""
    return packet(tcp(*arguments, **fields))


def back(*arguments: Any, **fields: Any) -> bytes:
    """A packet from the server."""
    fields = {"seq": 5001, "ack": 1001, "ports": (80, 40000)} | fields
    return packet(tcp(*arguments, **fields), SERVER, CLIENT)


def padded(octets: bytes) -> bytes:
    return octets + b"\x01" * (-len(octets) % 4)


def extended(
    dialect: Dialect, behind: bytes = b"", payload: bytes = b"", form: Form = Form.SHORT
) -> dict[str, Any]:
    """The arguments of a segment with an Extension over ``behind``, whole words."""
    option = padded(dialect.extension(form, 0))
    octets = 20 + len(option) + len(behind)
    option = bytearray(padded(dialect.extension(form, octets)))
    if form is Form.LONG:
        option[dialect.long_octets - 2 : dialect.long_octets] = (octets + len(payload)).to_bytes(2)
    return {"options": bytes(option), "behind": behind, "payload": payload}


def opened(dialect: Dialect, agreed: bool = True) -> list[bytes]:
    """SYN and SYN-ACK that agree on EDO, or with a SYN-ACK that does not."""
    offer = padded(dialect.supported())
    return [
        there(offer, flags=SYN, seq=1000, ack=0),
        back(offer if agreed else b"", flags=SYN | ACK, seq=5000),
    ]


def clear(kind: int, message: bytes, offset: int, octets: int, *, server: bool = False, shift: int = 0) -> bytes:
    """A clear KE segment with one fragment (profile.md §5)."""
    whole = encode(Fragment(kind, len(message), offset, message[offset : offset + octets]))
    fields = extended(Dialect(), padded(whole), form=Form.LONG)
    isn = 5000 if server else 1000
    seq = (isn + 1 - len(fields["behind"]) + shift) % (1 << 32)
    return (back if server else there)(**fields, seq=seq)


def moved(packets: Iterable[bytes], port: int) -> list[bytes]:
    """The same packets with another port at the client's end, checksums right."""
    changed = []
    for one in packets:
        segment = bytearray(one[20:])
        at = 0 if one[12:16] == CLIENT else 2
        segment[at : at + 2] = port.to_bytes(2)
        segment[16:18] = bytes(2)
        changed.append(packet(bytes(segment), one[12:16], one[16:20]))
    return changed


def capture(path: Path, packets: Iterable[bytes]) -> Path:
    """A capture file with these packets, a millisecond apart."""
    with Capture(path, epoch=1_700_000_000) as file:
        for number, one in enumerate(packets):
            file.add([one], number / 1000, outgoing=True)
    return path


@cache
def demo(protect: str, octets: int = 6000) -> tuple[bytes, ...]:
    """The packets of the demonstration's download over the link in memory, as the router saw them arrive."""
    file = random.Random(octets).randbytes(octets)
    frames = download(file, protect=protect, progress=lambda _: None).frames
    return tuple(frame.packet for frame in frames if frame.arriving)


def run(*arguments: str, stdin: str | None = None) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of ``edotun decode``."""
    result = CliRunner().invoke(app, ["decode", *arguments], input=stdin)
    return result.exit_code, result.stdout, result.stderr


def report(*arguments: str, stdin: str | None = None) -> dict[str, Any]:
    """What ``edotun decode --json`` prints."""
    status, out, fault = run(*arguments, "--json", stdin=stdin)
    assert status == 0, fault
    found: dict[str, Any] = json.loads(out)
    return found


def only(found: dict[str, Any]) -> dict[str, Any]:
    """The one segment of a report."""
    (segment,) = found["segments"]
    assert isinstance(segment, dict)
    return segment


def names(segment: dict[str, Any], area: str) -> Sequence[str]:
    """The options of an area by name, in order."""
    return [option["name"] for option in segment["options"] if option["area"] == area]
