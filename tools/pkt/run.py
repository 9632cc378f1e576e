"""Running scripts: one, or all of folders on all cores, and what came of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from .conditions import select
from .faults import Failed, Place, Refused
from .header import with_definitions
from .interpreter import Interpreter
from .parser import parse
from .profiles import PROFILES, profile_of
from .profiles.base import Profile
from .syntax import Script

SUFFIX = ".pkt"


class Result(StrEnum):
    """What came of a script."""

    PASSED = "passed"
    FAILED = "failed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one script: where and why it did not pass, what was expected and what happened instead."""

    script: str
    line: int | None
    result: Result
    reason: str | None
    expected: str | None
    actual: str | None
    profile: str | None

    def row(self) -> dict[str, object]:
        """The names of the report."""
        return asdict(self)


def run_text(
    text: str, file: str, profile: str | None = None, show: Callable[[str], None] = lambda _text: None
) -> Outcome:
    """Run a script under ``profile`` (None: the one that it asks for)."""
    chosen = PROFILES[profile] if profile is not None else profile_of(text)
    name = chosen.name
    try:
        script = parse(with_definitions(select(text, file, chosen.defined), chosen.definitions), file)
        _run(script, chosen, show)
    except Failed as failed:
        return Outcome(
            file, failed.place.line, Result.FAILED, _reason(failed, file), failed.expected, failed.actual, name
        )
    except Refused as refused:
        return Outcome(file, refused.place.line, Result.REFUSED, _reason(refused, file), None, None, name)
    return Outcome(file, None, Result.PASSED, None, None, None, name)


def _run(script: Script, profile: Profile, show: Callable[[str], None]) -> None:
    """Run a script as the profile's system does, or else as another version of it; raises what failed at first."""
    try:
        Interpreter(script, profile, show).run()
    except Failed:
        for version in profile.versions:
            changes: dict[str, Any] = dict(version)
            with suppress(Failed, Refused):
                Interpreter(script, replace(profile, config=replace(profile.config, **changes))).run()
                return
        raise


def _reason(fault: Failed | Refused, file: str) -> str:
    """Why, with the place where it is in another file."""
    return fault.reason if fault.place.file == file else f"{fault.place}: {fault.reason}"


def run_file(path: str, profile: str | None = None) -> Outcome:
    """Run the script in a file; one that cannot be read is refused."""
    try:
        text = Path(path).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        refused = Refused(Place(path, 1), f"cannot be read: {error.strerror}")
        return Outcome(path, 1, Result.REFUSED, refused.reason, None, None, profile)
    return run_text(text, path, profile)


def find_scripts(paths: Sequence[Path]) -> list[str]:
    """The scripts that files and folders name, those of a folder and all folders in it in order."""
    found: list[str] = []
    for path in paths:
        found.extend(sorted(map(str, path.rglob("*" + SUFFIX))) if path.is_dir() else [str(path)])
    return found


def run_all(
    scripts: Sequence[str],
    profile: str | None = None,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
) -> Iterator[Outcome]:
    """Run scripts, in their order: by ``executor``, or on ``workers`` (None: all) cores where it is worth it."""
    count = workers or os.cpu_count() or 1
    if executor is not None:
        yield from executor.map(run_file, scripts, [profile] * len(scripts))
    elif count == 1 or len(scripts) < 2 * count:
        for script in scripts:
            yield run_file(script, profile)
    else:
        with ProcessPoolExecutor(count) as pool:
            yield from pool.map(run_file, scripts, [profile] * len(scripts), chunksize=4)
