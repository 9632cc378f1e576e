"""``--box-keys``: keys of MACs for a box on the path that may sign (docs/guides/cooperating-box.md)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..link import Link
from .options import wrong

BoxKeys = Annotated[
    Path | None,
    typer.Option(
        "--box-keys",
        metavar="FILE",
        help="Append the MAC keys of agreed keys to FILE, for a box that may sign and cannot read.",
        rich_help_panel="Protection",
    ),
]


def with_box_keys(link: Link, file: Path | None) -> Link:
    """Return ``link`` with the file of ``--box-keys``."""
    if file is not None and not file.parent.is_dir():
        wrong(f"--box-keys: there is no folder {file.parent}")
    return replace(link, box_keys=file)
