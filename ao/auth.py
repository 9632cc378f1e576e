"""Signing and verifying segments: the MAC input of TCP-AO (RFC 5925 §5.1)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from hmac import compare_digest
from struct import Struct

from .macs.base import Keyed, Mac, MacContext
from .octets import Octets
from .prepared import SHELF
from .wiped import WIPED

_FIXED_HEADER = 20
_MAC_OFFSET = 4
_ZERO_CHECKSUM = bytes(2)
_ZERO_PORT = bytes(2)
_NO_LENGTH = -1
_ZERO_MACS = tuple(map(bytes, range(256)))


@lru_cache(maxsize=256)
def _splitter(layout: str) -> Callable[[Octets], tuple[bytes, ...]]:
    """One object for all connections whose segments look alike."""
    return Struct(layout).unpack_from


class SegmentMac:
    """The MAC of one direction of a connection under one traffic key.

    ``source`` and ``destination`` are the addresses of the segments, 4 or 16 octets; ``mac_octets`` is the MAC's
    length in the option. Without ``cover_options`` only the fixed header and the options that the caller names
    are in the input (RFC 5925 §5.1). ``zero_source`` and ``zero_destination`` count that side's address and port
    as zero in pseudo-header and header (RFC 6978 §3).

    SNE and pseudo-header come first in the input and repeat from segment to segment while the length does, so
    the computation over them is kept and only copied, as long as the connection is one of those that were used last
    (``prepared``). ``mac`` is asked for a new one after that.
    """

    __slots__ = (
        "_addresses",
        "_after_length",
        "_ao_offset",
        "_base",
        "_cover_options",
        "_length",
        "_length_octets",
        "_mac",
        "_mac_octets",
        "_mac_stop",
        "_mask_destination",
        "_prefixed",
        "_simple",
        "_skip",
        "_sne",
        "_split",
        "_zero_mac",
    )

    def __init__(
        self,
        mac: Mac | Keyed,
        mac_octets: int,
        source: bytes,
        destination: bytes,
        *,
        cover_options: bool = True,
        zero_source: bool = False,
        zero_destination: bool = False,
    ) -> None:
        self._mac: Mac | Keyed | None = mac
        self._base: MacContext | None = None
        self._mac_octets = mac_octets
        self._zero_mac = _ZERO_MACS[mac_octets]
        self._cover_options = cover_options
        # The pseudo-header's fixed octets before and after its length field (RFC 9293 §3.1, RFC 8200 §8.1).
        self._addresses = (bytes(len(source)) if zero_source else source) + (
            bytes(len(destination)) if zero_destination else destination
        )
        if len(source) == 4:
            self._addresses += b"\x00\x06"
            self._length_octets = 2
            self._after_length = b""
        else:
            self._length_octets = 4
            self._after_length = b"\x00\x00\x00\x06"
        # Ports that count as zero and begin the header stand in what is kept, and the header is taken from behind
        # them; a destination port alone has to be masked in each header.
        self._skip = 4 if zero_source and zero_destination else 2 if zero_source else 0
        self._after_length += bytes(self._skip)
        self._mask_destination = zero_destination and not zero_source
        self._simple = cover_options and not self._mask_destination
        self._sne = 0
        self._length = _NO_LENGTH
        self._prefixed: MacContext | None = None
        self._expect(_FIXED_HEADER)

    def _begin(self, sne: int, length: int) -> MacContext:
        """Return a computation over SNE and pseudo-header, to be gone on with, and keep a copy of it."""
        running = (self._base or self._prepare()).copy()
        running.update(
            b"".join(
                (
                    sne.to_bytes(4, "big"),
                    self._addresses,
                    length.to_bytes(self._length_octets, "big"),
                    self._after_length,
                )
            )
        )
        self._prefixed = running.copy()
        self._sne = sne
        self._length = length
        return running

    def _prepare(self) -> MacContext:
        mac = self._mac
        if mac is None:
            return WIPED
        base = self._base = mac.context
        SHELF.put(self)
        return base

    def release(self) -> None:
        """Let go of what was prepared; it is made again by the next segment."""
        self._prefixed = None
        self._base = None

    @property
    def octets(self) -> int:
        """The MAC's length in the option, octets."""
        return self._mac_octets

    @property
    def whole(self) -> bool:
        """Whether the whole segment from octet ``skip`` on is in the input, checksum and MAC as zero."""
        return self._simple

    @property
    def skip(self) -> int:
        """So many octets at the start of the header stand in what ``prefixed`` has seen (0, 2 or 4)."""
        return self._skip

    def prefixed(self, sne: int, length: int) -> MacContext:
        """Return the computation over all that precedes a segment of ``length`` octets: to be copied, never used.

        For whoever has many of one length: from octet ``skip`` on each goes into a copy, if ``whole``.
        """
        prefixed = self._prefixed
        if prefixed is None or length != self._length or sne != self._sne:
            # What ``_begin`` gives to be gone on with is as good a copy.
            return self._begin(sne, length)
        return prefixed

    def tag(self, sne: int, header: Octets, rest: Octets, keep: tuple[tuple[int, int], ...] = ()) -> bytes:
        """Return the MAC of a segment to be sent.

        ``sne`` is the extension of SEG.SEQ (32 bits); ``header`` the octets inside Data Offset with checksum and
        MAC zero; ``rest`` all octets behind Data Offset, as they go on the wire; ``keep`` (offset, octets) of the
        options that stay in the input where options are excluded, in their order. Nothing passed is altered.
        """
        length = len(header) + len(rest)
        # Taken once: another thread may have it released at any moment.
        prefixed = self._prefixed
        if prefixed is not None and length == self._length and sne == self._sne:
            running = prefixed.copy()
        else:
            running = self._begin(sne, length)
        if not self._simple:
            header = self._shape(header, keep)
        running.update(header[self._skip :] if self._skip else header)
        running.update(rest)
        return running.finalize()[: self._mac_octets]

    def verify(
        self, sne: int, tcp: memoryview, data_offset: int, ao_offset: int, keep: tuple[tuple[int, int], ...] = ()
    ) -> bool:
        """Whether the MAC in a received segment is right, compared in constant time.

        ``tcp`` is header and payload as IP delivered them and is not altered; ``data_offset`` (20-60) and
        ``ao_offset`` (of the Kind octet) count octets from its start; ``keep`` is as in ``tag``. The caller has
        seen to it that the option lies inside Data Offset and that its Length is the MAC's + 4 (RFC 5925 §7.5).
        """
        length = len(tcp)
        if ao_offset != self._ao_offset:
            self._expect(ao_offset)
        # Two slices of the header without checksum and MAC, and the MAC: cheaper than a copy to be masked.
        ports_to_window, urgent_to_mac, mac = self._split(tcp)
        stop = self._mac_stop
        prefixed = self._prefixed
        if prefixed is not None and length == self._length and sne == self._sne:
            running = prefixed.copy()
        else:
            running = self._begin(sne, length)
        if self._simple:
            running.update(b"".join((ports_to_window, _ZERO_CHECKSUM, urgent_to_mac, self._zero_mac, tcp[stop:])))
        else:
            # Offsets in ``keep`` count from the header's start, so what is skipped has to stand there.
            start = bytes(self._skip) + ports_to_window + _ZERO_CHECKSUM + urgent_to_mac + self._zero_mac
            running.update(self._shape(b"".join((start, tcp[stop:data_offset])), keep)[self._skip :])
            running.update(tcp[data_offset:])
        return compare_digest(running.finalize()[: self._mac_octets], mac)

    def _expect(self, ao_offset: int) -> None:
        """Prepare for segments whose TCP-AO option stands at ``ao_offset``: nearly always all of a connection's."""
        start = ao_offset + _MAC_OFFSET
        self._split = _splitter(f"{self._skip}x{16 - self._skip}s2x{start - 18}s{self._mac_octets}s")
        self._ao_offset = ao_offset
        self._mac_stop = start + self._mac_octets

    def _shape(self, header: Octets, keep: tuple[tuple[int, int], ...]) -> bytes:
        """Return the header as it is in the input; options that are excluded are left out, not zeroed."""
        if not self._cover_options:
            kept = [header[offset : offset + length] for offset, length in keep]
            header = b"".join((header[:_FIXED_HEADER], *kept))
        if self._mask_destination:
            return b"".join((header[:2], _ZERO_PORT, header[4:]))
        return bytes(header)

    def wipe(self) -> None:
        """Forget the key; any later use raises KeysWiped."""
        self._mac = None
        self.release()
