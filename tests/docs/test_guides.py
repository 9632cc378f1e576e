"""The examples of the guides, run as they stand: they print what the guide says."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
# A block of Python, and the indented block right behind it, which is what it prints.
_EXAMPLE = re.compile(r"```python\n(.*?)```\n\n((?: {4}[^\n]*\n)+)", re.DOTALL)
GUIDES = sorted((ROOT / "docs" / "guides").glob("*.md"))
EXAMPLES = [
    pytest.param(match[1], textwrap.dedent(match[2]), id=f"{path.stem}-{number}")
    for path in GUIDES
    for number, match in enumerate(_EXAMPLE.finditer(path.read_text()))
]


@pytest.mark.parametrize(("program", "printed"), EXAMPLES)
def test_an_example_prints_what_it_says(program: str, printed: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, "")


def test_every_example_has_its_output() -> None:
    for path in GUIDES:
        assert path.read_text().count("```python\n") == sum(path.stem in str(case.id) for case in EXAMPLES)
