"""TCP options of scripts as octets, and octets as options of scripts; EDO in the dialect of the profile."""

from __future__ import annotations

from struct import Struct
from typing import Final

from edo.codepoints import Dialect

from .syntax import Opt

_FAST_OPEN_EXID: Final = 0xF989
_ACCECN: Final = {"AccECN0": 172, "AccECN1": 174}
_ACCECN_EXIDS: Final = {"exp-AccECN0": 0xACC0, "exp-AccECN1": 0xACC1}
_TARR_EXID: Final = 0x00AC
_PAIR = Struct(">II")
_NAMES: Final = {kind: word for word, kind in _ACCECN.items()}
_EXP_NAMES: Final = {exid: word for word, exid in _ACCECN_EXIDS.items()}


class OptionFault(ValueError):
    """A list of options that cannot be put into a header."""


def build(options: tuple[Opt, ...], dialect: Dialect) -> tuple[bytes, bytes]:
    """The octets inside Data Offset and behind it: an EDO Extension ends what is inside, NOPs that pad it apart.

    Raises OptionFault where an area is no multiple of four octets or has no room.
    """
    parts: tuple[list[bytes], list[bytes]] = ([], [])
    behind = 0
    for option in options:
        parts[behind].append(encode(option, dialect))
        if option.word == "edo":
            behind = 1
    inside, extended = b"".join(parts[0]), b"".join(parts[1])
    if behind:
        inside += b"\x01" * (-len(inside) % 4)
    for name, area in (("options", inside), ("options behind Data Offset", extended)):
        if len(area) % 4:
            raise OptionFault(f"the {name} have {len(area)} octets, which is no multiple of 4: pad them with nop")
    if len(inside) > 40:
        raise OptionFault(f"the options have {len(inside)} octets, there is room for 40")
    return inside, extended


def without_padding(inside: tuple[Opt, ...]) -> tuple[Opt, ...]:
    """Options inside Data Offset without the NOPs that follow an Extension: scripts write none there."""
    kept = len(inside)
    while kept and inside[kept - 1].word == "nop":
        kept -= 1
    return inside[:kept] if kept and inside[kept - 1].word == "edo" else inside


def encode(option: Opt, dialect: Dialect) -> bytes:
    """The octets of one option, ``TS val ...`` with the value 0, a MAC that is not given as zeros."""
    word, numbers, octets = option.word, option.numbers, option.octets or b""
    points = dialect.points
    if word == "nop":
        return b"\x01"
    if word == "eol":
        return b"\x00"
    if word == "mss":
        return b"\x02\x04" + numbers[0].to_bytes(2)
    if word == "wscale":
        return bytes((3, 3, numbers[0]))
    if word == "sackOK":
        return b"\x04\x02"
    if word == "sack":
        return bytes((5, 2 + 4 * len(numbers))) + b"".join(number.to_bytes(4) for number in numbers)
    if word == "TS":
        return b"\x08\x0a" + _PAIR.pack(*numbers)
    if word == "edoOK":
        return dialect.supported()
    if word == "edo":
        return _extension(numbers, dialect)
    if word == "synEOS":
        return bytes((points.experimental, 4)) + points.syn_eos_exid.to_bytes(2)
    if word == "FO":
        return bytes((34, 2 + len(octets))) + octets
    if word == "FOEXP":
        return _experimental(points.experimental, _FAST_OPEN_EXID, octets)
    if word == "md5":
        return bytes((points.md5, 18)) + octets.ljust(16, b"\0")
    if word == "ao":
        return bytes((points.ao, 4 + len(octets), *numbers)) + octets
    if word == "eno":
        return bytes((points.eno, 2 + len(octets))) + octets
    if word == "exp":
        return _experimental(points.experimental, numbers[0], octets)
    if word == "kind":
        return bytes((numbers[0], 2 + len(octets))) + octets
    if word == "exp-tarr":
        rate = (numbers[0] << 5 & 0xFFFF).to_bytes(2) if numbers else b""
        return _experimental(points.experimental, _TARR_EXID, rate)
    counters = b"".join(number.to_bytes(3) for number in numbers)
    if word in _ACCECN:
        return bytes((_ACCECN[word], 2 + len(counters))) + counters
    return _experimental(points.experimental, _ACCECN_EXIDS[word], counters)


def _experimental(kind: int, exid: int, octets: bytes) -> bytes:
    return bytes((kind, 4 + len(octets))) + exid.to_bytes(2) + octets


def _extension(numbers: tuple[int, ...], dialect: Dialect) -> bytes:
    values = b"".join(number.to_bytes(2) for number in numbers)
    if dialect.exid >= 0:
        return _experimental(dialect.points.experimental, dialect.exid, values)
    return bytes((dialect.points.native_extension, 2 + len(values))) + values


def decode(area: bytes, dialect: Dialect) -> tuple[Opt, ...]:
    """The options in ``area``, nop and eol among them; what overruns it is told as ``kind``."""
    options: list[Opt] = []
    at = 0
    while at < len(area):
        kind = area[at]
        if kind <= 1:
            options.append(Opt("nop" if kind else "eol"))
            at += 1
            continue
        length = area[at + 1] if at + 1 < len(area) else 0
        if length < 2 or at + length > len(area):
            options.append(Opt("kind", (kind,), area[at + 1 :]))
            break
        options.append(_decode_one(kind, area[at + 2 : at + length], dialect))
        at += length
    return tuple(options)


def _decode_one(kind: int, value: bytes, dialect: Dialect) -> Opt:
    points = dialect.points
    size = len(value)
    if kind == 8 and size == 8:
        return Opt("TS", _PAIR.unpack(value))
    if kind == 2 and size == 2:
        return Opt("mss", (int.from_bytes(value),))
    if kind == 3 and size == 1:
        return Opt("wscale", (value[0],))
    if kind == 4 and not size:
        return Opt("sackOK")
    if kind == 5 and size and size % 8 == 0:
        return Opt("sack", tuple(int.from_bytes(value[at : at + 4]) for at in range(0, size, 4)))
    if kind == 34:
        return Opt("FO", octets=value or None)
    if kind == points.md5 and size == 16:
        return Opt("md5", octets=value)
    if kind == points.ao and size >= 2:
        return Opt("ao", (value[0], value[1]), value[2:])
    if kind == points.eno:
        return Opt("eno", octets=value or None)
    if kind in _NAMES and size % 3 == 0:
        return Opt(_NAMES[kind], _threes(value))
    if kind in (points.native_supported, points.native_extension) and dialect.exid < 0:
        if kind == points.native_supported and not size:
            return Opt("edoOK")
        if kind == points.native_extension and size in (2, 4):
            return Opt("edo", _twos(value))
    if kind in (253, 254) and size >= 2:
        return _decode_experimental(kind, int.from_bytes(value[:2]), value[2:], dialect)
    return Opt("kind", (kind,), value)


def _decode_experimental(kind: int, exid: int, value: bytes, dialect: Dialect) -> Opt:
    size = len(value)
    if exid == dialect.exid and size in (0, 2, 4):
        return Opt("edo", _twos(value)) if size else Opt("edoOK")
    if exid == dialect.points.syn_eos_exid and not size:
        return Opt("synEOS")
    if exid == _FAST_OPEN_EXID:
        return Opt("FOEXP", octets=value or None)
    if exid == _TARR_EXID and size in (0, 2):
        return Opt("exp-tarr", (int.from_bytes(value) >> 5,) if size else ())
    if exid in _EXP_NAMES and size % 3 == 0:
        return Opt(_EXP_NAMES[exid], _threes(value))
    if kind == dialect.points.experimental:
        return Opt("exp", (exid,), value or None)
    return Opt("kind", (kind,), exid.to_bytes(2) + value)


def _twos(value: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(value[at : at + 2]) for at in range(0, len(value), 2))


def _threes(value: bytes) -> tuple[int, ...]:
    return tuple(int.from_bytes(value[at : at + 3]) for at in range(0, len(value), 3))


def header_end(area: bytes, data_offset: int, size: int, dialect: Dialect) -> int:
    """Where the header truly ends: as the Extension in ``area``, if there is one, says, else Data Offset.

    ``area`` are the options inside Data Offset; ``size`` the segment's octets. A Header_Length that cannot be is
    told as Data Offset.
    """
    for option in decode(area, dialect):
        if option.word == "edo":
            end = option.numbers[0] * dialect.unit
            return end if data_offset <= end <= size else data_offset
    return data_offset
