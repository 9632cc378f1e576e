"""A checker that sees all sent segments: no octet of a keystream meets two different octets (profile.md §11)."""

from __future__ import annotations

from edo.codepoints import DEFAULT, Dialect
from edo.extended import find_extension
from edo.walk import walk
from stack.seqnum import extend

_AO = 29


class _Cipherstream:
    """The ciphertext of one direction under one key, by stream position from ``base`` on."""

    def __init__(self, base: int) -> None:
        self.base = base
        self.octets = bytearray()
        self.known = bytearray()

    def take(self, position: int, octets: bytes) -> int:
        """Keep ``octets``; AssertionError for one that was another before. How many are known already."""
        if position < self.base:
            more = self.base - position
            self.octets = bytearray(more) + self.octets
            self.known = bytearray(more) + self.known
            self.base = position
        start = position - self.base
        end = start + len(octets)
        if end > len(self.octets):
            more = end - len(self.octets)
            self.octets += bytes(more)
            self.known += bytes(more)
        before, known = self.octets[start:end], self.known[start:end]
        again = known.count(1)
        if again == len(octets):
            assert before == octets, f"positions from {position} on were encrypted with two octets"
        elif again:
            for index, octet in enumerate(octets):
                assert not known[index] or before[index] == octet, f"{position + index} met two octets"
        self.octets[start:end] = octets
        self.known[start:end] = b"\x01" * len(octets)
        return again


class Keystreams:
    """Every (direction, KeyID, position) of a connection, from what its ends put on the wire.

    ``resent`` counts octets seen again, ``cuts`` where payloads began, ``keys`` the KeyIDs that encrypted octets by
    direction, and ``under`` the KeyIDs that each position was seen under.
    """

    def __init__(self, dialect: Dialect = DEFAULT) -> None:
        self._dialect = dialect
        self._streams: dict[tuple[bool, int], _Cipherstream] = {}
        self._last: dict[bool, int] = {}
        self.resent = 0
        self.cuts: set[int] = set()

    @property
    def keys(self) -> set[tuple[bool, int]]:
        """(direction, KeyID) of the streams."""
        return set(self._streams)

    @property
    def crossing(self) -> int:
        """Positions that were sent under more than one key of a direction."""
        count = 0
        for forward in (True, False):
            total: dict[int, int] = {}
            for (direction, _), stream in self._streams.items():
                if direction is forward:
                    for index, known in enumerate(stream.known):
                        if known:
                            total[stream.base + index] = total.get(stream.base + index, 0) + 1
            count += sum(times > 1 for times in total.values())
        return count

    def take(self, packet: bytes | memoryview, forward: bool) -> None:
        """A packet as it leaves; ``forward``: it is the client's. Clear segments are passed over."""
        octets = memoryview(packet)
        tcp = octets[20 if octets[0] >> 4 == 4 else 40 :]
        offset = (tcp[12] >> 4) << 2
        spans = walk(tcp, 20, offset)
        assert spans is not None
        extension = find_extension(tcp, spans, offset, self._dialect)
        ao = next((span[2] for span in spans if span[0] == _AO), None)
        if ao is None:
            return
        payload = bytes(tcp[offset if extension is None else extension[1] :])
        if not payload:
            return
        number = int.from_bytes(tcp[4:8])
        start = extend(number, self._last.get(forward, number))
        self._last[forward] = max(start, self._last.get(forward, start))
        self.cuts.add(start)
        stream = self._streams.setdefault((forward, tcp[ao + 2]), _Cipherstream(start))
        self.resent += stream.take(start, payload)
