"""``edotun lab``: real connections with something in the middle that misbehaves in one chosen way."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Protocol

import typer

from . import lab_report, lab_run

EPILOG = """Examples: edotun lab headers --reduced | edotun lab headers --only field=seq,mode=ao --json |
edotun lab headers --with mine.py --only attack=mine"""

app = typer.Typer(no_args_is_help=True, help="What header protection is worth, and what paths do to it.")

Db = Annotated[
    Path,
    typer.Option(
        "--db", metavar="FILE", help="Where results are kept, one SQLite file; what it has is not run again."
    ),
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Equal seeds give equal runs.")]
Reduced = Annotated[bool, typer.Option("--reduced", help="A choice of the cells that takes less time.")]
Only = Annotated[
    str,
    typer.Option(
        "--only",
        metavar="KEY=VALUE,...",
        help="The cells with these parameters; a key may come twice. One is run again.",
    ),
]
Again = Annotated[bool, typer.Option("--again", help="Run what was run before as well.")]
Jobs = Annotated[int, typer.Option("--jobs", metavar="N", help="Processes; 0: one for each core.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object a run.")]
Real = Annotated[bool, typer.Option("--real", help="On real packets through a TUN, where the matrix has that.")]
With = Annotated[
    list[Path] | None,
    typer.Option("--with", metavar="FILE.py", help="Take what this Python file declares too; repeatable."),
]


class _Sweep(Protocol):
    def __call__(
        self,
        db: Db = ...,
        seed: Seed = ...,
        reduced: Reduced = ...,
        only: Only = ...,
        again: Again = ...,
        jobs: Jobs = ...,
        json_: Json = ...,
        real: Real = ...,
        with_: With = ...,
    ) -> None: ...


def _of(name: str) -> _Sweep:
    def command(
        db: Db = lab_run.DEFAULT_DB,
        seed: Seed = 1,
        reduced: Reduced = False,
        only: Only = "",
        again: Again = False,
        jobs: Jobs = 0,
        json_: Json = False,
        real: Real = False,
        with_: With = None,
    ) -> None:
        lab_run.run(
            name,
            db=db,
            seed=seed,
            reduced=reduced,
            only=only,
            again=again,
            jobs=jobs,
            json_=json_,
            real=real,
            files=with_ or [],
        )

    return command


def _add_matrices() -> None:
    from ..lab.matrices import MATRICES

    for name, (_, about) in MATRICES.items():
        app.command(name, help=about, epilog=EPILOG)(_of(name))


_add_matrices()
app.command("report", epilog=lab_report.EPILOG)(lab_report.report)
