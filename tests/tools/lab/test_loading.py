"""Files of ``--with``: what they declare, and one line for what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.security import Security
from tools.attacks.registry import ATTACKS
from tools.lab import loading
from tools.lab.cell import LabError
from tools.lab.protections import PROTECTIONS

MINE = '''
import edotun
from stack.simulator import Filter

@edotun.attack("mine", fields=("payload",), on_path=False)
def mine(target):
    """Drops everything.

    More is not told."""
    return Filter(lambda packet, direction, now: False)

@edotun.protection("plain-edo")
def plain():
    """TCP with EDO."""
    return edotun.Security(edo="strict")
'''


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = [set(registry) for registry in loading.REGISTRIES]
    yield
    for registry, names in zip(loading.REGISTRIES, before, strict=True):
        for name in set(registry) - names:
            registry.remove(name)
    loading._loaded.clear()


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(text)
    return path


def test_a_file_declares_attacks_and_protections(tmp_path: Path) -> None:
    assert loading.load([written(tmp_path, MINE)]) == {"mine", "plain-edo"}
    attack = ATTACKS.find("mine")
    assert (attack.about, attack.fields, attack.on_path) == ("Drops everything.", ("payload",), False)
    client, server = PROTECTIONS.find("plain-edo").make()
    assert client == server == Security(edo="strict")


def test_a_file_is_run_once_in_a_process(tmp_path: Path) -> None:
    path = written(tmp_path, MINE)
    assert loading.load([path]) == loading.load([path, tmp_path / "." / "mine.py"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x = 1", "mine.py: it declares no attack"),
        ("x = ", "mine.py:1: invalid syntax"),
        ("\nraise KeyError('what')", "mine.py:2: KeyError: 'what'"),
        (MINE.replace('"plain-edo"', '"md5"'), "mine.py:12: ValueError: protection: 'md5' exists already"),
        (MINE.replace('"mine"', '"my own"'), "mine.py:5: ValueError: attack: 'my own' is no name"),
        (
            MINE.replace("on_path=False", 'phases=("late",)'),
            "mine.py:5: ValueError: attack: phase 'late' is not one of syn, established",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_told_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(LabError) as caught:
        loading.load([path])
    assert str(caught.value).startswith(f"--with: {path.parent}/{told}")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"--with: .*none\.py: No such file or directory"):
        loading.load([tmp_path / "none.py"])
