"""The seam for how a segment is protected, with its null implementation and the one for keys of TCP-AO.

A protection opens (verifies) received segments into a verdict and seals runs. The verdict is the key under which
a segment verified, None for a clear segment, or the reason for which it has to be dropped; a segment that fails
has changed nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ao.keys import Key, KeyRing
from ao.reasons import AoDrop
from ao.tally import Tally
from edo.codepoints import Dialect
from edo.extended import find_extension
from edo.fast import find_ao, has_md5
from edo.plan import Plan
from edo.reasons import EdoDrop

from .run import Run
from .sealer import Sealer
from .segment import Segment

Verdict = Key | AoDrop | EdoDrop | None


class Protection:
    """No protection: every segment is clear.

    With ``refuse_ao`` a segment that carries TCP-AO is dropped: the connection went on plain after protection had
    been offered (profile.md §5). Otherwise the option is ignored, as RFC 5925 §7.3 has it where no MKT matches.
    """

    __slots__ = ("_refuse_ao",)

    md5 = False
    """Whether segments carry TCP-MD5 instead."""

    def __init__(self, *, refuse_ao: bool = False) -> None:
        self._refuse_ao = refuse_ao

    @property
    def ao_octets(self) -> int:
        """Length of the TCP-AO option in the next segment, octets; 0 for none."""
        return 0

    @property
    def key_ids(self) -> tuple[int, int]:
        """KeyID and RNextKeyID of the next segment."""
        return (0, 0)

    @property
    def authenticates(self) -> bool:
        """Whether segments carry a MAC, which lets EDO take its short form."""
        return False

    @property
    def keys(self) -> KeyRing | None:
        """The keys of which one verifies every segment without SYN; None where there is no such rule."""
        return None

    @property
    def tallies(self) -> Mapping[int, Tally]:
        """What was verified under each key, by its RecvID."""
        return {}

    def open(self, segment: Segment, number: int) -> Verdict:
        """Judge a segment whose 64-bit stream number is ``number``."""
        if self._refuse_ao and find_ao(segment.spans)[0] != -1:
            return AoDrop.ao_unexpected
        return None

    def limit(self, room: int) -> None:
        """A MAC may have ``room`` octets in this connection's header; a key whose has more does not sign."""

    def succeeds(self, segment: Segment) -> bool:
        """Whether a SYN may begin another connection in place of this one, which is in TIME-WAIT."""
        return True

    def seal(self, sealer: Sealer, run: Run, plan: Plan, room: int, out: list[bytes]) -> None:
        """Append the packets of ``run`` to ``out``."""
        sealer.seal(run, plan, room, out)

    def wipe(self) -> None:
        """Forget every secret."""


# Of every connection that nothing protects and nothing was to protect; it has no state.
CLEAR: Final = Protection()


def verify(segment: Segment, number: int, key: Key, ao_offset: int, ao_octets: int, dialect: Dialect) -> Verdict:
    """Check a segment's MAC under ``key``: the key, or why it failed (RFC 5925 §7.5; RFC 9187 for the SNE)."""
    if ao_octets != key.mac_octets + 4:
        return AoDrop.ao_bad_length
    if number < 0:
        return AoDrop.sne_underflow
    keep = () if key.cover_options else kept_spans(segment, ao_offset, ao_octets, dialect)
    if not key.check.verify(number >> 32, segment.tcp, segment.data_offset, ao_offset, keep):
        key.tally.bad += 1
        return AoDrop.ao_bad_mac
    key.tally.good += 1
    return key


def kept_spans(segment: Segment, ao_offset: int, ao_octets: int, dialect: Dialect) -> tuple[tuple[int, int], ...]:
    """(offset, octets) of the options that stay in the MAC input when options are excluded (profile.md §1)."""
    kept = [(ao_offset, ao_octets)]
    extension = find_extension(segment.tcp, segment.spans, segment.data_offset, dialect)
    if extension is not None:
        kept.extend((span[2], span[3]) for span in segment.spans if span[2] == extension[0])
    return tuple(sorted(kept))


def locate_ao(segment: Segment) -> tuple[int, int] | AoDrop | EdoDrop | None:
    """(offset, octets) of the one TCP-AO option, None for none, or the reason of RFC 5925 §2.2 to drop it."""
    offset, octets = find_ao(segment.spans)
    if offset == -1:
        return None
    if offset < 0:
        return EdoDrop.MALFORMED_OPTION
    if octets < 4:
        return AoDrop.ao_bad_length
    if has_md5(segment.spans):
        return AoDrop.ao_md5_conflict
    return offset, octets


class KeyedProtection(Protection):
    """Segments under the keys of a ring: TCP-AO on each, the payload encrypted where the key has a cipher."""

    __slots__ = ("_dialect", "_tallies", "ring")

    def __init__(self, ring: KeyRing, dialect: Dialect) -> None:
        super().__init__()
        self.ring = ring
        self._tallies: Mapping[int, Tally] = {}
        self._dialect = dialect

    @property
    def ao_octets(self) -> int:
        return self.ring.current.mac_octets + 4

    @property
    def key_ids(self) -> tuple[int, int]:
        return (self.ring.current.send_id, self.ring.rnext.recv_id)

    @property
    def authenticates(self) -> bool:
        return True

    @property
    def keys(self) -> KeyRing | None:
        return self.ring

    @property
    def tallies(self) -> Mapping[int, Tally]:
        return self._tallies or self.ring.tallies

    def open(self, segment: Segment, number: int) -> Verdict:
        place = locate_ao(segment)
        if place is None or not isinstance(place, tuple):
            return place
        offset, octets = place
        key = self.ring.find(segment.tcp[offset + 2])
        if key is None:
            return AoDrop.ao_key_not_found
        verdict = verify(segment, number, key, offset, octets, self._dialect)
        if verdict is key:
            self.ring.learn(key, segment.tcp[offset + 3])
        return verdict

    def seal(self, sealer: Sealer, run: Run, plan: Plan, room: int, out: list[bytes]) -> None:
        key = self.ring.current
        sealer.seal(run, plan, room, out, key.sign, key.encrypt, key.cover_options)

    def wipe(self) -> None:
        # What was counted can be read when the keys are gone.
        self._tallies = self.tallies
        self.ring.wipe()
