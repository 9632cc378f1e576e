"""The guide of boxes: its example is a box, its list is whole, and what it writes can be made."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tools.boxes.registry import BOXES, make
from tools.lab import loading
from tools.lab.cell import Cell
from tools.lab.paths import MATRIX, WORKS

DOCS = Path(__file__).parent.parent.parent / "docs"
GUIDE = (DOCS / "guides" / "boxes.md").read_text()


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = set(BOXES)
    yield
    for name in set(BOXES) - before:
        BOXES.remove(name)
    loading._loaded.clear()


def test_the_example_is_a_row_of_the_matrix() -> None:
    """Its predecessor in place of a segment is a loss and a duplicate: TCP gets over it."""
    assert loading.load([DOCS / "examples" / "boxes" / "stale.py"]) == {"stale"}
    parameters = {"box": "stale", "near": "server", "way": "auto", "policy": "require"}
    outcome = MATRIX.run(Cell("paths", parameters, 1))
    assert outcome.outcome == WORKS, outcome.evidence["what"]
    assert outcome.evidence["boxes"]["stale:near=server"]["stale"] > 0  # type: ignore[index]


def test_the_guide_names_every_box() -> None:
    listed = set(re.findall(r"`([a-z-]+)`", GUIDE.partition("## How one is asked for")[0]))
    assert set(BOXES) <= listed


def test_what_the_guide_asks_for_can_be_made() -> None:
    asked = GUIDE.partition("## How one is asked for")[2].partition("## On real packets")[0]
    texts = [re.split(r" {2,}", line.strip())[0] for line in asked.splitlines() if line.startswith("    ")]
    assert len(texts) == 6
    for text in texts:
        make(text, Random(1))
