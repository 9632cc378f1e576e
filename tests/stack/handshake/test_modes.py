"""Modes ``ao-dh``, agreed keys without a cipher, and ``ao-enc``, configured keys with one (profile.md §2)."""

from __future__ import annotations

import random

import pytest

from ao.mkt import Mkt, MktTable
from ao.reasons import AoDrop
from edo.codepoints import CodePoints, Dialect
from stack import rollover
from stack.config import TcpConfig
from stack.run import ACK
from stack.security import Security
from tests.stack.handshake.test_agreed import check, ended, has_option, in_clear, resummed
from tests.stack.wire import Wire, transfer

AO = 29


def keyed(send: int, recv: int, encrypt: str | None = "aes-128-ctr", **fields: object) -> Security:
    mkt = Mkt("key", send, recv, b"testvector", encrypt=encrypt)
    return Security("ao" if encrypt is None else "ao-enc", keys=MktTable([mkt]), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("placement", [("auto",), ("late",)], ids=["auto", "late"])
def test_ao_dh_protects_and_does_not_encrypt(placement: tuple[str, ...]) -> None:
    wire = Wire()
    ask = Security("ao-dh", placements=placement)
    client, server = check(wire, ask, ask)
    for report in (client, server):
        assert (report["mode"], report["mac"], report["cipher"]) == ("ao-dh", "aes-128-cmac-96", None)
        assert report["drops"] == {}
    assert client["session_id"] == server["session_id"]
    assert in_clear(wire)
    assert has_option(wire.sent[-1][2], AO)


def test_no_cipher_is_agreed_on_where_one_side_wants_one() -> None:
    """Both sides have to name a suite without cipher; nobody on the path makes one of it."""
    for client, server in (("ao-dh", "ao-enc-dh"), ("ao-enc-dh", "ao-dh")):
        closed = ended(Wire(), Security(client), Security(server))
        assert closed.error is not None
        assert closed.error.strerror == "the peer refused: no common suite"


def test_an_altered_ao_dh_segment_is_dropped() -> None:
    altered = 0

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal altered
        if from_client and len(packet) > 500 and not altered:
            altered += 1
            return [(0.0, resummed(packet, 300, packet[320] ^ 1)), (0.0, packet)]
        return [(0.0, packet)]

    ask = Security("ao-dh")
    _, server = check(Wire(tap=tap), ask, ask)
    assert server["drops"] == {"ao_bad_mac": 1}


@pytest.mark.parametrize("cipher", ["aes-128-ctr", "aes-256-ctr", "chacha20"])
@pytest.mark.parametrize("edo", [None, "strict"])
@pytest.mark.parametrize("version", [4, 6])
def test_ao_enc_encrypts_under_configured_keys(cipher: str, edo: str | None, version: int) -> None:
    wire = Wire()
    client, server = check(wire, keyed(1, 2, cipher, edo=edo), keyed(2, 1, cipher, edo=edo), version=version)
    for report in (client, server):
        assert (report["mode"], report["cipher"], report["session_id"]) == ("ao-enc", cipher, None)
        assert report["authenticated"] is True
        assert report["edo"] == ("off" if edo is None else "confirmed")
        assert report["drops"] == {}
    assert not in_clear(wire)
    # TCP-AO stands in each segment, the SYN included.
    assert all(has_option(packet, AO) for _, _, packet in wire.sent if version == 4)


@pytest.mark.parametrize("seed", range(8))
def test_ao_enc_gets_through_loss_and_other_cuts(seed: int) -> None:
    source = random.Random(seed)

    def tap(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        return [] if source.random() < 0.1 else [(source.random() * 0.03 * (source.random() < 0.2), packet)]

    wire = Wire(seed, tap=tap, config=TcpConfig(mtu=source.choice([600, 1500])))
    client, _ = check(wire, keyed(1, 2), keyed(2, 1))
    assert client["mode"] == "ao-enc", seed
    assert not in_clear(wire)


def test_one_side_without_the_cipher_reads_nothing_right() -> None:
    """Nothing on the wire tells ao-enc from ao: octets come, and they are not those that were sent."""
    wire = Wire()
    attempt, listener = wire.open(keyed(1, 2), keyed(2, 1, None))
    ends = transfer(wire, attempt, listener, b"attack at dawn", b"")
    assert len(ends[1].received) == 14
    assert bytes(ends[1].received) != b"attack at dawn"


def test_a_key_that_is_added_has_the_table_s_mode() -> None:
    wire = Wire()
    ask = keyed(1, 2)
    assert ask.keys is not None
    wire.open(ask, keyed(2, 1))
    with pytest.raises(ValueError, match="key 'next' does not encrypt"):
        rollover.add(wire.client, ask.keys, Mkt("next", 3, 4, b"other"))
    assert len(ask.keys) == 1
    rollover.add(wire.client, ask.keys, Mkt("next", 3, 4, b"other", encrypt="chacha20"))
    assert len(ask.keys) == 2


def test_ao_enc_rolls_over_to_a_key_with_another_cipher() -> None:
    wire = Wire()
    ask, give = keyed(1, 2), keyed(2, 1)
    attempt, listener = wire.open(ask, give)
    wire.run(1.0)
    new = Mkt("next", 3, 4, b"other", encrypt="chacha20")
    back = Mkt("next", 4, 3, b"other", encrypt="chacha20")
    assert ask.keys is not None
    assert give.keys is not None
    rollover.add(wire.client, ask.keys, new)
    rollover.add(wire.server, give.keys, back)
    rollover.rotate(wire.server, give.keys, back)
    rollover.rotate(wire.client, ask.keys, new)
    wire.run(1.0)
    data = random.Random(3).randbytes(50_000)
    ends = transfer(wire, attempt, listener, data, data)
    assert bytes(ends[0].received) == bytes(ends[1].received) == data
    protection = wire.sent[-1][2]
    at = protection.index(bytes((AO, 16)), 40)
    assert protection[at + 2] in (3, 4)


def test_ao_enc_under_a_full_backlog_is_served_by_cookies() -> None:
    wire = Wire()
    listener = wire.server.listen(80, security=keyed(2, 1), backlog=1)
    wire.client.connect(("10.0.0.2", 80), security=keyed(1, 2), now=wire.now)
    wire.tap = lambda packet, from_client, now: [(0.0, packet)] if from_client else []
    wire.run(0.05)
    wire.tap = lambda packet, from_client, now: [(0.0, packet)]
    attempt = wire.client.connect(("10.0.0.2", 80), security=keyed(1, 2), now=wire.now)
    wire.run(0.5)
    assert wire.server.counters["cookies_good"] >= 1
    attempt.write(b"sealed")
    wire.run(0.5)
    accepted = listener.accept()
    while accepted is not None and accepted.peer != attempt.local:
        accepted = listener.accept()
    assert accepted is not None
    assert accepted.read() == b"sealed"
    assert accepted.report()["mode"] == "ao-enc"
    assert wire.server.drops[AoDrop.ao_bad_mac] == 0


@pytest.mark.parametrize("placement", ["syn", "late"])
def test_the_experiment_of_key_exchange_may_have_another_number(placement: str) -> None:
    dialect = Dialect(points=CodePoints(ke_exid=0xBEEF))
    security = Security("ao-enc-dh", dialect=dialect, placements=(placement,))
    wire = Wire()
    attempt, _ = wire.open(security, security)
    assert wire.run(5.0, lambda: attempt.report()["generation"] == 0)
    assert attempt.report()["placement"] == placement
    assert any(b"\xbe\xef\x01" in packet for _, _, packet in wire.sent)
    assert not any(b"\xa0\xe1\x01" in packet for _, _, packet in wire.sent)


@pytest.mark.parametrize("group", ["x25519", "X25519MLKEM768"])
def test_accurate_ecn_leaves_the_flags_of_key_exchange_alone(group: str) -> None:
    """ACK is their only flag (profile.md §5), and that they do not count is no mark (RFC 9768 §3.2.2)."""

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        hello = from_client and b"\xa0\xe1\x01" in packet[60:]
        return [(0.0, packet), (0.001, packet)] if hello else [(0.0, packet)]

    wire = Wire(config=TcpConfig(ecn="accurate", mtu=1280), tap=tap)
    security = Security("ao-enc-dh", groups=(group,), placements=("late",))
    attempt, listener = wire.open(security, security)
    assert wire.run(5.0, lambda: attempt.report()["generation"] == 0)
    messages = [
        packet for _, _, packet in wire.sent if any(b"\xa0\xe1" + kind in packet for kind in (b"\1", b"\2"))
    ]
    assert {packet[32] & 0x0F | packet[33] for packet in messages} == {ACK}
    wire.run(1.0)
    accepted = listener.accept()
    assert accepted is not None
    for side in (attempt, accepted):
        connection = side.flow.connection
        assert connection.accurate
        assert connection.marks_told == connection.marks_seen == 5
