"""What a path has done to a SYN or SYN-ACK: what differs between the one sent and the one seen (profile.md §8)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from edo.codepoints import MSS, SACK_PERMITTED, TIMESTAMPS, WSCALE, CodePoints
from edo.walk import walk_steps

from ..ip import address_text
from ..run import CWR, ECE
from .sighting import Sighting

_ECN_FLAGS: Final = ECE | CWR
WINDOW_SCALE: Final = "window scale"
SACK: Final = "SACK-permitted"
CLOCK: Final = "timestamps"
EDO: Final = "EDO"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it was sent: ``of`` what, ``what`` happened to it, and both values as text.

    ``what`` is translated, removed, added, changed, clamped (an MSS that became less) or bleached (ECN).
    """

    of: str
    what: str
    sent: str
    seen: str

    def row(self) -> dict[str, str]:
        """The same for the line of a finished connection."""
        return {"of": self.of, "what": self.what, "sent": self.sent, "seen": self.seen}

    def __str__(self) -> str:
        return f"{self.of} {self.what}: sent {self.sent or 'none'}, seen {self.seen or 'none'}"


def closest(variants: Iterable[Sighting], seen: Sighting, points: CodePoints) -> list[Difference]:
    """The differences to the variant that was sent which ``seen`` resembles most."""
    return min((compare(sent, seen, points) for sent in variants), key=len)


def compare(sent: Sighting, seen: Sighting, points: CodePoints) -> list[Difference]:
    """Everything that differs; TTL does on any path, and padding and order of options say nothing."""
    found: list[Difference] = []

    def note(of: str, what: str, one: object, other: object) -> None:
        found.append(Difference(of, what, str(one), str(other)))

    if sent.source != seen.source:
        note("address", "translated", address_text(sent.source), address_text(seen.source))
    if sent.source_port != seen.source_port:
        note("port", "translated", sent.source_port, seen.source_port)
    if (sent.ecn, sent.flags & _ECN_FLAGS) != (seen.ecn, seen.flags & _ECN_FLAGS):
        lost = seen.ecn & sent.ecn == seen.ecn and seen.flags & ~sent.flags & _ECN_FLAGS == 0
        note("ECN", "bleached" if lost else "changed", *(_ecn(sighting) for sighting in (sent, seen)))
    if (sent.flags ^ seen.flags) & 0xFF & ~_ECN_FLAGS:
        note("TCP flags", "changed", *(f"{sighting.flags & 0xFF:#04x}" for sighting in (sent, seen)))
    if sent.window != seen.window:
        note("window", "changed", sent.window, seen.window)
    if sent.options == seen.options:
        return found
    ours, theirs = (_options(sighting.options, points) for sighting in (sent, seen))
    for name in dict.fromkeys([*ours, *theirs]):
        one, other = ours.get(name, b""), theirs.get(name, b"")
        if one != other:
            what = "removed" if not other else "added" if not one else "changed"
            if name == "MSS" and what == "changed" and other[2:] < one[2:]:
                what = "clamped"
            note(name, what, _value(one), _value(other))
    return found


def _ecn(sighting: Sighting) -> str:
    flags = [name for bit, name in ((ECE, "ECE"), (CWR, "CWR")) if sighting.flags & bit]
    return " ".join([*flags, f"IP {sighting.ecn:02b}"])


def _options(octets: bytes, points: CodePoints) -> dict[str, bytes]:
    """Whole options by name; one that is there twice is one after the other."""
    view = memoryview(octets)
    found: dict[str, bytes] = {}
    spans = walk_steps(view, 0, len(octets))
    if spans is None:
        return {"options": octets}
    for kind, exid, offset, length in spans:
        name = _name(kind, exid, points)
        found[name] = found.get(name, b"") + bytes(view[offset : offset + length])
    return found


def _name(kind: int, exid: int, points: CodePoints) -> str:
    by_kind = {MSS: "MSS", WSCALE: WINDOW_SCALE, SACK_PERMITTED: SACK, TIMESTAMPS: CLOCK, points.eno: "TCP-ENO"}
    if exid >= 0:
        by_exid = {points.edo_exid: EDO, points.syn_eos_exid: "SYN-EOS", points.ke_exid: "key exchange"}
        return by_exid.get(exid, f"option {kind} {exid:#06x}")
    if kind in (points.native_supported, points.native_extension):
        return EDO
    return by_kind.get(kind, f"option {kind}")


def _value(option: bytes) -> str:
    """An option's value: a number where it has four octets or less, else hexadecimal."""
    value = option[2:]
    if not option or option[0] in (253, 254) or len(value) > 4:
        return option.hex()
    return str(int.from_bytes(value)) if value else "there"
