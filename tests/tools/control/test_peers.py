"""``edotun peers``: what a running command remembers of other hosts is seen and erased over the control socket."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from stack.peers import Peers
from tests.stack.test_peers import remembers_all
from tests.stack.wire import Wire
from tools.cli.main import app
from tools.control.client import ControlError, ask
from tools.control.desk import desk
from tools.control.server import control


def run(path: Path, known: Peers, *calls: list[str]) -> list[Result]:
    """Each call of ``edotun peers`` in turn, to a command that remembers ``known`` and has no keys."""

    async def main() -> list[Result]:
        wire = Wire()
        wire.client.peers = known
        async with control(path, desk(wire.client, {}, wire.flush, lambda: 10.0)):
            return [
                await asyncio.to_thread(CliRunner().invoke, app, ["peers", *call, "--control", str(path)])
                for call in calls
            ]

    return asyncio.run(main())


def test_what_is_remembered_is_listed_and_forgotten(tmp_path: Path) -> None:
    known = remembers_all()
    told, listed, one, kind, everything, after = run(
        tmp_path / "c.sock",
        known,
        ["list"],
        ["list", "--json"],
        ["forget", "10.0.0.1", "--json"],
        ["forget", "--kind", "edo-damaged"],
        ["forget", "--all"],
        ["list", "--json"],
    )
    assert "edo-damaged" in told.stdout
    assert "how the Extension was removed" in told.stdout
    rows = json.loads(listed.stdout)["peers"]
    assert {row["kind"] for row in rows} == {kind.kind for kind in known.kinds}
    assert rows[0] == {
        "kind": "edo-damaged",
        "peer": "10.0.0.1",
        "how": "the Extension was removed",
        "seconds": 590.0,
    }
    # The cookie of Fast Open is as good as a key.
    assert b"12345678".hex() not in listed.stdout
    assert json.loads(one.stdout) == {"forgotten": 12}
    assert kind.stdout == "forgot 1 entries\n"
    assert everything.stdout == "forgot 0 entries\n"
    assert json.loads(after.stdout) == {"peers": []}


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        (["forget"], "name an address or --kind, or everything by --all"),
        (["forget", "10.0.0.1", "--all"], "name an address or --kind"),
        (["forget", "here"], "'here'"),
        (["forget", "--kind", "edo"], "'edo' is not one of edo-damaged"),
    ],
)
def test_faults_are_one_line_and_status_2(tmp_path: Path, call: list[str], fault: str) -> None:
    (result,) = run(tmp_path / "c.sock", remembers_all(), call)
    assert result.exit_code == 2
    assert fault in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("order", "fault"),
    [
        ({"about": "weather", "do": "list"}, "'weather' is not one of keys, peers"),
        ({"about": ["peers"], "do": "list"}, "is not one of keys, peers"),
        ({"about": "peers"}, "None is not one of list, forget"),
        ({"about": "peers", "do": "forget", "peer": 7}, "7"),
    ],
)
def test_orders_that_are_none_are_refused(tmp_path: Path, order: dict[str, object], fault: str) -> None:
    path = tmp_path / "c.sock"

    async def main() -> None:
        wire = Wire()
        async with control(path, desk(wire.client, {}, wire.flush, lambda: 0.0)):
            with pytest.raises(ControlError, match=fault):
                await asyncio.to_thread(ask, path, order)

    asyncio.run(main())
