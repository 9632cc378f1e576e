"""Seeded transfers of 1 MB in each mode over links that lose, reorder and duplicate up to a tenth each way."""

from __future__ import annotations

import pytest

from tests.stack.matrix import MODES, transfer


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(100))
def test_exactly_the_octets_sent_are_delivered(mode: str, seed: int) -> None:
    transfer(mode, seed)


@pytest.mark.soak
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(100, 1000))
def test_soak(mode: str, seed: int) -> None:
    transfer(mode, seed)
