"""The socket without waiting: options, errno results, readiness, the accept queue; sans-IO."""

from __future__ import annotations

from .core import SocketCore
from .errors import SocketError
from .profile import FREEBSD, LINUX, OWN, PROFILES, Profile
from .readiness import Blocked, Event

__all__ = ["FREEBSD", "LINUX", "OWN", "PROFILES", "Blocked", "Event", "Profile", "SocketCore", "SocketError"]
