"""Cutting a run: its whole segments, which differ in number, octets, MAC and checksum alone.

What is the same in all is put together once, and sums are taken of all at once. Each packet is the one that
``stack.sealer`` would have made by itself.
"""

from __future__ import annotations

from typing import Final

from ao.auth import SegmentMac

from ..batch import Octets
from ..checksum import ones_complement_sum
from .sums import remainders

# Where the fields of the fixed header begin and end that differ (RFC 9293 §3.1).
_NUMBER: Final = 4
_NUMBER_END: Final = 8
_CHECKSUM: Final = 16
_CHECKSUM_END: Final = 18


def cuts(seq: int, octets: int, room: int, mac: SegmentMac | None, mac_offset: int) -> bool:
    """Whether whole segments of ``room`` octets each can be cut here of ``octets`` from stream number ``seq`` on.

    They have one SNE, the MAC covers all of them and stands, as their octets do, where sums of words can be added.
    """
    if room & 3:
        return False
    return mac is None or (mac.whole and not (mac_offset | mac.octets) & 1 and seq >> 32 == seq + octets >> 32)


def cut(
    front: bytes,
    header: bytes,
    seq: int,
    octets: Octets,
    room: int,
    mac: SegmentMac | None,
    mac_offset: int,
    pseudo: int,
    unfinished: bool,
    out: list[bytes],
) -> None:
    """Append the packets of ``octets``, a multiple of ``room``, that begin at stream number ``seq``.

    ``front`` is what precedes TCP's header; in ``header`` number, checksum and MAC, at ``mac_offset``, are zero.
    ``pseudo`` is the sum of the pseudo-header with the segments' length: all that stands for the checksum where a
    device finishes it (``unfinished``).
    """
    first = seq & 0xFFFFFFFF
    places = range(0, len(octets), room)
    numbers = [(first + at & 0xFFFFFFFF).to_bytes(4, "big") for at in places]
    pieces = [octets[at : at + room] for at in places]
    stop = len(header)
    if mac is None:
        tags = [b""] * len(pieces)
    else:
        tags = _tags(header, numbers, pieces, seq >> 32, mac)
        stop = mac_offset + mac.octets
    before = header[_NUMBER_END:_CHECKSUM]
    after = header[_CHECKSUM_END : mac_offset if mac is not None else stop]
    behind = header[stop:]
    front += header[:_NUMBER]
    if unfinished:
        before = b"".join((before, pseudo.to_bytes(2, "big"), after))
        for index, piece in enumerate(pieces):
            out.append(b"".join((front, numbers[index], before, tags[index], behind, piece)))
        return
    base = ones_complement_sum(header) + pseudo
    # Which of the two zeros of ones' complement stands for a sum of zero: ``stack.sealer`` has the reason.
    zero = 0xFFFF if mac is None else 0
    at = 0
    for index, total in enumerate(remainders(octets, room)):
        # A sequence number takes up two words, so it counts as it is.
        total += base + (first + at & 0xFFFFFFFF) + int.from_bytes(tags[index], "big")
        total = total % 0xFFFF or zero
        at += room
        out.append(
            b"".join(
                (
                    front,
                    numbers[index],
                    before,
                    (0xFFFF - total).to_bytes(2, "big"),
                    after,
                    tags[index],
                    behind,
                    pieces[index],
                )
            )
        )


def _tags(header: bytes, numbers: list[bytes], pieces: list[Octets], sne: int, mac: SegmentMac) -> list[bytes]:
    """The MACs of the segments with these numbers and pieces."""
    copy = mac.prefixed(sne, len(header) + len(pieces[0])).copy
    octets = mac.octets
    lead = header[mac.skip : _NUMBER]
    covered = header[_NUMBER_END:]
    tags: list[bytes] = []
    for index, piece in enumerate(pieces):
        running = copy()
        running.update(b"".join((lead, numbers[index], covered)))
        running.update(piece)
        tags.append(running.finalize()[:octets])
    return tags
