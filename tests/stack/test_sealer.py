"""Cutting, encryption, MAC and checksum of runs, judged by an independent packet maker."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6

from edo.layout import lay_out
from edo.options import Options
from edo.plan import Form
from stack.checksum import checksum, pseudo_header_sum
from stack.ip import address_octets
from stack.run import ACK, FIN, PSH, Run
from stack.sealer import Sealer

ENDS = {4: ("10.0.0.1", "10.0.0.2"), 6: ("fd00::1", "fd00::2")}


class Adds:
    """A keystream that shows the position: each octet plus its position, mod 256."""

    def apply(self, position: int, data: bytes | bytearray | memoryview, /) -> bytes:
        return bytes((octet + position + index) & 0xFF for index, octet in enumerate(data))


def sealed(version: int, payload: bytes, room: int, seq: int, pieces: int = 1, **more: object) -> list[bytes]:
    source, destination = (address_octets(text) for text in ENDS[version])
    view = memoryview(payload)
    cut = max(1, len(payload) // pieces)
    chunks = [view[at : at + cut] for at in range(0, len(payload), cut)]
    run = Run(seq, 77, ACK | PSH | FIN, 1000, Options(ts_val=5, ts_ecr=6), chunks, len(payload))
    plan = lay_out(run.options, extension=Form.LONG if more.pop("edo", False) else None)
    out: list[bytes] = []
    Sealer(source, 1234, destination, 80).seal(run, plan, room, out, **more)  # type: ignore[arg-type]
    return out


@pytest.mark.parametrize("version", [4, 6])
@given(
    size=st.integers(0, 5000),
    room=st.integers(1, 1460),
    seq=st.integers(0, 2**34),
    pieces=st.integers(1, 4),
    edo=st.booleans(),
)
def test_segments_join_to_the_run_and_their_checksums_are_right(
    version: int, size: int, room: int, seq: int, pieces: int, edo: bool
) -> None:
    payload = random.Random(size).randbytes(size)
    room = max(room, size // 50)
    packets = sealed(version, payload, room, seq, pieces, edo=edo)
    joined = b""
    for index, packet in enumerate(packets):
        scapy = IP(packet) if version == 4 else IPv6(packet)
        tcp = scapy[TCP]
        header = 20 + (20 if edo else 12)
        data = packet[(20 if version == 4 else 40) + header :]
        assert tcp.seq == (seq + len(joined)) & 0xFFFFFFFF
        assert len(data) <= room
        joined += data
        # The last segment alone ends the run.
        assert bool(tcp.flags & (PSH | FIN)) == (index == len(packets) - 1)
        checksum = tcp.chksum
        del tcp.chksum
        again = (IP if version == 4 else IPv6)(bytes(scapy))
        assert again[TCP].chksum == checksum
        if edo:
            # The long form says the TCP length of each segment (draft-ietf-tcpm-tcp-edo §4).
            assert packet.index(b"\xfe\x08\x0e\xd0") > 0
            at = packet.index(b"\xfe\x08\x0e\xd0")
            assert int.from_bytes(packet[at + 6 : at + 8]) == len(packet) - (20 if version == 4 else 40)
    assert joined == payload
    assert len(packets) == max(1, -(-size // room))


@given(size=st.integers(1, 4000), room=st.integers(40, 1460), other=st.integers(40, 1460))
def test_how_a_run_is_cut_changes_no_octet_of_the_ciphertext(size: int, room: int, other: int) -> None:
    payload = bytes(size)
    one, two = (b"".join(p[52:] for p in sealed(4, payload, r, 2**32 - 100, encrypt=Adds())) for r in (room, other))
    assert one == two == Adds().apply(2**32 - 100, payload)


def test_a_sum_of_nothing_is_written_as_zero() -> None:
    """The checksum field is the complement of the sum: 0xFFFF never occurs (RFC 1071 §2)."""
    source, destination = (address_octets(text) for text in ENDS[4])
    fields = set()
    plan = lay_out(Options())
    for window in range(0x10000):
        out: list[bytes] = []
        Sealer(source, 1, destination, 2).seal(Run(0, 0, ACK, window, Options()), plan, 1, out)
        fields.add(int.from_bytes(out[0][36:38]))
    assert fields == set(range(0xFFFF))


@pytest.mark.parametrize("version", [4, 6])
def test_a_sum_of_nothing_is_written_as_all_ones_where_it_is_signed(version: int) -> None:
    """Linux drops a segment with TCP-AO and a checksum of 0; receivers that add up take either (RFC 1071 §1)."""

    class Signs:
        def tag(self, *_: object) -> bytes:
            return b"twelve octet"

    source, destination = (address_octets(text) for text in ENDS[version])
    fields = set()
    plan = lay_out(Options(), ao_octets=16)
    for window in range(0x10000):
        out: list[bytes] = []
        Sealer(source, 1, destination, 2).seal(Run(0, 0, ACK, window, Options()), plan, 1, out, Signs())
        tcp = out[0][20 * (1 + (version == 6)) :]
        fields.add(int.from_bytes(tcp[16:18]))
        if tcp[16:18] == b"\xff\xff":
            assert checksum(tcp, initial=pseudo_header_sum(source, destination, len(tcp))) == 0
    assert fields == set(range(1, 0x10000))
