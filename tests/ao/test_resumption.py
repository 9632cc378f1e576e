"""Sessions resumed, as messages in and messages out (profile.md §7): what may be answered to a ticket."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ao.agreement import AgreementA, AgreementB, Outcome, OutcomeKind
from ao.messages import Answer, Hello, MessageKind, RefuseReason, Retry, decode
from ao.sessions import Session
from ao.suite import Suite
from tests.ao.support import counting

X25519, P256, X448 = 29, 23, 30
KNOWN = Session.of(b"c" * 32, X25519)
STRANGE = Session.of(b"d" * 32, X25519)
ENO_A, ENO_B = bytes.fromhex("4505a0ed01"), bytes.fromhex("450601a0ed01")
S_A, S_B = 1000, 2000
RANDOM = counting()


def offering(*sessions: Session, fresh: bool = False, groups: tuple[int, ...] = (X25519, P256)) -> AgreementA:
    return AgreementA(
        isn=S_A,
        eno=ENO_A,
        suites=[Suite(1, 1)],
        groups=groups,
        flags=13,
        sessions=sessions,
        fresh=fresh,
        random=RANDOM,
    )


def taking(*sessions: Session, groups: tuple[int, ...] = (X25519, P256), own_order: bool = False) -> AgreementB:
    find = {session.ticket: session for session in sessions}.get
    return AgreementB(suites=[Suite(1, 1)], groups=groups, flags=13, find=find, own_order=own_order, random=RANDOM)


def to_b(b: AgreementB, kind: MessageKind, octets: bytes) -> Outcome:
    return b.take(kind, octets, isn=S_B, eno=ENO_B, peer_isn=S_A, peer_eno=ENO_A)


def to_a(a: AgreementA, kind: MessageKind, octets: bytes) -> Outcome:
    return a.take(kind, octets, peer_isn=S_B, peer_eno=ENO_B)


def answer_of(a: AgreementA, b: AgreementB) -> Answer:
    outcome = to_b(b, *a.sending)
    assert outcome.reply is not None
    answer = decode(MessageKind.ANSWER, outcome.reply)
    assert isinstance(answer, Answer)
    return answer


def agree(a: AgreementA, b: AgreementB) -> Answer:
    """They agree; both have the same keys."""
    answer = answer_of(a, b)
    assert to_a(a, MessageKind.ANSWER, answer.encode()).kind is OutcomeKind.keys
    assert (a.schedule().prk, a.schedule().session) == (b.schedule().prk, b.schedule().session)
    assert (a.group, a.resumed) == (b.group, b.resumed)
    return answer


def test_without_a_share_the_keys_come_from_the_session() -> None:
    a, b = offering(KNOWN), taking(KNOWN)
    answer = agree(a, b)
    assert (answer.ticket_index, answer.group, answer.share) == (0, 0, b"")
    assert (a.resumed, a.group) == (KNOWN, X25519)
    # Another secret of the same ticket, as a forger who saw it would have, makes other keys.
    forged = offering(Session(KNOWN.ticket, bytes(32), X25519))
    answer = answer_of(forged, taking(KNOWN))
    assert to_a(forged, MessageKind.ANSWER, answer.encode()).kind is OutcomeKind.keys
    assert forged.schedule().prk != a.schedule().prk


def test_with_a_share_both_go_into_the_keys() -> None:
    a, b = offering(KNOWN, fresh=True), taking(KNOWN)
    answer = agree(a, b)
    assert (answer.ticket_index, answer.group, len(answer.share)) == (0, X25519, 32)


def test_b_takes_the_first_that_it_knows() -> None:
    assert agree(offering(STRANGE, KNOWN), taking(KNOWN)).ticket_index == 1


def test_an_unknown_ticket_with_a_share_is_a_fresh_exchange() -> None:
    a, b = offering(STRANGE, fresh=True), taking(KNOWN)
    assert agree(a, b).ticket_index == 255
    assert a.resumed is None


def test_an_unknown_ticket_without_a_share_is_asked_for_one() -> None:
    a, b = offering(STRANGE), taking(KNOWN)
    asked = to_b(b, *a.sending)
    assert asked.kind is OutcomeKind.retry
    assert asked.reply is not None
    again = to_a(a, MessageKind.RETRY, asked.reply)
    assert again.kind is OutcomeKind.retry
    hello = decode(MessageKind.SECOND_HELLO, a.sending[1])
    assert isinstance(hello, Hello)
    assert (hello.tickets, hello.group) == ((), X25519)
    assert agree(a, b).ticket_index == 255
    assert a.resumed is None


def test_a_forged_retry_is_a_way_out_of_a_session() -> None:
    """Resumption proves no identity: a fresh exchange may stand in its place at any time."""
    a, b = offering(KNOWN), taking(KNOWN)
    forged = Retry(0, ENO_B, X25519).encode()
    assert to_a(a, MessageKind.RETRY, forged).kind is OutcomeKind.retry
    # B has asked for nothing: it takes no second hello.
    assert to_b(b, *a.sending).kind is OutcomeKind.ignored


def test_the_group_of_a_later_rekey_is_the_share_s_else_the_session_s() -> None:
    of_p256 = Session.of(b"e" * 32, P256)
    a, b = offering(of_p256), taking(of_p256)
    agree(a, b)
    assert a.group == P256
    a, b = offering(of_p256, fresh=True), taking(of_p256)
    agree(a, b)
    assert a.group == X25519


def test_a_share_of_a_group_that_b_does_not_accept_leaves_the_session_aside() -> None:
    a, b = offering(KNOWN, fresh=True, groups=(X448, X25519)), taking(KNOWN)
    assert to_b(b, *a.sending).kind is OutcomeKind.retry


def test_b_s_own_order_does_not_keep_it_from_a_session() -> None:
    assert agree(offering(KNOWN), taking(KNOWN, groups=(P256, X25519), own_order=True)).ticket_index == 0


@pytest.mark.parametrize(
    ("fresh", "change", "reason"),
    [
        (False, {"ticket_index": 1}, RefuseReason.SHARE),
        (False, {"ticket_index": 254}, RefuseReason.SHARE),
        (False, {"ticket_index": 255}, RefuseReason.SHARE),
        (False, {"group": X25519, "share": b"\x09" + bytes(31)}, RefuseReason.SHARE),
        (False, {"share": b"\x09" + bytes(31)}, RefuseReason.SHARE),
        (True, {"ticket_index": 1}, RefuseReason.SHARE),
        (True, {"group": 0, "share": b""}, RefuseReason.SHARE),
        (True, {"group": P256}, RefuseReason.GROUP),
    ],
)
def test_answers_that_a_refuses(fresh: bool, change: dict[str, object], reason: RefuseReason) -> None:
    a = offering(KNOWN, fresh=fresh)
    answer = replace(answer_of(a, taking(KNOWN)), **change)  # type: ignore[arg-type]
    outcome = to_a(a, MessageKind.ANSWER, answer.encode())
    assert (outcome.kind, outcome.reason) == (OutcomeKind.refuse, reason)


def test_a_session_says_nothing_of_its_chain_or_secret() -> None:
    assert KNOWN.ticket != KNOWN.resume[:16]
    assert KNOWN.resume.hex() not in repr(KNOWN)
    assert Session.of(b"c" * 31 + b"d", X25519).ticket != KNOWN.ticket


def test_wiping_takes_what_was_resumed_along() -> None:
    a, b = offering(KNOWN), taking(KNOWN)
    agree(a, b)
    for side in (a, b):
        side.wipe()
        assert side.resumed is None
    # Nor does A keep what it has offered.
    assert a._sessions == ()
