"""Segments and connections for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .anatomy import Anatomy, places_of_messages
from .conversation import Conversation, Reading
from .exchange import Taken
from .shapes import end_text
from .steps import Area
from .texts import flags_text, value_text

# So many octets of one field are shown.
_MOST: Final = 16
_MOST_TEXT: Final = 300
_TITLES: Final = {
    Area.HEADER: "fixed header",
    Area.INSIDE: "options inside Data Offset",
    Area.BEHIND: "options behind Data Offset",
    Area.OUT_OF_BAND: "options out of band: for the SYN",
    Area.PAYLOAD: "payload",
}
_COLOURS: Final = {
    Area.HEADER: "dim",
    Area.INSIDE: "cyan",
    Area.BEHIND: "magenta",
    Area.OUT_OF_BAND: "magenta",
    Area.PAYLOAD: "green",
}


def octet_table(anatomy: Anatomy) -> RenderableType:
    """One segment octet by octet, its faults where they are."""
    reading = anatomy.reading
    packet = reading.packet
    tcp = packet.segment.tcp
    table = Table(title=_title(anatomy), title_justify="left", title_style="bold", pad_edge=False, box=None)
    for name, justify in (("octet", "right"), ("hex", "left"), ("field", "left"), ("value", "left")):
        table.add_column(name, justify=justify, no_wrap=name != "value", overflow="fold")  # type: ignore[arg-type]
    faults = list(anatomy.faults)
    area: Area | None = None
    for piece in anatomy.pieces:
        if piece.area is not area:
            area = piece.area
            table.add_row("", "", Text(f"-- {_TITLES[area]} --", style="bold"), "")
        end = min(piece.offset + piece.length, packet.kept)
        shown = bytes(tcp[piece.offset : min(end, piece.offset + _MOST)]).hex(" ")
        if end - piece.offset > _MOST:
            shown += " .."
        elif end < piece.offset + piece.length:
            shown += " (not captured)"
        style = _COLOURS[piece.area]
        table.add_row(str(piece.offset), Text(shown, style=style), piece.name, Text(piece.text))
        while faults and faults[0].offset < piece.offset + piece.length:
            fault = faults.pop(0)
            dropped = "" if fault.drop is None else f" [dropped: {fault.drop}]"
            table.add_row(str(fault.offset), "", Text("FAULT", style="bold red"), Text(fault.text + dropped, "red"))
    for fault in faults:
        table.add_row(str(fault.offset), "", Text("FAULT", style="bold red"), Text(fault.text, "red"))
    below: list[RenderableType] = [Text(f"note: {note}", style="yellow") for note in anatomy.notes]
    below += [Text(f"key exchange: {line}") for line in places_of_messages(anatomy)]
    below += [Text(f"experiment {name}: {_fields(fields)}") for name, fields in anatomy.experiments]
    below += [message_table(taken) for taken in reading.taken if taken.fields]
    return Group(table, *below, Text(""))


def _fields(fields: dict[str, Any]) -> str:
    """The values of an experiment's fields, cut where they are long."""
    text = ", ".join(f"{name} {value_text(name, value)}" for name, value in fields.items())
    return text if len(text) <= _MOST_TEXT else text[:_MOST_TEXT] + " ..."


def _title(anatomy: Anatomy) -> str:
    reading = anatomy.reading
    segment = reading.packet.segment
    ends = f"{end_text((segment.source, segment.source_port))} > " + end_text(
        (segment.destination, segment.destination_port)
    )
    return (
        f"{reading.packet.number}  {ends}  {reading.what}: Data Offset {segment.data_offset}, header"
        f" {anatomy.header_octets}, payload {anatomy.payload_octets}, {len(segment.tcp)} octets of TCP"
    )


def message_table(taken: Taken) -> Table:
    """The fields of one key-exchange message."""
    table = Table(title=f"  {taken.name}", title_justify="left", box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(overflow="fold")
    for name, text in taken.fields:
        table.add_row(f"    {name}", Text(text))
    return table


def segment_table(anatomies: Sequence[Anatomy]) -> Table:
    """A line for each segment."""
    table = Table(pad_edge=False)
    for name in ("#", "s", "conn", "", "segment", "flags", "seq", "inside Data Offset", "behind it"):
        wraps = name in ("inside Data Offset", "behind it")
        right = name in ("#", "s", "seq", "conn")
        table.add_column(name, no_wrap=not wraps, justify="right" if right else "left", ratio=2 if wraps else None)
    for name in ("Data\nOffset", "header", "data"):
        table.add_column(name, justify="right", no_wrap=True)
    first = next((one.reading.packet.when for one in anatomies if one.reading.packet.when is not None), 0.0)
    for anatomy in anatomies:
        reading = anatomy.reading
        segment = reading.packet.segment
        when = reading.packet.when
        second = reading.second if reading.second is not None else Area.BEHIND
        table.add_row(
            str(reading.packet.number),
            "" if when is None else f"{when - first:.4f}",
            str(reading.conversation.number),
            "->" if reading.forward else "<-",
            reading.what,
            flags_text(segment.flags),
            _relative(reading),
            Text(anatomy.brief(Area.INSIDE)),
            Text(anatomy.brief(second)),
            str(segment.data_offset),
            str(anatomy.header_octets),
            str(anatomy.payload_octets),
        )
        for fault in anatomy.faults:
            table.add_row(*([""] * 7), Text(f"octet {fault.offset}: {fault.text}", style="red"))
    return table


def _relative(reading: Reading) -> str:
    segment = reading.packet.segment
    isn = reading.conversation.isns.get((segment.source, segment.source_port))
    return str(segment.seq) if isn is None else str((segment.seq - isn) % (1 << 32))


def connection_lines(conversations: Sequence[Conversation]) -> Iterator[str]:
    """What each connection agreed on, a few lines each."""
    for one in conversations:
        first, second = (end_text(end) for end in one.ends)
        yield f"connection {one.number}: {first} -> {second}, {one.segments} segment{'s' * (one.segments != 1)}"
        dialect = one.found.dialect
        found = "found" if one.found.units_seen else "not told by these segments"
        yield f"  EDO {one.edo.value}" + (
            f"; numbered {dialect.kind.value}, Header_Length in {dialect.units.value} ({found});"
            f" Extensions from {_who(one)}"
            if one.extending
            else ""
        )
        if one.syn_eos != "not offered":
            yield f"  SYN-EOS {one.syn_eos}"
        if one.eno:
            yield f"  TCP-ENO: {one.negotiated()}"
        for end, ids in sorted(one.ao.items()):
            pairs = ", ".join(f"{k}/{r} with {8 * m} bits" for k, r, m in sorted(ids))
            yield f"  TCP-AO from {end_text(end)}: KeyID/RNextKeyID {pairs}"


def _who(conversation: Conversation) -> str:
    return "both ends" if len(conversation.extending) == 2 else end_text(next(iter(conversation.extending)))
