"""Lists of TCP options as scripts write them."""

from __future__ import annotations

import re

from .scanner import Scanner
from .syntax import Opt

_TIMES = re.compile(r"([0-9]+)\s*\*")
_HEX = re.compile(r"[0-9a-fA-F]+(?=[\s,>])")
_BLOCK = re.compile(r"([0-9]+)\s*:\s*([0-9]+)")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)?")
_U32 = 0xFFFFFFFF
_COUNTERS = {"AccECN0": ("ee0b", "eceb", "ee1b"), "AccECN1": ("ee1b", "eceb", "ee0b")}


def parse_options(scanner: Scanner) -> tuple[Opt, ...] | None:
    """Parse ``<...>`` (None) or a list in angle brackets; nothing at all is the empty list."""
    if not scanner.accept("<"):
        return ()
    if scanner.accept("..."):
        scanner.expect(">")
        return None
    options: list[Opt] = []
    while True:
        times = scanner.take(_TIMES)
        option = _option(scanner)
        if times is not None and (option.numbers or option.octets):
            scanner.refuse(f"only options without arguments can be repeated, {option.word} has some")
        options.extend([option] * (1 if times is None else int(times.group(1))))
        if scanner.accept(">"):
            return tuple(options)
        scanner.expect(",")


def _option(scanner: Scanner) -> Opt:
    place = scanner.ahead
    found = scanner.take(_NAME)
    if found is None:
        scanner.refuse(f"expected a TCP option, found {place}")
    word = found.group()
    if word in {"nop", "eol", "sackOK", "edoOK", "synEOS"}:
        return Opt(word)
    if word == "mss":
        return Opt(word, (scanner.integer("mss", 0, 0xFFFF),))
    if word == "wscale":
        return Opt(word, (scanner.integer("wscale", 0, 255),))
    if word == "TS":
        return _timestamps(scanner)
    if word == "sack":
        return _sack(scanner)
    if word == "edo":
        return _edo(scanner)
    if word in {"FO", "FOEXP", "exp-FO"}:
        return Opt("FO" if word == "FO" else "FOEXP", octets=_hex(scanner))
    if word == "md5" and (validity := scanner.accept_word("valid", "invalid")) is not None:
        return Opt(word, (int(validity == "valid"),))
    if word in {"md5", "eno"}:
        return Opt(word, octets=_hex(scanner))
    if word == "ao":
        key_id = scanner.integer("KeyID", 0, 255)
        return Opt(word, (key_id, scanner.integer("RNextKeyID", 0, 255)), _hex(scanner))
    if word == "exp":
        return Opt(word, (scanner.integer("ExID", 0, 0xFFFF),), _hex(scanner))
    if word == "kind":
        return Opt(word, (scanner.integer("kind", 2, 255),), _hex(scanner))
    if word.removeprefix("exp-") in _COUNTERS:
        return _counters(scanner, word)
    if word != "exp-tarr":
        scanner.refuse(f"unknown TCP option {word!r}")
    rate = scanner.integer_if()
    return Opt(word, () if rate is None else (rate,))


def _hex(scanner: Scanner) -> bytes | None:
    found = scanner.take(_HEX)
    if found is None:
        return None
    if len(found.group()) % 2:
        scanner.refuse(f"{found.group()} is half an octet too long or too short")
    return bytes.fromhex(found.group())


def _timestamps(scanner: Scanner) -> Opt:
    if not scanner.accept_word("val"):
        scanner.refuse(f"expected 'val', found {scanner.ahead}")
    any_value = scanner.accept("...")
    value = 0 if any_value else scanner.integer("ts val", 0, _U32)
    if not scanner.accept_word("ecr"):
        scanner.refuse(f"expected 'ecr', found {scanner.ahead}")
    echo = scanner.integer("ts ecr", 0, _U32)
    return Opt("TS", (value, echo), any_value=any_value, plain_echo=scanner.accept("!"))


def _sack(scanner: Scanner) -> Opt:
    edges: list[int] = []
    while (found := scanner.take(_BLOCK)) is not None:
        edges.extend(map(int, found.groups()))
    if not edges:
        scanner.refuse(f"expected LEFT:RIGHT, found {scanner.ahead}")
    if max(edges) > _U32:
        scanner.refuse("a stream number of a SACK block is out of range")
    return Opt("sack", tuple(edges))


def _edo(scanner: Scanner) -> Opt:
    header = scanner.integer("Header_Length", 0, 0xFFFF)
    segment = scanner.integer_if()
    if segment is None:
        return Opt("edo", (header,))
    if not 0 <= segment <= 0xFFFF:
        scanner.refuse(f"Segment_Length {segment} is not in 0-65535")
    return Opt("edo", (header, segment))


def _counters(scanner: Scanner, word: str) -> Opt:
    values = []
    for name in _COUNTERS[word.removeprefix("exp-")]:
        if not scanner.accept_word(name):
            break
        values.append(scanner.integer(name, 0, 0xFFFFFF))
    return Opt(word, tuple(values))
