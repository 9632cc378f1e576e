"""EDO between two commands on devices: its dialects, and what is remembered of a path that damages it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.test_commands import BOUND, EDOTUN, FAR, connect, started
from tun.netns import Namespace

pytestmark = pytest.mark.tun


@pytest.fixture
def namespace(fresh_name: Callable[[str], str]) -> Iterator[Namespace]:
    with Namespace(fresh_name("ed")) as one:
        one.forward()
        yield one


def peers(path: Path, *call: str) -> dict[str, object]:
    command = [*EDOTUN, "peers", *call, "--json", "--control", str(path)]
    done = subprocess.run(command, capture_output=True, timeout=BOUND, check=True)
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("dialect", [[], ["--edo-kind", "79/80", "--edo-units", "octets", "--edo-form", "short"]])
def test_edo_between_two_commands(namespace: Namespace, dialect: list[str]) -> None:
    ask = ["--edo", "strict", *dialect, "--sack-blocks", "31"]
    with started("serve", "echo", *FAR, "--netns", namespace.name, *ask):
        done = connect(namespace, "10.80.0.2", "7", *ask, "--bytes", "300000", "--expect-echo", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["octets_out"], report["edo"]) == (300_000, "confirmed")


SWALLOW = """
table inet edo {
    chain forward {
        type filter hook forward priority 0;
        tcp flags & (syn | ack) == syn tcp doff > 10 counter drop
    }
}
"""
STRIP = """
table inet edo {
    chain forward {
        type filter hook forward priority 0;
        tcp flags & syn == 0 reset tcp option 254
    }
}
"""


def test_a_path_that_swallows_offers_is_passed_by_the_fourth_syn(namespace: Namespace) -> None:
    """EDO N8: the kernel between both drops each SYN whose header is as long as an offer makes it."""
    namespace.run(["nft", "-f", "-"], input=SWALLOW, text=True, check=True)
    with started("serve", "echo", *FAR, "--netns", namespace.name, "--edo", "strict"):
        done = connect(namespace, "10.80.0.2", "7", "--edo", "strict", "--bytes", "1000", "--expect-echo", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["edo"] == "off"
    assert (
        b"EDO: 1 connection damaged (edo_damaged): left alone for a while with 10.80.0.2: SYNs with it"
        in done.stderr
    )


def test_a_path_that_removes_extensions_is_remembered_listed_and_forgotten(
    namespace: Namespace, tmp_path: Path
) -> None:
    """The kernel between both takes kind 254 out of every segment but SYNs: both go on without EDO (EDO N3)."""
    control = tmp_path / "far.sock"
    if namespace.run(["nft", "-f", "-"], input=STRIP, text=True, capture_output=True).returncode:
        pytest.skip("this nft, or kernel, removes no options of TCP")
    ask = ["--edo", "strict", "--bytes", "100000", "--expect-echo", "--json"]
    with started("serve", "echo", *FAR, "--netns", namespace.name, "--edo", "strict", "--control", str(control)):
        done = connect(namespace, "10.80.0.2", "7", *ask)
        assert (done.returncode, json.loads(done.stdout)["edo"]) == (0, "off"), done.stderr
        (row,) = peers(control, "list")["peers"]  # type: ignore[misc]
        assert (row["kind"], row["peer"], row["how"]) == ("edo-damaged", "10.79.0.2", "the Extension was removed")
        assert peers(control, "forget", "10.79.0.2") == {"forgotten": 1}
        assert peers(control, "list") == {"peers": []}
