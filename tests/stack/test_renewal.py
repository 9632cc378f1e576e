"""What may be asked of rekeying, in words of the command line."""

from __future__ import annotations

import pytest

from stack.renewal import Renewal
from stack.security import Security


def test_what_is_not_said_is_the_default() -> None:
    assert Renewal.parse("seconds=5") == Renewal(seconds=5.0)
    assert Renewal.parse("octets=1000, most=2000") == Renewal(octets=1000, most=2000)
    assert Renewal.parse("off") is None
    assert (Renewal().seconds, Renewal().octets, Renewal().most) == (3600.0, 2**36, 2**40)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "on",
        "seconds",
        "seconds=x",
        "octets=1.5",
        "seconds=0",
        "octets=0",
        "octets=9,most=8",
        "octets=1,octets=2",
        f"most={2**40 + 1}",
        "minutes=3",
        "seconds=nan",
    ],
)
def test_what_cannot_be_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"^rekey: "):
        Renewal.parse(text)


def test_only_agreed_keys_are_made_anew() -> None:
    with pytest.raises(ValueError, match="agrees on no keys"):
        Security(rekey=None)
