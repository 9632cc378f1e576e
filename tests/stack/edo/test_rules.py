"""EDO on whole connections: rules that a packet script cannot show, and that they hold in every numbering.

The rules are those of draft-ietf-tcpm-tcp-edo as docs/edo.md numbers them.
"""

from __future__ import annotations

import pytest

from edo.codepoints import Dialect, EdoKind, FormChoice, Units
from edo.negotiation import EdoState
from edo.options import Options
from edo.plan import Plan
from stack.batch import Batch
from stack.checksum import checksum
from stack.config import TcpConfig
from stack.host import Stack
from stack.run import ACK, Run
from stack.sealer import Sealer
from stack.security import Security
from tests.stack.edo.path import LENIENT, RST, STRICT, SYN, Header, header, headers
from tests.stack.wire import CLIENT, SERVER, Wire, transfer

UP, DOWN = bytes(range(256)) * 120, bytes(range(255)) * 100
DIALECTS = [Dialect(kind, units, form) for kind in EdoKind for units in Units for form in FormChoice]


@pytest.mark.parametrize("policy", ["strict", "lenient"])
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: f"{d.kind.value}-{d.units.value}-{d.form.value}")
def test_n4_every_segment_of_a_whole_life_has_an_extension(dialect: Dialect, policy: str) -> None:
    """EDO N4: text, acknowledgments, FINs, retransmissions, TIME-WAIT; in each kind, unit and form.

    Every fifth packet is lost, so that SACK stands behind Data Offset too.
    """
    wire = Wire(seed=7)
    count = 0

    def lossy(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal count
        count += 1
        return [] if count > 8 and count % 5 == 0 else [(0.0, packet)]

    wire.tap = lossy
    security = Security(edo=policy, dialect=dialect)
    ends = transfer(wire, *wire.open(security), UP, DOWN)
    assert (bytes(ends[1].received), bytes(ends[0].received)) == (UP, DOWN)
    sent = headers(wire, dialect=dialect)
    long = dialect.form is not FormChoice.SHORT
    for one in sent:
        assert (one.header_length is None) is bool(one.flags & SYN)
        if one.header_length is not None:
            assert one.data_offset <= one.header_length <= len(one.tcp)
            assert one.segment_length == (len(one.tcp) if long else None)
    # SACK stands behind Data Offset, and nowhere else.
    assert all((5, -1) not in one.kinds for one in sent)
    assert any((5, -1) in one.behind for one in sent)
    assert not (wire.client.drops + wire.server.drops)["malformed_option"]


@pytest.mark.parametrize("dialect", DIALECTS[::3], ids=lambda d: f"{d.kind.value}-{d.units.value}")
def test_n6_the_switch_of_a_stack_holds_where_a_connection_names_none(dialect: Dialect) -> None:
    """EDO N6: off by default; a system may have it on, and any connection decides for itself."""
    wire = Wire()
    wire.client.edo = Stack(CLIENT, random=bytes, edo="strict", dialect=dialect).edo
    wire.server.edo = Stack(SERVER, random=bytes, edo="lenient", dialect=dialect).edo
    ends = transfer(wire, *wire.open(), UP, DOWN)
    assert [end.attempt.flow.edo.state for end in ends] == [EdoState.CONFIRMED] * 2
    for mine, theirs in ((Security(edo="off"), None), (None, Security(edo="off"))):
        wire.server._listeners.clear()
        ends = transfer(wire, *wire.open(mine, theirs or Security()), b"up", b"down")
        assert [end.attempt.flow.edo.state for end in ends] == [EdoState.OFF] * 2
    for one in (Stack(CLIENT, random=bytes), Wire().client):
        assert one.edo.policy.value == "off"
    with pytest.raises(ValueError, match=r"^edo: 'on' is not one of off, strict, lenient$"):
        Stack(CLIENT, random=bytes, edo="on")


def test_two_connections_of_one_stack_may_speak_two_dialects() -> None:
    wire = Wire()
    for port, dialect in ((80, Dialect(EdoKind.NATIVE_79_80)), (81, Dialect(EdoKind.NATIVE_237, Units.OCTETS))):
        security = Security(edo="strict", dialect=dialect)
        ends = transfer(wire, *wire.open(security, port=port), b"up" * 1000, b"down" * 1000)
        assert [end.attempt.flow.edo.state for end in ends] == [EdoState.CONFIRMED] * 2
    # Who speaks another dialect offers nothing that is understood.
    ends = transfer(wire, *wire.open(STRICT, security, port=82), b"up", b"down")
    assert [end.attempt.flow.edo.state for end in ends] == [EdoState.OFF] * 2


class Forger:
    """A client that stands beside the one of a connection with EDO, and sends what it likes in its name."""

    def __init__(self, security: Security = STRICT) -> None:
        self.wire = Wire(config=TcpConfig(timestamps=False))
        self.client, listener = self.wire.open(security)
        self.wire.run(1.0)
        accepted = listener.accept()
        assert accepted is not None
        self.server = accepted
        self.client.write(b"!")
        self.wire.run(1.0)
        assert accepted.read() == b"!"

    def segment(self, options: bytes, behind: bytes = b"", payload: bytes = b"text") -> bytes:
        """A segment at RCV.NXT with these octets inside and behind Data Offset."""
        flow = self.server.flow
        local, local_port, remote, remote_port = flow.key
        area = options + b"\x01" * (-len(options) % 4)
        octets = behind + payload
        connection = flow.connection
        run = Run(
            connection.rcv_nxt,
            connection.snd_nxt,
            ACK,
            1000,
            Options(),
            [memoryview(octets)] if octets else (),
            len(octets),
        )
        out: list[bytes] = []
        Sealer(remote, remote_port, local, local_port).seal(run, Plan(area, 20 + len(area)), 65535, out)
        return out[0]

    def send(self, options: bytes, behind: bytes = b"", payload: bytes = b"text") -> list[Header]:
        """Have the server take such a segment; what it answers."""
        self.wire.server.receive(Batch([self.segment(options, behind, payload)]), self.wire.now)
        return [header(bytes(packet)) for packet in self.wire.server.take_output(self.wire.now).packets]

    @property
    def drops(self) -> dict[str, int]:
        return dict(self.server.flow.drops)


def short(words: int) -> bytes:
    return bytes.fromhex("fe060ed0") + words.to_bytes(2)


@pytest.mark.parametrize("security", [STRICT, LENIENT], ids=["strict", "lenient"])
@pytest.mark.parametrize("behind", ["0500", "0501", "05ff", "01080a00", "c8", "fe"])
def test_r10_a_malformed_option_behind_data_offset_drops_the_segment(security: Security, behind: str) -> None:
    """EDO R10: it overruns Header_Length, or has Length 0 or 1: dropped silently and counted."""
    forger = Forger(security)
    area = bytes.fromhex(behind).rjust(4, b"\x01")
    forger.send(short(8), area)
    assert forger.drops == {"malformed_option": 1}
    assert forger.server.read() == b""
    forger.send(short(8), b"\x01\x01\x01\x01")
    assert forger.server.read() == b"text"


def test_r10_an_option_may_not_reach_into_the_payload() -> None:
    """EDO R10: Length counts up to Header_Length, not to the end of the segment."""
    forger = Forger()
    forger.send(short(8), b"\x01\x01\xc8\x06", b"text that would do")
    assert forger.drops == {"malformed_option": 1}


def test_r5_counts_the_segment_not_what_a_link_has_padded_behind_it() -> None:
    """EDO R5: the TCP length comes from IP; Ethernet pads short packets."""
    forger = Forger()
    packet = forger.segment(short(8), payload=b"")
    forger.wire.server.receive(Batch([packet + bytes(18)]), forger.wire.now)
    assert forger.drops == {"edo_header_length": 1}


def test_no_extended_option_is_looked_at_before_the_lengths_are_right() -> None:
    """EDO, section 4: R4 to R6 come first; a malformed option is not what such a segment is dropped for."""
    forger = Forger()
    forger.send(bytes.fromhex("fe080ed000080063"), b"\x05\x01\x01\x01")
    assert forger.drops == {"edo_segment_length": 1}


@pytest.mark.parametrize(("options", "extended"), [(short(7), True), (b"", False)])
def test_a_lenient_end_resets_with_an_extension_who_sent_one(options: bytes, extended: bool) -> None:
    """EDO, section 5: the RST rule is about the segment that caused it, not only about state."""
    forger = Forger(LENIENT)
    forger.server.close()
    forger.wire.server.take_output(forger.wire.now)
    # Our FIN is acknowledged; nobody is there for octets that come now (RFC 9293 §3.6.1).
    assert forger.send(options, payload=b"") == []
    (reset,) = forger.send(options)
    assert reset.flags & RST
    assert (reset.header_length is not None) is extended


@pytest.mark.parametrize("order", ["client", "server"])
def test_an_application_that_aborts_sends_a_reset_without_extension(order: str) -> None:
    """EDO, section 5: it answers no segment; the other end takes it all the same (R3)."""
    forger = Forger()
    one, other = (forger.client, forger.server) if order == "client" else (forger.server, forger.client)
    one.abort()
    forger.wire.run(1.0)
    (reset,) = [found for found in headers(forger.wire) if found.flags & RST]
    assert reset.header_length is None
    assert other.flow.over


def test_icmp_that_quotes_eight_octets_is_enough() -> None:
    """EDO, section 5: an ICMP error need not contain the extended area, or any option."""
    wire = Wire(config=TcpConfig(mtu_probing="off"))
    attempt, _ = wire.open(STRICT)
    wire.run(1.0)
    attempt.write(UP)
    wire.flush()
    data = next(packet for _, from_client, packet in reversed(wire.sent) if from_client and len(packet) > 1000)
    error = bytearray(b"\x03\x04\0\0\0\0" + (1000).to_bytes(2) + data[:28])
    error[2:4] = checksum(error).to_bytes(2)
    head = bytearray(bytes.fromhex("45000000000040004001") + bytes(2) + bytes((10, 0, 0, 2)) + bytes((10, 0, 0, 1)))
    head[2:4] = (20 + len(error)).to_bytes(2)
    head[10:12] = checksum(head).to_bytes(2)
    wire.client.receive(Batch([bytes(head + error)]), wire.now)
    # Timestamps, the long Extension, and NOPs: 20 octets.
    assert attempt.flow.connection.segment_size == 1000 - 40 - 20
