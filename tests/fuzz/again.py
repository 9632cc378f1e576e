"""Repeat one input of a target: ``python -m tests.fuzz.again TARGET HEX``."""

from __future__ import annotations

import sys

from tests.fuzz.targets import target

if __name__ == "__main__":
    target(sys.argv[1]).run(bytes.fromhex(sys.argv[2]))
