"""Segments whose sum comes to nothing, before a kernel that takes a checksum of 0 for the mark of its own.

``tcp_ao_hash_pseudoheader`` (Linux 6.7 and later, net/ipv4/tcp_ao.c) tells what leaves from what arrives by the
checksum, which is not yet there in what leaves. One segment in 65,536 arrives with 0 as well: the kernel hashes its
addresses the other way round and drops it, and each repetition that does not differ.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Iterable

import pytest

from edo.layout import lay_out
from edo.options import Options
from stack.batch import Octets
from stack.box import Direction, Emission
from stack.config import TcpConfig
from stack.ports import Carrier
from stack.run import ACK, PSH, Run
from stack.sealer import Sealer
from tests.interop.bench import PORTS, Bench, counted, pair, rings_of
from tests.interop.world import World

pytestmark = [pytest.mark.tun, pytest.mark.programs("ip", "ethtool")]

both = pytest.mark.parametrize("v6", [False, True], ids=["ipv4", "ipv6"])
# The same octets again and again, as a peer without timestamps sends them.
PLAIN = TcpConfig(timestamps=False)
NOTHING = (b"\0\0", b"\xff\xff")


class Aside:
    """Remembers what the stack sent, and sends what it is given."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.more: list[bytes] = []

    @property
    def next_deadline(self) -> float | None:
        return 0.0 if self.more else None

    def process(self, packets: list[Octets], direction: Direction, now: float) -> list[Emission]:
        if direction is Direction.FORWARD:
            self.sent += map(bytes, packets)
        given, self.more = self.more, []
        return [(now, direction, packet) for packet in packets] + [(now, Direction.FORWARD, p) for p in given]


def field(v6: bool) -> slice:
    """Where the checksum stands in a packet."""
    return slice(56, 58) if v6 else slice(36, 38)


def acknowledged(v6: bool, packet: bytes) -> int:
    return int.from_bytes(packet[48:52] if v6 else packet[28:32])


def window(v6: bool, packet: bytes) -> int:
    return int.from_bytes(packet[54:56] if v6 else packet[34:36])


def first_of_nothing(made: World, flow: Carrier, runs: Iterable[Run], v6: bool) -> bytes:
    """The packet of the first run whose sum comes to nothing, sealed as the connection seals it."""
    (ring,) = rings_of(made)
    plan = lay_out(Options(), ao_octets=16, key_ids=(ring.current.send_id, ring.rnext.recv_id))
    sealer = Sealer(*flow.key)
    for run in runs:
        out: list[bytes] = []
        sealer.seal(run, plan, 1000, out, ring.current.sign)
        if out[0][field(v6)] in NOTHING:
            return out[0]
    raise AssertionError("no run comes to nothing")


async def quiet(made: World, aside: Aside, v6: bool) -> Carrier:
    """The one connection, once all that came is acknowledged and all that it sent has been too."""
    (flow,) = made.stack.flows.values()
    connection = flow.connection
    while (
        connection.snd_una != connection.snd_nxt
        or acknowledged(v6, aside.sent[-1]) != connection.rcv_nxt & 0xFFFFFFFF
    ):
        await asyncio.sleep(0.01)
    return flow


@both
def test_data_of_ours_whose_sum_is_nothing_arrives(bench: Bench, v6: bool) -> None:
    """The kernel has everything and counts everything good; written as 0 it would not come through, ever."""
    mkt, key = pair(v6=v6)
    aside = Aside()
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)

    async def scenario(made: World) -> None:
        port = next(PORTS)
        async with counted(made):
            done = await made.guest.listen(port, "echo", key, v6=v6, timeout=100)
            reader, writer = await made.connect(port, mkt, v6=v6)
            expected = octets = b"a first word"
            while True:
                writer.write(octets)
                assert await reader.readexactly(len(octets)) == octets
                if expected in aside.sent:
                    break
                # The window of the next segment is the last one's, unless it was moved in the meantime.
                flow = await quiet(made, aside, v6)
                connection, last = flow.connection, window(v6, aside.sent[-1])
                runs = (
                    Run(
                        connection.snd_nxt,
                        connection.rcv_nxt,
                        ACK | PSH,
                        last,
                        Options(),
                        [memoryview(chance.randbytes(100))],
                        100,
                    )
                    for _ in range(2_000_000)
                )
                expected = first_of_nothing(made, flow, runs, v6)
                octets = expected[-100:]
            writer.close()
            await writer.wait_closed()
            assert (await done.get())["error"] is None

    bench.run(scenario, aside, seconds=120.0, config=PLAIN)


@both
def test_the_kernel_takes_one_of_the_two_zeros(bench: Bench, v6: bool) -> None:
    """An ACK whose sum is nothing is good with 0xFFFF, as we write it, and bad with 0, though the MAC is the same.

    Where the second half fails the kernel has been mended, and the sealer need not write 0xFFFF any more.
    """
    mkt, key = pair(v6=v6)
    aside = Aside()

    async def scenario(made: World) -> None:
        port = next(PORTS)
        done = await made.guest.listen(port, "echo", key, v6=v6, timeout=100)
        reader, writer = await made.connect(port, mkt, v6=v6)
        writer.write(b"a word")
        assert await reader.readexactly(6) == b"a word"
        flow = await quiet(made, aside, v6)
        connection = flow.connection
        runs = (
            Run(connection.snd_nxt, connection.rcv_nxt - back, ACK, window, Options())
            for back, window in itertools.product(range(7), range(1, 0x10000))
        )
        ours = first_of_nothing(made, flow, runs, v6)
        assert ours[field(v6)] == b"\xff\xff"
        zero = ours[: field(v6).start] + b"\0\0" + ours[field(v6).stop :]
        for packet, counter in ((ours, "TCPAOGood"), (zero, "TCPAOBad")):
            before, sent = await made.guest.netstat(), made.count.sent
            aside.more.append(packet)
            made.driver.wake()
            grown = await made.agreed(before, sent, made.overflowed())
            assert {name: n for name, n in grown.items() if n} == {counter: 1}
        writer.close()
        await writer.wait_closed()
        assert (await done.get())["error"] is None

    bench.run(scenario, aside, seconds=120.0, config=PLAIN)
