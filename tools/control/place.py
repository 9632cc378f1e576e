"""Where the control socket of a running command is."""

from __future__ import annotations

import os
from pathlib import Path


def default_path(tun: str) -> Path:
    """/run/edotun/NAME.sock, NAME being the TUN's; below XDG_RUNTIME_DIR for who is not root."""
    base = Path("/run") if os.geteuid() == 0 else Path(os.environ.get("XDG_RUNTIME_DIR") or "/run")
    return base / "edotun" / f"{tun}.sock"
