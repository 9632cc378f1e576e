"""Owners: who is to be told that an attempt or a listener has something for the application."""

from __future__ import annotations

from typing import Protocol


class Owner(Protocol):
    """What an application's side of an attempt or a listener must have."""

    def on_ready(self) -> None:
        """Look for events or connections."""


class Owned(Protocol):
    """An attempt or a listener, as far as a runner knows it."""

    @property
    def owner(self) -> object | None:
        """Whom to tell, None for nobody; what stands here is an ``Owner``."""
