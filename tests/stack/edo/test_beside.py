"""EDO beside other options: sizes, MSS, SACK, TCP-AO, TCP-MD5, Fast Open, urgent data (section 6)."""

from __future__ import annotations

import hmac
import random
import struct

import pytest

from ao.keys import KeyRing, configured_key
from ao.md5 import Md5Key, Md5Table
from ao.mkt import Mkt, MktTable
from ao.traffic_keys import SocketPair
from edo.codepoints import Dialect, EdoKind
from edo.layout import NoRoom, fit_syn
from edo.negotiation import Edo, EdoPolicy, EdoState
from edo.options import Options
from stack.batch import Batch
from stack.config import FastOpen, TcpConfig
from stack.protection import KeyedProtection, Protection
from stack.security import Security
from stack.simulator.resegment import rebuilt
from stack.space import sack_room
from tests.stack.edo.path import STRICT, SYN, Header, Path, header, headers
from tests.stack.wire import Wire, transfer

UP, DOWN = bytes(range(256)) * 120, bytes(range(255)) * 100
SECRET = b"secret of both"


def keys(**fields: object) -> tuple[Security, Security]:
    tables = [MktTable([Mkt("key", *ids, SECRET, **fields)]) for ids in ((1, 2), (2, 1))]  # type: ignore[arg-type]
    return Security("ao", keys=tables[0], edo="strict"), Security("ao", keys=tables[1], edo="strict")


def lossy(wire: Wire, every: int) -> None:
    """Lose each so many-th packet, beyond the handshake."""
    count = 0

    def tap(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal count
        count += 1
        return [] if count > 10 and count % every == 0 else [(0.0, packet)]

    wire.tap = tap


# --- sizes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ao_octets", "kind", "dropped"),
    [
        (0, EdoKind.EXID, ""),
        (0, EdoKind.NATIVE_237, ""),
        (16, EdoKind.EXID, ""),  # 16 + 19 + 4 = 39
        (16, EdoKind.NATIVE_79_80, ""),
        (20, EdoKind.EXID, "timestamps"),  # 20 + 19 + 4 = 43: TCP-AO with a MAC of 128 bits
        (20, EdoKind.NATIVE_237, "timestamps"),  # 20 + 19 + 2 = 41
        (28, EdoKind.EXID, "timestamps sack"),
        (30, EdoKind.EXID, "timestamps sack wscale"),
        (32, EdoKind.EXID, "timestamps sack wscale"),
    ],
)
def test_syn_sizes(ao_octets: int, kind: EdoKind, dropped: str) -> None:
    """EDO, section 6, SYN sizes, and profile §1: SACK-permitted 2, TS 10, WS 3, MSS 4, EDO Supported 4 or 2."""
    asked = Options(mss=1460, wscale=8, sack_permitted=True, ts_val=1, edo_supported=True)
    sent = fit_syn(asked, ao_octets=ao_octets, dialect=Dialect(kind))
    assert sent.mss == 1460
    assert sent.edo_supported
    assert (sent.ts_val is None, not sent.sack_permitted, sent.wscale is None) == (
        "timestamps" in dropped,
        "sack" in dropped,
        "wscale" in dropped,
    )


def test_what_never_yields_does_not() -> None:
    with pytest.raises(NoRoom):
        fit_syn(Options(mss=1460, edo_supported=True), ao_octets=33)


def test_the_announced_mss_counts_no_options_and_no_segment_is_too_long() -> None:
    """EDO, section 6, MSS (RFC 9293 §3.7.1): the sender subtracts all options, extended ones included.

    Octets go both ways over a path that loses some, so that segments with octets carry SACK blocks, too.
    """
    wire = Wire(seed=3, config=TcpConfig(mtu=1000, mtu_probing="off", sack_blocks=31))
    lossy(wire, 4)
    ends = transfer(wire, *wire.open(STRICT), UP * 3, DOWN * 3)
    assert (bytes(ends[1].received), bytes(ends[0].received)) == (UP * 3, DOWN * 3)
    sent = headers(wire)
    assert {int.from_bytes(one.tcp[22:24]) for one in sent if one.flags & SYN} == {960}
    assert max(len(packet) for _, _, packet in wire.sent) <= 1000
    both = [one for one in sent if one.payload and (5, -1) in one.behind]
    assert both
    assert all(len(one.payload) > 0 for one in both)


def test_timestamps_stand_inside_and_sack_behind() -> None:
    """EDO, section 6, SACK and timestamps; profile §1: even where blocks would fit inside."""
    wire = Wire(seed=3)
    lossy(wire, 4)
    transfer(wire, *wire.open(STRICT), UP * 3, DOWN)
    sent = [one for one in headers(wire) if not one.flags & SYN]
    assert all((8, -1) in one.kinds for one in sent)
    blocks = [one for one in sent if (5, -1) in one.behind]
    assert blocks
    assert not any((5, -1) in one.kinds for one in sent)
    assert max((one.header_length or 0) - one.data_offset for one in blocks) > 2 + 4 * 8


def test_blocks_leave_room_to_octets() -> None:
    """EDO, section 6, MSS: at least 128 octets of a segment are left to data, where it has so many."""
    edo = Edo(EdoPolicy.STRICT, active=True)
    edo.offer()
    edo.take_syn_ack(True)
    mkt = Mkt("", 1, 1, b"key", mac="hmac-sha-1-96")
    signed = KeyedProtection(KeyRing(configured_key(mkt, SocketPair(bytes(4), 1, bytes(4), 2), 1, 2)), edo.dialect)
    for segment_size, room in ((1400, 159), (400, 34), (340, 26), (160, 4), (20, 4)):
        assert sack_room(edo, Protection(), segment_size) == 4
        assert sack_room(edo, signed, segment_size) == room
    edo.accepted(True)
    assert sack_room(edo, Protection(), 340) == 26
    edo.turn_off()
    assert sack_room(edo, Protection(), 1400) == 4


@pytest.mark.parametrize(("blocks", "edo", "most"), [(16, "strict", 16), (31, "strict", 31), (16, "off", 3)])
def test_how_many_blocks_a_hole_ridden_stream_is_told_in(blocks: int, edo: str, most: int) -> None:
    """EDO, section 6, SACK: as many as the extended space pays for, 16 unless asked otherwise (RFC 2018 §3)."""
    source = random.Random(5)
    wire = Wire(seed=5, config=TcpConfig(sack_blocks=blocks, initial_window=200, receive_buffer=1 << 22))
    security = Security(edo=edo)
    attempt, listener = wire.open(security)
    wire.run(1.0)
    assert listener.accept() is not None
    attempt.write(b"!")
    wire.run(1.0)
    wire.tap = lambda packet, _c, _n: [] if len(packet) > 900 and source.random() < 0.5 else [(0.0, packet)]
    attempt.write(bytes(200_000))
    wire.run(0.05)
    counts = [_blocks(one) for one in headers(wire, from_client=False)]
    assert max(counts) == most
    wire.run(60.0)
    assert attempt.unsent == 0


def _blocks(one: Header) -> int:
    """How many SACK blocks a segment has, wherever they stand."""
    options = one.tcp[20 : one.header_length or one.data_offset]
    at = 0
    while at < len(options) and options[at]:
        if options[at] == 5:
            return (options[at + 1] - 2) // 8
        at += 1 if options[at] == 1 else options[at + 1]
    return 0


# --- TCP-AO ------------------------------------------------------------------------------------------------


def holed(security: tuple[Security, Security]) -> tuple[Wire, bytes, object]:
    """A connection under a key, and a segment of the server's with SACK behind Data Offset that never arrived."""
    wire = Wire(seed=3)
    attempt, listener = wire.open(*security)
    wire.run(1.0)
    accepted = listener.accept()
    assert accepted is not None
    kept: list[bytes] = []
    lost = 0

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal lost
        if from_client and len(packet) > 1000 and not lost:
            lost += 1
            return []
        if not from_client and header(packet).behind and not kept:
            kept.append(packet)
            return []
        return [(0.0, packet)]

    wire.tap = tap
    attempt.write(UP)
    wire.run(0.05)
    (packet,) = kept
    return wire, packet, attempt


@pytest.mark.parametrize("cover", [True, False], ids=["covered", "excluded"])
def test_the_extended_area_is_in_the_mac(cover: bool) -> None:
    """EDO, section 6, TCP-AO: covered with the options, and where these are excluded, as data (profile §1)."""
    wire, packet, attempt = holed(keys(mac="hmac-sha-1-96", cover_options=cover))
    found = header(packet)
    at = 20 + found.data_offset + 4
    flipped = bytearray(packet)
    flipped[at] ^= 1
    wire.client.receive(Batch([rebuilt(bytes(flipped), 20, b"")]), wire.now)
    drops = attempt.flow.drops  # type: ignore[attr-defined]
    assert drops["ao_bad_mac"] == 1
    # The border cannot be moved: neither by Header_Length nor by Data Offset.
    length = _extension_at(packet) + 5
    for at, value in ((length, found.data_offset // 4), (length, packet[length] - 1), (32, packet[32] + 0x10)):
        moved = bytearray(packet)
        moved[at] = value
        wire.client.receive(Batch([rebuilt(bytes(moved[:]), 20, b"")]), wire.now)
    assert drops["ao_bad_mac"] + drops["malformed_option"] == 4
    assert drops["ao_bad_mac"] >= 3
    before = sum(drops.values())
    wire.client.receive(Batch([packet]), wire.now)
    assert sum(drops.values()) == before


def _extension_at(packet: bytes) -> int:
    return packet.index(bytes.fromhex("fe060ed0"), 40)


def test_other_options_are_outside_the_mac_where_options_are_excluded() -> None:
    """Profile §1: of the options inside Data Offset only TCP-AO and the Extension stay in."""
    wire, packet, attempt = holed(keys(mac="hmac-sha-1-96", cover_options=False))
    changed = bytearray(packet)
    at = packet.index(b"\x08\x0a", 40) + 9
    changed[at] ^= 1
    wire.client.receive(Batch([rebuilt(bytes(changed), 20, b"")]), wire.now)
    assert not attempt.flow.drops["ao_bad_mac"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("cover", [True, False], ids=["covered", "excluded"])
def test_the_mac_is_what_the_profile_says(cover: bool) -> None:
    """Profile §1 and RFC 5925 §5.1, computed here by hmac alone, of every segment that a connection sent."""
    wire = Wire(seed=3)
    lossy(wire, 4)
    transfer(wire, *wire.open(*keys(mac="hmac-sha-1-96", cover_options=cover)), UP, DOWN)
    isns = {from_client: packet[24:28] for _, from_client, packet in wire.sent if packet[33] & SYN}
    checked = 0
    for _, from_client, packet in wire.sent:
        if packet[33] & SYN:
            continue
        tcp = packet[20:]
        ends = packet[12:20] + tcp[:4]
        context = ends + isns[from_client] + isns[not from_client]
        traffic_key = hmac.digest(SECRET, b"\x01TCP-AO" + context + struct.pack("!H", 160), "sha1")
        data_offset = tcp[12] >> 4 << 2
        options = b""
        at = 20
        while at < data_offset:
            length = 1 if tcp[at] == 1 else tcp[at + 1]
            option = tcp[at : at + length]
            if option[0] == 29:
                mac, option = option[4:], option[:4] + bytes(12)
                options += option
            elif cover or option[:1] == b"\xfe":
                options += option
            at += length
        pseudo = packet[12:20] + b"\0\x06" + struct.pack("!H", len(tcp))
        message = bytes(4) + pseudo + tcp[:16] + bytes(2) + tcp[18:20] + options + tcp[data_offset:]
        assert hmac.digest(traffic_key, message, "sha1")[:12] == mac
        checked += bool(header(packet).behind)
    assert checked


# --- others ------------------------------------------------------------------------------------------------


def test_tcp_md5_and_edo_exclude_each_other() -> None:
    """EDO, section 6, TCP-MD5: its digest covers no option, so EDO is off there, whatever the stack has."""
    signed = Security("md5", md5_keys=Md5Table([Md5Key("key", b"secret")]))
    wire = Wire()
    for stack in (wire.client, wire.server):
        stack.edo.policy = type(stack.edo.policy)("strict")
    ends = transfer(wire, *wire.open(signed), UP, DOWN)
    assert bytes(ends[1].received) == UP
    assert all((254, 0x0ED0) not in one.kinds for one in headers(wire))


def test_fast_open_and_edo_stand_in_one_syn() -> None:
    """EDO, section 6, TFO: text and cookie of a SYN are unaffected, and the SYN itself cannot be extended."""
    wire = Wire(config=TcpConfig(fast_open=FastOpen(pending=10), timestamps=False))
    listener = wire.server.listen(80, security=STRICT)
    for text in (b"", b"text of the SYN"):
        wire.sent.clear()
        attempt = wire.client.connect(("10.0.0.2", 80), security=STRICT, now=wire.now, fast_open=text)
        wire.run(1.0)
        accepted = listener.accept()
        assert accepted is not None
        syn = headers(wire, from_client=True)[0]
        assert {(34, -1), (254, 0x0ED0)} <= set(syn.kinds)
        assert syn.payload == text
        assert accepted.read() == text
        accepted.write(b"down")
        wire.run(1.0)
        assert attempt.read() == b"down"
        assert {attempt.flow.edo.state, accepted.flow.edo.state} == {EdoState.CONFIRMED}


def test_the_urgent_pointer_counts_from_the_number_not_from_the_header() -> None:
    """EDO, section 6, URG: octets behind Data Offset take no numbers, so it is unaffected (RFC 9293 §3.8.5)."""
    wire = Wire(seed=3)
    attempt, listener = wire.open(STRICT)
    wire.run(1.0)
    accepted = listener.accept()
    assert accepted is not None
    lost = 0

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal lost
        if not from_client and len(packet) > 1000 and not lost:
            lost += 1
            return []
        return [(0.0, packet)]

    # The client has a hole to tell of, so that its urgent segment has SACK behind Data Offset.
    attempt.write(b"!")
    wire.run(1.0)
    wire.tap = tap
    accepted.write(DOWN)
    wire.run(0.015)
    attempt.write(b"urgent", urgent=True)
    wire.run(1.0)
    urgent = [one for one in headers(wire, from_client=True) if one.flags & 0x20]
    assert any(one.behind and int.from_bytes(one.tcp[18:20]) == len(b"urgent") for one in urgent)
    assert accepted.urgent == len(b"!urgent")
    assert accepted.read() == b"!urgent"


def test_syn_eos_enables_edo() -> None:
    """EDO, section 6, SYN-EOS: its success is EDO's, and the SYN-ACK that confirms it is extended."""
    path = Path()
    attempt, listener = path.open(Security("ao-enc-dh", placements=("syn",)))
    path.run(1.0)
    accepted = listener.accept()
    assert accepted is not None
    assert {attempt.flow.edo.state, accepted.flow.edo.state} == {EdoState.CONFIRMED}
    (syn_ack,) = [one for one in headers(path, from_client=False) if one.flags & SYN]
    assert (254, 0x0ED0) in syn_ack.kinds
    assert syn_ack.behind
