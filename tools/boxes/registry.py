"""The registry of boxes: what ``@box`` adds, what ``NAME[:key=value,...]`` asks for, and how it is made.

A box is made by a class or function whose keyword parameters have defaults; their types are those of the defaults.
A parameter ``random`` gets the run's source of chance. Every box has the parameters ``only`` (client, server: what
that end sends, and nothing else) and ``near`` (client, server: on which side of the delay it stands).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final, TypeVar

from stack.batch import Octets
from stack.box import Box, BoxChain, Direction, Emission

from ..registry import Registry

MakerT = TypeVar("MakerT", bound=Callable[..., Box])
Value = bool | int | float | str | tuple[int, ...]

_ENDS: Final = ("client", "server")
_WORDS: Final = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False}
_WORDS["0"] = False
# Counters of the simulator's plain boxes.
_PLAIN: Final = ("lost", "held", "copies", "corrupted", "marked", "cut", "merged", "stripped")


class BoxError(ValueError):
    """A box that there is not, or that cannot be made so; the message is one line."""


class Boxes(str):
    """The default of a parameter that stands for boxes: their text, several parted by spaces."""

    __slots__ = ()

    def made(self, random: Random) -> BoxChain:
        """The boxes, in a row. Raises BoxError."""
        return BoxChain([make(text, random) for text in split(str(self), " ")])


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a box: its name and default, whose type is the parameter's."""

    name: str
    default: Value

    @property
    def type_name(self) -> str:
        """What may stand for it, in a word."""
        if isinstance(self.default, Boxes):
            return "boxes"
        if isinstance(self.default, tuple):
            return "numbers"
        return {bool: "yes|no", int: "integer", float: "number", str: "text"}[type(self.default)]

    def parse(self, text: str) -> Value:
        """The value that ``text`` stands for; ValueError, one line."""
        kind = type(self.default)
        try:
            if kind is bool:
                return _WORDS[text.lower()]
            if kind is int:
                return int(text, 0)
            if kind is float:
                return float(text)
            if kind is tuple:
                return tuple(number for part in text.split("+") for number in _numbers(part))
        except (ValueError, KeyError):
            raise ValueError(f"{self.name}: {text!r} is not of kind {self.type_name}") from None
        if kind is Boxes:
            return Boxes(text[1:-1] if text.startswith("(") and text.endswith(")") else text)
        return text


def _numbers(part: str) -> range:
    first, dash, last = part.partition("-")
    return range(int(first), int(last if dash else first) + 1)


@dataclass(frozen=True, slots=True)
class Described:
    """A box of the registry: its name, what it does in a line, its parameters, and what makes it."""

    name: str
    what: str
    parameters: tuple[Parameter, ...]
    maker: Callable[..., Box]
    by_chance: bool

    def made(self, random: Random, values: dict[str, Any]) -> Box:
        """The box, with these values and the defaults of the others."""
        if self.by_chance:
            values = {"random": random, **values}
        return self.maker(**values)


BOXES: Final[Registry[Described]] = Registry("box", "tools.boxes")
"""All boxes by name: those beside this file, and those of users' files."""


def box(name: str, what: str) -> Callable[[MakerT], MakerT]:
    """Add the class or function that follows to the boxes, as ``name``; ``what`` says in a line what it does.

    What it makes has ``process`` and ``next_deadline`` (``stack.box.Box``). Raises ValueError, one line, for a name
    that is taken or holds what the text form needs, and for a parameter without a default.
    """
    if not name or not all(character.isalnum() or character == "-" for character in name):
        raise ValueError(f"box {name!r}: a name has letters, digits and '-'")

    def add(maker: MakerT) -> MakerT:
        found = dict(inspect.signature(maker).parameters)
        by_chance = found.pop("random", None) is not None
        parameters = []
        for one in found.values():
            if type(one.default) not in (bool, int, float, str, tuple, Boxes):
                raise ValueError(f"box {name!r}: parameter {one.name!r} has no default that tells its type")
            if one.name in ("only", "near"):
                raise ValueError(f"box {name!r}: every box has a parameter {one.name!r} already")
            parameters.append(Parameter(one.name, one.default))
        BOXES.add(name, Described(name, what, tuple(parameters), maker, by_chance))
        return maker

    return add


def split(text: str, separator: str) -> list[str]:
    """Cut ``text`` at a character where it does not stand in parentheses; empty parts are left out.

    Raises BoxError where the parentheses do not match.
    """
    parts, depth, start = [], 0, 0
    for index, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth < 0:
            break
        if character == separator and not depth:
            parts.append(text[start:index])
            start = index + 1
    if depth:
        raise BoxError(f"{text!r}: the parentheses do not match")
    return [part for part in (*parts, text[start:]) if part]


class Placed:
    """A box in its place: it counts what passes, and sees of the traffic what ``only`` leaves it.

    ``text`` is what it was asked for by, ``near`` the end on whose side of the delay it stands.
    """

    def __init__(self, text: str, inner: Box, only: Direction | None, near: str) -> None:
        self.text = text
        self.near = near
        self._inner = inner
        self._only = only
        self._in = [0, 0]
        self._out = [0, 0]

    @property
    def next_deadline(self) -> float | None:
        """When ``process`` must be called even without packets (seconds), None for never."""
        return self._inner.next_deadline

    def process(self, packets: list[Octets], direction: Direction, now: float) -> list[Emission]:
        """Hand packets to the box where they are its own."""
        if packets and self._only is not None and direction is not self._only:
            return [(now, direction, packet) for packet in packets]
        self._in[direction] += len(packets)
        out = self._inner.process(packets, direction, now)
        for _, towards, _ in out:
            self._out[towards] += 1
        return out

    def counters(self) -> dict[str, int]:
        """Packets in and out, by who sent them, and what the box itself counts."""
        found = {}
        for name, counts in (("in", self._in), ("out", self._out)):
            for direction, end in zip(Direction, _ENDS, strict=True):
                found[f"{name}_from_{end}"] = counts[direction]
        own = getattr(self._inner, "counts", None)
        if own is None:
            own = {name: value for name in _PLAIN if isinstance(value := getattr(self._inner, name, None), int)}
        return found | dict(sorted(own.items()))


def make(text: str, random: Random) -> Placed:
    """The box that ``NAME[:key=value,...]`` asks for; ``key`` alone is ``key=yes``. Raises BoxError."""
    name, _, rest = text.partition(":")
    described = BOXES.get(name)
    if described is None:
        raise BoxError(f"there is no box {name!r} (edotun path --list)")
    known = {one.name: one for one in described.parameters}
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    for part in split(rest, ","):
        key, equals, value = part.partition("=")
        if key in ("only", "near"):
            if value not in _ENDS:
                raise BoxError(f"box {name}: {key}: {value!r} is not one of {', '.join(_ENDS)}")
            places[key] = value
            continue
        if key not in known:
            names = ", ".join((*known, "only", "near"))
            raise BoxError(f"box {name}: there is no parameter {key!r} ({names})")
        try:
            values[key] = known[key].parse(value if equals else "yes")
        except ValueError as error:
            raise BoxError(f"box {name}: {error}") from None
    try:
        inner = described.made(random, values)
    except BoxError:
        raise
    except ValueError as error:
        raise BoxError(f"box {name}: {error}") from None
    only = Direction(_ENDS.index(places["only"])) if "only" in places else None
    return Placed(text, inner, only, places.get("near", "server"))


def arranged(boxes: Sequence[Placed], *delay: Box) -> list[Box]:
    """The boxes as they stand on a path: those near the client, what delays, those near the server."""
    near = [one for one in boxes if one.near == "client"]
    return [*near, *delay, *(one for one in boxes if one.near != "client")]


def listing() -> list[tuple[str, str, list[str]]]:
    """Name, purpose and parameters ("name=default (type)") of every box, by name."""
    return [
        (name, found.what, [f"{one.name}={shown(one.default)} ({one.type_name})" for one in found.parameters])
        for name, found in sorted(BOXES.items())
    ]


def shown(value: Value) -> str:
    """A value as it is written in a box's text."""
    if isinstance(value, Boxes):
        return f"({value})"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "+".join(map(str, value)) if isinstance(value, tuple) else f"{value}"
