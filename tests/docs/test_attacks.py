"""docs/security.md has a table of attacks, and every test that it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "security.md").read_text()
TABLE = TEXT[TEXT.index("## Attacks") :]
ROWS = [line.split(" | ") for line in TABLE[: TABLE.index("\n## ", 1)].splitlines() if line.startswith("| ")][1:]
_FILE = re.compile(r"`(tests/[\w/]+\.py)`: ((?:`test_\w+`(?:, )?)+)")


@pytest.mark.parametrize(
    "attacker",
    ["A listener", "Off the path", "In the middle", "Replay", "Reflection", "Exhaustion", "Downgrade"],
)
def test_every_attacker_has_rows(attacker: str) -> None:
    assert sum(row[0].startswith(f"| **{attacker}**") for row in ROWS) == 1


@pytest.mark.parametrize("row", ROWS, ids=[row[0].strip("| *") for row in ROWS])
def test_the_tests_of_a_row_exist(row: list[str]) -> None:
    assert len(row) == 4
    named = _FILE.findall(row[3])
    # Whatever looks like a test is one of those that are looked up.
    assert sum(names.count("`test_") for _, names in named) == row[3].count("`test_") > 0
    for file, names in named:
        text = (ROOT / file).read_text()
        for name in re.findall(r"test_\w+", names):
            assert re.search(rf"^(?:async )?def {name}\(", text, re.MULTILINE), f"{file}: {name}"
