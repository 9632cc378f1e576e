"""Seeded transfers of 1 MB in each mode over links that lose, reorder and duplicate up to a tenth each way."""

from __future__ import annotations

import pytest

from tests.stack.matrix import MODES, transfer


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(100))
def test_exactly_the_octets_sent_are_delivered(mode: str, seed: int) -> None:
    transfer(mode, seed)


def test_agreed_keys_change_in_mid_stream() -> None:
    """The matrix does what it is for: of ten transfers most have several keys."""
    assert sum(len(transfer("ao-enc-dh", seed, 200_000).keys) for seed in range(10)) > 25


@pytest.mark.soak
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(100, 1000))
def test_soak(mode: str, seed: int) -> None:
    transfer(mode, seed)
