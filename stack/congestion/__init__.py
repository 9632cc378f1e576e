"""Congestion control: one controller a file, found by name."""

from .base import CongestionControl
from .registry import CONTROLLERS, find, register

__all__ = ["CONTROLLERS", "CongestionControl", "find", "register"]
