"""``edotun lab report``: what a results file holds as a page and as CSV."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options
from .lab_run import DEFAULT_DB

EPILOG = r"""Example: edotun lab report report/ && firefox report/index.html

The page needs no network and no other file; plots need matplotlib (pip install 'edotun\[plots]')."""


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where index.html and the CSV files go.")],
    db: Annotated[Path, typer.Option("--db", metavar="FILE", help="The results, one SQLite file.")] = DEFAULT_DB,
) -> None:
    """Make one HTML page of all results: tables that explain their cells, plots, a summary in words; and CSV."""
    # Loaded only now: templates take their time, and plots more.
    from ..lab.cell import LabError
    from ..lab_report.report import write

    try:
        written = write(db, folder)
    except LabError as error:
        options.wrong(str(error))
    if written.without_plots is not None:
        options.notice(written.without_plots)
    tables = "1 table" if written.tables == 1 else f"{written.tables} tables"
    print(f"{written.files[0]}: {tables}, {written.runs} runs; {len(written.files) - 1} CSV files beside it")
