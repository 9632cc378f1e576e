"""What the stack is to reach on two cores, as data, and how a run is judged by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

from .idle import CONNECTIONS
from .summary import Row


class Quantity(StrEnum):
    """What of a row is judged."""

    OF_BASE = "of its base"
    OF_BARE = "of the bare loop"
    MEDIAN = "median"
    OF_ROW = "of another row"


@dataclass(frozen=True, slots=True)
class Target:
    """The best row at ``mtu`` whose name ``work`` (with ``*``, ``?``) matches is to reach ``bound``, or stay below.

    With OF_ROW it is the median over that of the best row of ``other`` at ``other_mtu``.
    """

    text: str
    work: str
    mtu: int
    quantity: Quantity
    bound: float
    at_most: bool = False
    other: str = ""
    other_mtu: int = 1500


_KERNEL_PLAIN: Final = "of kernel to kernel with offloads off"
_MD5: Final = "of kernel TCP-MD5"
TARGETS: Final = (
    Target(
        f"`none`, kernel to stack, MTU 1500: {_KERNEL_PLAIN}",
        "kernel to stack, none",
        1500,
        Quantity.OF_BASE,
        1.0,
    ),
    Target(
        f"`none`, stack to kernel, MTU 1500: {_KERNEL_PLAIN}",
        "stack to kernel, none",
        1500,
        Quantity.OF_BASE,
        1.0,
    ),
    Target(
        f"`ao` AES-128-CMAC, stack to stack, MTU 1500: {_MD5}",
        "stack to stack, ao, aes-128-cmac-96",
        1500,
        Quantity.OF_BASE,
        1.3,
    ),
    Target(
        "`ao` AES-128-CMAC, stack to stack, MTU 1500: of the bare loop",
        "stack to stack, ao, aes-128-cmac-96",
        1500,
        Quantity.OF_BARE,
        0.7,
    ),
    Target(
        f"`ao-enc-dh`, stack to stack, MTU 1500: {_MD5}",
        "stack to stack, ao-enc-dh, aes-128-cmac-96",
        1500,
        Quantity.OF_BASE,
        1.1,
    ),
    Target(
        "`ao-enc-dh`, stack to stack, MTU 1500: of the bare loop",
        "stack to stack, ao-enc-dh, aes-128-cmac-96",
        1500,
        Quantity.OF_BARE,
        0.7,
    ),
    Target(
        "`ao-enc-dh`, MTU 9000, fastest MAC: of its own at MTU 1500",
        "stack to stack, ao-enc-dh, *",
        9000,
        Quantity.OF_ROW,
        2.5,
        other="stack to stack, ao-enc-dh, *",
    ),
    Target(
        "`ao-enc-dh`, MTU 65,535, fastest MAC: of its own at MTU 1500",
        "stack to stack, ao-enc-dh, *",
        65_535,
        Quantity.OF_ROW,
        4.0,
        other="stack to stack, ao-enc-dh, *",
    ),
    Target("handshakes accepted, `none`, a CPU second", "handshakes accepted, none", 1500, Quantity.MEDIAN, 8000),
    Target("handshakes opened, `none`, a CPU second", "handshakes opened, none", 1500, Quantity.MEDIAN, 8000),
    Target(
        "handshakes accepted, `ao-enc-dh` x25519, a CPU second",
        "handshakes accepted, ao-enc-dh",
        1500,
        Quantity.MEDIAN,
        2000,
    ),
    Target(
        "handshakes opened, `ao-enc-dh` x25519, a CPU second",
        "handshakes opened, ao-enc-dh",
        1500,
        Quantity.MEDIAN,
        2000,
    ),
    Target(
        f"idle connection, `none`, of {CONNECTIONS:,}: octets resident",
        f"idle connection, none, of {CONNECTIONS:,}",
        1500,
        Quantity.MEDIAN,
        8192,
        at_most=True,
    ),
    Target(
        f"CPU time of an echo, one busy of {CONNECTIONS:,} connections: of that with 10",
        f"CPU of an echo, none, one busy of {CONNECTIONS:,}",
        1500,
        Quantity.OF_BASE,
        1.1,
        at_most=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A target beside what was measured: ``value`` is None where its rows were not."""

    target: Target
    value: float | None

    @property
    def met(self) -> bool | None:
        """Whether it is reached; None where it was not measured."""
        if self.value is None:
            return None
        return self.value <= self.target.bound if self.target.at_most else self.value >= self.target.bound

    @property
    def verdict(self) -> str:
        """The same in words."""
        return {True: "met", False: "not met", None: "not measured"}[self.met]

    def to_json(self) -> dict[str, object]:
        """Return it for ``--json``."""
        return {
            "target": self.target.text.replace("`", ""),
            "at_most" if self.target.at_most else "at_least": self.target.bound,
            "value": None if self.value is None else round(self.value, 4),
            "met": self.met,
        }


def judge(rows: Sequence[Row], targets: Sequence[Target] = TARGETS) -> list[Judgement]:
    """Return what became of each target in these rows."""
    return [Judgement(target, _value(target, rows)) for target in targets]


def _value(target: Target, rows: Sequence[Row]) -> float | None:
    found = [one for one in rows if one.mtu == target.mtu and fnmatchcase(one.work, target.work)]
    if target.quantity is Quantity.OF_BASE:
        return _best([one.ratio_base for one in found], target)
    if target.quantity is Quantity.OF_BARE:
        return _best([one.ratio_bare for one in found], target)
    own = _best([None if one.ours is None else one.ours.median for one in found], target)
    if target.quantity is Quantity.MEDIAN or own is None:
        return own
    others = [one for one in rows if one.mtu == target.other_mtu and fnmatchcase(one.work, target.other)]
    other = _best([None if one.ours is None else one.ours.median for one in others], target)
    return own / other if other else None


def _best(figures: Sequence[float | None], target: Target) -> float | None:
    known = [figure for figure in figures if figure is not None]
    if not known:
        return None
    return min(known) if target.at_most else max(known)
