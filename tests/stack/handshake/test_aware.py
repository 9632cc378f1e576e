"""The application-aware bit of TCP-ENO, and the policy that never agrees on keys (RFC 8547 §4.2, profile.md §2)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stack.security import Security
from tests.stack.handshake.test_agreed import check, ended, has_option
from tests.stack.wire import Wire, transfer

PLAIN = Security("ao-enc-dh")
AWARE = replace(PLAIN, application_aware=True)
DEMANDS = replace(AWARE, demand_aware=True)
UNAWARE = "the peer's application does not know of TCP-ENO"


@pytest.mark.parametrize("placement", [("auto",), ("late",)], ids=["auto", "late"])
@pytest.mark.parametrize("client", [PLAIN, AWARE])
@pytest.mark.parametrize("server", [PLAIN, AWARE])
def test_each_side_is_told_of_the_other(client: Security, server: Security, placement: tuple[str, ...]) -> None:
    wire = Wire()
    attempt, listener = wire.open(replace(client, placements=placement), server)
    ends = transfer(wire, attempt, listener, b"up", b"down")
    assert ends[0].attempt.security()["peer_aware"] is server.application_aware
    assert ends[1].attempt.security()["peer_aware"] is client.application_aware
    syn, syn_ack = wire.sent[0][2], next(packet for _, whose, packet in wire.sent if not whose)
    # The forms of profile.md §3.
    assert (b"\x45\x06\x02\xa0\xed\x01" if client.application_aware else b"\x45\x05\xa0\xed\x01") in syn
    assert (b"\x45\x06\x03\xa0\xed\x01" if server.application_aware else b"\x45\x06\x01\xa0\xed\x01") in syn_ack


def test_who_demands_it_agrees_with_who_has_it() -> None:
    for client, server in ((DEMANDS, AWARE), (AWARE, DEMANDS), (DEMANDS, DEMANDS)):
        assert check(Wire(), client, server)[0]["mode"] == "ao-enc-dh"


def test_who_demands_it_agrees_with_nobody_else() -> None:
    closed = ended(Wire(), DEMANDS, PLAIN)
    assert closed.error is not None
    assert closed.error.strerror == UNAWARE
    closed = ended(Wire(), PLAIN, DEMANDS)
    assert closed.error is not None
    demands = replace(DEMANDS, policy="prefer", placements=("late",))
    prefers = replace(PLAIN, policy="prefer")
    assert check(Wire(), demands, prefers)[0]["fallback"] == UNAWARE
    assert check(Wire(), prefers, demands)[1]["fallback"] == UNAWARE


def test_nobody_is_told_of_a_plain_peer() -> None:
    wire = Wire()
    attempt, listener = wire.open(replace(PLAIN, policy="prefer"), Security())
    ends = transfer(wire, attempt, listener, b"up", b"down")
    assert ends[0].attempt.security()["peer_aware"] is None


@pytest.mark.parametrize("peer", [Security(), replace(PLAIN, policy="prefer")])
def test_never_offers_and_answers_nothing(peer: Security) -> None:
    never = replace(PLAIN, policy="never")
    for client, server in ((never, peer), (peer, never)):
        wire = Wire()
        reports = check(wire, client, server)
        assert [report["mode"] for report in reports] == ["none", "none"]
        assert not has_option(wire.sent[0 if client is never else 2][2], 69)


def test_never_meets_require() -> None:
    closed = ended(Wire(), replace(PLAIN, policy="never"), PLAIN)
    assert closed.error is not None
    closed = ended(Wire(), PLAIN, replace(PLAIN, policy="never"))
    assert closed.error is not None
    assert closed.error.strerror == "no ENO in the SYN-ACK"
