"""What is fuzzed: a file ``target_NAME`` each, and the packages whose coverage guides it.

A target has ``run``, which takes any octets and raises where something is wrong, and ``seeds``, which a corpus
begins with. It knows nothing of what makes the octets, so it runs under pytest as it does under atheris.
"""

from __future__ import annotations

import importlib
from typing import Final, Protocol, cast

TARGETS: Final[dict[str, tuple[str, ...]]] = {
    "options": ("edo",),
    "syneos": ("edo", "ao.messages"),
    "rivals": ("edo",),
    "ip": ("stack.ip", "stack.ip_options", "stack.reassembly", "stack.checksum"),
    "icmp": ("stack.icmp", "stack.icmp_errors", "stack.pmtu", "stack.plpmtud", "stack.ip", "stack.host"),
    "stack": ("stack", "edo", "ao"),
    "handshake": ("stack", "edo", "ao"),
}


class Target(Protocol):
    """A module ``target_NAME``."""

    def run(self, data: bytes) -> None:
        """Do what ``data`` says; raises where something is wrong."""

    def seeds(self) -> list[bytes]:
        """Inputs to begin with."""


def target(name: str) -> Target:
    """The module of a target."""
    return cast(Target, importlib.import_module(f"tests.fuzz.target_{name}"))
