"""What this package's callers may have to tell a user, in one line each."""

from __future__ import annotations


class TunError(OSError):
    """A device, namespace or address could not be had or set; the message says which and why."""

    def __init__(self, message: str, number: int = 0) -> None:
        super().__init__(number, message)

    def __str__(self) -> str:
        return str(self.strerror)
