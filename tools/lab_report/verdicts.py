"""How bad an outcome is: what colours a cell, and which mark stands beside the word for who sees no colour."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ..lab import judging
from ..lab.cell import FAULT


class Level(StrEnum):
    """From what is as it should be to what must not be; FIGURE is a number, and OTHER a word that is not known."""

    GOOD = "good"
    COSTS = "costs"
    LIMITED = "limited"
    FAILS = "fails"
    WORST = "worst"
    FAULT = "fault"
    FIGURE = "figure"
    OTHER = "other"


MARKS: Final = {
    Level.GOOD: "\N{CHECK MARK}",
    Level.COSTS: "\N{CLOCKWISE OPEN CIRCLE ARROW}",
    Level.LIMITED: "\N{CIRCLE WITH LEFT HALF BLACK}",
    Level.FAILS: "\N{MULTIPLICATION X}",
    Level.WORST: "\N{DOUBLE EXCLAMATION MARK}",
    Level.FAULT: "?",
    Level.FIGURE: "",
    Level.OTHER: "\N{BULLET}",
}

LEVEL_TEXTS: Final = {
    Level.GOOD: "as it should be",
    Level.COSTS: "later, or by another way",
    Level.LIMITED: "not here",
    Level.FAILS: "failed",
    Level.WORST: "must not be",
    Level.FAULT: "the lab itself failed",
    Level.FIGURE: "a figure",
    Level.OTHER: "other",
}


@dataclass(frozen=True, slots=True)
class Word:
    """An outcome begins with ``text``; ``meaning`` is what it says."""

    text: str
    level: Level
    meaning: str


_ATTACKED: Final = {
    judging.NO_EFFECT: Level.GOOD,
    judging.DROPPED: Level.GOOD,
    judging.REPAIRED: Level.COSTS,
    judging.STALLED: Level.FAILS,
    judging.RESET: Level.FAILS,
    judging.WRONG: Level.WORST,
    judging.LEAKED: Level.WORST,
}
_WORDS: Final = (
    *(Word(text, _ATTACKED[text], meaning) for text, meaning in judging.OUTCOMES.items()),
    Word("works after fallback", Level.COSTS, "everything arrived, after a fallback to something else"),
    Word("works", Level.GOOD, "everything arrived, by what was asked for"),
    Word("fails", Level.FAILS, "no connection, and an error that says why"),
    Word("hangs", Level.WORST, "neither everything nor an error in the time that was given"),
    Word("silent corruption", Level.WORST, "an application was given octets that were not sent"),
    Word("fits", Level.GOOD, "every option has room"),
    Word("leaves out", Level.LIMITED, "options have no room and are left out"),
    Word("agreed", Level.GOOD, "both ends have keys"),
    Word("not agreed", Level.LIMITED, "there are no keys by this way alone"),
    Word("does not fit", Level.LIMITED, "it has no room"),
    Word("refused", Level.LIMITED, "it cannot be asked for there"),
    Word("not in this library", Level.OTHER, "the library does not compute it"),
    Word("carried", Level.GOOD, "the options went with the segments"),
    Word("left out", Level.LIMITED, "the options had no room and were not sent"),
    Word("exact", Level.FIGURE, "the same in every run"),
    Word(
        "measured", Level.FIGURE, "CPU time of the machine that ran it, which another run gives a little otherwise"
    ),
    Word(FAULT, Level.FAULT, "the run itself went wrong: a bug of the lab"),
)
ORDER: Final = tuple(Level)


def word_of(outcome: str) -> Word:
    """What is known of an outcome; the longest beginning counts."""
    found = [word for word in _WORDS if outcome.startswith(word.text)]
    if not found:
        return Word(outcome, Level.OTHER, "")
    return max(found, key=lambda word: len(word.text))


def level_of(outcome: str) -> Level:
    """How bad it is."""
    return word_of(outcome).level
