"""Tests in both forms of the core: compiled classes have no ``__slots__``, and their code cannot be replaced."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

import edotun_core

ROOT = Path(__file__).parent.parent


def of_sources(reason: str) -> pytest.MarkDecorator:
    """The mark of a test that only the sources can pass, and why."""
    return pytest.mark.skipif(edotun_core.FORM == "compiled", reason=reason)


replaces_code = of_sources("puts faults into the code while it runs")


@cache
def slots_of(kind: type) -> tuple[str, ...]:
    """The slots of a class and of those that it derives from."""
    return tuple(name for base in kind.__mro__ for name in _own(base))


def _own(kind: type) -> tuple[str, ...]:
    slots = kind.__dict__.get("__slots__")
    if slots is not None:
        return (slots,) if isinstance(slots, str) else tuple(slots)
    path = ROOT.joinpath(*kind.__module__.split(".")).with_suffix(".py")
    if not path.is_relative_to(ROOT) or not path.exists():
        return ()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef) and node.name == kind.__name__:
            for statement in node.body:
                if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__slots__":
                    return tuple(ast.literal_eval(statement.value))
    return ()
