"""Where sockets of a script begin."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ground:
    """Where sockets of a script begin: family, and addresses and ports that ``...`` stands for."""

    family: int
    local: str
    remote: str
    bind_port: int = 8080
    connect_port: int = 8080
