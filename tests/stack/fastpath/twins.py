"""Two pairs of stacks that live the same life, one pair with the fast path and one without."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable
from enum import Enum

from ao.mkt import Mkt, MktTable
from stack.attempt import Attempt
from stack.batch import Batch, Checksum
from stack.checksum import checksum, ones_complement_sum, pseudo_header_sum
from stack.config import TcpConfig
from stack.host import Stack
from stack.security import Security
from tests.forms import slots_of

CLIENT, SERVER = ("10.0.0.1", "fd00::1"), ("10.0.0.2", "fd00::2")
PLAIN_VALUES = (int, float, str, bytes, bool, type(None), Enum)


def security(mode: str, edo: str | None) -> Security:
    """What protects both ends; ``ao`` and ``ao-enc`` have three configured keys."""
    if not mode.startswith("ao") or "dh" in mode:
        return Security(protect=mode, edo=edo)
    encrypt = "aes-128-ctr" if mode == "ao-enc" else None
    macs = ("aes-128-cmac-96", "hmac-sha-1-96", "hmac-sha256-128")
    mkts = [
        Mkt(
            name=mac,
            send_id=number,
            recv_id=number,
            secret=bytes([number]) * 16,
            mac=mac,
            encrypt=encrypt,
            peer=None,
        )
        for number, mac in enumerate(macs, 1)
        if not (encrypt and number > 1)
    ]
    return Security(protect=mode, keys=MktTable(mkts), edo=edo)


def snapshot(value: object, seen: frozenset[int] = frozenset()) -> object:
    """Everything that an object holds, as plain values: what is behind its attributes, however deep."""
    if isinstance(value, PLAIN_VALUES):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    if isinstance(value, Counter):
        return sorted((str(key), count) for key, count in value.items() if count)
    if id(value) in seen:
        return "..."
    seen |= {id(value)}
    if isinstance(value, dict):
        return [(snapshot(key, seen), snapshot(one, seen)) for key, one in value.items()]
    if isinstance(value, list | tuple | deque | set | frozenset):
        return [snapshot(one, seen) for one in value]
    names = list(slots_of(type(value)))
    names += list(getattr(value, "__dict__", ()))
    if not names or callable(value):
        return type(value).__name__
    return type(value).__name__, [
        (name, snapshot(getattr(value, name), seen)) for name in names if hasattr(value, name) and name != "memory"
    ]


class Pair:
    """A client's and a server's stack, and the connection between them."""

    def __init__(
        self, seed: int, mode: str, edo: str | None, config: TcpConfig, version: int, *, fast: bool
    ) -> None:
        source = random.Random(seed)
        self.client = Stack(CLIENT, random=source.randbytes, config=config, fast_path=fast)
        self.server = Stack(SERVER, random=source.randbytes, config=config, fast_path=fast)
        self.listener = self.server.listen(80, security=security(mode, edo))
        remote = (SERVER[version == 6], 80)
        self.attempt = self.client.connect(remote, security=security(mode, edo), now=100.0)
        self.accepted: Attempt | None = None
        self.events: list[str] = []

    @property
    def stacks(self) -> tuple[Stack, Stack]:
        return self.client, self.server

    @property
    def ends(self) -> tuple[Attempt | None, Attempt | None]:
        return self.attempt, self.accepted

    def tell(self) -> None:
        """Take events of both ends, and the connection that may be accepted."""
        if self.accepted is None:
            self.accepted = self.listener.accept()
        for name, end in zip(("client", "server"), self.ends, strict=True):
            while end is not None and (event := end.next_event()) is not None:
                self.events.append(f"{name} {event}")

    def state(self) -> object:
        """Every variable of both connections, what was dropped, and what keys have verified."""
        found: list[object] = [self.events]
        for stack, end in zip(self.stacks, self.ends, strict=True):
            found += [snapshot(stack.drops), snapshot(stack.counters), stack.memory.held, stack.next_deadline]
            if end is not None:
                flow = end.flow
                keys = flow.protection.keys
                found += [snapshot(flow.connection), snapshot(flow.drops), end.readable, flow.damaged]
                found.append(snapshot(flow.protection.tallies))
                found.append(None if keys is None else (str(keys.current), str(keys.heard), keys.heard_rnext))
        return found


class Twins:
    """Both pairs in step: whatever one puts on the wire, the other has put there too.

    ``harm`` gets the packets of one direction and returns what arrives of them, for both pairs alike.
    """

    def __init__(
        self,
        seed: int,
        mode: str,
        *,
        edo: str | None = None,
        version: int = 4,
        config: TcpConfig | None = None,
        harm: Callable[[list[bytes], random.Random], list[bytes]] = lambda packets, _: packets,
        batch: int = 64,
    ) -> None:
        config = config or TcpConfig()
        self.chance = random.Random(seed)
        self.fast, self.plain = (Pair(seed, mode, edo, config, version, fast=fast) for fast in (True, False))
        self.now = 100.0
        self.harm = harm
        self.batch = batch
        self.packets = 0
        # What is under way to the client and to the server.
        self.under_way: tuple[list[bytes], list[bytes]] = ([], [])

    @property
    def taken(self) -> int:
        """How many packets went the fast way: else a test of nothing would pass."""
        assert all(stack.lanes is None for stack in self.plain.stacks)
        return sum(stack.lanes.taken for stack in self.fast.stacks if stack.lanes is not None)

    def both(self, call: Callable[[Pair], object]) -> object:
        """Do the same with both; what comes of it is the same."""
        fast, plain = call(self.fast), call(self.plain)
        assert fast == plain
        return fast

    def step(self, seconds: float = 0.001) -> None:
        """Let time pass, send, deliver a batch each way, and compare."""
        self.now += seconds
        for pair in (self.fast, self.plain):
            for stack in pair.stacks:
                if stack.next_deadline is not None and stack.next_deadline <= self.now:
                    stack.advance(self.now)
        for index in (0, 1):
            sent = [bytes(packet) for packet in self.fast.stacks[index].take_output(self.now).packets]
            assert sent == [bytes(packet) for packet in self.plain.stacks[index].take_output(self.now).packets]
            self.packets += len(sent)
            self.under_way[1 - index].extend(self.harm(sent, self.chance))
        for index, waiting in enumerate(self.under_way):
            count = self.chance.randint(1, self.batch)
            arrived = waiting[:count]
            del waiting[:count]
            if arrived:
                batch = self._batch(arrived)
                for pair in (self.fast, self.plain):
                    pair.stacks[index].receive(batch, self.now)
        for pair in (self.fast, self.plain):
            pair.tell()
        assert self.fast.state() == self.plain.state()

    def _batch(self, packets: list[bytes]) -> Batch:
        """The packets as one device or another would have them: checksums looked at, or not to be."""
        kind = self.chance.randrange(4)
        if kind == 0:
            return Batch(packets)
        if kind == 1:
            return Batch([memoryview(bytearray(packet)) for packet in packets])
        states = [Checksum.UNFINISHED] * len(packets)
        if kind == 2:
            for index in range(len(packets)):
                states[index] = self.chance.choice(list(Checksum)[:2])
            return Batch(packets, states)
        if self.chance.random() < 0.1:
            states[self.chance.randrange(len(packets))] = Checksum.BAD
        return Batch([memoryview(packet) for packet in packets], states, [0] * len(packets))


def right_checksums(packet: bytearray) -> bytes:
    """The packet with its checksums put right, so that they are not what catches a change."""
    if packet[0] >> 4 == 4:
        start, addresses = (packet[0] & 15) * 4, (bytes(packet[12:16]), bytes(packet[16:20]))
        packet[10:12] = bytes(2)
        packet[10:12] = checksum(packet[:start]).to_bytes(2, "big")
    else:
        start, addresses = 40, (bytes(packet[8:24]), bytes(packet[24:40]))
    if len(packet) >= start + 20:
        packet[start + 16 : start + 18] = bytes(2)
        total = ones_complement_sum(packet[start:]) + pseudo_header_sum(*addresses, len(packet) - start)
        packet[start + 16 : start + 18] = (0xFFFF - (total % 0xFFFF or 0xFFFF)).to_bytes(2, "big")
    return bytes(packet)
