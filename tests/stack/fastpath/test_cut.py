"""Segments that are cut together are those that are made one by one."""

from __future__ import annotations

import random

import pytest

from ao.auth import SegmentMac
from ao.macs import MACS, Mac
from ao.octets import Octets
from edo.layout import lay_out
from edo.options import Options
from edo.plan import Form
from stack.ip import address_octets
from stack.run import ACCURATE, ACK, CWR, ECE, FIN, PSH, Run
from stack.sealer import Sealer

ENDS = {4: ("10.0.0.1", "10.0.0.2"), 6: ("fd00::1", "fd00::2")}
MSS = (536, 1220, 1432, 1446, 1448, 8936)


def mac_of(name: str, chance: random.Random, source: bytes, destination: bytes) -> SegmentMac:
    """A MAC of any length that a configured key may cut it to, of any kind of input."""
    algorithm = MACS[name]
    octets = chance.choice(algorithm.lengths)
    return SegmentMac(
        algorithm.prepare(bytes(algorithm.key_octets), octets),
        octets,
        source,
        destination,
        cover_options=chance.random() < 0.8,
        zero_source=chance.random() < 0.3,
        zero_destination=chance.random() < 0.3,
    )


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("mac", [None, "aes-128-cmac-96", "hmac-sha-1-96", "linux-hmac-sha256"])
def test_what_is_cut_together_is_what_is_made_one_by_one(version: int, mac: str | None) -> None:
    source, destination = (address_octets(text) for text in ENDS[version])
    for seed in range(60):
        chance = random.Random(seed)
        print(f"seed {seed}")
        sign = None if mac is None else mac_of(mac, chance, source, destination)
        room = chance.choice(MSS) if chance.random() < 0.8 else chance.randint(1, 1460)
        payload = chance.randbytes(room * chance.randint(1, 12) + chance.choice((0, 0, 1, room - 1)))
        # Near the places where number and SNE wrap.
        seq = (chance.randint(0, 3) << 32) - chance.choice((-5, 1, room, 2 * room, 3 * room, 70_000))
        flags = ACK
        for flag in (PSH, FIN, ECE, CWR, CWR | ACCURATE):
            if chance.random() < 0.2:
                flags |= flag
        small = sign is None or sign.octets < 14
        stamped = chance.random() < 0.8 and (sign is None or sign.octets <= 24)
        options = Options(ts_val=chance.getrandbits(32), ts_ecr=5) if stamped else Options()
        urgent = chance.choice((0, 0, 0, len(payload) // 2))
        plan = lay_out(
            options,
            ao_octets=0 if sign is None else sign.octets + 4,
            key_ids=(3, 4),
            extension=chance.choice((None, Form.SHORT, Form.LONG)) if small else None,
        )
        # One with sums that come to zero, where the two zeros of ones' complement differ.
        if chance.random() < 0.3:
            payload = bytes(len(payload))
        packets: list[list[bytes]] = []
        offload = sign is not None and chance.random() < 0.3
        for alike in (True, False):
            run = Run(
                max(seq, 0), 77, flags, 1000, options, [memoryview(payload)], len(payload), urgent=urgent, ecn=2
            )
            out: list[bytes] = []
            sealer = Sealer(source, 1234, destination, 80, alike=alike, offload=offload)
            sealer.seal(run, plan, room, out, sign, None, sign is None or sign.whole)
            packets.append(out)
        assert packets[0] == packets[1]


class Constant:
    """A MAC that does not depend on its input."""

    def copy(self) -> Constant:
        return self

    def update(self, data: Octets, /) -> None:
        """Take octets."""

    def finalize(self) -> bytes:
        return bytes(range(16))


@pytest.mark.parametrize("signed", [False, True])
def test_a_checksum_of_zero_is_the_same_zero(signed: bool) -> None:
    """0xFFFF where there is a MAC (``stack.sealer`` says why), else 0."""
    source, destination = (address_octets(text) for text in ENDS[4])
    sign = SegmentMac(Mac(Constant(), 12), 12, source, destination) if signed else None
    plan = lay_out(Options(), ao_octets=16 if signed else 0)
    payload = bytes(4 * 128)
    ack = 0
    for _ in range(2):
        packets: list[list[bytes]] = []
        for alike in (True, False):
            run = Run(5, ack, ACK, 1000, Options(), [memoryview(payload)], len(payload))
            out: list[bytes] = []
            Sealer(source, 1234, destination, 80, alike=alike).seal(run, plan, 128, out, sign)
            packets.append(out)
        assert packets[0] == packets[1]
        # The second time the acknowledgment number makes the first segment's sum zero.
        ack = int.from_bytes(packets[0][0][36:38], "big")
    assert ack == (0xFFFF if signed else 0)
