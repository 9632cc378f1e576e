"""Keys that change while connections live: added, asked for, followed, retired, by hand and on time (RFC 5925)."""

from __future__ import annotations

import random
from ipaddress import ip_network

import pytest

from ao.lifetime import Lifetime
from ao.mkt import Mkt, MktConflict, MktTable
from ao.traffic_keys import SocketPair
from stack import rollover
from stack.attempt import Attempt
from stack.security import Security
from stack.states import State
from tests.stack.wire import Wire

TO_SERVER, TO_CLIENT = ip_network("10.0.0.2/32"), ip_network("10.0.0.1/32")


def both(name: str, send: int, recv: int, secret: bytes, **more: object) -> tuple[Mkt, Mkt]:
    """One key as the client and as the server have it."""
    return (
        Mkt(name, send, recv, secret, peer=TO_SERVER, **more),  # type: ignore[arg-type]
        Mkt(name, recv, send, secret, peer=TO_CLIENT, **more),  # type: ignore[arg-type]
    )


OLD = both("old", 1, 11, b"old")
NEW = both("new", 2, 12, b"new", mac="hmac-sha256-128")


class Pair:
    """Two ends that stand and talk under keys of tables of their own."""

    def __init__(self, *keys: tuple[Mkt, Mkt], at: float = 0.0) -> None:
        self.tables = [MktTable([key[side] for key in keys], at=at) for side in range(2)]
        self.wire = Wire()
        self.client, listener = self.wire.open(*(Security("ao", keys=table) for table in self.tables))
        self.wire.run(1.0)
        accepted = listener.accept()
        assert accepted is not None
        self.server: Attempt = accepted
        self.stacks = (self.wire.client, self.wire.server)
        self._chance = random.Random(1)

    def talk(self) -> None:
        """Octets both ways, all of which arrive, under whatever keys."""
        for one, other in ((self.client, self.server), (self.server, self.client)):
            octets = self._chance.randbytes(5000)
            one.write(octets)
            self.wire.run(1.0)
            assert other.read() == octets

    def signing(self) -> list[int]:
        """Send ids of the keys under which client and server sign."""
        found = []
        for stack, table in zip(self.stacks, self.tables, strict=True):
            ((_, _, ring),) = rollover.rings(stack, table)
            found.append(ring.current.send_id)
        return found

    def drops(self) -> int:
        return sum(self.client.flow.drops.values()) + sum(self.server.flow.drops.values())


def test_a_new_key_takes_over_and_the_old_one_goes() -> None:
    """The steps of RFC 5925 §7.5.2 and of its digest: install, ask, follow, the other way, retire."""
    pair = Pair(OLD)
    pair.talk()
    for side in range(2):
        assert rollover.add(pair.stacks[side], pair.tables[side], NEW[side]) == 1
    assert pair.signing() == [1, 11]
    assert rollover.rotate(pair.wire.client, pair.tables[0], NEW[0]) == 1
    # Without anything written: the request goes by a segment of its own, and draws an answer under the new key.
    pair.wire.run(0.5)
    assert pair.signing() == [1, 12], "the server follows, the client still signs under what the server asks for"
    with pytest.raises(rollover.InUse, match="'old' is in use on 1 connection"):
        rollover.remove(pair.wire.client, pair.tables[0], OLD[0])
    assert rollover.rotate(pair.wire.server, pair.tables[1], NEW[1]) == 1
    pair.wire.run(0.5)
    assert pair.signing() == [2, 12]
    pair.talk()
    for side in range(2):
        rollover.remove(pair.stacks[side], pair.tables[side], OLD[side])
        assert [mkt.name for mkt in pair.tables[side]] == ["new"]
    pair.talk()
    assert pair.drops() == 0


def test_a_peer_without_the_key_does_not_follow_and_nothing_is_lost() -> None:
    pair = Pair(OLD)
    rollover.add(pair.wire.client, pair.tables[0], NEW[0])
    rollover.rotate(pair.wire.client, pair.tables[0], NEW[0])
    pair.talk()
    assert pair.signing() == [1, 11]
    assert pair.drops() == 0


def test_what_was_signed_under_a_retired_key_is_dropped() -> None:
    pair = Pair(OLD, NEW)
    for side in range(2):
        rollover.rotate(pair.stacks[side], pair.tables[side], NEW[side], sign=True)
    pair.wire.run(0.5)
    old = next(packet for _, from_client, packet in pair.wire.sent if from_client and packet[20 + 22] == 1)
    rollover.remove(pair.wire.server, pair.tables[1], OLD[1])
    pair.wire.put(old, True)
    pair.wire.run(0.5)
    assert pair.server.flow.drops == {"ao_key_not_found": 1}
    pair.talk()


def test_a_conflicting_key_changes_nothing() -> None:
    pair = Pair(OLD)
    for clash in (both("other", 1, 99, b"x")[0], both("other", 99, 11, b"x")[0]):
        with pytest.raises(MktConflict):
            rollover.add(pair.wire.client, pair.tables[0], clash)
    assert list(pair.tables[0]) == [OLD[0]]
    pair.talk()


def test_a_key_for_others_reaches_no_connection() -> None:
    pair = Pair(OLD)
    other = Mkt("other", 7, 17, b"x", peer=ip_network("192.0.2.0/24"))
    assert rollover.add(pair.wire.client, pair.tables[0], other) == 0
    assert rollover.rotate(pair.wire.client, pair.tables[0], other) == 0
    pair.talk()


def test_what_only_waits_for_its_end_keeps_no_key_and_is_not_asked() -> None:
    """A connection in TIME-WAIT has nothing to say that could show that its peer follows."""
    pair = Pair(OLD, NEW)
    pair.client.close()
    pair.wire.run(0.5)
    pair.server.close()
    pair.wire.run(0.5)
    assert pair.client.flow.connection.state is State.TIME_WAIT
    assert rollover.rotate(pair.wire.client, pair.tables[0], NEW[0]) == 0
    rollover.remove(pair.wire.client, pair.tables[0], OLD[0])
    # Its keys are its own: the peer's FIN, were it to come again, is verified and acknowledged.
    fin = next(packet for _, from_client, packet in reversed(pair.wire.sent) if not from_client and packet[33] & 1)
    pair.wire.sent.clear()
    pair.wire.put(fin, False)
    pair.wire.run(0.5)
    assert pair.wire.sent[0][1], "the client's acknowledgment"
    # The server has forgotten the connection: its reset is not signed, and is not believed.
    assert pair.client.flow.drops == {"ao_required": 1}


# --- keychains ---------------------------------------------------------------------------------------------

HOUR = 3600.0
FIRST = both("first", 1, 11, b"one", lifetime=Lifetime(send_until=10 * HOUR, accept_until=11 * HOUR))
SECOND = both("second", 2, 12, b"two", lifetime=Lifetime(send_from=9 * HOUR, accept_from=8 * HOUR))


def test_a_keychain_rotates_by_itself() -> None:
    """Ends an hour apart: while both keys are accepted nothing is lost, and the expired one goes."""
    pair = Pair(FIRST, SECOND)
    pair.talk()
    assert pair.signing() == [1, 11]
    assert [table.next_change for table in pair.tables] == [8 * HOUR] * 2
    rollover.keep_time(pair.wire.client, pair.tables[0], 9.5 * HOUR)
    pair.talk()
    # The server's clock is behind: it accepts the new key as soon as it has come to know of it, at 8 h.
    for at in (8.5 * HOUR, 9.5 * HOUR):
        rollover.keep_time(pair.wire.server, pair.tables[1], at)
        pair.talk()
    assert pair.signing() == [2, 12]
    for side in range(2):
        rollover.keep_time(pair.stacks[side], pair.tables[side], 12 * HOUR)
        ((_, _, ring),) = rollover.rings(pair.stacks[side], pair.tables[side])
        assert [key.send_id for key in ring] == [2 if side == 0 else 12]
        assert pair.tables[side].next_change == float("inf")
    pair.talk()


def test_connections_begin_under_the_key_of_the_hour() -> None:
    for at, ids in ((0.0, [1, 11]), (9.5 * HOUR, [2, 12]), (20 * HOUR, [2, 12])):
        pair = Pair(FIRST, SECOND, at=at)
        assert pair.signing() == ids
        pair.talk()


def test_without_a_key_that_serves_nothing_goes_plain() -> None:
    """AO is required where a tuple matches, whatever the policy and the hour (RFC 5925 §7.5)."""
    expired = both("expired", 1, 11, b"one", lifetime=Lifetime(send_until=1.0, accept_until=1.0))
    tables = [MktTable([key], at=100.0) for key in expired]
    wire = Wire()
    security = Security("ao", policy="prefer", keys=tables[0])
    with pytest.raises(OSError, match="no key of this peer may be sent under now"):
        wire.client.connect(("10.0.0.2", 80), security=security, now=wire.now)
    attempt, listener = wire.open(Security(), Security("ao", policy="prefer", keys=tables[1]))
    wire.run(300.0, lambda: attempt.finished is not None)
    assert listener.accept() is None
    assert set(wire.server.drops) == {"ao_key_not_found"}


def test_of_equal_keys_the_one_that_began_last_is_sent_under() -> None:
    keys = [
        Mkt(str(n), n, n, b"x", lifetime=Lifetime(send_from=float(n), accept_from=0.0), peer=TO_SERVER)
        for n in range(1, 5)
    ]
    table = MktTable(keys)
    ends = SocketPair(bytes((10, 0, 0, 1)), 1, bytes((10, 0, 0, 2)), 2)
    for at in range(1, 5):
        table.at = float(at)
        chosen = table.outgoing(ends)
        assert chosen is not None
        assert chosen.send_id == at


def test_lifetimes_end_after_they_begin() -> None:
    for bounds in ({"send_from": 2.0, "send_until": 2.0}, {"accept_from": 3.0, "accept_until": 2.0}):
        with pytest.raises(ValueError, match=r"send_until|accept_until"):
            Lifetime(**bounds)
