"""``edotun keys``: the keys of a running command."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from ao.keyfile import KeyFileError, load

from ..control.rows import order_of
from . import options
from .controlled import Control, Json, Tun, ask

EPILOG = """Examples: edotun keys list | edotun keys add new.toml | edotun keys rotate new --wait 30 |
edotun keys remove old | edotun keys status --json | edotun keys rekey 192.0.2.7 --wait 5. A key in use is not
removed: rotate to another first, at both ends. Only the user that runs the command, and root, may do this."""

app = typer.Typer(no_args_is_help=False, epilog=EPILOG, help="Look at and change the keys of a running command.")

Forward = Annotated[
    str | None,
    typer.Option("--forward", metavar="NAME", help="The forward of a gateway whose keys are meant."),
]
_WIDTH = 116


def _show(answer: dict[str, Any], json_: bool, text: str) -> None:
    typer.echo(json.dumps(answer) if json_ else text)


@app.command("list")
def list_(control: Control = None, tun: Tun = "edotun0", json_: Json = False) -> None:
    """List the keys, without their secrets."""
    answer = ask(control, tun, {"do": "list"})
    if json_:
        typer.echo(json.dumps(answer))
        return
    table = Table(box=None)
    for column in ("name", "peer", "ids", "mac", "serves", "signs"):
        table.add_column(column)
    for key in answer["keys"]:
        serves = [what for what in ("sends", "accepts") if key[what]]
        table.add_row(
            key["name"],
            key["peer"] or "any",
            "" if key["send_id"] is None else f"{key['send_id']}/{key['recv_id']}",
            key["mac"],
            " ".join(serves) or "not now",
            f"{key['connections']} connections",
        )
    Console(width=_WIDTH).print(table)


@app.command()
def status(control: Control = None, tun: Tun = "edotun0", json_: Json = False) -> None:
    """Show, of each connection, the key that signs, the one asked for, and what was verified."""
    answer = ask(control, tun, {"do": "status"})
    if json_:
        typer.echo(json.dumps(answer))
        return
    for row in answer["connections"]:
        counts = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in row["ao"].items())
        typer.echo(
            f"{row['peer']}: signs under {row['current']}, asks for {row['rnext']}, heard {row['heard']}: {counts}"
        )
    counts = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in answer["ao"].items())
    typer.echo(f"in all: {counts}")


@app.command()
def add(
    keys: Annotated[Path, typer.Argument(metavar="KEYS", help="A keys file; its keys are added.")],
    control: Control = None,
    tun: Tun = "edotun0",
    forward: Forward = None,
    json_: Json = False,
) -> None:
    """Add the keys of a file; connections that stand may use them at once."""
    try:
        mkts = load(keys, notice=options.notice)
    except KeyFileError as error:
        options.wrong(str(error))
    for mkt in mkts:
        answer = ask(control, tun, {"do": "add", "forward": forward, "key": order_of(mkt)})
        _show(answer, json_, f"added {mkt.name}: {answer['connections']} connections may use it")


@app.command()
def rotate(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The key to ask the peers for.")],
    control: Control = None,
    tun: Tun = "edotun0",
    forward: Forward = None,
    sign: Annotated[bool, typer.Option("--sign", help="Sign under it too, before the peer asks for it.")] = False,
    wait: Annotated[
        float, typer.Option("--wait", metavar="SECONDS", help="Wait until every peer follows, at most so long.")
    ] = 0.0,
    json_: Json = False,
) -> int:
    """Ask the peers of all connections to sign under a key; exit status 1 where not all follow within --wait."""
    answer = ask(control, tun, {"do": "rotate", "forward": forward, "key": name, "sign": sign})
    end = time.monotonic() + wait
    while wait and answer["following"] < answer["connections"] and time.monotonic() < end:
        time.sleep(0.1)
        answer.update(ask(control, tun, {"do": "progress", "forward": forward, "key": name}))
    _show(
        answer,
        json_,
        f"{name}: asked for on {answer['asked']} connections; {answer['following']} peers sign under it, "
        f"this end on {answer['signing']}",
    )
    return 1 if wait and answer["following"] < answer["connections"] else 0


@app.command()
def rekey(
    peer: Annotated[str | None, typer.Argument(metavar="[ADDR]", help="Whose connections; default all.")] = None,
    control: Control = None,
    tun: Tun = "edotun0",
    wait: Annotated[
        float, typer.Option("--wait", metavar="SECONDS", help="Wait until the new keys sign, at most so long.")
    ] = 0.0,
    json_: Json = False,
) -> int:
    """Have agreed keys made anew; exit status 1 where not all are within --wait."""
    order = {"about": "agreed", "peer": peer}
    answer = ask(control, tun, {**order, "do": "rekey"})
    old = {(row["local"], row["peer"]): row["generation"] for row in answer["asked"]}
    end = time.monotonic() + wait
    while True:
        rows = ask(control, tun, {**order, "do": "list"})["connections"]
        now = {(row["local"], row["peer"]): row["generation"] for row in rows}
        renewed = sum(now.get(ends, before + 1) > before for ends, before in old.items())
        if renewed == len(old) or time.monotonic() >= end:
            break
        time.sleep(0.1)
    answer["renewed"] = renewed
    _show(
        answer,
        json_,
        f"new keys are agreed on for {len(old)} of {answer['of']} connections; {renewed} sign under them",
    )
    return 1 if wait and renewed < len(old) else 0


@app.command()
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The key to forget.")],
    control: Control = None,
    tun: Tun = "edotun0",
    forward: Forward = None,
    json_: Json = False,
) -> None:
    """Forget a key that no connection signs under or asks for."""
    answer = ask(control, tun, {"do": "remove", "forward": forward, "key": name})
    _show(answer, json_, f"removed {name}")
