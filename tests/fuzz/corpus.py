"""The corpus: for each target one text file, an input a line in hexadecimal, the shortest first.

``python -m tests.fuzz.corpus [TARGET...]`` makes it anew of what it was and of what ``make fuzz`` has found since:
the fewest inputs that reach all that they reach together.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.fuzz.targets import TARGETS, target

HERE: Final = Path(__file__).parent / "corpus"
WORK: Final = Path(__file__).parents[2] / "build" / "fuzz"
# Of each target, in octets of its file: a corpus is to be run in seconds, and to be looked at.
_MOST: Final = 120_000


def load(name: str) -> list[bytes]:
    """The inputs of a target."""
    file = HERE / f"{name}.txt"
    return [bytes.fromhex(line) for line in file.read_text().splitlines()] if file.exists() else []


def save(name: str, inputs: list[bytes]) -> int:
    """Write the inputs of a target, as many of the shortest as its file takes; how many."""
    lines: list[str] = []
    size = 0
    for octets in sorted(set(inputs), key=lambda octets: (len(octets), octets)):
        size += 2 * len(octets) + 1
        if size > _MOST:
            break
        lines.append(octets.hex() + "\n")
    HERE.mkdir(exist_ok=True)
    (HERE / f"{name}.txt").write_text("".join(lines))
    return len(lines)


def unpack(name: str, folder: Path) -> None:
    """Put seeds and corpus into a folder, an input a file, as libFuzzer has it."""
    folder.mkdir(parents=True, exist_ok=True)
    for octets in target(name).seeds() + load(name):
        (folder / hashlib.sha256(octets).hexdigest()[:24]).write_bytes(octets)


def renew(name: str) -> None:
    """Make a target's corpus of the fewest inputs that reach what all do."""
    with tempfile.TemporaryDirectory() as least:
        found = WORK / name
        unpack(name, found)
        failed = WORK / f"{name}-failed"
        failed.mkdir(exist_ok=True)
        options = ("-merge=1", "-max_len=400", f"-artifact_prefix={failed}/")
        command = (sys.executable, "-m", "tests.fuzz.drive", name, *options, least, str(found))
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        inputs = [file.read_bytes() for file in Path(least).iterdir()]
    print(f"{name}: {save(name, inputs)} of {len(inputs)} inputs")


if __name__ == "__main__":
    for each in sys.argv[1:] or TARGETS:
        renew(each)
