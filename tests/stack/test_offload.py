"""Unfinished checksums and segments of up to 64 KiB: on the wire and in the stack nothing is different by them."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6

from ao.mkt import Mkt, MktTable
from edo.layout import lay_out
from edo.options import Options
from edo.plan import Form
from stack.config import TcpConfig
from stack.host import Stack
from stack.ip import address_octets
from stack.offload import FIRST_OF_IP, HEADER, counted, finished
from stack.run import ACCURATE, ACK, AE, CWR, ECE, FIN, PSH, Run
from stack.sealer import Sealer
from stack.security import Security

from .offloading import ENDS, Pair, normal, on_wire


class Signs:
    def tag(self, sne: int, header: bytes, rest: bytes, keep: object = ()) -> bytes:
        return b"twelve octet"


@pytest.mark.parametrize("version", [4, 6])
@given(
    size=st.integers(0, 150_000),
    room=st.integers(300, 9000),
    seq=st.integers(0, 2**34),
    flags=st.sets(st.sampled_from([FIN, PSH, CWR, ECE, AE, ACCURATE])),
    urgent=st.sampled_from([0, 0, 0, 5, 5000]),
    ecn=st.integers(0, 3),
    form=st.sampled_from([None, None, Form.SHORT, Form.LONG]),
    signed=st.booleans(),
)
def test_what_a_device_makes_of_a_run_is_what_is_sent_without_one(
    version: int,
    size: int,
    room: int,
    seq: int,
    flags: set[int],
    urgent: int,
    ecn: int,
    form: Form | None,
    signed: bool,
) -> None:
    payload = random.Random(size).randbytes(size)
    source, destination = (address_octets(text) for text in ENDS[version])
    options = Options(ts_val=5, ts_ecr=6)
    plan = lay_out(options, extension=form, ao_octets=16 if signed else 0, behind=form is not None)
    both: list[list[bytes]] = []
    for offload in (False, True):
        run = Run(seq, 77, ACK | sum(flags), 1000, options, [memoryview(payload)], size, urgent=urgent, ecn=ecn)
        out: list[bytes] = []
        sealer = Sealer(source, 1234, destination, 80, offload=offload)
        sealer.seal(run, plan, room, out, Signs() if signed else None)
        both.append(out)
    plain, unfinished = both
    assert all(packet[0] < FIRST_OF_IP for packet in unfinished)
    wire = [bytes(packet) for one in unfinished for packet in on_wire(one)]
    assert [normal(packet) for packet in wire] == [normal(packet) for packet in plain]
    assert counted(unfinished) == (len(plain), sum(map(len, plain)))
    if size > 3 * room and not (signed or form or urgent or CWR in flags):
        assert len(unfinished) == -(
            -size // ((65_535 - plan.header_octets - 20 * (1 + (version == 6))) // room * room)
        )
    for packet in wire:
        scapy = IP(packet) if version == 4 else IPv6(packet)
        sums = scapy[TCP].chksum, getattr(scapy, "chksum", None)
        del scapy[TCP].chksum
        if version == 4:
            del scapy.chksum
        again = type(scapy)(bytes(scapy))
        assert (again[TCP].chksum % 0xFFFF, getattr(again, "chksum", None)) == (sums[0] % 0xFFFF, sums[1])


def test_a_syn_is_always_finished() -> None:
    stack = Stack(["10.0.0.1"], random=random.Random(1).randbytes)
    stack.offload = True
    stack.connect(("10.0.0.2", 80), now=0.0)
    (packet,) = stack.take_output(0.0).packets
    assert packet[0] == 0x45


def test_a_segment_with_options_of_ip_is_not_cut_by_the_device() -> None:
    """Where its header has an address more than the kernel adds up, it shall not add."""
    route = bytes([131, 7, 4, 10, 0, 0, 9, 0])
    sealer = Sealer(bytes([10, 0, 0, 1]), 1, bytes([10, 0, 0, 2]), 2, ip_options=route, offload=True)
    out: list[bytes] = []
    sealer.seal(Run(0, 0, ACK, 9, Options(), [memoryview(bytes(5000))], 5000), lay_out(Options()), 1000, out)
    assert len(out) == 5
    assert [HEADER.unpack_from(packet)[1] for packet in out] == [0] * 5


@pytest.mark.parametrize("version", [4, 6])
def test_identification_counts_and_fin_stands_last(version: int) -> None:
    source, destination = (address_octets(text) for text in ENDS[version])
    sealer = Sealer(source, 1, destination, 2, offload=True)
    run = Run(2**32 - 10, 0, ACK | FIN | PSH, 9, Options(), [memoryview(bytes(2500))], 2500)
    out: list[bytes] = []
    sealer.seal(run, lay_out(Options()), 1000, out)
    packets = [bytes(packet) for packet in on_wire(out[0])]
    tcp = [(IP if version == 4 else IPv6)(packet)[TCP] for packet in packets]
    assert [one.seq for one in tcp] == [2**32 - 10, 990, 1990]
    assert [str(one.flags) for one in tcp] == ["A", "A", "FPA"]
    if version == 4:
        assert [IP(packet).id for packet in packets] == [0, 1, 2]


def test_a_sum_of_nothing_is_finished_as_all_ones() -> None:
    """As the kernel does (its CSUM_MANGLED_0): what is signed would be dropped by Linux with 0."""
    packet = bytearray(24)
    packet[0:2] = b"\xff\xff"
    assert finished(packet, 0, 16)[16:18] == b"\xff\xff"


KEYS = MktTable([Mkt("k", 1, 1, b"secret", mac="aes-128-cmac-96")])
SECURITIES = {
    "none": Security(),
    "edo": Security(edo="strict"),
    "ao": Security("ao", keys=KEYS),
    "ao-enc-dh": Security("ao-enc-dh"),
}


@pytest.mark.parametrize("protect", list(SECURITIES))
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("seed", range(3))
def test_whole_connections_are_the_same(protect: str, version: int, seed: int) -> None:
    """Octets, events, times, each packet on the wire, with loss, reordering, ECN, reads and writes at random."""
    pairs = []
    for offload in (False, True):
        chance = random.Random(seed)
        lossy = random.Random(seed)
        late = [0.0] * 60 + [0.004, 0.02]
        fates = [
            0.0 if not seed else None if lossy.random() < 0.01 * (seed % 3) else lossy.choice(late)
            for _ in range(30_000)
        ]
        # Where there are holes no more than a run takes: beyond one, what each acknowledgment tells in SACK depends
        # on where runs end.
        config = TcpConfig(ecn=("off", "offer", "accurate")[seed % 3], mtu=(1500, 600, 9000)[seed % 3])
        config = replace(config, receive_buffer=60_000 if seed else 0)
        pair = Pair(
            seed,
            offload=offload,
            version=version,
            config=replace(config, nagle=bool(seed & 1)),
            fate=fates.__getitem__,
            security=(SECURITIES[protect], SECURITIES[protect]),
        )
        sent = [bytearray(), bytearray()]
        for turn in range(300):
            pair.step()
            for side, end in enumerate((pair.client, pair.server)):
                if end is None or "Established" not in pair.told[side] or turn > 120:
                    continue
                if chance.random() < 0.3:
                    data = chance.randbytes(chance.choice([10, 3000, 100_000] if side == 0 else [10, 3000]))
                    end.write(data)
                    sent[side] += data
                if chance.random() < 0.3:
                    pair.read(side, chance.choice([1000, 50_000, -1]))
            if turn == 121:
                pair.client.write_eof()
            if turn > 121:
                pair.read(0, -1)
                pair.read(1, -1)
            if turn == 170 and pair.server is not None:
                pair.server.write_eof()
            if turn > 200 and not any(pair.stacks[0].flows):
                break
        while pair.got[0] != sent[1] or pair.got[1] != sent[0]:
            pair.step()
            pair.read(0, -1)
            pair.read(1, -1)
            assert pair.now < 300, f"seed {seed}: {len(pair.got[1])} of {len(sent[0])}"
        pairs.append(pair)
    plain, with_offload = pairs
    for index, (one, other) in enumerate(zip(plain.wire, with_offload.wire, strict=False)):
        assert one == other, f"seed {seed}: packet {index} at {one[0]}"
    assert len(plain.wire) == len(with_offload.wire)
    assert plain.told == with_offload.told
    assert plain.got == with_offload.got
    assert [stack.drops for stack in plain.stacks] == [stack.drops for stack in with_offload.stacks]
    if protect == "none":
        # Nothing is shown by what never happened.
        assert with_offload.largest > 10_000
        # What counts marks in its flags is not put together.
        assert (with_offload.together > 100) == (seed != 2)
