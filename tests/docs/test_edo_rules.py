"""docs/edo.md lists every rule of EDO, and the tests and scripts that it names are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs" / "edo.md").read_text()
SCRIPTS = ROOT / "tests" / "scripts" / "edo"
RULES = [f"N{n}" for n in range(1, 9)] + [f"R{n}" for n in range(1, 13)]
# The last column of a table's row.
_SHOWN = re.compile(r"^\|.*\| ([^|]+) \|$", re.MULTILINE)
_TESTS = re.compile(r"`([\w/]+)` ([\w ,]+)")


def shown() -> list[str]:
    """What each row names as its tests."""
    table = TEXT[TEXT.index("## The rules") :]
    return [row for row in _SHOWN.findall(table) if "pkt/" in row or "`test_" in row or "/test_" in row]


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_a_row_and_is_found_by_its_name(rule: str) -> None:
    assert re.search(rf"^\| {rule} ", TEXT, re.MULTILINE)
    said = re.compile(rf"EDO (?:[NR]\d+, )*{rule}\b")
    files = [*SCRIPTS.glob("*.pkt"), *(ROOT / "tests" / "stack" / "edo").glob("*.py")]
    assert any(said.search(path.read_text()) for path in files), f"EDO {rule}"


def test_the_scripts_and_tests_that_are_named_exist() -> None:
    rows = shown()
    assert len(rows) > 40
    for row in rows:
        for name in re.findall(r"pkt/([\w*-]+)", row):
            assert list(SCRIPTS.glob(name + ".pkt")), name
        for file, words in _TESTS.findall(row):
            paths = [found for found in (ROOT / "tests").rglob(f"{Path(file).name}.py") if file in str(found)]
            functions = re.findall(r"^def (test_\w+)", "".join(path.read_text() for path in paths), re.MULTILINE)
            for word in words.split(", "):
                assert any(word.strip() in function for function in functions), f"{file}: {word}"


def test_the_cases_of_both_prototypes_are_all_there() -> None:
    for system in ("freebsd", "linux"):
        assert [len(list(SCRIPTS.glob(f"{system}-{n}-*.pkt"))) for n in range(1, 7)] == [1] * 6
