"""The answers of several processes become one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tools.control.fault import OrderFault
from tools.control.several import Several, merge


def test_numbers_add_up_rows_that_are_the_same_are_one_and_others_stand_beside() -> None:
    first = {
        "keys": [{"name": "a", "sends": True, "connections": 2}, {"name": "b", "sends": False, "connections": 0}],
        "ao": {"good": 5, "bad": {"ao_bad_mac": 1}},
        "connections": [{"peer": "10.0.0.1:5", "ao": {"good": 3}}],
        "key": "a",
        "peers": ["x"],
    }
    other = {
        "keys": [{"name": "a", "sends": True, "connections": 1}, {"name": "b", "sends": True, "connections": 4}],
        "ao": {"good": 7, "bad": {"ao_bad_mac": 1, "paws": 2}},
        "connections": [{"peer": "10.0.0.1:6", "ao": {"good": 4}}],
        "key": "a",
        "peers": ["x", "y"],
    }
    assert merge([first, other]) == {
        "keys": [
            {"name": "a", "sends": True, "connections": 3},
            {"name": "b", "sends": False, "connections": 0},
            {"name": "b", "sends": True, "connections": 4},
        ],
        "ao": {"good": 12, "bad": {"ao_bad_mac": 2, "paws": 2}},
        "connections": [{"peer": "10.0.0.1:5", "ao": {"good": 3}}, {"peer": "10.0.0.1:6", "ao": {"good": 4}}],
        "key": "a",
        "peers": ["x", "y"],
    }


def test_a_fault_anywhere_is_the_answer() -> None:
    asked = []

    def ask(order: Mapping[str, Any]) -> list[dict[str, Any]]:
        asked.append(dict(order))
        if order["do"] == "hang":
            raise TimeoutError("timed out")
        return [{"ok": True, "n": 1}, {"ok": order["do"] == "list", "n": 2, "error": "it is in use"}]

    assert Several(ask).carry_out({"do": "list"})["n"] == 3
    with pytest.raises(OrderFault, match="it is in use"):
        Several(ask).carry_out({"do": "remove"})
    # It was looked for users first, and nobody was told to remove it.
    assert asked[-1] == {"do": "remove", "check": True}
    with pytest.raises(OrderFault, match="does not answer: timed out"):
        Several(ask).carry_out({"do": "hang"})
