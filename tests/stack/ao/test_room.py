"""Keys whose MAC has no room: told before anything is sent, and never a reason to fall over (profile.md §1, §6)."""

from __future__ import annotations

import errno
from ipaddress import ip_network

import pytest

from ao.mkt import Mkt, MktTable
from edo.codepoints import Dialect, EdoKind
from stack import rollover
from stack.host import Stack
from stack.security import Security
from tests.stack.ao.test_options_that_yield import DOWN, UP, kinds
from tests.stack.wire import CLIENT, SERVER, Wire, transfer

LONG = {"mac": "linux-hmac-sha256"}


def tables(octets: int, **fields: object) -> list[MktTable]:
    return [
        MktTable([Mkt("key", *ids, b"secret", mac_octets=octets, **{**LONG, **fields})])  # type: ignore[arg-type]
        for ids in ((1, 2), (2, 1))
    ]


@pytest.mark.parametrize("kind", EdoKind)
def test_what_never_yields_and_does_not_fit_is_an_error_before_anything_is_sent(kind: EdoKind) -> None:
    """40 octets: MSS 4, EDO Supported 4 or 2, TCP-AO 4 and its MAC."""
    dialect = Dialect(kind)
    most = 40 - 4 - dialect.supported_octets - 4
    for edo in ("strict", "lenient"):
        Security("ao", keys=tables(most)[0], edo=edo, dialect=dialect)
        with pytest.raises(ValueError, match=f"^keys: key 'key' .* {most + 1} octets, .* for {most}$"):
            Security("ao", keys=tables(most + 1)[0], edo=edo, dialect=dialect)
    # Where the whole stack has EDO on, that is found when somebody connects or listens.
    security = Security("ao", keys=tables(most + 1)[0])
    stack = Stack(CLIENT, random=bytes, edo="strict", dialect=dialect)
    for begin in (
        lambda: stack.listen(80, security=security),
        lambda: stack.connect((SERVER[0], 80), security=security, now=0.0),
    ):
        with pytest.raises(OSError, match="room for") as raised:
            begin()
        assert raised.value.errno == errno.EMSGSIZE
    assert not stack.take_output(0.0).packets
    # A key of somebody else is no reason.
    mkt = Mkt("else", 1, 1, b"secret", peer=ip_network("10.0.0.9/32"), mac_octets=32, **LONG)  # type: ignore[arg-type]
    security = Security("ao", policy="prefer", keys=MktTable([mkt]))
    stack.connect((SERVER[0], 80), security=security, now=0.0)


@pytest.mark.parametrize("octets", [12, 13, 16, 20, 24, 28])
def test_every_mac_that_fits_carries_a_connection_with_edo(octets: int) -> None:
    """Timestamps yield where they must, the rest is agreed on, and every segment has TCP-AO and an Extension."""
    wire = Wire()
    attempt, listener = wire.open(*(Security("ao", keys=keys, edo="strict") for keys in tables(octets)))
    ends = transfer(wire, attempt, listener, UP, DOWN)
    assert (bytes(ends[1].received), bytes(ends[0].received)) == (UP, DOWN)
    assert all({29, 254} <= kinds(packet) for _, _, packet in wire.sent)
    assert all((8 in kinds(packet)) is (octets <= 13) for _, _, packet in wire.sent)
    assert not wire.server.drops + wire.client.drops


@pytest.mark.parametrize("mac", ["hmac-sha256-128", "kmac256-128"])
def test_timestamps_are_off_at_both_ends_where_a_mac_of_128_bits_stands_beside_edo(mac: str) -> None:
    """TCP-AO 20, MSS 4, window scale 3, SACK-permitted 2, EDO Supported 4: 33; timestamps would make 43."""
    keys = [MktTable([Mkt("key", *ids, b"secret", mac=mac)]) for ids in ((1, 2), (2, 1))]
    wire = Wire()
    attempt, listener = wire.open(*(Security("ao", keys=table, edo="strict") for table in keys))
    wire.run(1.0)
    accepted = listener.accept()
    assert accepted is not None
    for end in (attempt, accepted):
        connection = end.flow.connection
        assert (connection.timestamps, connection.sack_ok, connection.scaling) == (False, True, True)
        assert connection.segment_size == 1200 - 40 - 20 - 6 - 2  # TCP-AO, a short Extension, padding; probes go on
    assert all(8 not in kinds(packet) for _, _, packet in wire.sent)


@pytest.mark.parametrize("edo", ["off", "strict"])
def test_a_key_that_is_added_and_has_no_room_verifies_and_never_signs(edo: str) -> None:
    """Both ends ask for it; with timestamps, or EDO, its MAC of 32 octets fits no segment of the connection."""
    keys = tables(12)
    wire = Wire()
    attempt, listener = wire.open(*(Security("ao", keys=table, edo=edo) for table in keys))
    wire.run(1.0)
    accepted = listener.accept()
    assert accepted is not None
    for stack, table, ids in ((wire.client, keys[0], (3, 4)), (wire.server, keys[1], (4, 3))):
        mkt = Mkt("long", *ids, b"secret", mac_octets=32, **LONG)  # type: ignore[arg-type]
        assert rollover.add(stack, table, mkt) == 1
        rollover.rotate(stack, table, mkt, sign=True)
    wire.run(1.0)
    attempt.write(UP)
    accepted.write(DOWN)
    wire.run(10.0)
    assert (accepted.read(), attempt.read()) == (UP, DOWN)
    for end in (attempt, accepted):
        ring = end.flow.protection.ring  # type: ignore[attr-defined]
        assert ring.current.mac_octets == 12
        assert ring.rnext.mac_octets == 32
    # A connection that begins now has no room for timestamps, and with EDO begins with an error.
    if edo == "off":
        again = wire.client.connect((SERVER[0], 80), security=Security("ao", keys=keys[0]), now=wire.now)
        wire.run(1.0)
        assert again.flow.announced
    else:
        with pytest.raises(ValueError, match="room for 28"):
            Security("ao", keys=keys[0], edo=edo)
