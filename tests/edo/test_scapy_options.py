"""Two readers and two writers of TCP headers: scapy's and ours, held equal on headers of chance."""

from __future__ import annotations

import random
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, TCPAOValue
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from edo.area import MOST_INSIDE
from edo.fast import find_ao, find_md5, read_options
from edo.layout import HEADER, NoRoom, fit_syn, lay_out
from edo.options import Options
from edo.walk import walk
from stack import ip
from stack.checksum import checksum, pseudo_header_sum
from stack.segment import Segment
from tests.tools.decode.support import demo

# Octets of a signature in what scapy reads of the cookie: two words.
_COOKIE = 8

Values = dict[str, Any]


def scapy_option(chance: random.Random, name: str) -> tuple[Any, Any]:
    """One option as scapy takes it."""
    word = chance.randbytes
    return {
        "MSS": lambda: ("MSS", chance.randrange(1 << 16)),
        "WScale": lambda: ("WScale", chance.randrange(256)),
        "SAckOK": lambda: ("SAckOK", b""),
        "SAck": lambda: ("SAck", tuple(chance.randrange(1 << 32) for _ in range(2 * chance.randrange(1, 4)))),
        "Timestamp": lambda: ("Timestamp", (chance.randrange(1 << 32), chance.randrange(1 << 32))),
        "UTO": lambda: ("UTO", chance.randrange(1 << 16)),
        "TFO": lambda: ("TFO", (chance.randrange(1 << 32), chance.randrange(1 << 32))),
        "MD5": lambda: ("MD5", word(16)),
        "AO": lambda: ("AO", TCPAOValue(bytes((chance.randrange(256), chance.randrange(256))) + word(12))),
        "NOP": lambda: ("NOP", None),
        "unknown": lambda: (chance.choice((31, 77, 200, 252)), word(chance.randrange(0, 9))),
    }[name]()


NAMES = ("MSS", "WScale", "SAckOK", "SAck", "Timestamp", "UTO", "TFO", "MD5", "AO", "NOP", "unknown")


def scapy_values(options: list[tuple[Any, Any]]) -> Values:
    """The values of scapy's list; of what stands twice the last, of TCP-AO and TCP-MD5 where one of them stands."""
    found: Values = {}
    for name, value in options:
        if name in ("MSS", "WScale", "UTO"):
            found[name] = value
        elif name == "SAckOK":
            found[name] = True
        elif name == "SAck":
            found[name] = tuple(zip(value[::2], value[1::2], strict=True))
        elif name == "Timestamp":
            found[name] = tuple(value)
        elif name == "TFO":
            found[name] = b"".join(one.to_bytes(4) for one in value)
        elif name == "MD5":
            found.setdefault(name, []).append(bytes(value if isinstance(value, bytes) else value[0]))
        elif name == "AO":
            found.setdefault(name, []).append((value.keyid, value.rnextkeyid, bytes(value.mac)))
    return found


def our_values(tcp: memoryview, data_offset: int) -> Values:
    spans = walk(tcp, HEADER, data_offset)
    assert spans is not None
    options = read_options(tcp, spans)
    found: Values = {
        "MSS": options.mss,
        "WScale": options.wscale,
        "SAckOK": options.sack_permitted or None,
        "SAck": options.sack or None,
        "Timestamp": None if options.ts_val is None else (options.ts_val, options.ts_ecr),
        "UTO": options.user_timeout,
        "TFO": options.fast_open or None,
    }
    digests = [(offset, length) for kind, _, offset, length in spans if kind == 19]
    found["MD5"] = [bytes(tcp[offset + 2 : offset + length]) for offset, length in digests] or None
    assert find_md5(spans)[0] == _only(digests)
    macs = [(offset, length) for kind, _, offset, length in spans if kind == 29]
    found["AO"] = [
        (tcp[offset + 2], tcp[offset + 3], bytes(tcp[offset + 4 : offset + length])) for offset, length in macs
    ] or None
    assert find_ao(spans)[0] == _only(macs)
    return {name: value for name, value in found.items() if value is not None}


def _only(places: list[tuple[int, int]]) -> int:
    """Where the one option of a kind stands; -1 for none, -2 for more than one."""
    return places[0][0] if len(places) == 1 else -2 if places else -1


@pytest.mark.parametrize("seed", range(4))
def test_headers_of_scapy_are_read_alike(seed: int) -> None:
    """All standard options in random combinations and order, of whole packets of IPv4 and IPv6."""
    chance = random.Random(seed)
    for number in range(150):
        options: list[tuple[Any, Any]] = []
        for name in chance.choices(NAMES, k=chance.randrange(0, 9)):
            longer = [*options, scapy_option(chance, name)]
            if len(bytes(TCP(options=longer))) <= HEADER + MOST_INSIDE:
                options = longer
        fields = {
            "sport": chance.randrange(1 << 16),
            "dport": chance.randrange(1 << 16),
            "seq": chance.randrange(1 << 32),
            "ack": chance.randrange(1 << 32),
            "window": chance.randrange(1 << 16),
            "urgptr": chance.randrange(1 << 16),
            "flags": chance.randrange(256),
        }
        payload = chance.randbytes(chance.choice((0, 1, 100)))
        head = IPv6(src="fd00::1", dst="fd00::2") if number % 2 else IP(src="10.0.0.1", dst="10.0.0.2")
        built = bytes(head / TCP(options=options, **fields) / Raw(payload))
        where = f"seed {seed}, header {number}: {options}"
        parsed = ip.parse(built)
        assert isinstance(parsed, ip.Ip), where
        tcp = parsed.payload(built)
        segment = Segment(parsed.source, parsed.destination, parsed.ttl, parsed.ecn, parsed.total_octets, tcp)
        assert segment.sound, where
        assert (segment.source_port, segment.destination_port) == (fields["sport"], fields["dport"]), where
        assert (segment.seq, segment.ack) == (fields["seq"], fields["ack"]), where
        assert (segment.window, segment.urgent) == (fields["window"], fields["urgptr"]), where
        assert segment.flags & 0xFF == fields["flags"], where
        assert bytes(tcp[segment.data_offset :]) == payload, where
        assert our_values(tcp, segment.data_offset) == scapy_values(options), where
        assert checksum(tcp, initial=pseudo_header_sum(parsed.source, parsed.destination, len(tcp))) == 0, where


def random_options(chance: random.Random, syn: bool) -> Options:
    def maybe(value: Any) -> Any:
        return value if chance.random() < 0.5 else None

    word = chance.randrange
    return Options(
        mss=maybe(word(1 << 16)) if syn else None,
        wscale=maybe(word(15)) if syn else None,
        sack_permitted=syn and chance.random() < 0.5,
        ts_val=maybe(word(1 << 32)),
        ts_ecr=word(1 << 32),
        sack=() if syn else tuple((word(1 << 32), word(1 << 32)) for _ in range(word(4))),
        user_timeout=maybe(word(1 << 16)),
        fast_open=maybe(chance.randbytes(_COOKIE)) if syn else None,
    )


@pytest.mark.parametrize("seed", range(4))
def test_headers_of_ours_are_read_alike(seed: int) -> None:
    """What ``lay_out`` writes of random options, with TCP-AO, TCP-MD5 or neither."""
    chance = random.Random(1000 + seed)
    for number in range(150):
        syn = chance.random() < 0.5
        options = random_options(chance, syn)
        ao_octets, md5 = chance.choice(((0, False), (16, False), (20, False), (0, True)))
        if syn:
            options = fit_syn(options, ao_octets=18 if md5 else ao_octets)
        try:
            plan = lay_out(options, ao_octets=ao_octets, key_ids=(chance.randrange(256), 7), syn=syn, md5=md5)
        except NoRoom:
            continue
        header = bytes(12) + bytes((plan.data_offset // 4 << 4, 2 if syn else 16)) + bytes(6) + plan.octets
        read = TCP(header)
        where = f"seed {1000 + seed}, header {number}: {read.options}"
        assert read.dataofs * 4 == plan.data_offset == len(header), where
        assert scapy_values(read.options) == our_values(memoryview(header), plan.data_offset), where


@pytest.mark.parametrize("protect", ["none", "ao-enc-dh"])
def test_packets_of_whole_connections_are_read_alike(protect: str) -> None:
    """Every packet of a download between two stacks, with the checksums that scapy would write."""
    for number, packet in enumerate(demo(protect)):
        read = IP(packet)
        tcp = memoryview(packet)[20:]
        assert read[TCP].chksum == _right_checksum(read), number
        data_offset = read[TCP].dataofs * 4
        assert scapy_values(read[TCP].options) == our_values(tcp, data_offset), number
        known = {"EOL", "NOP", "MSS", "WScale", "SAckOK", "SAck", "Timestamp", "AO", "UTO", "TFO", "MD5"}
        others = [(name, 2 + len(value)) for name, value in read[TCP].options if name not in known]
        spans = walk(tcp, HEADER, data_offset)
        assert spans is not None
        assert others == [(kind, length) for kind, _, _, length in spans if kind in (69, 253, 254)], number


def _right_checksum(packet: Any) -> int:
    again = packet.copy()
    del again[TCP].chksum
    return int(IP(bytes(again))[TCP].chksum)
