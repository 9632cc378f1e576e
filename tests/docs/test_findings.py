"""docs/findings.md: every question of the list has an answer, and every figure is what its command gives."""

from __future__ import annotations

import difflib

import pytest

from tools.lab.cell import LabError
from tools.lab.findings import PAGE, asked, measures, written

TEXT = PAGE.read_text()
COMMANDS = [line for line in TEXT.splitlines() if line.startswith("    $ ")]
# What was asked in tcpinc, in that order: words that a heading has.
QUESTIONS = (
    ("next to the client", "next to the server"),
    ("path changes in mid-connection",),
    ("both know nothing",),
    ("experimental option number",),
    ("client in simultaneous open",),
    ("denial of service", "SYN cookies"),
    ("level of protection change",),
    ("downgrade silently",),
    ("addresses be protected through a NAT", "rewrites more"),
    ("header fields are worth protecting", "breaks"),
    ("Diffie-Hellman key", "each space", "cost"),
    ("neither SYN nor ACK", "by whom"),
    ("proxy that rewrites segments",),
    ("confidentiality and header protection", "cost"),
    ("cooperating middlebox",),
    ("unchanged application see",),
)


def sections() -> list[tuple[str, str]]:
    """Heading and text of each question."""
    return [(part.partition("\n")[0], part.partition("\n")[2]) for part in TEXT.split("\n## ")[1:]]


def test_no_question_is_left_out_and_each_is_answered_by_a_run() -> None:
    found = sections()
    assert len(found) == len(QUESTIONS)
    for (heading, text), words in zip(found, QUESTIONS, strict=True):
        for word in words:
            assert word in heading
        answer, _, _ = text.strip().partition("\n\n")
        assert not answer.startswith("    ")
        assert "\n    $ edotun lab " in text


def test_every_figure_is_what_its_command_gives() -> None:
    """Where a change is meant, ``python -m tools.lab.findings`` writes the page anew."""
    now = written(TEXT)
    assert now == TEXT, "\n".join(difflib.unified_diff(TEXT.splitlines(), now.splitlines(), lineterm="", n=1))


def test_a_line_that_does_not_hold_would_be_found() -> None:
    line = "    $ edotun lab paths --only box=proxy,near=client,way=auto,policy=require"
    false = f"{line}\n    works in 0.08 s\n\nwords\n"
    assert written(false) == f"{line}\n    the client fails with no ENO in the SYN-ACK after 0 s\n\nwords\n"


def test_what_is_measured_stays_until_it_is_measured_again() -> None:
    """Figures of CPU time differ from run to run, and everything else is of virtual time."""
    measured = [line for line in COMMANDS if measures(asked(line)[1])]
    assert len(measured) == sum("CPU" in line for line in COMMANDS) >= 3
    page = f"{measured[0]}\n    none  1 us of CPU time (1 to 1)\n"
    assert written(page) == page


def test_a_command_that_cannot_be_given_is_an_error() -> None:
    with pytest.raises(LabError, match="nosuch"):
        asked("    $ edotun lab paths --only box=nosuch")
    with pytest.raises(LabError, match="--jobs"):
        asked("    $ edotun lab paths --only box=nat --jobs 2")
