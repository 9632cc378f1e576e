"""docs/syn-eos.md: each rule has its row, and the tests that a row names are there and name the rule."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ROWS = {
    row[1]: re.findall(r"`(test_\w+)`", row[0])
    for row in re.finditer(r"^\| ([SLX]\d+) \|.*$", (ROOT / "docs" / "syn-eos.md").read_text(), re.MULTILINE)
}
DOCSTRINGS = {
    node.name: ast.get_docstring(node) or ""
    for path in (ROOT / "tests" / "stack" / "handshake").glob("test_syn_eos*.py")
    for node in ast.parse(path.read_text()).body
    if isinstance(node, ast.FunctionDef)
}


def test_every_rule_has_a_row() -> None:
    rules = [*(f"S{n}" for n in range(1, 11)), *(f"L{n}" for n in range(1, 7)), *(f"X{n}" for n in range(1, 11))]
    assert list(ROWS) == rules


@pytest.mark.parametrize("rule", ROWS)
def test_the_tests_of_a_row_name_its_rule(rule: str) -> None:
    assert ROWS[rule]
    for name in ROWS[rule]:
        found = re.findall(r"[SLX]\d+", DOCSTRINGS[name])
        assert "SYN-EOS" in DOCSTRINGS[name]
        assert rule in found, name
