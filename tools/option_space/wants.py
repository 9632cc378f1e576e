"""Options by name: their octets in the SYN, the SYN-ACK and the segments after these.

Sizes are those that the stack would send; values that only a connection has (timestamps, MACs, shares) are zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ao.macs import MACS
from ao.messages import Answer, Hello
from ao.suite import Suite
from edo import eno
from edo.codec import build_option
from edo.experiments import SYN, Experiment
from edo.messages import cut
from edo.rivals.base import Space, Want, Wanted

PARTS: Final = ("syn", "syn-ack", "data")
# profile.md §6: number, octets of A's share and of B's.
_GROUPS: Final[Mapping[str, tuple[int, int, int]]] = {
    "x25519": (29, 32, 32),
    "secp256r1": (23, 65, 65),
    "x448": (30, 56, 56),
    "ffdhe2048": (256, 256, 256),
    "ffdhe3072": (257, 384, 384),
    "X25519MLKEM768": (4588, 1216, 1120),
}
_X25519: Final = 29
# What the stack names without further configuration (profile.md §7).
_SUITES: Final = (Suite(1, 1), Suite(2, 1))
# TCP-MD5 (RFC 2385) and TCP-AO (RFC 5925).
_SIGNATURES: Final = (19, 29)
_MOST_RAW: Final = 255
_MOST_BLOCKS: Final = 31
# RFC 6994 wants an ExID of options that share a kind; these are nobody's.
_RAW_EXID: Final = 0xFF00


class WantError(ValueError):
    """A name that says no option, or an argument that it does not take; the message is one line."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One name: what it may be followed by, what it stands for, and the options of each part.

    ``make`` gets the argument ("" for none) and the part.
    """

    argument: str
    text: str
    make: Callable[[str, str, Space], list[bytes]]
    parts: tuple[str, ...] = PARTS
    directional: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for: the options, and whether a MAC is among them."""

    wanted: Wanted
    authenticated: bool = field(default=False)


def _number(text: str, default: int | None, least: int, most: int) -> int:
    if not text:
        if default is None:
            raise WantError(f"needs a number of {least} to {most}")
        return default
    if not text.isdecimal() or not least <= int(text) <= most:
        raise WantError(f"{text!r} is not a number of {least} to {most}")
    return int(text)


def _none(text: str) -> None:
    if text:
        raise WantError(f"takes no argument, not {text!r}")


def _one_of(text: str, names: Mapping[str, object], default: str) -> str:
    if text and text not in names:
        raise WantError(f"{text!r} is not one of {', '.join(names)}")
    return text or default


def _mss(text: str, part: str, space: Space) -> list[bytes]:
    return [build_option("mss", mss=_number(text, max(space.segment - 20, 0), 0, 0xFFFF))]


def _wscale(text: str, part: str, space: Space) -> list[bytes]:
    return [build_option("wscale", shift=_number(text, 8, 0, 14))]


def _sack_permitted(text: str, part: str, space: Space) -> list[bytes]:
    _none(text)
    return [build_option("sack_permitted")]


def _timestamps(text: str, part: str, space: Space) -> list[bytes]:
    _none(text)
    return [build_option("timestamps", ts_val=0, ts_ecr=0)]


def _sack(text: str, part: str, space: Space) -> list[bytes]:
    blocks = _number(text, 3, 1, _MOST_BLOCKS)
    return [build_option("sack", blocks=tuple((0, 0) for _ in range(blocks)))]


def _ao(text: str, part: str, space: Space) -> list[bytes]:
    octets = MACS[_one_of(text, MACS, "aes-128-cmac-96")].mac_octets
    return [build_option("ao", key_id=0, rnext_key_id=0, mac=bytes(octets))]


def _md5(text: str, part: str, space: Space) -> list[bytes]:
    _none(text)
    return [build_option("md5", digest=bytes(16))]


def _eno(text: str, part: str, space: Space) -> list[bytes]:
    _none(text)
    return [{"syn": eno.syn_option(), "syn-ack": eno.syn_ack_option()}.get(part, eno.NON_SYN)]


def _key_exchange(text: str, part: str, space: Space) -> list[bytes]:
    code, ours, theirs = _GROUPS[_one_of(text, _GROUPS, "x25519")]
    if part == "syn":
        groups = (code,) if code == _X25519 else (code, _X25519)
        hello = Hello(1, bytes(32), 0, eno.syn_option(), _SUITES, groups, code, bytes(ours))
        return list(cut(hello.kind, hello.encode()))
    answer = Answer(1, bytes(32), 0, eno.syn_ack_option(), _SUITES[0], code, bytes(theirs))
    return list(cut(answer.kind, answer.encode()))


def _user_timeout(text: str, part: str, space: Space) -> list[bytes]:
    return [build_option("user_timeout", field=_number(text, 300, 1, 0x7FFF))]


def _fast_open(text: str, part: str, space: Space) -> list[bytes]:
    octets = _number(text, 8, 0, 16)
    if octets % 2 or 0 < octets < 4:
        raise WantError(f"{text!r} is no length of a cookie: 0, or an even number of 4 to 16")
    return [build_option("fast_open", cookie=bytes(octets))]


def _raw(text: str, part: str, space: Space) -> list[bytes]:
    octets = _number(text, None, 2, _MOST_RAW)
    if octets < 4:
        return [bytes((252, octets)) + bytes(octets - 2)]
    return [bytes((254, octets)) + _RAW_EXID.to_bytes(2) + bytes(octets - 4)]


KINDS: Final[Mapping[str, Kind]] = {
    "mss": Kind("N", "Maximum Segment Size", _mss, ("syn", "syn-ack")),
    "ws": Kind("SHIFT", "Window Scale", _wscale, ("syn", "syn-ack"), directional=True),
    "sackok": Kind("", "SACK-permitted", _sack_permitted, ("syn", "syn-ack"), directional=True),
    "ts": Kind("", "Timestamps", _timestamps, directional=True),
    "sack": Kind("BLOCKS", "SACK", _sack, ("data",)),
    "ao": Kind("MAC", "TCP-AO", _ao),
    "md5": Kind("", "TCP-MD5", _md5),
    "eno": Kind("", "TCP-ENO", _eno, ("syn", "syn-ack")),
    "ke": Kind("GROUP", "key exchange: hello and answer", _key_exchange, ("syn", "syn-ack")),
    "uto": Kind("SECONDS", "User Timeout", _user_timeout),
    "tfo": Kind("OCTETS", "Fast Open, with a cookie of so many octets", _fast_open, ("syn",)),
    "raw": Kind("OCTETS", "an option of so many octets", _raw),
}
"""The names; an option's place in the list that is asked for is its importance."""


def with_experiments(experiments: Sequence[Experiment]) -> dict[str, Kind]:
    """The names, and those of experiments: options as long as they are declared, in the segments that they name.

    Raises WantError for a name that is taken.
    """
    kinds = dict(KINDS)
    for one in experiments:
        if one.name in kinds:
            raise WantError(f"experiment {one.name}: another option has its name")
        parts = (*(("syn", "syn-ack") if SYN in one.on else ()), *(("data",) if one.on - {SYN} else ()))
        kinds[one.name] = Kind("", "an experiment", _longest(one), parts)
    return kinds


def _longest(one: Experiment) -> Callable[[str, str, Space], list[bytes]]:
    def make(text: str, part: str, space: Space) -> list[bytes]:
        _none(text)
        return list(one.wrap(bytes(one.most)))

    return make


def parse(text: str, space: Space, kinds: Mapping[str, Kind] = KINDS) -> Asked:
    """Return the options of a list like ``mss,ao:hmac-sha256-128,raw:64@syn+data``; raises WantError.

    Each keeps its place but TCP-AO and TCP-MD5, which come first. Behind ``:`` stands an argument, behind ``@`` the
    parts in which the option is wanted, where not those in which it usually stands.
    """
    lists: dict[str, list[Want]] = {part: [] for part in PARTS}
    authenticated = False
    for index, item in enumerate(text.split(",")):
        plain, _, where = item.strip().partition("@")
        name, _, argument = plain.partition(":")
        if name not in kinds:
            raise WantError(f"{item!r}: {name!r} is not one of {', '.join(kinds)}")
        kind = kinds[name]
        parts = where.split("+") if where else kind.parts
        authenticated = authenticated or name == "ao"
        for part in parts:
            if part not in PARTS:
                raise WantError(f"{item!r}: {part!r} is not one of {', '.join(PARTS)}")
            try:
                made = kind.make(argument, part, space)
            except WantError as error:
                raise WantError(f"{item!r}: {name} {error}") from None
            lists[part] += [
                Want(_label(plain, number, len(made)), _apart(octets, index), kind.directional)
                for number, octets in enumerate(made, 1)
            ]
    return Asked(Wanted(*(tuple(sorted(lists[part], key=_rank)) for part in PARTS)), authenticated)


def _rank(want: Want) -> bool:
    """Signatures first, whatever is asked for: they have to be found before anything behind Data Offset is read."""
    return want.octets[0] not in _SIGNATURES


def _label(name: str, number: int, of: int) -> str:
    return name if of == 1 else f"{name} {number}/{of}"


def _apart(octets: bytes, index: int) -> bytes:
    """Two raw options are two options: the ExID has the place in the list."""
    if octets[0] == 254 and octets[2:4] == _RAW_EXID.to_bytes(2):
        return octets[:2] + (_RAW_EXID + index % 256).to_bytes(2) + octets[4:]
    return octets
