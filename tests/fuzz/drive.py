"""One target under atheris: ``python -m tests.fuzz.drive TARGET [libFuzzer's options and folders]``."""

from __future__ import annotations

import shlex
import sys

import atheris

from tests.fuzz.corpus import WORK
from tests.fuzz.targets import TARGETS, target


def _itself(name: str) -> str:
    """A program that runs this target: to merge, libFuzzer starts itself again by its name."""
    script = WORK / f"{name}.sh"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m tests.fuzz.drive {name} "$@"\n')
    script.chmod(0o755)
    return str(script)


def main() -> None:
    """Load the target with its packages instrumented, and hand it to libFuzzer, which does not come back."""
    name = sys.argv[1]
    with atheris.instrument_imports(include=list(TARGETS[name])):
        run = target(name).run
    atheris.Setup([_itself(name), *sys.argv[2:]], run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
