"""Network namespaces of runs that were killed before they could remove them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from pyroute2 import netns

FOLDER: Final = Path("/run/netns")
PROCESSES: Final = Path("/proc")


def abandoned(prefix: str, folder: Path = FOLDER, processes: Path = PROCESSES) -> list[str]:
    """Return the namespaces named ``prefix``PID-... in ``folder`` whose process is gone."""
    if not folder.is_dir():
        return []
    pattern = re.compile(re.escape(prefix) + r"(\d+)-\w+")
    found = ((path.name, pattern.fullmatch(path.name)) for path in folder.iterdir())
    return sorted(name for name, match in found if match is not None and not (processes / match[1]).exists())


def remove_abandoned(prefix: str) -> None:
    """Remove those namespaces."""
    for name in abandoned(prefix):
        netns.remove(name)
