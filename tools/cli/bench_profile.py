"""``edotun bench profile``: where the time of a segment goes, function by function."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from . import options

EPILOG = """Examples:

edotun bench profile ao-enc-dh

edotun bench profile ao --mac hmac-sha-1-96 --mtu 9000 --top 40

Both stacks are in this process and joined in memory, so neither root nor a device is needed, and system calls are
not in it. Those are seen by py-spy record --native, or perf record, on a process of edotun bench."""

_LEAST_MTU, _MOST_MTU = 576, 65_535


def profile(
    mode: Annotated[str, typer.Argument(help="none, md5, ao, ao-enc, ao-dh or ao-enc-dh.")] = "none",
    mtu: Annotated[int, typer.Option("--mtu", metavar="N", help="MTU, octets.")] = 1500,
    mac: Annotated[
        str, typer.Option("--mac", metavar="NAME", help="The MAC where the mode has one.")
    ] = "aes-128-cmac-96",
    octets: Annotated[
        int, typer.Option("--octets", "--bytes", metavar="N", help="Octets that are sent with the profiler on.")
    ] = 20_000_000,
    top: Annotated[int, typer.Option("--top", metavar="N", help="So many functions are shown.")] = 25,
) -> None:
    """Profile a stream between two stacks in this process: microseconds a segment, function by function."""
    from ..bench import profile as bench

    if not _LEAST_MTU <= mtu <= _MOST_MTU:
        options.wrong(f"--mtu: {mtu} is not in {_LEAST_MTU}-{_MOST_MTU}")
    if octets < 1:
        options.wrong(f"--octets: {octets} is less than 1")
    try:
        security = bench.security_for(mode, mac)
    except ValueError as error:
        options.wrong(str(error))
    try:
        found = bench.profile(security, mtu, octets)
    except bench.Failed as error:
        print(f"edotun: bench: {error}", file=sys.stderr, flush=True)
        raise typer.Exit(1) from None
    table = Table(title=f"{mode}, MTU {mtu}: microseconds a segment, both ends", title_justify="left")
    table.add_column("function")
    for name in ("calls", "itself", "with what it calls"):
        table.add_column(name, justify="right")
    for cost in found.costs[:top]:
        table.add_row(cost.name, f"{cost.calls:.2f}", f"{cost.own:.2f}", f"{cost.all:.2f}")
    console = Console() if sys.stdout.isatty() else Console(width=110)
    console.print(table)
    times = f"{found.cpu:.2f} us of CPU time each; under the profiler {found.profiled:.2f} us"
    console.print(f"{found.segments} segments, {times}", highlight=False)


SPIED_EPILOG = """Example:

py-spy record -s -f raw -o spy.txt -- edotun bench --only 'stack to stack, ao, aes*' --rounds 1 --seconds 10

edotun bench spied spy.txt"""


def spied(
    file: Annotated[Path, typer.Argument(help="What py-spy record --subprocesses --format raw has written.")],
    top: Annotated[int, typer.Option("--top", metavar="N", help="So many functions of each end are shown.")] = 15,
) -> None:
    """Say where the time went that py-spy saw of the benchmark's processes, as tables of Markdown."""
    from ..bench import spied as bench

    try:
        found = bench.read(file.read_text().splitlines())
    except (OSError, ValueError) as error:
        options.wrong(f"{file}: {getattr(error, 'strerror', None) or error}")
    for end, shares in found.items():
        print(f"| {end} | itself, % | with what it calls, % |\n|---|---:|---:|")
        for share in shares[:top]:
            print(f"| {share.name} | {share.own:.1f} | {share.all:.1f} |")
        print(flush=True)
