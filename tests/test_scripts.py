"""Every packet script under tests/scripts, run against the stack in virtual time (``edotun pkt tests/scripts``)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.pkt.profiles import PROFILES
from tools.pkt.run import SUFFIX, Result, run_file

FOLDER = Path(__file__).parent / "scripts"
SCRIPTS = sorted(path.relative_to(FOLDER) for path in FOLDER.rglob("*" + SUFFIX))
GROUPS = {
    "blind",
    "close",
    "cookies",
    "ecn",
    "edo",
    "fastopen",
    "icmp",
    "pmtu",
    "rack",
    "recovery",
    "sack",
    "states",
    "timestamps",
    "window",
}


@pytest.mark.parametrize("script", SCRIPTS, ids=str)
def test_script(script: Path) -> None:
    outcome = run_file(str(FOLDER / script))
    told = f"{script}:{outcome.line}: {outcome.reason}"
    if outcome.expected is not None:
        told += f"\n  expected: {outcome.expected}\n    actual: {outcome.actual}"
    assert outcome.result is Result.PASSED, told
    assert outcome.profile == (_prototype(script) or "own")


def test_scripts_say_what_they_show_and_where_it_is_written() -> None:
    for script in SCRIPTS:
        text = (FOLDER / script).read_text()
        comment = " ".join(" ".join(_comment(text)).replace("//", "").split())
        assert re.search(r"RFC \d{3,4} (§|appendix )|draft-", comment), script


def _prototype(script: Path) -> str | None:
    """The system whose prototype of EDO a script is about; all others are about this stack's own ways."""
    system = script.name.partition("-")[0]
    return system if script.parts[0] == "edo" and system in PROFILES else None


def test_every_group_has_scripts() -> None:
    assert {script.parts[0] for script in SCRIPTS} >= GROUPS
    assert len(SCRIPTS) >= 350


def _comment(text: str) -> list[str]:
    lines = text.splitlines()
    return lines[: next(n for n, line in enumerate(lines) if not line.startswith("//"))]
