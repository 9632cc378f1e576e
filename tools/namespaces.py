"""Network namespaces of our own: made for a run, removed with it, however it ends."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pyroute2 import netns

from tun.netns import Namespace, namespaces

FOLDER: Final = Path("/run/netns")
PROCESSES: Final = Path("/proc")


def abandoned(prefix: str, folder: Path = FOLDER, processes: Path = PROCESSES) -> list[str]:
    """Return the namespaces named ``prefix``PID-... in ``folder`` whose process is gone."""
    if not folder.is_dir():
        return []
    pattern = re.compile(re.escape(prefix) + r"(\d+)-\w+")
    found = ((path.name, pattern.fullmatch(path.name)) for path in folder.iterdir())
    return sorted(name for name, match in found if match is not None and not (processes / match[1]).exists())


@contextmanager
def own_namespaces(prefix: str, roles: Sequence[str]) -> Iterator[tuple[Namespace, ...]]:
    """Make namespaces ``prefix``PID-ROLE, and remove them at the end, even where making them was interrupted.

    Those of earlier runs that were killed are removed first. Raises ``tun.errors.TunError``.
    """
    for name in abandoned(prefix):
        netns.remove(name)
    names = [f"{prefix}{os.getpid()}-{role}" for role in roles]
    try:
        with namespaces(*names) as made:
            yield made
    finally:
        for name in names:
            if (FOLDER / name).exists():
                netns.remove(name)
