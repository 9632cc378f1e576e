"""The header and its options: RFC 9293 §3.1, §3.2, §3.7.1."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import TCP
from scapy.layers.inet6 import IPv6

from edo.layout import lay_out
from edo.options import Options
from stack.config import TcpConfig
from stack.run import ACK
from tests.conformance.peer import Peer
from tests.stack.core.script import Script
from tests.stack.wire import Wire, transfer


def test_windows_are_unsigned_and_of_32_bits() -> None:
    """MUST-1, REC-1."""
    s = Script(TcpConfig(initial_window=1000, mtu=9000), Options(mss=8960, wscale=14), window=0xFFF0)
    assert sum(run.length for run in s.write(bytes(70_000))) > 0x7FFF
    s.seg(1, 1, window=0xFFFF)
    assert s.c.snd_wnd == 0xFFFF << 14 == 1_073_725_440


@pytest.mark.parametrize("wrong", [0, 1, 0xFFFF])
def test_a_wrong_checksum_is_a_drop(wrong: int) -> None:
    """MUST-3."""
    peer = Peer()
    attempt = peer.opened()
    damaged = peer.segment(data=b"data")
    damaged[TCP].chksum = wrong
    assert peer.send(damaged) == []
    assert attempt.readable == 0
    assert attempt.report()["drops"] == {"bad_checksum": 1}
    peer.send(peer.segment(data=b"data"))
    assert attempt.read() == b"data"


# Kinds that nothing here knows, and known ones where they have no meaning; the last begin on odd octets.
STRANGE = {
    "unknown": bytes((200, 6, 1, 2, 3, 4, 1, 1)),
    "unknown without contents": bytes((77, 2, 1, 1)),
    "unknown with contents that would be no options": bytes((200, 6, 8, 0, 8, 99, 1, 1)),
    "MSS outside a SYN": bytes((2, 4, 5, 180)),
    "SACK-permitted outside a SYN": bytes((4, 2, 1, 1)),
    "unaligned": bytes((1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1)),
    "behind the end of the list": bytes((1, 1, 1, 0, 8, 99, 0, 0)),
}


@pytest.mark.parametrize("flags", ["A", "PA", "FA", "R"])
@pytest.mark.parametrize("name", STRANGE)
def test_options_may_stand_in_any_segment_and_unknown_ones_are_passed_over(name: str, flags: str) -> None:
    """MUST-5, MUST-6."""
    peer = Peer()
    attempt = peer.opened()
    peer.send(peer.segment(flags, b"data" if "A" in flags else b"", options=STRANGE[name]))
    if flags == "R":
        assert attempt.error is not None
    else:
        assert attempt.read() == b"data"
        assert attempt.eof == ("F" in flags)
    assert attempt.report()["drops"] == {}


def test_an_option_counts_in_whatever_segment_it_stands() -> None:
    """MUST-5: timestamps are read, and echoed, in each."""
    peer = Peer()
    peer.opened([("MSS", 1460), ("Timestamp", (1000, 0))])
    for value in (1600, 1700):
        peer.send(peer.segment("PA", b"data", options=[("Timestamp", (value, 1))]))
        peer.seq += 4
        (ack,) = peer.wait(0.1)
        assert dict(ack[TCP].options)["Timestamp"][1] == value


@pytest.mark.parametrize("before", range(4))
def test_options_need_no_alignment(before: int) -> None:
    """MUST-64."""
    peer = Peer()
    options = bytes((1,)) * before + bytes((2, 4, 2, 88, 3, 3, 7)) + bytes((4, 2)) + bytes((8, 10)) + bytes(8)
    attempt = peer.opened(options + bytes(-len(options) % 4))
    connection = attempt.flow.connection
    assert (connection.peer_mss, connection.snd_wscale, connection.sack_ok) == (600, 7, True)
    assert connection.timestamps


def test_the_mss_option_stands_in_syns_only() -> None:
    """MUST-14, MUST-65, SHLD-5, MAY-3."""
    for version, size in ((4, 1460), (6, 1440)):
        wire = Wire()
        attempt, listener = wire.open(version=version)
        transfer(wire, attempt, listener, bytes(50_000), bytes(9000))
        values = []
        for _, _, packet in wire.sent:
            tcp = (TCP(packet[20:])) if version == 4 else IPv6(packet)[TCP]
            mss = [value for name, value in tcp.options if name == "MSS"]
            assert len(mss) == bool(tcp.flags.S)
            values += mss
        assert values == [size, size]
    peer = Peer()
    attempt = peer.opened()
    attempt.write(b"data")
    (plain,) = peer.take()
    assert plain[TCP].options == [], "nor where no option at all is needed"


def test_the_mss_that_is_sent_is_what_the_link_carries() -> None:
    """MUST-67: MMS_R - 20, and the least that a link of this MTU has."""
    for mtu, header in ((1500, 20), (1500, 40), (576, 20), (1280, 40), (9000, 20)):
        s = Script(TcpConfig(mtu=mtu, ip_header=header), establish=False)
        s.c.connect(s.now)
        (syn,) = s.take()
        assert syn.options.mss == mtu - header - 20


def options_of(syn: bool) -> st.SearchStrategy[Options]:
    number = st.integers(0, 0xFFFFFFFF)
    none = st.none()
    return st.builds(
        Options,
        mss=st.integers(0, 65535) | none if syn else none,
        wscale=st.integers(0, 14) | none if syn else none,
        sack_permitted=st.booleans() if syn else st.just(False),
        ts_val=number | none,
        ts_ecr=number,
        sack=st.just(()) if syn else st.lists(st.tuples(number, number), max_size=4).map(tuple),
    )


@given(st.booleans().flatmap(lambda syn: st.tuples(st.just(syn), options_of(syn))))
def test_every_sent_option_has_its_length_and_nothing_follows_an_end_of_list(case: tuple[bool, Options]) -> None:
    """MUST-4, MUST-68, MUST-69: the header is filled by NOPs, or by zeros behind an EOL."""
    syn, options = case
    plan = lay_out(options, syn=syn)
    octets = bytes(plan.octets)
    assert len(octets) % 4 == 0
    at = 0
    while at < len(octets):
        if octets[at] == 0:
            assert not any(octets[at:])
            break
        if octets[at] == 1:
            at += 1
            continue
        assert octets[at + 1] >= 2
        at += octets[at + 1]
    assert at <= len(octets)


def test_the_effective_mss_is_the_least_of_peer_and_path_less_the_options() -> None:
    """MUST-15, MUST-16."""
    assert Script(offer=Options(mss=700)).c.segment_size == 700
    assert Script(TcpConfig(mtu=700)).c.segment_size == 660
    assert Script(TcpConfig(mss=600), offer=Options(mss=700)).c.segment_size == 600
    assert Script(TcpConfig(mss=1200), offer=Options(mss=700)).c.segment_size == 700
    assert Script(offer=Options()).c.segment_size == 536
    assert Script(TcpConfig(ip_header=40), offer=Options()).c.segment_size == 1220
    s = Script(offer=Options(mss=700, ts_val=1))
    assert s.c.segment_size == 688
    (run,) = s.write(bytes(5000))
    assert run.segment_size == 688
    assert run.flags & ACK
