"""``edotun keys`` of a command that has keys of TCP-MD5 too: they are listed and do not change."""

from __future__ import annotations

import asyncio
import json
from ipaddress import ip_network
from pathlib import Path

from typer.testing import CliRunner, Result

from ao.md5 import Md5Key, Md5Table
from ao.mkt import Mkt, MktTable
from stack.security import Security
from tests.stack.wire import Wire
from tools.cli.main import app
from tools.control.desk import desk
from tools.control.server import control

PASSWORD = b"a password of a router"


def run(wire: Wire, security: Security, path: Path, *calls: list[str]) -> list[Result]:
    """Each call of ``edotun keys`` against the wire's client, whose keys ``security`` has."""

    def call(words: list[str]) -> Result:
        return CliRunner().invoke(app, ["keys", words[0], "--control", str(path), *words[1:]])

    async def main() -> list[Result]:
        assert security.md5_keys is not None
        tables = {} if security.keys is None else {"keys": security.keys}
        orders = desk(wire.client, tables, wire.flush, lambda: wire.now, {"keys": security.md5_keys})
        async with control(path, orders):
            return [await asyncio.to_thread(call, words) for words in calls]

    return asyncio.run(main())


def test_keys_of_both_kinds_are_listed_with_their_connections(tmp_path: Path) -> None:
    narrow = Md5Key("router", PASSWORD, peer=ip_network("10.0.0.2/32"), peer_port=80)
    wide = Md5Key("others", b"else", peer=ip_network("10.0.0.0/8"))
    new = Mkt("new", 1, 2, b"secret", peer=ip_network("192.0.2.0/24"))
    client = Security("md5", keys=MktTable([new]), md5_keys=Md5Table([narrow, wide]))
    wire = Wire()
    wire.open(client, Security("md5", md5_keys=Md5Table([Md5Key("k", PASSWORD)])))
    wire.run(1.0)
    listed, shown, rotated, removed = run(
        wire,
        client,
        tmp_path / "c.sock",
        ["list", "--json"],
        ["list"],
        ["rotate", "router"],
        ["remove", "others"],
    )
    rows = json.loads(listed.stdout)["keys"]
    assert [(row["name"], row["mac"], row["connections"]) for row in rows] == [
        ("new", new.mac, 0),
        ("router", "md5", 1),
        ("others", "md5", 0),
    ]
    assert (rows[1]["peer"], rows[1]["peer_port"], rows[1]["send_id"]) == ("10.0.0.2/32", 80, None)
    assert PASSWORD.decode() not in listed.stdout + shown.stdout
    assert PASSWORD.hex() not in listed.stdout
    assert "router" in shown.stdout
    for refused, name in ((rotated, "router"), (removed, "others")):
        assert refused.exit_code == 2
        assert f"key '{name}' is one of TCP-MD5, which does not change while the command runs" in refused.stderr


def test_a_connection_that_has_ended_signs_no_more(tmp_path: Path) -> None:
    key = Md5Key("router", PASSWORD)
    client = Security("md5", md5_keys=Md5Table([key]))
    wire = Wire()
    attempt, _ = wire.open(client, client)
    wire.run(1.0)
    attempt.abort()
    wire.run(1.0)
    (listed,) = run(wire, client, tmp_path / "c.sock", ["list", "--json"])
    assert [row["connections"] for row in json.loads(listed.stdout)["keys"]] == [0]
