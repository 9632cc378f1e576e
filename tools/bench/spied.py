"""What py-spy saw of the benchmark's processes, function by function (``py-spy record -s -f raw``)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# The function in which one end of a measurement begins.
_END: Final = re.compile(r"(?:send|receive|open_|accept|flood|take) \(\S*tools/bench/(?:ends/\w+|bare\w*)\.py")
_PLACE: Final = re.compile(r"(?P<name>.*?) \((?P<file>.*?)(?::\d+)?\)")
_ROOTS: Final = ("tools", "tun", "stack", "edo", "ao")


class NoSamples(ValueError):
    """There is nothing of a measurement in the file; one line."""


@dataclass(frozen=True, slots=True)
class Share:
    """One function's percent of an end's samples: in itself, and with what it calls."""

    name: str
    own: float
    all: float


def read(lines: Iterable[str]) -> dict[str, list[Share]]:
    """Return the functions of each kind of end ("ends/stack send"), those first in which most time was spent.

    Ends of the kernel's TCP are there too. Raises NoSamples.
    """
    own: dict[str, Counter[str]] = {}
    whole: dict[str, Counter[str]] = {}
    for frames, count in _samples(lines):
        begins = next((index for index, frame in enumerate(frames) if _END.match(frame)), None)
        if begins is None:
            continue
        function, _, file = frames[begins].partition(" (")
        end = f"{file.partition('tools/bench/')[2].partition('.py')[0]} {function.rstrip('_')}"
        names = [_name(frame) for frame in frames[begins:]]
        own.setdefault(end, Counter())[names[-1]] += count
        whole.setdefault(end, Counter()).update(dict.fromkeys(names, count))
    if not own:
        raise NoSamples("no sample is of a measurement: py-spy record -s -f raw -o FILE -- edotun bench ...")
    return {
        end: [
            Share(name, 100 * alone / counts.total(), 100 * whole[end][name] / counts.total())
            for name, alone in counts.most_common()
        ]
        for end, counts in own.items()
    }


def _samples(lines: Iterable[str]) -> Iterator[tuple[list[str], int]]:
    for line in lines:
        stack, _, count = line.rstrip().rpartition(" ")
        if stack and count.isdigit():
            yield stack.split(";"), int(count)


def _name(frame: str) -> str:
    """A function and its file, within the project by its path there, else by its name alone."""
    found = _PLACE.fullmatch(frame)
    if found is None:
        return frame
    parts = Path(found["file"]).parts
    start = next((index for index, part in enumerate(parts) if part in _ROOTS), len(parts) - 1)
    return f"{'/'.join(parts[start:])} {found['name']}"
