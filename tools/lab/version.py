"""What ran a cell: the package's version and a digest of its code, so that results of other code are run anew."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parent.parent.parent
# What a run executes. Commands and reports may change without making results old.
_CODE: Final = (
    "ao",
    "edo",
    "stack",
    "tools/attacks",
    "tools/bench/handshakes",
    "tools/boxes",
    "tools/lab",
    "tools/option_space",
    "tools/sim",
)


@cache
def version() -> str:
    """The version and the first 10 digits of the code's SHA-256, "0.1.0+1f2e3d4c5b"."""
    paths = (path for folder in _CODE for path in sorted((_ROOT / folder).rglob("*.py")))
    return f"{_release()}+{_digest(paths)}"


def version_with(files: Iterable[Path]) -> str:
    """The same for cells that run something of a user's files."""
    return f"{version()}.{_digest(files)}"


def _release() -> str:
    try:
        return metadata.version("edotun")
    except metadata.PackageNotFoundError:
        return "0"


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:10]
