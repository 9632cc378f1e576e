"""The reduced path matrix as a text: what tests/data/paths.txt holds.

``python -m tests.tools.lab.paths_table`` writes the file anew; look at what has changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tools.lab.paths import MATRIX

FILE: Final = Path(__file__).parent.parent.parent / "data" / "paths.txt"


def table() -> str:
    """A line for each cell: box, way, policy, outcome; seed 1."""
    lines = []
    for cell in MATRIX.cells(reduced=True, seed=1):
        words = [str(cell.parameters[name]) for name in ("box", "way", "policy")]
        lines.append("  ".join((*words, MATRIX.run(cell).outcome)))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    FILE.write_text(table())
