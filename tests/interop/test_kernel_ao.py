"""TCP-AO against Linux's own, in both directions, across a TUN; what one side sent the other has counted good."""

from __future__ import annotations

import asyncio
import random
import struct
from ipaddress import ip_network

import pytest

from ao.keys import KeyRing
from ao.mkt import Mkt, MktTable
from stack.aio import open_connection, start_server
from stack.handshake.configured import ConfiguredProtection
from stack.isn import InitialNumbers
from stack.security import Security
from stack.simulator import Delay, Loss, Reorder
from tests.interop.bench import KERNEL_MACS, OURS, PORTS, SECRET, THEIRS, Bench, counted, pair, rings_of
from tests.interop.peer import GUEST, STACK, STACK6, GuestKey
from tests.interop.world import World

pytestmark = [pytest.mark.tun, pytest.mark.programs("ip", "ethtool")]


async def talk(made: World, port: int, mkts: list[Mkt], octets: bytes, *, v6: bool) -> None:
    """Connect to the guest's echo and get everything back."""
    reader, writer = await made.connect(port, *mkts, v6=v6)
    writer.write(octets)
    writer.write_eof()
    assert await reader.read(-1) == octets
    writer.close()
    await writer.wait_closed()


OCTETS = random.Random(5).randbytes(60_000)


@pytest.mark.parametrize("mac", KERNEL_MACS)
@pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("exclude", [False, True], ids=["options", "no options"])
def test_each_mac_both_ways(bench: Bench, mac: str, v6: bool, exclude: bool) -> None:
    mkt, key = pair(mac, v6=v6, exclude=exclude)

    async def scenario(made: World) -> None:
        port = next(PORTS)
        async with counted(made):
            done = await made.guest.listen(port, "echo", key, v6=v6)
            await talk(made, port, [mkt], OCTETS, v6=v6)
            end = await done.get()
            assert (end["error"], end["bytes"]) == (None, len(OCTETS))
            assert end["ao"]["bad"] == end["ao"]["key_not_found"] == 0
            async with made.echo(port, mkt):
                end = await made.guest.connect(port, "client", key, v6=v6, bytes=len(OCTETS)).get()
                assert (end["error"], end["bytes"]) == (None, len(OCTETS))

    bench.run(scenario)


@pytest.mark.parametrize("octets", range(8, 17))
@pytest.mark.parametrize("mac", KERNEL_MACS)
def test_mac_lengths_that_the_kernel_takes(bench: Bench, mac: str, octets: int) -> None:
    mkt, key = pair(mac, octets=octets)

    async def scenario(made: World) -> None:
        port = next(PORTS)
        async with counted(made):
            done = await made.guest.listen(port, "echo", key)
            await talk(made, port, [mkt], OCTETS[:20_000], v6=False)
            assert (await done.get())["error"] is None

    bench.run(scenario)


@pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
def test_the_kernel_rotates_and_we_follow(bench: Bench, v6: bool) -> None:
    """It signs under its second key and asks for ours in the middle of a transfer (RFC 5925 §7.5)."""
    peer = f"{STACK6}/128" if v6 else f"{STACK}/32"
    mkts = [Mkt("first", 1, 11, b"one"), Mkt("second", 2, 12, b"two", mac="aes-128-cmac-96")]
    keys = [
        GuestKey(b"one", 11, 1, peer=peer, alg="cmac(aes128)"),
        GuestKey(b"two", 12, 2, peer=peer, alg="cmac(aes128)"),
    ]
    keys[0].current = keys[0].rnext = True

    async def scenario(made: World) -> None:
        port = next(PORTS)
        async with counted(made), made.echo(port, *mkts):
            turn = {"at": 20_000, "snd": 12, "rnext": 2}
            order = made.guest.connect(port, "client", *keys, v6=v6, bytes=2_000_000, rotate=turn)
            while not (rings := rings_of(made)) or rings[0].current.send_id != 2:
                await asyncio.sleep(0.001)
            # Followed; but what is asked for draws the kernel back, until it is told to ask for the second too.
            rings[0].ask_for(12)
            end = await order.get()
            assert (end["error"], end["bytes"]) == (None, 2_000_000)
            assert end["ao"]["current"] == 12
            assert rings[0].current.send_id == 2

    bench.run(scenario)


@pytest.mark.parametrize("connects", [True, False], ids=["we connect", "it connects"])
def test_we_rotate_and_the_kernel_follows(bench: Bench, connects: bool) -> None:
    """A key is added to a standing connection, asked for, followed, and the old one removed; nothing is lost."""
    first, second = Mkt("first", 1, 11, b"one"), Mkt("second", 2, 12, b"two", mac="hmac-sha-1-96")
    keys = [
        GuestKey(b"one", 11, 1, alg="cmac(aes128)"),
        GuestKey(b"two", 12, 2, alg="hmac(sha1)"),
    ]
    # Linux begins to send under the key that was added last.
    keys = keys[::-1]

    def rotate(made: World) -> KeyRing:
        protection = next(iter(made.stack.flows.values())).protection
        assert isinstance(protection, ConfiguredProtection)
        protection.add(second)
        (ring,) = rings_of(made)
        ring.ask_for(second.recv_id)
        return ring

    async def scenario(made: World) -> None:
        port = next(PORTS)
        # The kernel's own management rotates later: until then it asks us for the first key.
        turn = {"at": 30_000, "snd": 12, "rnext": 2}
        async with counted(made):
            if connects:
                done = await made.guest.listen(port, "echo", *keys, rotate=turn)
                reader, writer = await made.connect(port, first)
                for part in range(4):
                    octets = OCTETS[part * 15_000 : (part + 1) * 15_000]
                    writer.write(octets)
                    assert await reader.readexactly(len(octets)) == octets
                    if part == 0:
                        ring = rotate(made)
                        assert ring.current.send_id == 1
                    if part == 2:
                        assert ring.current.send_id == 2
                        ring.remove(first.recv_id)
                writer.close()
                end = await done.get()
                await writer.wait_closed()
            else:
                async with made.echo(port, first) as came:
                    order = made.guest.connect(port, "client", *keys, bytes=2_000_000, rotate=turn)
                    while not came:
                        await asyncio.sleep(0.001)
                    ring = rotate(made)
                    end = await order.get()
                    assert ring.current.send_id == 2
            assert end["error"] is None
            assert end["ao"]["current"] == 12
            assert end["ao"]["bad"] == end["ao"]["key_not_found"] == 0

    bench.run(scenario)


def test_keys_of_prefixes_and_of_others_do_not_disturb(bench: Bench) -> None:
    mkts = [
        Mkt("host", 3, 13, b"host", peer=ip_network(f"{GUEST}/32")),
        Mkt("net", 4, 14, b"net", peer=ip_network("10.86.0.0/16")),
        Mkt("other", 3, 13, b"other", peer=ip_network("192.0.2.0/24")),
    ]
    keys = [
        GuestKey(b"net", 14, 4, alg="cmac(aes128)", peer="10.85.0.0/16"),
        GuestKey(b"host", 13, 3, alg="cmac(aes128)"),
        GuestKey(b"else", 13, 3, alg="cmac(aes128)", peer="198.51.100.0/24"),
    ]

    async def scenario(made: World) -> None:
        port = next(PORTS)
        async with counted(made):
            done = await made.guest.listen(port, "echo", *keys)
            await talk(made, port, mkts, OCTETS, v6=False)
            assert (await done.get())["error"] is None

    bench.run(scenario)


@pytest.mark.parametrize(
    ("mkt", "counter"),
    [
        (Mkt("secret", OURS, THEIRS, b"wrong", mac="hmac-sha-1-96"), "TCPAOBad"),
        (Mkt("id", OURS + 1, THEIRS, SECRET, mac="hmac-sha-1-96"), "TCPAOKeyNotFound"),
        (None, "TCPAORequired"),
    ],
    ids=["secret", "id", "none"],
)
def test_what_the_kernel_refuses_of_us(bench: Bench, mkt: Mkt | None, counter: str) -> None:
    _, key = pair()

    async def scenario(made: World) -> None:
        port = next(PORTS)
        before, sent = await made.guest.netstat(), made.count.sent
        done = await made.guest.listen(port, "echo", key, required=True, timeout=2)
        if mkt is None:
            attempt = asyncio.create_task(open_connection(made.driver, GUEST, port))
        else:
            attempt = asyncio.create_task(made.connect(port, mkt))
        assert "timed out" in (await done.get())["error"]
        attempt.cancel()
        grown = {name: n - before.get(name, 0) for name, n in (await made.guest.netstat()).items()}
        assert grown["TCPAOGood"] == 0
        assert grown[counter] >= 2
        if mkt is not None:
            assert grown[counter] == made.count.sent - sent
        assert made.count.received == 0

    bench.run(scenario)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (GuestKey(b"wrong", THEIRS, OURS), "ao_bad_mac"),
        (GuestKey(SECRET, THEIRS + 1, OURS), "ao_key_not_found"),
        (GuestKey(SECRET, THEIRS, OURS, maclen=16), "ao_bad_length"),
        (None, "ao_required"),
    ],
    ids=["secret", "id", "length", "none"],
)
def test_what_we_refuse_of_the_kernel(bench: Bench, key: GuestKey | None, reason: str) -> None:
    mkt, _ = pair()

    async def scenario(made: World) -> None:
        port = next(PORTS)
        async with made.echo(port, mkt) as came:
            keys = () if key is None else (key,)
            end = await made.guest.connect(port, "client", *keys, bytes=1000, timeout=2).get()
            assert "timed out" in end["error"]
            assert not came
            assert set(made.stack.drops) - {"not_ours", "unknown_protocol", "ip_bad_source"} == {reason}
            assert made.stack.drops[reason] >= 2

    bench.run(scenario)


TOTAL = 100_000_000


def test_100_mb_from_the_kernel_across_a_wrap(bench: Bench) -> None:
    """Its ISN lies 1 MB under 2^32; the extension of its sequence numbers goes up with its first wrap."""
    mkt, key = pair("aes-128-cmac-96")

    async def scenario(made: World) -> None:
        port = next(PORTS)
        got = 0
        over = asyncio.Event()

        async def sink(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal got
            while data := await reader.read(1 << 17):
                assert data[: 8 - got % 8 or 8] == pattern(got, len(data))[: 8 - got % 8 or 8]
                got += len(data)
            writer.close()
            over.set()

        security = Security(protect="ao", keys=MktTable([mkt]))
        async with counted(made):
            server = await start_server(sink, made.driver, port, security=security)
            end = await made.guest.connect(port, "source", key, bytes=TOTAL, isn=0xFFF00000, timeout=60).get()
            await over.wait()
            server.close()
            assert (end["error"], end["bytes"], got) == (None, TOTAL, TOTAL)

    bench.run(scenario, seconds=120.0)


def pattern(at: int, octets: int) -> bytes:
    """The octets that the guest sends: each word of 8 is its own number."""
    words = b"".join(struct.pack(">Q", at // 8 + i) for i in range(octets // 8 + 2))
    return words[at % 8 : at % 8 + octets]


def test_100_mb_to_the_kernel_across_a_wrap(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our ISN lies 1 MB under 2^32; the kernel compares what comes with the pattern."""
    mkt, key = pair("aes-128-cmac-96")
    monkeypatch.setattr(InitialNumbers, "number", lambda *_: 0xFFF00000)

    async def scenario(made: World) -> None:
        port = next(PORTS)
        async with counted(made):
            done = await made.guest.listen(port, "sink", key, timeout=60)
            _, writer = await made.connect(port, mkt)
            at = 0
            while at < TOTAL:
                block = pattern(at, min(1 << 16, TOTAL - at))
                writer.write(block)
                await writer.drain()
                at += len(block)
            writer.write_eof()
            end = await done.get()
            assert (end["error"], end["bytes"]) == (None, TOTAL)
            writer.close()
            await writer.wait_closed()

    bench.run(scenario, seconds=120.0)


@pytest.mark.parametrize("connects", [True, False], ids=["we connect", "it connects"])
def test_loss_and_reordering(bench: Bench, connects: bool) -> None:
    """2 % lost, 5 % late, both ways, on our side of the device."""
    chance = random.Random(3)
    boxes = [Loss(0.02, chance), Reorder(0.05, 0.003, chance), Delay(0.001)]
    mkt, key = pair("linux-hmac-sha256", octets=16)
    octets = random.Random(9).randbytes(1_000_000)

    async def scenario(made: World) -> None:
        port = next(PORTS)
        async with counted(made):
            if connects:
                done = await made.guest.listen(port, "echo", key)
                await talk(made, port, [mkt], octets, v6=False)
                end = await done.get()
            else:
                async with made.echo(port, mkt):
                    end = await made.guest.connect(port, "client", key, bytes=300_000).get()
            assert end["error"] is None

    bench.run(scenario, *boxes, seconds=120.0)
