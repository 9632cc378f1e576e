"""The control socket's other end: asks a running command."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any


class ControlError(Exception):
    """Nobody answers, or the answer is no; one line."""


def ask(path: Path, order: dict[str, Any]) -> dict[str, Any]:
    """Send one order and return its answer; raises ControlError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.settimeout(10.0)
            sock.connect(str(path))
            sock.sendall(json.dumps(order).encode() + b"\n")
            line = sock.makefile("rb").readline()
        except (FileNotFoundError, ConnectionRefusedError):
            raise ControlError(f"no command is controlled at {path}: is it running?") from None
        except OSError as error:
            raise ControlError(f"{path}: {error.strerror or error}") from None
    if not line:
        raise ControlError(f"{path}: no answer")
    answer: dict[str, Any] = json.loads(line)
    if not answer.pop("ok", False):
        raise ControlError(str(answer.get("error")))
    return answer
