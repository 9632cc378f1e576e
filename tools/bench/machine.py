"""On what machine and under what conditions it was measured."""

from __future__ import annotations

import datetime
import fcntl
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from stack import arrival
from tun.offload import IFF_VNET_HDR

# linux/if_tun.h
_TUNGETFEATURES: Final = 0x800454CF


def machine() -> dict[str, object]:
    """Return the machine's facts by name."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "cryptography": _version("cryptography"),
        "openssl": openssl(),
        "numpy": _version("numpy"),
        "core": _core(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def openssl() -> str:
    """The version of the library that computes MACs and ciphers."""
    from cryptography.hazmat.backends.openssl import backend

    return str(backend.openssl_version_text())


def _core() -> str:
    """Whether the stack runs as it is written or as a compiler made it."""
    compiled = str(arrival.__file__).endswith((".so", ".pyd"))
    return "compiled" if compiled else "interpreted"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "?"


def has_virtio_net_header() -> bool:
    """Whether the kernel's TUNs finish checksums and cut segments."""
    try:
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        features = bytearray(4)
        fcntl.ioctl(descriptor, _TUNGETFEATURES, features)
    finally:
        os.close(descriptor)
    return bool(int.from_bytes(features, sys.byteorder) & IFF_VNET_HDR)


def load_average() -> float:
    """Return how many processes wanted a core over the last minute: what else the machine had to do."""
    return round(os.getloadavg()[0], 2)


def cores() -> tuple[int, int]:
    """Return a core for the sender and one for the receiver; the same where only one may be used."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[min(1, len(usable) - 1)]
