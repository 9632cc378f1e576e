"""Pacing: when the next octets of one connection may go; one pacer a file, found by name."""

from .base import Pacer
from .registry import DEFAULT, OFF, PACERS, find, register

__all__ = ["DEFAULT", "OFF", "PACERS", "Pacer", "find", "register"]
