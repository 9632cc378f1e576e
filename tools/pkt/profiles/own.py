"""This stack's own defaults, those of the RFCs."""

from __future__ import annotations

from .base import Profile

PROFILE = Profile("own", defined=frozenset({"STANDARD"}))
