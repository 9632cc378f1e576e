"""The demonstration from its first step to its outcome, in whichever world this machine allows."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from . import memory, routed
from .outcome import MODE, Download, Outcome, judge

FILE_OCTETS: Final = 20_000_000
CONTROL_OCTETS: Final = 262_144
_TUN: Final = Path("/dev/net/tun")
_PROGRAMS: Final = ("nft", "curl", "nsenter", "setpriv")
_SYSTEM_FOLDERS: Final = os.pathsep.join(("/usr/sbin", "/sbin", "/usr/bin", "/bin"))

# Called with the name of a step, the octets done and those to do (0: not known) of it.
Progress = Callable[[str, int, int], None]


def hindrance() -> str | None:
    """Why the namespaces cannot be had here, None where they can."""
    if not _TUN.exists():
        return f"there is no {_TUN}"
    if os.geteuid() != 0:
        return "not root"
    path = os.pathsep.join((os.environ.get("PATH", ""), _SYSTEM_FOLDERS))
    missing = [name for name in _PROGRAMS if shutil.which(name, path=path) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    try:
        os.close(os.open(_TUN, os.O_RDWR))
    except OSError as error:
        return f"{_TUN}: {error.strerror}"
    # Root of a container may have the device and still no right to make a namespace.
    if subprocess.run(("unshare", "--net", "--mount", "true"), capture_output=True, check=False).returncode:
        return "a network namespace cannot be made"
    return None


def run(progress: Progress, *, in_memory: bool, octets: int = FILE_OCTETS) -> Outcome:
    """Run everything and judge it. ``octets`` (64 or more) is the size of the protected file.

    Raises ProgramError, ``tun.errors.TunError`` or, in memory, ``stack.simulator.Stalled``.
    """
    began = time.monotonic()
    file, control_file = os.urandom(octets), os.urandom(min(octets, CONTROL_OCTETS))
    outcome = (_in_memory if in_memory else _in_namespaces)(file, control_file, progress)
    outcome.seconds = time.monotonic() - began
    return outcome


_CONTROL: Final = "unprotected download, for the search's own test"
_PROTECTED: Final = "protected download"
_ALTERED: Final = "protected download, one bit flipped on the way"
_SEARCH: Final = "searching the capture"


def _in_namespaces(file: bytes, control_file: bytes, progress: Progress) -> Outcome:
    progress("namespaces, router, gateways", 0, 0)
    files = {"control": control_file, "file": file}
    with (
        tempfile.TemporaryDirectory(prefix="edotun-demo-") as folder,
        routed.routed(Path(folder), files) as network,
    ):

        def step(name: str, of: str, port: int, *, alter: bool = False) -> Download:
            size = len(files[of])
            return network.download(of, port, alter=alter, progress=lambda done: progress(name, done, size))

        control = step(_CONTROL, "control", routed.CONTROL_PORT)
        protected = step(_PROTECTED, "file", routed.PORT)
        altered = step(_ALTERED, "file", routed.PORT, alter=True)
        progress(_SEARCH, 0, 0)
    return judge("namespaces", routed.PORT, routed.CONTROL_PORT, file, control_file, control, protected, altered)


def _in_memory(file: bytes, control_file: bytes, progress: Progress) -> Outcome:
    def step(name: str, content: bytes, protect: str, *, alter: bool = False) -> Download:
        return memory.download(
            content, protect=protect, alter=alter, progress=lambda done: progress(name, done, len(content))
        )

    control = step(_CONTROL, control_file, "none")
    protected = step(_PROTECTED, file, MODE)
    altered = step(_ALTERED, file, MODE, alter=True)
    progress(_SEARCH, 0, 0)
    return judge("memory", memory.PORT, memory.PORT, file, control_file, control, protected, altered)
