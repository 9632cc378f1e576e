"""The page about methods of finding option space has what the runs say."""

from __future__ import annotations

from pathlib import Path

from edo.rivals.registry import METHODS
from stack.security import Security
from stack.syn_space import METHODS as RUNNING
from tools.sim.methods import asking, costs, outcomes, run

PAGE = (Path(__file__).parents[3] / "docs" / "rivals.md").read_text()


def test_the_tables_of_the_page_are_those_of_the_runs() -> None:
    for row in (*costs(), *outcomes()):
        assert row in PAGE


def test_the_page_names_each_method_with_what_was_assumed() -> None:
    for name, method in METHODS.items():
        assert f"| `{name}` | {method.document} | {method.assumed} |" in PAGE


def test_every_method_but_those_without_room_tells_both_sides() -> None:
    assert set(RUNNING) == set(METHODS) - {"legacy", "edo", "syn-eos"}
    for name in (*RUNNING, "syn-eos"):
        one = run(asking(name, bytes((200, 24)) + bytes(22)), asking(name, bytes((201, 8)) + bytes(6)))
        assert one.heard == (True, True)
        assert one.error is None
    plain = run(Security(), Security())
    assert (plain.seconds, plain.packets) == (0.15, 3)
