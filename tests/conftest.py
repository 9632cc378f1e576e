"""What all tests share: which need a TUN or programs, and what happens where there are none."""

from __future__ import annotations

import functools
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("edotun", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "edotun")

_TRY = "import pytun; pytun.TunTapDevice('', pytun.IFF_TUN | pytun.IFF_NO_PI)"
# Where servers are, which are not on everybody's PATH.
_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
_left_out: list[str] = []


@functools.cache
def _missing() -> str | None:
    """What this machine lacks for a TUN in a namespace, None for nothing."""
    if os.geteuid() != 0:
        return "not root"
    if not Path("/dev/net/tun").exists():
        return "no /dev/net/tun"
    if subprocess.run([sys.executable, "-c", _TRY], capture_output=True, check=False).returncode:
        return "a TUN device cannot be made"
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode:
        return "a network namespace cannot be made"
    return None


def _lacking(item: pytest.Item) -> str | None:
    """What a test needs and does not find, None for nothing."""
    if item.get_closest_marker("tun") is not None and (reason := _missing()) is not None:
        return f"needs a TUN: {reason}"
    for marker in item.iter_markers("programs"):
        for program in marker.args:
            if shutil.which(program, path=_PATH) is None:
                return f"needs {program}"
    return None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out what needs a TUN or a program where there is none; where CI=true that is a failure."""
    reason = _lacking(item)
    if reason is None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    _left_out.append(f"{item.nodeid}: {reason}")
    pytest.skip(reason)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List by name what was left out."""
    if _left_out:
        terminalreporter.section("left out: what they need is not here")
        for name in _left_out:
            terminalreporter.line(name)


@pytest.fixture
def fresh_name() -> Callable[[str], str]:
    """Names for namespaces and devices that no other run uses at the same time (13 characters at most)."""
    return lambda stem: f"{stem[:3]}{os.getpid() % 10_000_000}{next(_numbers) % 1000}"


_numbers = itertools.count()
