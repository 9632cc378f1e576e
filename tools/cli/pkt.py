"""``edotun pkt``: packetdrill's scripts against the stack in virtual time."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options

if TYPE_CHECKING:
    from ..pkt.run import Outcome, Result

EPILOG = """Examples: edotun pkt open.pkt | edotun pkt tests/scripts | edotun pkt --profile freebsd --json FOLDER.
Exit status 0 all passed, 1 at least one failed, 2 none failed but some were refused, or usage."""

_PROFILES = ("own", "linux", "freebsd")
_MOST_REASONS = 20


def pkt(
    paths: Annotated[list[Path], typer.Argument(metavar="SCRIPT|FOLDER...", help="Scripts, or folders with some.")],
    profile: Annotated[
        str | None,
        typer.Option("--profile", metavar="NAME", help="own, linux or freebsd; without it what a script asks for."),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    workers: Annotated[int, typer.Option("--workers", metavar="N", help="Cores to use; 0: all.")] = 0,
) -> int:
    """Run packet scripts and compare what the stack does with what they expect."""
    from ..pkt.run import Result, find_scripts, run_all

    if profile is not None and profile not in _PROFILES:
        options.wrong(f"--profile: {profile!r} is not one of {', '.join(_PROFILES)}")
    if workers < 0:
        options.wrong(f"--workers: {workers} is negative")
    for path in paths:
        if not path.exists():
            options.wrong(f"there is no {path}")
    scripts = find_scripts(paths)
    if not scripts:
        options.wrong(f"no script *.pkt in {', '.join(map(str, paths))}")
    outcomes = []
    for outcome in run_all(scripts, profile, workers=workers or None):
        outcomes.append(outcome)
        if not json_ and outcome.result is Result.FAILED:
            typer.echo(_told(outcome))
    counts = Counter(outcome.result for outcome in outcomes)
    if json_:
        report = {result.value: counts[result] for result in Result}
        typer.echo(json.dumps(report | {"scripts": [outcome.row() for outcome in outcomes]}))
    else:
        _summary(outcomes, counts)
    if counts[Result.FAILED]:
        return 1
    return 2 if counts[Result.REFUSED] else 0


def _told(outcome: Outcome) -> str:
    """A mismatch: what was expected against what happened."""
    lines = [f"{outcome.script}:{outcome.line}: {outcome.reason} (profile {outcome.profile})"]
    if outcome.expected is not None:
        lines.append(f"  expected: {outcome.expected}")
        lines.append(f"    actual: {outcome.actual}")
    return "\n".join(lines)


def _summary(outcomes: list[Outcome], counts: Counter[Result]) -> None:
    by_name = {result.value: count for result, count in counts.items()}
    refused = [outcome for outcome in outcomes if outcome.result == "refused"]
    reasons = Counter(outcome.reason for outcome in refused)
    if len(refused) <= _MOST_REASONS:
        for outcome in refused:
            typer.echo(f"{outcome.script}:{outcome.line}: refused: {outcome.reason}")
    else:
        for reason, count in reasons.most_common():
            typer.echo(f"refused {count}: {reason}")
    told = (f"{by_name.get(name, 0)} {name}" for name in ("passed", "failed", "refused"))
    typer.echo(", ".join(told))
