"""Every target over its corpus and its seeds: what was found once stays mended, and the targets do not rot."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.corpus import HERE, load
from tests.fuzz.targets import TARGETS, target

_LARGEST = 1 << 20


def _again(name: str, inputs: list[bytes]) -> None:
    run = target(name).run
    for octets in inputs:
        try:
            run(octets)
        except Exception as error:
            error.add_note(f"python -m tests.fuzz.again {name} {octets.hex()}")
            raise


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus(name: str) -> None:
    inputs = load(name)
    assert len(inputs) >= 20
    _again(name, inputs)


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_and_what_is_near_them(name: str) -> None:
    """Without a guide; a few, so that a change that breaks much is seen where nobody fuzzes."""
    seeds = target(name).seeds()
    choose = random.Random(f"near {name}")
    _again(name, [near(choose, seeds) for _ in range(60)])


@pytest.mark.soak
@pytest.mark.parametrize("name", TARGETS)
def test_a_long_walk_from_the_corpus(name: str) -> None:
    """For a Python that atheris has no wheel for."""
    inputs = load(name) + target(name).seeds()
    choose = random.Random(f"far from {name}")
    _again(name, [near(choose, inputs) for _ in range(20_000)])


def near(choose: random.Random, inputs: list[bytes]) -> bytes:
    """One of the inputs with something changed, or the beginning of one and the end of another."""
    octets = bytearray(choose.choice(inputs))
    for _ in range(choose.randrange(5)):
        if octets:
            octets[choose.randrange(len(octets))] = choose.randrange(256)
    if choose.random() < 0.5:
        other = choose.choice(inputs)
        octets[choose.randrange(len(octets) + 1) :] = other[choose.randrange(len(other) + 1) :]
    if choose.random() < 0.3:
        octets += choose.randbytes(choose.randrange(80))
    return bytes(octets[:400])


def test_the_corpus_is_small() -> None:
    files = list(HERE.iterdir())
    assert {file.stem for file in files} == set(TARGETS)
    assert sum(file.stat().st_size for file in files) < _LARGEST
