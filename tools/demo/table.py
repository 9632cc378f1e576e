"""The handshake, segment by segment, as rows for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from rich.table import Table

from ..decode.texts import flags_text, option_text
from .frames import SYN, Segment

_WHOLE: Final = 1 << 32


@dataclass(frozen=True, slots=True)
class Row:
    """One segment of a handshake.

    ``milliseconds`` since the first one; ``outward`` from the client; ``sequence`` and ``ack`` count from the ISNs;
    ``inside`` and ``behind`` name the options on either side of Data Offset; ``data_offset``, ``header_length``
    (None without an Extension) and ``payload`` are octets; ``authenticated`` whether it bears a MAC.
    """

    number: int
    milliseconds: float
    outward: bool
    what: str
    flags: str
    sequence: int
    ack: int | None
    inside: tuple[str, ...]
    behind: tuple[str, ...]
    data_offset: int
    header_length: int | None
    payload: int
    authenticated: bool

    def to_json(self) -> dict[str, object]:
        """Return the row for ``--json``."""
        return asdict(self)


def handshake(segments: Sequence[Segment], data_segments: int = 2) -> list[Row]:
    """The rows of the connection whose SYN comes first, up to its ``data_segments``-th segment with payload."""
    if not segments:
        return []
    syn = next((one for one in segments if one.flags & SYN and not one.flags & 0x10), None)
    if syn is None:
        return []
    isn = {syn.key: syn.sequence}
    back = (*syn.key[2:], *syn.key[:2])
    rows: list[Row] = []
    for one in segments:
        if one.key not in (syn.key, back):
            continue
        if one.flags & SYN:
            isn.setdefault(one.key, one.sequence)
        rows.append(_row(len(rows) + 1, one, syn, isn, outward=one.key == syn.key))
        data_segments -= bool(one.payload)
        if data_segments <= 0:
            break
    return rows


def _row(
    number: int, one: Segment, syn: Segment, isn: dict[tuple[bytes, int, bytes, int], int], *, outward: bool
) -> Row:
    peer = (*one.key[2:], *one.key[:2])
    return Row(
        number=number,
        milliseconds=round((one.time - syn.time) * 1000, 3),
        outward=outward,
        what=_what(one),
        flags=flags_text(one.flags & 0x3F),
        sequence=(one.sequence - isn.get(one.key, 0)) % _WHOLE,
        ack=(one.ack - isn.get(peer, 0)) % _WHOLE if one.flags & 0x10 else None,
        inside=tuple(option_text(one.tcp, span) for span in one.inside),
        behind=tuple(option_text(one.tcp, span) for span in one.behind),
        data_offset=one.data_offset,
        header_length=one.header_length,
        payload=len(one.payload),
        authenticated=one.ao is not None,
    )


def _what(one: Segment) -> str:
    if one.oob:
        return "out-of-band"
    if one.flags & SYN:
        return "SYN-ACK" if one.flags & 0x10 else "SYN"
    if one.ao is not None:
        return "data" if one.payload else "ack"
    return "key exchange" if one.options.ke or one.behind else "clear segment"


def show(rows: Sequence[Row], title: str) -> Table:
    """Return the rows as a table for a terminal of 110 columns or more."""
    table = Table(title=title, title_justify="left", title_style="bold", pad_edge=False)
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("ms", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("segment", no_wrap=True)
    table.add_column("flags", no_wrap=True)
    table.add_column("seq", justify="right", no_wrap=True)
    table.add_column("options inside\nData Offset", ratio=3)
    table.add_column("options\nbehind it", ratio=1)
    table.add_column("Data\nOffset", justify="right")
    table.add_column("Header_\nLength", justify="right")
    table.add_column("data", justify="right", no_wrap=True)
    table.add_column("MAC", justify="center", no_wrap=True)
    for row in rows:
        table.add_row(
            str(row.number),
            f"{row.milliseconds:.1f}",
            "->" if row.outward else "<-",
            row.what,
            row.flags,
            str(row.sequence),
            ", ".join(row.inside),
            ", ".join(row.behind),
            str(row.data_offset),
            "-" if row.header_length is None else str(row.header_length),
            str(row.payload),
            "[green]yes[/green]" if row.authenticated else "[dim]no[/dim]",
        )
    return table
