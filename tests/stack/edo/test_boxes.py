"""EDO among middleboxes: what splits, merges, strips or rewrites, and what each end makes of it.

The rows are those of draft-ietf-tcpm-tcp-edo on middleboxes and offloads as docs/edo.md lists them (section 6).
"""

from __future__ import annotations

import pytest

from ao.mkt import Mkt, MktTable
from edo.codepoints import Dialect, FormChoice
from edo.negotiation import EdoState
from stack.box import Direction
from stack.config import TcpConfig
from stack.security import Security
from stack.simulator.boxes import Corrupt, Tap
from stack.simulator.resegment import Merge, Split, Strip, rebuilt
from tests.stack.edo.path import SYN, Path, headers
from tests.stack.wire import End, transfer

STRICT = Security(edo="strict")
SHORT = Security(edo="strict", dialect=Dialect(form=FormChoice.SHORT))
UP, DOWN = bytes(range(256)) * 300, bytes(range(255)) * 40
FORWARD, BACKWARD = Direction.FORWARD, Direction.BACKWARD
EXTENSION = 0x0ED0


def is_edo(_kind: int, exid: int) -> bool:
    return exid == EXTENSION


def attempt_to(path: Path, up: bytes, security: Security = STRICT, seconds: float = 30.0) -> tuple[End, End]:
    """Send ``up`` for so long, then look at both ends."""
    attempt, listener = path.open(security)
    client = End(attempt, up)
    path.run(seconds, lambda: listener.waiting > 0)
    accepted = listener.accept()
    assert accepted is not None
    server = End(accepted)
    path.run(seconds, lambda: server.pump() or client.pump() or False)  # type: ignore[func-returns-value]
    server.pump()
    return client, server


@pytest.mark.parametrize("copies", [True, False], ids=["options copied", "options on the first alone"])
def test_a_box_that_splits_is_found_by_segment_length(copies: bool) -> None:
    """EDO R6, section 6: a segment that was split is never taken for whole ones: nothing wrong is read."""
    box = Split(700, copy=copies, only=FORWARD)
    path = Path(box)
    attempt, listener = path.open(STRICT)
    path.run(1.0)
    accepted = listener.accept()
    assert accepted is not None
    attempt.write(UP)
    path.run(30.0)
    drops = accepted.flow.drops
    assert box.cut > 0
    assert drops["edo_segment_length"] >= box.cut
    assert (drops["edo_missing"] > 0) is not copies
    assert UP.startswith(accepted.read())
    # What the box does not touch arrives.
    assert accepted.flow.edo.state is EdoState.CONFIRMED


def test_a_split_of_the_first_segment_leaves_no_edo_and_all_octets() -> None:
    """EDO N3, section 6: the text that ends the handshake is split, and its second half has no Extension."""
    path = Path(Split(700, copy=False, only=FORWARD))
    client, server = attempt_to(path, UP)
    assert bytes(server.received) == UP
    assert server.attempt.flow.drops == {"edo_segment_length": 1}
    assert {end.attempt.flow.edo.state for end in (client, server)} == {EdoState.OFF}


def test_a_box_that_merges_is_found_by_segment_length() -> None:
    """EDO R6, section 6: merging and coalescing glue a later segment's header octets to an earlier one's data."""
    box = Merge(only=FORWARD)
    path = Path(box)
    _, server = attempt_to(path, UP, seconds=120.0)
    assert box.merged > 0
    assert server.attempt.flow.drops["edo_segment_length"] > 0
    assert UP.startswith(bytes(server.received))


def test_a_merge_that_is_rare_costs_a_retransmission_and_no_more() -> None:
    """EDO R6: detection does not repair, TCP does: what was merged is sent again, alone."""
    path = Path(Merge(most=3000, only=FORWARD))
    chain = path.chain
    calls = 0

    class Seldom:
        next_deadline = None

        def process(self, packets, direction, now):  # type: ignore[no-untyped-def]
            nonlocal calls
            calls += 1
            if calls == 12:
                return chain.process(packets, direction, now)
            return [(now, direction, packet) for packet in packets]

    path.chain = Seldom()  # type: ignore[assignment]
    ends = transfer(path, *path.open(STRICT), UP, DOWN)
    assert (bytes(ends[1].received), bytes(ends[0].received)) == (UP, DOWN)


def test_the_short_form_does_not_see_it() -> None:
    """EDO, section 6: so the long one is preferred where nothing else protects: here octets of headers are read as
    data, or data as octets of headers."""
    box = Merge(only=BACKWARD)
    path = Path(box)
    attempt, listener = path.open(SHORT)
    path.run(1.0)
    accepted = listener.accept()
    assert accepted is not None
    attempt.write(b"!")
    path.run(1.0)
    accepted.write(UP)
    path.run(30.0)
    assert box.merged > 0
    assert not attempt.flow.drops["edo_segment_length"]


@pytest.mark.parametrize("box", [Merge(only=FORWARD), Split(700, only=FORWARD)], ids=["merge", "split"])
def test_under_tcp_ao_the_short_form_is_enough(box: Split | Merge) -> None:
    """EDO, section 6: whatever was split or merged has a wrong MAC, before any length is looked at."""
    tables = [MktTable([Mkt("key", *ids, b"secret")]) for ids in ((1, 2), (2, 1))]
    path = Path(box, config=TcpConfig(mtu_probing="off"))
    attempt, listener = path.open(*(Security("ao", keys=table, edo="strict") for table in tables))
    path.run(1.0)
    accepted = listener.accept()
    assert accepted is not None
    attempt.write(UP)
    path.run(20.0)
    assert accepted.flow.drops["ao_bad_mac"] > 0
    assert not accepted.flow.drops["edo_segment_length"]
    assert UP.startswith(accepted.read())
    lengths = [one.segment_length for one in headers(path) if not one.flags & SYN]
    assert set(lengths) == {None}


def test_the_long_form_sees_lengths_alone() -> None:
    """EDO, section 6, long form limits: who changes octets and mends the checksum is not found by EDO."""
    path = Path()
    box = Corrupt(0.05, path.client.random.__self__, repair=True, payload_only=True, only=FORWARD)  # type: ignore[attr-defined]
    path.chain = type(path.chain)([box])
    _, server = attempt_to(path, UP)
    assert box.corrupted > 0
    assert bytes(server.received) != UP
    assert not server.attempt.flow.drops["edo_segment_length"]


def test_each_segment_of_a_run_has_an_extension_and_a_length_of_its_own() -> None:
    """EDO, section 6, segmentation: one write becomes many segments; the last is shorter."""
    path = Path()
    attempt, listener = path.open(STRICT)
    path.run(1.0)
    assert listener.accept() is not None
    attempt.write(bytes(10_000))
    path.run(1.0)
    data = [one for one in headers(path, from_client=True) if one.payload]
    assert len(data) == 7
    assert [one.segment_length for one in data] == [len(one.tcp) for one in data]
    assert len({one.segment_length for one in data}) == 2


def test_a_nat_has_no_effect() -> None:
    """EDO, section 6: addresses and ports are no matter of EDO's."""

    def rewritten(packet: bytes, port: bytes, at: int) -> bytes:
        header_ = packet[:at] + port + packet[at + 2 :]
        return rebuilt(header_, 20, b"")

    inner: list[bytes] = []

    class Nat:
        next_deadline = None

        def process(self, packets, direction, now):  # type: ignore[no-untyped-def]
            out = []
            for packet in packets:
                if direction is FORWARD:
                    inner[:] = [packet[20:22]]
                    out.append((now, direction, rewritten(packet, b"\xea\x60", 20)))
                else:
                    out.append((now, direction, rewritten(packet, inner[0], 22)))
            return out

    path = Path(Nat())
    ends = transfer(path, *path.open(STRICT), UP, DOWN)
    assert (bytes(ends[1].received), bytes(ends[0].received)) == (UP, DOWN)
    assert ends[1].attempt.peer[1] == 60000
    assert [end.attempt.flow.edo.state for end in ends] == [EdoState.CONFIRMED] * 2


def test_a_proxy_that_ends_connections_negotiates_for_itself_on_each_side() -> None:
    """EDO, section 6: on one side of it there is EDO, on the other there is none, and the octets pass."""
    near, far = Path(), Path(seed=2)
    client, at_proxy = near.open(STRICT)
    near.run(1.0)
    inward = at_proxy.accept()
    outward, at_server = far.open(Security(edo="off"), STRICT)
    far.run(1.0)
    server = at_server.accept()
    assert inward is not None
    assert server is not None
    client.write(UP)
    for _ in range(10):
        near.run(1.0)
        outward.write(inward.read())
        far.run(1.0)
    assert server.read() == UP
    assert (client.flow.edo.on, inward.flow.edo.on, outward.flow.edo.on, server.flow.edo.on) == (
        True,
        True,
        False,
        False,
    )


def test_a_box_that_looks_into_the_stream_reads_extended_options_as_stream() -> None:
    """EDO, section 6, DPI: what it makes of them is its own affair; what the receiver reads is right."""
    seen: list[bytes] = []
    lost = 0

    def look(packet, direction, _now):  # type: ignore[no-untyped-def]
        tcp = bytes(packet)[20:]
        if direction is BACKWARD:
            seen.append(tcp[tcp[12] >> 4 << 2 :])

    class Hole:
        next_deadline = None

        def process(self, packets, direction, now):  # type: ignore[no-untyped-def]
            nonlocal lost
            kept = []
            for packet in packets:
                if direction is FORWARD and len(packet) > 1000 and lost < 1:
                    lost += 1
                else:
                    kept.append((now, direction, packet))
            return kept

    path = Path(Tap(look), Hole())
    ends = transfer(path, *path.open(STRICT), UP, b"")
    assert bytes(ends[1].received) == UP
    assert bytes(ends[0].received) == b""
    # The server sent no octet of a stream, and yet the box has seen some: SACK options.
    assert any(octets[:1] == b"\x05" for octets in seen)


@pytest.mark.parametrize(
    ("strip", "both"),
    [
        (Strip(is_edo, syn=True), EdoState.OFF),
        (Strip(is_edo, syn=True, only=BACKWARD), EdoState.OFF),
        (Strip(is_edo, syn=False), EdoState.OFF),
        (Strip(is_edo), EdoState.OFF),
    ],
    ids=["SYNs", "SYN-ACKs", "all but SYNs", "all"],
)
def test_a_box_that_removes_options_of_edo_ends_it_and_nothing_else(strip: Strip, both: EdoState) -> None:
    """EDO N1, N3, section 6: no octet of options is read as data, and the connection goes on without EDO."""
    path = Path(strip)
    ends = transfer(path, *path.open(STRICT), UP, DOWN)
    assert (bytes(ends[1].received), bytes(ends[0].received)) == (UP, DOWN)
    assert strip.stripped > 0
    assert [end.attempt.flow.edo.state for end in ends] == [both] * 2


def test_a_client_puts_nothing_behind_data_offset_before_it_saw_an_extension() -> None:
    """Profile §1: a box that removes the Extension would turn those octets into data."""
    path = Path(Strip(is_edo, syn=False, only=BACKWARD))
    attempt, listener = path.open(STRICT)
    path.run(1.0)
    accepted = listener.accept()
    assert accepted is not None
    # Segments beyond a hole ask for SACK, and there is no room for it but behind.
    accepted.write(DOWN)
    path.run(2.0)
    before = [one for one in headers(path, from_client=True) if one.header_length is not None]
    assert before
    assert all(one.header_length == one.data_offset for one in before)
    assert attempt.flow.edo.state is EdoState.OFF


@pytest.mark.parametrize("signed", [False, True], ids=["without a MAC", "under TCP-AO"])
def test_what_removes_extensions_one_way_is_for_a_mac_to_find(signed: bool) -> None:
    """EDO, section 6: a server that has seen Extensions sends SACK behind Data Offset; if the way back alone
    removes them, a client without a MAC reads options as data. It is remembered: the next connection has no EDO.
    """
    lost = 0

    class Hole:
        next_deadline = None

        def process(self, packets, direction, now):  # type: ignore[no-untyped-def]
            nonlocal lost
            kept = []
            for packet in packets:
                if direction is FORWARD and len(packet) > 1000 and not lost:
                    lost += 1
                else:
                    kept.append((now, direction, packet))
            return kept

    path = Path(Hole(), Strip(is_edo, syn=False, only=BACKWARD), config=TcpConfig(mtu_probing="off"))
    tables = [MktTable([Mkt("key", *ids, b"secret")]) for ids in ((1, 2), (2, 1))]
    ask = [Security("ao", keys=table, edo="strict") for table in tables] if signed else [STRICT, STRICT]
    attempt, _ = path.open(*ask)
    attempt.write(UP)
    path.run(5.0)
    assert bool(attempt.read()) is not signed
    assert (attempt.flow.drops["ao_bad_mac"] > 0) is signed
    rows = [row["how"] for row in path.client.peers.rows(path.now)]
    assert rows == ([] if signed else ["the Extension was removed"])
