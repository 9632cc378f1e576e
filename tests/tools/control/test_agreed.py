"""``edotun keys rekey``: new agreed keys for the connections of a running command, over the control socket."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from typer.testing import CliRunner, Result

from stack.security import Security
from tests.stack.handshake.agreed_pair import PROTECTED, Pair
from tools.cli.main import app
from tools.control.desk import desk
from tools.control.server import control


def run(pair: Pair, path: Path, *calls: list[str]) -> list[Result]:
    """Each call of ``edotun keys rekey`` in turn to the client of a pair; time goes on after each order."""
    wire = pair.wire

    def wake() -> None:
        wire.run(1.0)

    async def main() -> list[Result]:
        async with control(path, desk(wire.client, {}, wake, lambda: wire.now)):
            return [
                await asyncio.to_thread(CliRunner().invoke, app, ["keys", "rekey", *call, "--control", str(path)])
                for call in calls
            ]

    return asyncio.run(main())


def test_new_keys_by_the_command(tmp_path: Path) -> None:
    pair = Pair()
    path = tmp_path / "c.sock"
    told, another = run(pair, path, [], ["192.0.2.1", "--json"])
    assert told.stdout == "new keys are agreed on for 1 of 1 connections; 1 sign under them\n"
    assert pair.generations == (1, 1)
    assert json.loads(another.stdout) == {"of": 0, "asked": [], "renewed": 0}
    pair.talk()
    (again,) = run(pair, path, ["10.0.0.2", "--json", "--wait", "5"])
    assert json.loads(again.stdout)["asked"][0]["peer"] == "10.0.0.2:80"
    assert again.exit_code == 0
    assert pair.generations == (2, 2)


def test_waiting_for_a_peer_that_does_not_answer_is_status_1(tmp_path: Path) -> None:
    pair = Pair(tap=lambda _packet, _from_client, _now: [])
    (waited,) = run(pair, tmp_path / "c.sock", ["--wait", "0.2"])
    assert waited.exit_code == 1


def test_where_rekeying_is_off_no_connection_is_asked(tmp_path: Path) -> None:
    pair = Pair(PROTECTED, Security("ao-enc-dh", rekey=None))
    wrong, told = run(pair, tmp_path / "c.sock", ["nowhere"], [])
    assert wrong.exit_code == 2
    assert "nowhere" in wrong.stderr
    assert told.stdout == "new keys are agreed on for 0 of 1 connections; 0 sign under them\n"
