"""Retry and second hello: another share is asked for once (profile.md §4)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ao.agreement import AgreementA, AgreementB, Outcome, OutcomeKind
from ao.messages import Hello, MessageKind, Refuse, RefuseReason, Retry, decode
from ao.reasons import AoDrop
from ao.suite import Suite
from tests.ao.test_agreement import (
    ENO_A,
    ENO_B,
    has_no_keys,
    hello_of,
    is_refusal,
    make_a,
    make_b,
    take_a,
    take_b,
    take_hello,
)

X25519, P256, X448 = 29, 23, 30


def retried(**b: Any) -> tuple[AgreementA, AgreementB, bytes]:
    """A with a share of x25519 and B that wants secp256r1: both have the retry, B lacks the second hello."""
    a, b_role = make_a(groups=(X25519, X448, P256)), make_b(**{"groups": (P256,), **b})
    outcome = take_hello(b_role, a.hello)
    assert (outcome.kind, outcome.reply_kind) == (OutcomeKind.retry, MessageKind.RETRY)
    assert outcome.reply is not None
    assert take_a(a, MessageKind.RETRY, outcome.reply).kind is OutcomeKind.retry
    return a, b_role, outcome.reply


def second_of(a: AgreementA, **changes: Any) -> bytes:
    kind, octets = a.sending
    assert kind is MessageKind.SECOND_HELLO
    second = decode(kind, octets)
    assert isinstance(second, Hello)
    return replace(second, **changes).encode()


def test_a_retry_costs_a_round_and_gives_keys() -> None:
    a, b, _ = retried()
    answer = take_b(b, *a.sending)
    assert (answer.kind, answer.reply_kind) == (OutcomeKind.answer, MessageKind.ANSWER)
    assert answer.reply is not None
    assert take_a(a, MessageKind.ANSWER, answer.reply).kind is OutcomeKind.keys
    assert a.schedule().prk == b.schedule().prk
    assert a.group == b.group == P256


def test_the_second_hello_is_the_first_with_another_share() -> None:
    a, _, _ = retried()
    first, second = decode(MessageKind.HELLO, a.hello), decode(*a.sending)
    assert isinstance(first, Hello)
    assert isinstance(second, Hello)
    assert second == replace(first, group=P256, share=second.share)
    assert len(second.share) == 65


def test_the_retry_is_part_of_the_transcript() -> None:
    """A box that makes a retry of its own has both sides with other keys."""
    a, b = make_a(groups=(X25519, P256)), make_b(groups=(P256, X25519))
    forged = Retry(1, ENO_B, P256).encode()
    assert take_a(a, MessageKind.RETRY, forged).kind is OutcomeKind.retry
    # The box has B believe that A's first hello was the second.
    octets = a.sending[1]
    outcome = take_hello(b, octets)
    assert outcome.reply is not None
    assert take_a(a, MessageKind.ANSWER, outcome.reply).kind is OutcomeKind.keys
    assert a.schedule().prk != b.schedule().prk


def test_b_asks_for_the_first_of_a_s_list_that_it_accepts() -> None:
    for own, wanted in ((False, X448), (True, P256)):
        a = make_a(groups=(X25519, X448, P256))
        outcome = take_hello(make_b(groups=(P256, X448), own_order=own), a.hello)
        assert decode(MessageKind.RETRY, outcome.reply or b"") == Retry(1, ENO_B, wanted)


def test_own_order_asks_though_the_share_is_acceptable() -> None:
    a = make_a(groups=(X25519, P256))
    groups = (P256, X25519)
    assert take_hello(make_b(groups=groups), a.hello).kind is OutcomeKind.answer
    assert take_hello(make_b(groups=groups, own_order=True), a.hello).kind is OutcomeKind.retry
    # What is preferred is what was sent.
    assert take_hello(make_b(groups=(X25519, P256), own_order=True), a.hello).kind is OutcomeKind.answer


def test_own_order_of_suites() -> None:
    a = make_a()
    for own, suite in ((False, Suite(1, 1)), (True, Suite(2, 1))):
        b = make_b(suites=(Suite(2, 1), Suite(1, 1)), own_order=own)
        take_hello(b, a.hello)
        assert b.suite == suite


def test_unknown_groups_fall_through_to_the_next_common_one() -> None:
    a, b = make_a(groups=(X25519,)), make_b(groups=(X25519,))
    message = hello_of(a, groups=(0x11EB, 4, X25519), group=0x11EB, share=bytes(77))
    assert decode(MessageKind.RETRY, take_hello(b, message).reply or b"") == Retry(1, ENO_B, X25519)


def test_a_hello_without_share_is_asked_for_one() -> None:
    a, b = make_a(), make_b()
    outcome = take_hello(b, hello_of(a, group=0, share=b"", tickets=(bytes(16),)))
    assert decode(MessageKind.RETRY, outcome.reply or b"") == Retry(1, ENO_B, X25519)


def test_repetitions_get_the_same_until_the_second_hello_is_there() -> None:
    a, b, retry = retried()
    for _ in range(2):
        again = take_hello(b, a.hello)
        assert (again.kind, again.reply) == (OutcomeKind.repeated, retry)
        second = take_a(a, MessageKind.RETRY, retry)
        assert (second.kind, second.reply) == (OutcomeKind.repeated, a.sending[1])
    answer = take_b(b, *a.sending)
    assert take_hello(b, a.hello).kind is OutcomeKind.ignored
    repeated = take_b(b, *a.sending)
    assert (repeated.kind, repeated.reply) == (OutcomeKind.repeated, answer.reply)


def test_another_retry_or_second_hello_changes_nothing() -> None:
    a, b, _ = retried()
    sending = a.sending
    other = take_a(a, MessageKind.RETRY, Retry(1, ENO_B, X448).encode())
    assert (other.kind, other.drop, a.sending) == (OutcomeKind.ignored, AoDrop.ke_repeated_differently, sending)
    take_b(b, *sending)
    other = take_b(b, MessageKind.SECOND_HELLO, second_of(a, random=bytes(32)))
    assert (other.kind, other.drop) == (OutcomeKind.ignored, AoDrop.ke_repeated_differently)


def test_a_second_hello_has_its_place_behind_a_retry_only() -> None:
    a, _, _ = retried()
    fresh = make_b(groups=(P256,))
    assert take_b(fresh, *a.sending).kind is OutcomeKind.ignored
    assert take_hello(fresh, a.hello).kind is OutcomeKind.retry


@pytest.mark.parametrize(
    ("retry", "reason"),
    [
        (Retry(1, ENO_B, X25519), RefuseReason.GROUP),
        (Retry(1, ENO_B, 257), RefuseReason.GROUP),
        (Retry(1, ENO_B, 0), RefuseReason.GROUP),
        (Retry(1, ENO_A, P256), RefuseReason.ENO),
        (Retry(1, ENO_B, P256, version=2), RefuseReason.VERSION),
    ],
    ids=["the group that was sent", "not listed", "none", "ENO", "version"],
)
def test_a_refuses_a_retry(retry: Retry, reason: RefuseReason) -> None:
    a = make_a(groups=(X25519, P256))
    for _ in range(2):
        assert is_refusal(take_a(a, MessageKind.RETRY, retry.encode()), reason)
    assert has_no_keys(a)
    assert take_a(a, MessageKind.RETRY, Retry(1, ENO_B, P256).encode()).kind is OutcomeKind.ignored


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"eno": b"\x45\x02"}, RefuseReason.ENO),
        ({"isn": 7}, RefuseReason.ISN),
        ({"group": X25519, "share": b"\x09" + bytes(31)}, RefuseReason.GROUP),
        ({"group": 0, "share": b""}, RefuseReason.GROUP),
        ({"share": bytes(65)}, RefuseReason.SHARE),
        ({"share": b""}, RefuseReason.SHARE),
        ({"tickets": (bytes(16),)}, RefuseReason.SHARE),
        ({"random": bytes(32)}, RefuseReason.POLICY),
        ({"suites": (Suite(2, 1),)}, RefuseReason.POLICY),
        ({"groups": (P256,)}, RefuseReason.POLICY),
        ({"flags": 0}, RefuseReason.POLICY),
        ({"version": 2}, RefuseReason.POLICY),
    ],
    ids=lambda value: "".join(value) if isinstance(value, dict) else str(value),
)
def test_b_refuses_a_second_hello(changes: dict[str, Any], reason: RefuseReason) -> None:
    a, b, _ = retried()
    outcome: Outcome = take_b(b, MessageKind.SECOND_HELLO, second_of(a, **changes))
    assert is_refusal(outcome, reason)
    assert has_no_keys(b)


def test_an_answer_of_the_first_share_s_group_is_refused() -> None:
    a, _, _ = retried()
    b = make_b(groups=(X25519,))
    answer = take_hello(b, a.hello).reply
    assert answer is not None
    assert is_refusal(take_a(a, MessageKind.ANSWER, answer), RefuseReason.GROUP)


def test_both_may_refuse_behind_a_retry() -> None:
    a, b, _ = retried()
    refuse = Refuse(RefuseReason.POLICY).encode()
    assert take_a(a, MessageKind.REFUSE, refuse).kind is OutcomeKind.refused
    assert take_b(b, MessageKind.REFUSE, refuse).kind is OutcomeKind.refused
    assert has_no_keys(a)
    assert has_no_keys(b)
