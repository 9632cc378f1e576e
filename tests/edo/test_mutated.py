"""The fast readers against the declarations, on segments of which something was changed: always the same answer."""

from __future__ import annotations

from collections import Counter

import pytest
from construct import ConstructError

from edo.codec import ENO_SUBOPTIONS, OptionError, parse_option, registry
from edo.codepoints import POINTS, CodePoints, Dialect, EdoKind
from edo.eno import parse as parse_eno
from edo.fast import read_options
from edo.options import Options
from tests.edo.authority import Authority
from tests.edo.mutation import DIALECTS, Segments
from tests.edo.support import values

SEED = 0x5EED


def compared(count: int, seed: int) -> Counter[str]:
    """Compare the readers on ``count`` mutated segments, and say how often which outcome was seen."""
    seen: Counter[str] = Counter()
    sources = [(Segments(seed + number, dialect), Authority(dialect)) for number, dialect in enumerate(DIALECTS)]
    for number in range(count):
        segments, authority = sources[number % len(sources)]
        segment = segments.mutated()
        try:
            seen[authority.compare(segment)] += 1
        except Exception as error:
            error.add_note(f"seed {seed}, segment {number}: {segment.hex()} under {segments.dialect}")
            raise
        seen["segments"] += 1
    return seen


def test_fifty_thousand_mutated_segments() -> None:
    seen = compared(50_000, SEED)
    assert seen["segments"] == 50_000
    # The mutator reaches every outcome, none of them by chance alone.
    for outcome in ("no header", "malformed", "plain", "extended", "bad extension", "malformed behind"):
        assert seen[outcome] > 500, (outcome, seen)


@pytest.mark.soak
def test_a_million_mutated_segments() -> None:
    assert compared(1_000_000, SEED + 1000)["segments"] == 1_000_000


@pytest.mark.parametrize("kind", [EdoKind.EXID, EdoKind.NATIVE_79_80, EdoKind.NATIVE_237])
def test_what_is_read_is_declared_whatever_kind_and_length(kind: EdoKind) -> None:
    """Every kind and every known ExID, at every Length: values are read exactly where a declaration is met."""
    points = CodePoints(edo=kind)
    nothing = values(Options())
    left_out = {"md5", "ao", "edo_extension", "accecn_0", "accecn_1"}
    heads = [bytes((number,)) for number in range(2, 256)]
    exids = (points.edo_exid, points.syn_eos_exid, points.ke_exid, points.fast_open_exid, 0x1234)
    heads += [bytes((number, exid >> 8, exid & 0xFF)) for number in (252, 253, 254, 255) for exid in exids]
    names = set()
    for head in heads:
        for length in range(2, 256):
            option = bytes((head[0], length)) + head[1:] + b"\x01" * (length - 1 - len(head))
            if len(option) != length:
                continue
            exid = int.from_bytes(option[2:4]) if head[0] in (253, 254) and length >= 4 else -1
            read = values(read_options(memoryview(option), [(head[0], exid, 0, length)], points))
            try:
                name = parse_option(option, points).name
            except OptionError:
                # Of what is too short to be a fragment it is noted that it was there.
                fragment = read.pop("ke")
                assert fragment == ([(0, 0, 0, b"")] if exid == points.ke_exid else [])
                assert read == {key: value for key, value in nothing.items() if key != "ke"}, option.hex()
                continue
            names.add(name)
            assert (read == nothing) == (name in left_out), (name, option.hex())
    assert names == set(registry(points).names())


@pytest.mark.parametrize("dialect", DIALECTS[:1])
def test_eno_suboptions_are_read_as_they_are_declared(dialect: Dialect) -> None:
    segments = Segments(SEED, dialect)
    good = 0
    for _ in range(4000):
        contents = segments.mutated()[20:60]
        contents = bytes(octet & 0x9F if number % 3 else octet for number, octet in enumerate(contents))
        eno = parse_eno(bytes((POINTS.eno, 2 + len(contents))) + contents)
        try:
            declared = ENO_SUBOPTIONS.parse(contents).suboptions
        except ConstructError:
            assert not eno.ok, contents.hex()
            continue
        good += 1
        assert eno.ok, contents.hex()
        heads = [part.tep or part.first for part in declared]
        teps = tuple((head & 0x7F, part.data) for head, part in zip(heads, declared, strict=True) if head >= 0x20)
        assert eno.teps == teps
        assert eno.global_bits == next((head for head in heads if head < 0x20), 0)
    assert 400 < good < 3600
