"""What an application asked to be connected to."""

from __future__ import annotations

from dataclasses import dataclass

from .config import TcpConfig
from .security import Security


@dataclass(frozen=True, slots=True)
class Dial:
    """An active open: addresses of 4 or 16 octets, ports, and the protection; enough to try again.

    ``config`` None: the stack's. ``plain_syn`` False: no SYN may go without ENO, whatever the policy. ``text`` is
    what Fast Open may send in the SYN (RFC 7413), None where it was not asked for. ``steps`` are the placements
    that are left, by attempt; empty where no keys are agreed on.
    """

    remote: bytes
    remote_port: int
    local: bytes
    security: Security
    config: TcpConfig | None = None
    plain_syn: bool = True
    text: bytes | None = None
    steps: tuple[tuple[str, ...], ...] = ()
