"""A box that takes part: with keys for headers it changes window and MSS and signs anew, and the ends accept it.

It changes nothing signed that it has not verified: a forged segment stays one, and is dropped where it arrives. A
signed segment for which it has no key passes as it is, unless it is to ``insist``, as boxes do that know no keys.
"""

from __future__ import annotations

import struct
from collections import Counter
from typing import Final

from edo.codepoints import DEFAULT, Dialect
from edo.fast import find_ao
from stack.batch import Octets
from stack.box import Direction, Emission
from stack.ip import TCP, Ip, parse
from stack.run import RST, SYN
from stack.segment import Segment

from .box_keys import BoxKeys
from .signing import Seal, Signatory, checksum_fits, write_checksum

_SHORT = struct.Struct("!H")
_LEAST_HEADER: Final = 20
_WINDOW_AT: Final = 14
_MSS: Final = (2, 4)
_MOST_WINDOW: Final = 1 << 30
_MOST_FIELD: Final = 0xFFFF


class Cooperating:
    """Holds windows to ``window`` octets (0-2^30) and MSS to ``mss`` (1-65535); None leaves them alone.

    MSS stands in SYNs. Where keys are agreed on these are clear, and what was changed shows in what the ends report
    to each other (profile.md §8). A window is scaled by what the SYNs said: of a connection whose SYNs it has not
    seen the box leaves windows alone. ``counts`` has segments that were changed and ``signed``, those ``changed``
    without a signature, and ``foreign`` ones: signed, and no key verified them.
    """

    next_deadline: float | None = None  # nothing waits here

    def __init__(
        self,
        keys: BoxKeys | None,
        *,
        window: int | None = None,
        mss: int | None = None,
        insist: bool = False,
        dialect: Dialect = DEFAULT,
    ) -> None:
        if window is not None and not 0 <= window <= _MOST_WINDOW:
            raise ValueError(f"a window of {window} octets is not in 0-{_MOST_WINDOW}")
        if mss is not None and not 1 <= mss <= _MOST_FIELD:
            raise ValueError(f"an MSS of {mss} octets is not in 1-{_MOST_FIELD}")
        self._signatory = Signatory(keys, dialect)
        self._window = window
        self._mss = mss
        self._insist = insist
        self.counts: Counter[str] = Counter()

    def process(self, packets: list[Octets], direction: Direction, now: float) -> list[Emission]:
        """Let every packet pass, some of them changed."""
        return [(now, direction, self._passed(packet)) for packet in packets]

    def _passed(self, packet: Octets) -> Octets:
        ip = parse(packet)
        if not isinstance(ip, Ip) or ip.protocol != TCP or ip.total_octets - ip.header_octets < _LEAST_HEADER:
            return packet
        segment = Segment(ip.source, ip.destination, ip.ttl, ip.ecn, ip.total_octets, ip.payload(packet))
        # What is damaged shall be found by its receiver, and not be made right.
        if not checksum_fits(segment) or not self._signatory.look(segment):
            return packet
        seal = None
        has_ao = find_ao(segment.spans)[0] != -1
        if has_ao:
            seal = self._signatory.verified(segment)
            if seal is None:
                self.counts["foreign"] += 1
                if not self._insist:
                    return packet
        changes = self._changes(segment, seal)
        if not changes:
            return packet
        changed = bytearray(packet)
        tcp = memoryview(changed)[ip.header_octets : ip.total_octets]
        for at, value in changes:
            _SHORT.pack_into(tcp, at, value)
        self.counts["changed" if seal is None else "signed"] += 1
        if seal is not None:
            seal.renew(tcp, segment.data_offset)
        write_checksum(tcp, ip, signed=has_ao)
        tcp.release()
        return bytes(changed)

    def _changes(self, segment: Segment, seal: Seal | None) -> list[tuple[int, int]]:
        """(offset, value of 16 bits) of each field that is to be another."""
        found = []
        if self._window is not None and not segment.flags & RST:
            shift = self._signatory.scale(segment, seal)
            if shift is not None and segment.window << shift > self._window:
                found.append((_WINDOW_AT, self._window >> shift))
        if self._mss is not None and segment.flags & SYN:
            for kind, _, at, octets in segment.spans:
                if (kind, octets) == _MSS and _SHORT.unpack_from(segment.tcp, at + 2)[0] > self._mss:
                    found.append((at + 2, self._mss))
        return found
