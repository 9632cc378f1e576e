"""``edotun peers``: what a running command remembers of other hosts."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from . import controlled, options

EPILOG = """Examples: edotun peers list | edotun peers list --json | edotun peers forget 192.0.2.7 |
edotun peers forget --kind edo-damaged | edotun peers forget --all. What is forgotten is tried again with the next
connection. Only the user that runs the command, and root, may do this."""

app = typer.Typer(
    no_args_is_help=False, epilog=EPILOG, help="Look at and erase what a running command remembers of its peers."
)

_WIDTH = 116


@app.command("list")
def list_(
    control: controlled.Control = None, tun: controlled.Tun = "edotun0", json_: controlled.Json = False
) -> None:
    """List what is remembered: damaged EDO, silence that met TCP-ENO, missing out-of-band segments, ..."""
    answer = controlled.ask(control, tun, {"about": "peers", "do": "list"})
    if json_:
        typer.echo(json.dumps(answer))
        return
    table = Table(box=None)
    for column in ("kind", "peer", "what", "for seconds"):
        table.add_column(column)
    for row in answer["peers"]:
        kind, peer, seconds = (row.pop(name) for name in ("kind", "peer", "seconds"))
        table.add_row(kind, peer, ", ".join(f"{name} {value}" for name, value in row.items()), f"{seconds:.0f}")
    Console(width=_WIDTH).print(table)


@app.command()
def forget(
    peer: Annotated[str | None, typer.Argument(metavar="[ADDR]", help="Whom to forget.")] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", metavar="KIND", help="Only this kind, as the list names it.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Forget everything.")] = False,
    control: controlled.Control = None,
    tun: controlled.Tun = "edotun0",
    json_: controlled.Json = False,
) -> None:
    """Forget a peer, a kind of entries, or everything."""
    if (peer is None and kind is None) is not all_:
        options.wrong("forget: name an address or --kind, or everything by --all")
    answer = controlled.ask(control, tun, {"about": "peers", "do": "forget", "peer": peer, "kind": kind})
    typer.echo(json.dumps(answer) if json_ else f"forgot {answer['forgotten']} entries")
