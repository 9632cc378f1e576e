"""``#ifdef NAME``, ``#ifndef NAME``, ``#else`` and ``#endif``: parts of a script that are for one system only."""

from __future__ import annotations

import re
from collections.abc import Set
from typing import Final

from .faults import Place, Refused

_LINE: Final = re.compile(r"[ \t]*#[ \t]*(ifdef|ifndef|else|endif)\b[ \t]*([A-Za-z_][A-Za-z0-9_]*)?")


def select(text: str, file: str, defined: Set[str]) -> str:
    """The script without the parts that are not for ``defined`` names, lines kept; raises Refused if unbalanced."""
    if "#" not in text:
        return text
    # Of each open condition: where it began, whether its part is taken, whether it had an #else.
    stack: list[tuple[Place, bool, bool]] = []
    lines: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        found = _LINE.match(line)
        place = Place(file, number)
        if found is not None:
            _turn(stack, found.group(1), found.group(2), defined, place)
            line = ""
        lines.append(line if all(taken for _, taken, _ in stack) else "")
    if stack:
        raise Refused(stack[-1][0], "a condition that begins here does not end")
    return "\n".join(lines)


def _turn(
    stack: list[tuple[Place, bool, bool]], word: str, name: str | None, defined: Set[str], place: Place
) -> None:
    if word in ("ifdef", "ifndef"):
        if name is None:
            raise Refused(place, f"#{word} without a name")
        stack.append((place, (name in defined) is (word == "ifdef"), False))
    elif not stack:
        raise Refused(place, f"#{word} without a condition before it")
    elif word == "endif":
        stack.pop()
    else:
        began, taken, had_else = stack.pop()
        if had_else:
            raise Refused(place, "a second #else of one condition")
        stack.append((began, not taken, True))
