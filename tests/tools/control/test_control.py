"""The control socket and ``edotun keys``, over two stacks in virtual time that talk under configured keys."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.stack.test_rollover import NEW, OLD, Pair
from tools.cli.main import app
from tools.control import server
from tools.control.client import ControlError, ask
from tools.control.desk import desk
from tools.control.rows import mkt_of, order_of, row_of
from tools.control.server import control


@contextlib.asynccontextmanager
async def controlled(pair: Pair, path: Path) -> AsyncIterator[None]:
    """The client of a pair under control at ``path``."""
    async with control(
        path, desk(pair.wire.client, {"one": pair.tables[0]}, pair.wire.flush, lambda: pair.wire.now)
    ):
        yield


def keys(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["keys", arguments[0], "--control", str(path), *arguments[1:]])


def run(pair: Pair, path: Path, *calls: list[str]) -> list[Result]:
    """Each call of the command in turn, with the wire's time going on in between."""

    async def main() -> list[Result]:
        results = []
        async with controlled(pair, path):
            for call in calls:
                results.append(await asyncio.to_thread(keys, path, *call))
                pair.wire.run(0.5)
        return results

    return asyncio.run(main())


def new_key(folder: Path) -> Path:
    path = folder / "new.toml"
    path.write_text(
        '[[mkt]]\nname = "new"\nsend_id = 2\nrecv_id = 12\nsecret = "new"\npeer = "10.0.0.2"\n'
        'mac = "hmac-sha256-128"\n'
    )
    path.chmod(0o600)
    return path


def test_a_rollover_by_the_command(tmp_path: Path) -> None:
    pair = Pair(OLD)
    pair.tables[1].add(NEW[1])
    pair.server.flow.protection.add(NEW[1])  # type: ignore[attr-defined]  # one of configured keys
    path = tmp_path / "c.sock"
    added, rotated, waited, in_use, state, listed = run(
        pair,
        path,
        ["add", str(new_key(tmp_path))],
        ["rotate", "new", "--json"],
        ["rotate", "new", "--wait", "5"],
        ["remove", "old"],
        ["status", "--json"],
        ["list"],
    )
    assert added.stdout == "added new: 1 connections may use it\n"
    assert json.loads(rotated.stdout) == {
        "key": "new",
        "asked": 1,
        "connections": 1,
        "signing": 0,
        "following": 0,
    }
    assert waited.exit_code == 0
    assert "1 peers sign under it, this end on 0" in waited.stdout
    assert in_use.exit_code == 2
    assert "'old' is in use on 1 connection: rotate to another first" in in_use.stderr
    (row,) = json.loads(state.stdout)["connections"]
    assert (row["peer"], row["current"], row["rnext"], row["heard"]) == ("10.0.0.2:80", "old", "new", "new")
    assert row["keys"]["new"]["good"] == 1
    assert row["ao"]["bad"] == 0
    assert "10.0.0.2/32" in listed.stdout
    # The server asks for the new key, so the client signs under it, and the old one may go.
    for ring in [pair.server.flow.protection.ring]:  # type: ignore[attr-defined]
        ring.ask_for(NEW[1].recv_id)
    pair.talk()
    removed, gone = run(pair, path, ["remove", "old"], ["list", "--json"])
    assert removed.stdout == "removed old\n"
    assert [key["name"] for key in json.loads(gone.stdout)["keys"]] == ["new"]
    pair.talk()
    assert pair.drops() == 0


def test_waiting_for_a_peer_that_lacks_the_key_is_status_1(tmp_path: Path) -> None:
    pair = Pair(OLD)
    _, waited = run(pair, tmp_path / "c.sock", ["add", str(new_key(tmp_path))], ["rotate", "new", "--wait", "0.2"])
    assert waited.exit_code == 1


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        (["rotate", "none"], "there is no key 'none'"),
        (["remove", "none"], "there is no key 'none'"),
        (["add", "no-such.toml"], "no-such.toml: cannot be read"),
        (["rotate", "old", "--forward", "two"], "name the forward whose keys are meant (there are: one)"),
    ],
)
def test_faults_are_one_line_and_status_2(tmp_path: Path, call: list[str], fault: str) -> None:
    (result,) = run(Pair(OLD), tmp_path / "c.sock", call)
    assert result.exit_code == 2
    assert fault in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_conflict_is_told_and_no_secret_is(tmp_path: Path) -> None:
    path = tmp_path / "clash.toml"
    path.write_text('[[mkt]]\nname = "clash"\nsend_id = 1\nrecv_id = 77\nsecret = "hush-hush"\n')
    path.chmod(0o600)
    pair = Pair(OLD)
    clash, listed, state = run(
        pair, tmp_path / "c.sock", ["add", str(path)], ["list", "--json"], ["status", "--json"]
    )
    assert clash.exit_code == 2
    assert "the same send_id 1" in clash.stderr
    for result in (clash, listed, state):
        told = result.stdout + result.stderr
        assert "hush" not in told
        assert b"old".hex() not in told.replace("hold", "")
        assert "secret" not in told


def test_keys_cross_the_socket_whole() -> None:
    for mkt in (*OLD, *NEW):
        assert mkt_of(json.loads(json.dumps(order_of(mkt)))) == mkt
        assert "secret_hex" not in row_of(mkt)


@pytest.mark.parametrize("row", [3, {}, {**order_of(NEW[0]), "recv_id": []}, {**order_of(NEW[0]), "mac": "rot13"}])
def test_a_key_that_cannot_be_is_refused(row: object) -> None:
    with pytest.raises(ValueError, match=r".") as fault:
        mkt_of(row)
    assert b"new".hex() not in str(fault.value)


def test_the_socket_is_for_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "c.sock"
    pair = Pair(OLD)

    async def main() -> None:
        async with controlled(pair, path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            await asyncio.to_thread(ask, path, {"do": "list"})
            monkeypatch.setattr(server, "peer_of", lambda _: os.geteuid() + 1)
            with pytest.raises(ControlError, match="only the same user and root"):
                await asyncio.to_thread(ask, path, {"do": "list"})
        assert not path.exists()

    asyncio.run(main())


def test_credentials_are_the_kernels() -> None:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with one, other:
        assert server.peer_of(one) == os.geteuid()


def test_a_socket_left_behind_is_replaced_and_a_served_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "c.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    pair = Pair(OLD)

    async def main() -> None:
        async with controlled(pair, path):
            with pytest.raises(OSError, match="another command"):
                async with controlled(pair, path):
                    pass
            assert (await asyncio.to_thread(ask, path, {"do": "list"}))["keys"]

    asyncio.run(main())
    with pytest.raises(ControlError, match="is it running"):
        ask(path, {"do": "list"})


@pytest.mark.parametrize(
    "line", [b"\n", b"[]\n", b"{}\n", b'{"do": 5}\n', b'{"do": "add"}\n', b"\xff\xfe\n", b"{" * 70_000]
)
def test_no_line_ends_the_server(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "c.sock"
    pair = Pair(OLD)

    def talk() -> dict[str, Any] | None:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            with contextlib.suppress(BrokenPipeError):
                sock.sendall(line)
            sock.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                answer = sock.makefile("rb").readline()
                return json.loads(answer) if answer else None
        return None

    async def main() -> None:
        async with controlled(pair, path):
            answer = await asyncio.to_thread(talk)
            assert answer is None or answer["ok"] is False
            assert (await asyncio.to_thread(ask, path, {"do": "list"}))["keys"]

    asyncio.run(main())
