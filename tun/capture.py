"""Captures in pcapng (draft-ietf-opsawg-pcapng): IP packets without link layer, with comments.

Times are written in nanoseconds.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from stack.batch import Octets

from .errors import TunError

_SECTION = 0x0A0D0D0A
_INTERFACE = 1
_PACKET = 6
_BYTE_ORDER = 0x1A2B3C4D
_RAW_IP = 101  # LINKTYPE_RAW
_SNAP = 262_144  # octets

_OPTION_END = 0
_OPTION_COMMENT = 1
_OPTION_NAME = 2
_OPTION_FLAGS = 2
_OPTION_RESOLUTION = 9
_OPTION_APPLICATION = 4
_NANOSECONDS = 9
_INBOUND = 1
_OUTBOUND = 2

_BLOCK = struct.Struct("<II")
_LENGTH = struct.Struct("<I")
_OPTION = struct.Struct("<HH")
_PACKET_START = struct.Struct("<IIIIIII")  # type, length, interface, time high, time low, kept, original
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


def open_for_writing(path: str | Path) -> BinaryIO:
    """Return the file ``path``, emptied; TunError where that is refused."""
    try:
        return Path(path).open("wb")
    except OSError as error:
        raise TunError(f"cannot write capture {path}: {error.strerror}", error.errno or 0) from None


def _option(code: int, value: bytes) -> bytes:
    return _OPTION.pack(code, len(value)) + value + _PADDING[len(value) & 3]


def _comment(text: str) -> bytes:
    octets = text.encode(errors="replace")
    # An option's length has 16 bits; a character that would be cut is left out.
    return octets if len(octets) <= 0xFFFF else octets[:0xFFFF].decode(errors="ignore").encode()


def _options(*options: tuple[int, bytes]) -> bytes:
    return b"".join(_option(code, value) for code, value in options) + _OPTION.pack(_OPTION_END, 0)


def _block(kind: int, body: bytes) -> bytes:
    total = len(body) + 12
    return _BLOCK.pack(kind, total) + body + _LENGTH.pack(total)


# What ends a packet block: which way the packet went.
_ENDS = {
    outgoing: _options((_OPTION_FLAGS, _LENGTH.pack(_OUTBOUND if outgoing else _INBOUND)))
    for outgoing in (False, True)
}


class Capture:
    """Writes one interface's packets to a file, flushed once per batch.

    ``target`` is a path (TunError where it cannot be opened), or a binary file that stays the caller's.
    ``epoch`` is what must be added to the times of ``add`` to get seconds since 1970: the difference of wall
    clock and the runner's clock.
    """

    def __init__(self, target: str | Path | BinaryIO, *, name: str = "edotun0", epoch: float = 0.0) -> None:
        self._own = isinstance(target, str | Path)
        self._file = open_for_writing(target) if isinstance(target, str | Path) else target
        self._epoch = round(epoch * 1e9)
        self.packets = 0
        section = _LENGTH.pack(_BYTE_ORDER) + struct.pack("<HHq", 1, 0, -1)
        interface = struct.pack("<HHI", _RAW_IP, 0, _SNAP)
        self._file.write(
            _block(_SECTION, section + _options((_OPTION_APPLICATION, b"edotun")))
            + _block(
                _INTERFACE,
                interface + _options((_OPTION_NAME, name.encode()), (_OPTION_RESOLUTION, bytes([_NANOSECONDS]))),
            )
        )
        self._file.flush()

    def __enter__(self) -> Capture:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def add(
        self,
        packets: Sequence[Octets],
        when: float,
        *,
        outgoing: bool,
        comments: Sequence[str | None] | None = None,
    ) -> None:
        """Write packets that came or went at ``when`` (seconds on the runner's clock), each with its comment."""
        moment = self._epoch + round(when * 1e9)
        high, low = moment >> 32, moment & 0xFFFFFFFF
        parts: list[Octets] = []
        for index, packet in enumerate(packets):
            comment = comments[index] if comments is not None else None
            octets = len(packet)
            end = _ENDS[outgoing]
            if comment:
                end = _option(_OPTION_COMMENT, _comment(comment)) + end
            padding = _PADDING[octets & 3]
            total = 32 + octets + len(padding) + len(end)
            parts += (
                _PACKET_START.pack(_PACKET, total, 0, high, low, octets, octets),
                packet,
                padding,
                end,
                _LENGTH.pack(total),
            )
        self._file.write(b"".join(parts))
        self._file.flush()
        self.packets += len(packets)

    def flush(self) -> None:
        """Give the file what is not there yet."""
        if not self._file.closed:
            self._file.flush()

    def close(self) -> None:
        """Flush, and close the file where it was opened here; nothing the second time."""
        self.flush()
        if self._own:
            self._file.close()
