"""The options of commands that ask a running one over its control socket, and how its faults are told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..control import client
from ..control.place import default_path
from . import options

Control = Annotated[
    Path | None, typer.Option("--control", metavar="PATH", help="The control socket; default by --tun.")
]
Tun = Annotated[str, typer.Option("--tun", metavar="NAME", help="The device of the command.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def ask(control: Path | None, tun: str, order: dict[str, Any]) -> dict[str, Any]:
    """Send one order and return its answer; a fault ends the command with one line and status 2."""
    try:
        return client.ask(control or default_path(tun), order)
    except client.ControlError as error:
        options.wrong(str(error))
