"""``python -m tools.covered FILE LINES BRANCHES``: coverage.py's report in JSON, held against two bounds.

coverage.py has one bound for lines and branches together; here each has its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_USAGE = "usage: python -m tools.covered FILE LINES BRANCHES (a report of coverage.py in JSON; percent)"


def share(covered: int, number: int) -> float:
    """Return how many percent ``covered`` is of ``number``; 100 where there is nothing to cover."""
    return 100.0 * covered / number if number else 100.0


def lines_and_branches(summary: Mapping[str, int]) -> tuple[float, float]:
    """Return the two shares of a summary, percent; KeyError where branches were not watched."""
    return (
        share(summary["covered_lines"], summary["num_statements"]),
        share(summary["covered_branches"], summary["num_branches"]),
    )


def table(report: Mapping[str, Any]) -> list[str]:
    """Return a line for each file that is not covered entirely, the worst first."""
    rows = []
    for name, file in report["files"].items():
        lines, branches = lines_and_branches(file["summary"])
        if lines < 100.0 or branches < 100.0:
            missing = ", ".join(map(str, file["missing_lines"]))
            jumps = ", ".join(f"{start}->{end if end > 0 else 'exit'}" for start, end in file["missing_branches"])
            rows.append(
                (lines + branches, f"{lines:6.1f} {branches:6.1f}  {name}: {missing or '-'}; {jumps or '-'}")
            )
    return [row for _, row in sorted(rows)]


def main(arguments: Sequence[str]) -> int:
    """Print the table and the two totals; 0 where both are enough, 1 where not, 2 for a wrong call."""
    try:
        file, least_lines, least_branches = arguments
        wanted = (float(least_lines), float(least_branches))
        report = json.loads(Path(file).read_text())
        totals = lines_and_branches(report["totals"])
    except (ValueError, KeyError, OSError) as error:
        print(f"{_USAGE}: {error!r}", file=sys.stderr)
        return 2
    print(" lines  branches, percent; what is not covered of each file", *table(report), sep="\n")
    status = 0
    for what, got, least in zip(("lines", "branches"), totals, wanted, strict=True):
        enough = got >= least
        print(f"{what}: {got:.2f} % of at least {least:g} %{'' if enough else ': too little'}")
        status |= not enough
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
