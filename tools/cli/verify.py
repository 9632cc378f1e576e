"""``edotun verify``: which segments of a capture bear the MAC that the keys give."""

from __future__ import annotations

import ipaddress
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ao.ends import endpoint
from ao.keyfile import KeyFileError, load_with_md5

from . import options

if TYPE_CHECKING:
    from ..verify.judge import Judged

EPILOG = """Examples: edotun verify bgp.pcap --keys keys.toml | edotun verify bgp.pcapng --keys keys.toml --json |
edotun verify rest.pcap --keys keys.toml --isn 10.0.0.1:179=0x1f2e3d4c --isn 10.0.0.2:40001=99. The keys may be
those of either end. Exit status 0 every segment is good, 1 any is not, 2 capture or keys cannot be read."""


def verify(
    capture: Annotated[Path, typer.Argument(metavar="CAPTURE", help="A pcap or pcapng file.")],
    keys: Annotated[Path, typer.Option("--keys", metavar="FILE", help="The keys file of either end.")],
    isn: Annotated[
        list[str] | None,
        typer.Option("--isn", metavar="ADDR:PORT=NUMBER", help="The ISN that an end sent from; repeatable."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print only what is not good, and the counts.")] = False,
    traffic_keys: Annotated[
        bool, typer.Option("--traffic-keys", help="Print the traffic keys too: they are secrets.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Recompute the MACs of TCP-AO and TCP-MD5 in a capture, and say what would have matched where they differ."""
    # Loaded only now: no other command needs them.
    from tun.capture_reader import CaptureError

    from ..verify.judge import Judge, Verdict
    from ..verify.packets import read_packets

    try:
        mkts, md5_keys = load_with_md5(keys, strict_permissions=False, notice=options.notice)
    except KeyFileError as error:
        options.wrong(str(error))
    judge = Judge(mkts, dict(_isn(text) for text in isn or ()), md5_keys)
    judged: list[Judged] = []
    try:
        for row in judge.judge(read_packets(capture)):
            judged.append(row)
            if not json_ and not (quiet and row.verdict is Verdict.GOOD):
                typer.echo(_line(row))
    except CaptureError as error:
        options.wrong(str(error))
    counts = Counter(row.verdict for row in judged)
    derived = [
        {"direction": direction, "segments": kind, "key": name, "traffic_key": octets.hex()}
        for (direction, kind, name), octets in judge.traffic_keys.items()
    ]
    if json_:
        report: dict[str, object] = {verdict.value: counts[verdict] for verdict in Verdict}
        report["segments"] = [asdict(row) for row in judged]
        if traffic_keys:
            report["traffic_keys"] = derived
        typer.echo(json.dumps(report))
    else:
        if traffic_keys:
            for row_ in derived:
                typer.echo("{direction} {segments} key {key}: {traffic_key}".format(**row_))
        typer.echo(", ".join(f"{counts[verdict]} {verdict.value.replace('_', ' ')}" for verdict in Verdict))
    return 0 if judged and counts[Verdict.GOOD] == len(judged) else 1


def _isn(text: str) -> tuple[tuple[bytes, int], int]:
    end, equals, number = text.partition("=")
    address, colon, port = end.rpartition(":")
    try:
        if not (equals and colon):
            raise ValueError
        value = int(number, 0)
        packed = ipaddress.ip_address(address.removeprefix("[").removesuffix("]")).packed
        if not (0 <= value <= 0xFFFFFFFF and 0 < int(port) < 65536):
            raise ValueError
    except ValueError:
        options.wrong(f"--isn: {text!r} is not ADDR:PORT=NUMBER with a number of 32 bits")
    return (packed, int(port)), value


def _line(row: Judged) -> str:
    ends = f"{endpoint(row.src, row.sport)} > {endpoint(row.dst, row.dport)}"
    ids = " md5" if row.option == "md5" else "" if row.key_id is None else f" ids {row.key_id}/{row.rnext}"
    line = f"{row.n:6} {ends}{ids} {row.verdict.value.replace('_', ' ')}"
    if row.key is not None:
        line += f" (key {row.key})"
    if row.reason is not None:
        line += f": {row.reason}"
    if row.would_match is not None:
        line += f"; would match: {row.would_match}"
    return line
