"""What authentication dropped is told: a line a second and reason, with the peer, and no key."""

from __future__ import annotations

import asyncio

import pytest

from ao.md5 import Md5Key, Md5Table
from stack.batch import Batch
from stack.run import RST, SYN
from stack.security import Security
from tests.stack.ao.standing import Standing, option
from tests.stack.handshake.test_agreed import resummed
from tests.stack.wire import Wire
from tun import aolog
from tun.aolog import Watcher


def test_a_flood_is_one_line_for_each_reason() -> None:
    standing = Standing()
    watcher = Watcher(standing.wire.server)
    remote = f"10.0.0.1:{standing.ends[1]} to 10.0.0.2:80"
    assert watcher.lines() == []
    packets = [standing.forge(RST, options=options) for options in (b"", option(), option(key_id=1))]
    standing.attack(packets * 100)
    assert sorted(watcher.lines()) == [
        f"TCP-AO: 100 dropped, no key has this KeyID (ao_key_not_found): {remote}",
        f"TCP-AO: 100 dropped, the MAC is wrong (ao_bad_mac): {remote}",
        f"TCP-AO: 100 dropped, there is no TCP-AO, and it is required (ao_required): {remote}",
    ]
    assert watcher.lines() == []
    standing.attack([standing.forge(RST)])
    assert watcher.lines() == [f"TCP-AO: 1 dropped, there is no TCP-AO, and it is required (ao_required): {remote}"]


def test_the_peer_of_a_syn_is_named_as_well() -> None:
    standing = Standing()
    watcher = Watcher(standing.wire.server)
    syn = resummed(standing.forge(SYN, options=option()), 0, 9)
    standing.wire.server.receive(Batch([syn]), standing.wire.now)
    port = 9 << 8 | syn[21]
    assert watcher.lines() == [f"TCP-AO: 1 dropped, the MAC is wrong (ao_bad_mac): 10.0.0.1:{port} to 10.0.0.2:80"]


def test_it_is_told_while_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    standing = Standing(version=6)
    monkeypatch.setattr(aolog, "_EVERY", 0.0)

    async def run() -> list[str]:
        said: list[str] = []
        told = asyncio.Event()
        async with aolog.tell_drops(standing.wire.server, lambda line: (said.append(line), told.set())):
            standing.attack([standing.forge(RST)])
            await asyncio.wait_for(told.wait(), 5.0)
        standing.attack([standing.forge(RST)])
        await asyncio.sleep(0)
        return said

    (line,) = asyncio.run(run())
    assert line.endswith(f": [fd00::1]:{standing.ends[1]} to [fd00::2]:80")
    assert "testvector" not in line


def test_tcp_md5_is_told_by_its_own_name() -> None:
    wire = Wire()
    wire.open(Security(), Security("md5", md5_keys=Md5Table([Md5Key("k", b"a secret")])))
    watcher = Watcher(wire.server)
    wire.run(0.5)
    (line,) = watcher.lines()
    assert line.startswith("TCP-MD5: 1 dropped, there is no digest, and it is required (md5_required): 10.0.0.1:")
    assert line.endswith(" to 10.0.0.2:80")
