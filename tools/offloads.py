"""What a device does in the kernel's place, segmentation and checksums, by ethtool's ioctl (linux/ethtool.h)."""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
from typing import Final

_SIOCETHTOOL: Final = 0x8946
# ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO
_SEGMENTATION: Final = (0x1F, 0x24, 0x2C)
_STXCSUM: Final = 0x17


def set_segmentation(device: str, *, on: bool) -> None:
    """Turn tso, gso and gro of ``device`` on or off, in the namespace of the calling thread; raises OSError."""
    for command in _SEGMENTATION:
        _set(device, command, on=on)


def leave_finished(device: str) -> None:
    """What leaves ``device`` has its checksum and is cut, as on a wire; in the namespace of the calling thread.

    Else packets between namespaces keep the checksums that the kernel, or a stack with offloads, left unfinished,
    and whoever looks at them on the way finds them wrong. Raises OSError.
    """
    _set(device, _STXCSUM, on=False)


def _set(device: str, command: int, *, on: bool) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        value = ctypes.create_string_buffer(struct.pack("@II", command, on), 8)
        request = struct.pack("@16sP16x", device.encode(), ctypes.addressof(value))
        fcntl.ioctl(one, _SIOCETHTOOL, request)
