"""Real middleboxes: what becomes of each method at each is what docs/middleboxes.md says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.system.middleboxes import BOXES, CHOICES, DOCUMENT, document, outcomes, untimed

pytestmark = [pytest.mark.tun, pytest.mark.programs("nft", "ip")]


def test_each_method_at_each_box_is_as_the_page_says(fresh_name: Callable[[str], str]) -> None:
    found = outcomes(fresh_name)
    assert len(found) == len(BOXES) * len(CHOICES)
    strange = {cell: outcome for cell, outcome in found.items() if outcome.kind in ("hangs", "wrong data")}
    assert not strange
    assert untimed(document(found)) == untimed(DOCUMENT.read_text())
