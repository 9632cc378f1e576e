"""``edotun decode``: what the octets of a segment mean, in hex or in a capture."""

from __future__ import annotations

import ipaddress
import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from edo.codepoints import EdoKind, Units

from . import options

if TYPE_CHECKING:
    from ..decode.conversation import Reading
    from ..decode.source import Packet

EPILOG = """Examples: edotun decode "9c40 0050 00000001 00000002 7010 ffff 0000 0000 fe08 0ed0 0007 001c" |
edotun decode trace.pcapng | edotun decode trace.pcapng --number 3,7-9 |
edotun decode trace.pcapng --flow 10.0.0.1:80 --json | xxd -p header.bin | edotun decode -.
Of a capture a line is printed for each segment, with --number or --octets a line for each field. Exit status 0 what
was asked for is told, faults in it included, 2 there is nothing that can be decoded."""

# What a table needs where nobody says how wide the output is.
_WIDTH = 170
_CAPTURES = (
    b"\x0a\x0d\x0d\x0a",
    b"\xd4\xc3\xb2\xa1",
    b"\xa1\xb2\xc3\xd4",
    b"\x4d\x3c\xb2\xa1",
    b"\xa1\xb2\x3c\x4d",
)


def decode(
    source: Annotated[
        str,
        typer.Argument(
            metavar="HEX|CAPTURE|-",
            help="A TCP header or segment or a whole IP packet in hex or as a hex dump, a file with such, or a pcap"
            " or pcapng file; - reads hex from standard input.",
        ),
    ],
    begins: Annotated[
        str, typer.Option("--as", metavar="auto|tcp|ip|ethernet", help="What hex begins with.")
    ] = "auto",
    number: Annotated[
        str | None, typer.Option("--number", metavar="N[-M][,...]", help="Only these packets, octet by octet.")
    ] = None,
    flow: Annotated[
        str | None,
        typer.Option(
            "--flow", metavar="N|ADDR[:PORT]", help="Only this connection, or those of this address and port."
        ),
    ] = None,
    octets: Annotated[bool, typer.Option("--octets", help="Show each segment octet by octet.")] = False,
    edo_kind: Annotated[
        str, typer.Option("--edo-kind", metavar="auto|exid|79/80|237", help="How EDO's options are numbered.")
    ] = "auto",
    edo_units: Annotated[
        str, typer.Option("--edo-units", metavar="auto|words|octets", help="What Header_Length counts.")
    ] = "auto",
    experiment: options.Experiments = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Explain the options of a segment, those behind Data Offset and out of band included."""
    # Loaded only now: no other command needs them.
    from ..decode.anatomy import lay_open
    from ..decode.conversation import Conversations
    from ..decode.declared import Known
    from ..decode.shapes import whole_json
    from ..decode.show import connection_lines, octet_table, segment_table

    kind = None if edo_kind == "auto" else options.member("edo-kind", edo_kind, EdoKind, "auto")
    units = None if edo_units == "auto" else options.member("edo-units", edo_units, Units, "auto")
    numbers = None if number is None else _numbers(number)
    chosen = None if flow is None else _flow(flow)
    known = Known(options.experiments(experiment))
    packets, other = _read(source, begins)
    conversations = Conversations(kind, units)
    anatomies = [
        lay_open(reading, known)
        for reading in conversations.read(packets)
        if (numbers is None or numbers(reading.packet.number)) and (chosen is None or chosen(reading))
    ]
    if not anatomies:
        options.wrong(f"{_named(source)}: no TCP segment{_asked(number, flow, other)}")
    shown = {anatomy.reading.conversation.number for anatomy in anatomies}
    seen = [one for one in conversations.all if one.number in shown]
    if json_:
        typer.echo(json.dumps(whole_json(anatomies, seen, sum(other.values()))))
        return 0
    console = Console(highlight=False)
    if console.width < _WIDTH and not sys.stdout.isatty():
        console = Console(highlight=False, width=_WIDTH)
    if octets or number is not None or (len(packets) == 1 and packets[0].when is None):
        for anatomy in anatomies:
            console.print(octet_table(anatomy))
    else:
        console.print(segment_table(anatomies))
    for line in connection_lines(seen):
        console.print(Text(line))
    for why, count in other.items():
        console.print(Text(f"{count} other packet{'s' * (count > 1)}: {why}"))
    return 0


def _read(source: str, begins: str) -> tuple[list[Packet], Counter[str]]:
    """The segments of what was named, and of the other packets how many and why."""
    from tun.capture_reader import CaptureError

    from ..decode.source import Form, SourceError, from_capture, from_hex

    if begins not in set(Form):
        options.wrong(f"--as: {begins!r} is not one of {', '.join(Form)}")
    packets: list[Packet] = []
    other: Counter[str] = Counter()
    try:
        if source == "-":
            return [from_hex(sys.stdin.read(), Form(begins))], other
        path = Path(source)
        if not _is_file(path):
            return [from_hex(source, Form(begins))], other
        with path.open("rb") as file:
            magic = file.read(4)
        if magic not in _CAPTURES:
            return [from_hex(path.read_text("ascii"), Form(begins))], other
        for found in from_capture(path):
            if isinstance(found, str):
                other[found] += 1
            else:
                packets.append(found)
    except UnicodeDecodeError:
        options.wrong(f"{source}: neither a capture nor hex")
    except OSError as error:
        options.wrong(f"{source}: {error.strerror}")
    except SourceError as error:
        options.wrong(f"{_named(source)}: {error}")
    except CaptureError as error:
        options.wrong(str(error))
    return packets, other


def _named(source: str) -> str:
    """What was given, in a few words."""
    return source if _is_file(Path(source)) else "standard input" if source == "-" else "the hex"


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        # Too long for a name: hex.
        return False


def _numbers(text: str) -> Callable[[int], bool]:
    ranges = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        try:
            low = int(first)
            high = int(last) if dash else low
        except ValueError:
            options.wrong(f"--number: {part!r} is no number and no range N-M")
        if not 1 <= low <= high:
            options.wrong(f"--number: {part!r} is not in order, or below 1")
        ranges.append((low, high))
    return lambda number: any(low <= number <= high for low, high in ranges)


def _flow(text: str) -> Callable[[Reading], bool]:
    if text.isdecimal():
        return lambda reading: reading.conversation.number == int(text)
    bracketed, bracket, rest = text.partition("]")
    host, _, port = (bracketed[1:], "", rest[1:]) if bracket else text.partition(":")
    if text.count(":") > 1 and not bracket:
        host, port = text, ""
    try:
        address = ipaddress.ip_address(host).packed
        wanted = int(port) if port else None
    except ValueError:
        options.wrong(f"--flow: {text!r} is neither a connection's number nor ADDR[:PORT]")
    return lambda reading: any(end[0] == address and wanted in (None, end[1]) for end in reading.conversation.ends)


def _asked(number: str | None, flow: str | None, other: Counter[str]) -> str:
    asked = [f"--{name} {value}" for name, value in (("number", number), ("flow", flow)) if value is not None]
    if asked:
        return f" for {' '.join(asked)}"
    return "".join(f"; {count} packets: {why}" for why, count in other.items())
