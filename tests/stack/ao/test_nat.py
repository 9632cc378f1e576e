"""RFC 6978: TCP-AO through a box that rewrites the client's address and port."""

from __future__ import annotations

import pytest

from ao.mkt import Mkt, MktTable, Nat
from stack.ip import IpTemplate, address_octets
from stack.security import Security
from tests.stack.ao.standing import header_at
from tests.stack.handshake.test_agreed import resummed
from tests.stack.wire import CLIENT, Wire, transfer

OUTSIDE = {4: address_octets("198.51.100.7"), 6: address_octets("2001:db8::7")}
PORT = 61_000


class Translator:
    """A NAT with one mapping, as a tap: source of what goes out, destination of what comes in (RFC 3022)."""

    def __init__(self, version: int) -> None:
        self.inside = address_octets(CLIENT[version == 6])
        self.outside = OUTSIDE[version]
        self.port = b""

    def __call__(self, packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        start = header_at(packet)
        size = len(self.inside)
        first = start - 2 * size
        tcp = packet[start:]
        if from_client:
            self.port = tcp[:2]
            source, destination = self.outside, packet[first + size : start]
            tcp = PORT.to_bytes(2, "big") + tcp[2:]
        else:
            source, destination = packet[first : first + size], self.inside
            tcp = tcp[:2] + self.port + tcp[4:]
        changed = IpTemplate(source, destination).header(len(tcp)) + tcp
        # Any octet set to itself repairs the checksum.
        return [(0.0, resummed(changed, 4, tcp[4]))]


def ask(send: int, recv: int, nat: Nat, **fields: object) -> Security:
    return Security("ao", keys=MktTable([Mkt("key", send, recv, b"secret", nat=nat, **fields)]))  # type: ignore[arg-type]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("cover_options", [True, False])
@pytest.mark.parametrize("mac", ["hmac-sha-1-96", "hmac-sha256-128"])
@pytest.mark.parametrize(("client", "server"), [(Nat.local, Nat.remote), (Nat.both, Nat.both)])
def test_octets_cross_a_nat_where_both_ends_count_its_side_as_zero(
    client: Nat, server: Nat, mac: str, cover_options: bool, version: int
) -> None:
    wire = Wire(tap=Translator(version))
    fields = {"mac": mac, "cover_options": cover_options}
    attempt, listener = wire.open(ask(1, 2, client, **fields), ask(2, 1, server, **fields), version=version)
    up, down = bytes(range(256)) * 100, bytes(range(255)) * 100
    ends = transfer(wire, attempt, listener, up, down)
    assert (bytes(ends[1].received), bytes(ends[0].received)) == (up, down)
    assert ends[1].attempt.flow.key[2:] == (OUTSIDE[version], PORT)
    assert all(end.attempt.report()["drops"] == {} for end in ends)


@pytest.mark.parametrize(
    ("client", "server"),
    [(Nat.none, Nat.none), (Nat.local, Nat.none), (Nat.none, Nat.remote), (Nat.remote, Nat.local)],
)
def test_it_does_not_where_they_do_not_agree_on_that(client: Nat, server: Nat) -> None:
    wire = Wire(tap=Translator(4))
    attempt, listener = wire.open(ask(1, 2, client), ask(2, 1, server))
    wire.run(400.0)
    assert listener.waiting == 0
    assert attempt.error is not None
    assert set(wire.server.drops) == {"ao_bad_mac"}
    assert not [packet for _, from_client, packet in wire.sent if not from_client]


def test_what_is_not_zero_stays_covered() -> None:
    """The server's address and port are in the MAC all the same: to another server the segments are forgeries."""
    nat = Translator(4)

    def elsewhere(packet: bytes, from_client: bool, now: float) -> list[tuple[float, bytes]]:
        ((delay, changed),) = nat(packet, from_client, now)
        return [(delay, resummed(changed, 3, 81) if from_client else changed)]

    wire = Wire(tap=elsewhere)
    listener = wire.server.listen(81, security=ask(2, 1, Nat.remote))
    wire.client.connect(("10.0.0.2", 80), security=ask(1, 2, Nat.local), now=wire.now)
    wire.run(100.0)
    assert listener.waiting == 0
    assert set(wire.server.drops) == {"ao_bad_mac"}
