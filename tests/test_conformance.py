"""docs/conformance.md is complete and true: each requirement of RFC 9293 once, its tests and places exist."""

from __future__ import annotations

import ast
import functools
import re
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

from stack.config import TcpConfig

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs/conformance.md"
# RFC 9293 appendix B, table 8.
LARGEST = {"MUST": 69, "SHLD": 31, "MAY": 18, "REC": 1}


class Row(NamedTuple):
    id: str
    section: str
    requirement: str
    met: str
    where: str
    shown: str

    @property
    def tests(self) -> list[str]:
        return re.findall(r"`(tests/[^`]+)`", self.shown)


def rows() -> list[Row]:
    """The lines of the first table."""
    found = []
    for line in DOCUMENT.read_text().splitlines():
        if re.match(r"\| (MUST|SHLD|MAY|REC)-", line):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            assert len(cells) == 6, line
            found.append(Row(*cells))
    return found


@functools.cache
def names_in(file: str) -> frozenset[str]:
    """Names of the test functions of a module."""
    path = ROOT / file
    if not path.is_file():
        return frozenset()
    nodes = ast.walk(ast.parse(path.read_text()))
    return frozenset(
        node.name
        for node in nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


def test_each_requirement_has_one_row() -> None:
    expected = {f"{kind}-{number}" for kind, most in LARGEST.items() for number in range(1, most + 1)}
    ids = [row.id for row in rows()]
    assert len(expected) == 119
    assert sorted(ids) == sorted(expected)


def test_rows_name_a_section_and_say_what_it_is_about() -> None:
    for row in rows():
        assert re.fullmatch(r"3(\.\d+)+", row.section), row
        assert len(row.requirement) > 2, row
        assert row.met in ("yes", "no", "-"), row


def test_what_is_met_names_where_and_tests_that_exist() -> None:
    missing = []
    for row in rows():
        if row.met == "yes":
            assert row.where, row
            assert row.tests, row
        missing += [name for name in row.tests if name.partition("::")[2] not in names_in(name.partition("::")[0])]
    assert missing == []


def test_what_is_not_met_has_a_reason() -> None:
    for row in rows():
        if row.met != "yes":
            assert not row.tests, row
            assert len(row.shown.split()) > 3, row


def test_nothing_but_choices_is_left_out() -> None:
    assert [row.id for row in rows() if row.met == "no" and not row.id.startswith("MAY-")] == []
    assert sum(row.met == "no" for row in rows()) == 4, "as the document says"


def test_places_exist() -> None:
    """`folder/`, `folder/module` and `module.name` in the column of places; a bare word is a setting."""
    settings = {field.name for field in fields(TcpConfig)}
    written = "\n".join(path.read_text() for folder in ("stack", "edo") for path in (ROOT / folder).rglob("*.py"))
    for row in rows():
        for place in re.findall(r"`([\w./]+)`", row.where):
            folder, slash, rest = place.rpartition("/")
            module, *names = rest.split(".")
            base = ROOT / (folder if folder == "edo" else f"stack/{folder}")
            assert base.is_dir(), (row.id, place)
            if slash or names:
                assert not module or (base / f"{module}.py").is_file(), (row.id, place)
            else:
                known = module in settings or (base / f"{module}.py").is_file()
                assert known or re.search(rf"class {module}\b", written), (row.id, place)
            for name in names:
                assert re.search(rf"\b{name}\b", written), (row.id, place)
