"""The roles' tables: agreement, repetition, every refusal, and what changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ao.agreement import AgreementA, AgreementB, NotAgreed, Outcome, OutcomeKind
from ao.groups import GROUPS
from ao.messages import Answer, Hello, MessageKind, Refuse, RefuseReason, Rekey, Retry, decode
from ao.reasons import AoDrop
from ao.suite import Suite
from tests.ao.support import counting

ENO_A = bytes.fromhex("4505a0ed01")
ENO_B = bytes.fromhex("450601a0ed01")
S_A, S_B = 0x11111111, 0x22222222
SUITES = (Suite(1, 1), Suite(2, 1))
X25519 = 29


def make_a(**changes: Any) -> AgreementA:
    given: dict[str, Any] = {"isn": S_A, "eno": ENO_A, "suites": SUITES, "groups": (X25519,), "flags": 1}
    return AgreementA(**{**given, "random": counting(), **changes})


def make_b(**changes: Any) -> AgreementB:
    ticks = counting()
    # Another source than A's: the first hundred values are A's.
    for _ in range(100):
        ticks(32)
    return AgreementB(**{"suites": SUITES, "groups": (X25519,), "flags": 1, "random": ticks, **changes})


def take_hello(b: AgreementB, message: bytes, **changes: Any) -> Outcome:
    given: dict[str, Any] = {"isn": S_B, "eno": ENO_B, "peer_isn": S_A, "peer_eno": ENO_A}
    return b.take(MessageKind.HELLO, message, **{**given, **changes})


def take_a(a: AgreementA, kind: int, message: bytes, **changes: Any) -> Outcome:
    return a.take(kind, message, **{"peer_isn": S_B, "peer_eno": ENO_B, **changes})


def take_b(b: AgreementB, kind: int, message: bytes) -> Outcome:
    return b.take(kind, message, isn=S_B, eno=ENO_B, peer_isn=S_A, peer_eno=ENO_A)


def hello_of(a: AgreementA, **changes: Any) -> bytes:
    hello = decode(MessageKind.HELLO, a.hello)
    assert isinstance(hello, Hello)
    return replace(hello, **changes).encode()


def answer_of(b: AgreementB, **changes: Any) -> bytes:
    assert b.answer is not None
    answer = decode(MessageKind.ANSWER, b.answer)
    assert isinstance(answer, Answer)
    return replace(answer, **changes).encode()


def agreed() -> tuple[AgreementA, AgreementB]:
    a, b = make_a(), make_b()
    assert take_hello(b, a.hello).kind is OutcomeKind.answer
    return a, b


def is_refusal(outcome: Outcome, reason: RefuseReason) -> bool:
    assert outcome.reply is not None
    assert outcome.kind is OutcomeKind.refuse
    assert outcome.reply_kind is MessageKind.REFUSE
    assert decode(MessageKind.REFUSE, outcome.reply) == Refuse(reason)
    return outcome.reason is reason


def has_no_keys(agreement: AgreementA | AgreementB) -> bool:
    with pytest.raises(NotAgreed):
        agreement.schedule()
    return True


def test_both_roles_agree() -> None:
    a, b = make_a(flags=0x0D), make_b(flags=0x0B)
    assert has_no_keys(a)
    assert has_no_keys(b)
    outcome = take_hello(b, a.hello)
    assert (outcome.kind, outcome.reply, outcome.reply_kind) == (OutcomeKind.answer, b.answer, MessageKind.ANSWER)
    assert outcome.reply is not None
    assert take_a(a, MessageKind.ANSWER, outcome.reply).kind is OutcomeKind.keys
    for field in ("prk", "ao", "enc", "chain", "session"):
        assert getattr(a.schedule(), field) == getattr(b.schedule(), field)
    assert a.schedule() is a.schedule()
    assert b.schedule() is b.schedule()
    assert (a.suite, a.group, a.flags) == (b.suite, b.group, b.flags) == (Suite(1, 1), X25519, 0x09)


def test_the_answer_says_what_b_permits_itself() -> None:
    a, b = make_a(flags=0x01), make_b(flags=0xFF)
    take_hello(b, a.hello)
    answer = decode(MessageKind.ANSWER, b.answer or b"")
    assert isinstance(answer, Answer)
    assert answer.flags == 0x0F  # what is not defined is sent as 0
    assert b.flags == 0x01


def test_a_hello_with_any_flags_is_accepted() -> None:
    a, b = make_a(), make_b()
    assert take_hello(b, hello_of(a, flags=0xFF)).kind is OutcomeKind.answer
    assert b.flags == 0x01


def test_a_order_decides() -> None:
    a, b = make_a(suites=[Suite(2, 2), Suite(1, 1)]), make_b(suites=[Suite(1, 1), Suite(2, 2)])
    take_hello(b, a.hello)
    assert b.suite == Suite(2, 2)


def test_no_cipher_only_where_both_name_it() -> None:
    a, b = make_a(suites=[Suite(1, 0)]), make_b(suites=[Suite(1, 0), Suite(1, 1)])
    take_hello(b, a.hello)
    assert b.suite == Suite(1, 0)
    assert is_refusal(take_hello(make_b(), a.hello), RefuseReason.SUITE)


def test_shares_and_randoms_are_fresh() -> None:
    random = counting()
    first, second = make_a(random=random), make_a(random=random)
    assert first.hello != second.hello


def test_repeated_hello_gets_the_same_answer() -> None:
    a, b = agreed()
    for _ in range(3):
        outcome = take_hello(b, a.hello)
        assert (outcome.kind, outcome.reply) == (OutcomeKind.repeated, b.answer)
    assert outcome.reply is not None
    assert take_a(a, MessageKind.ANSWER, outcome.reply).kind is OutcomeKind.keys
    schedule = a.schedule()
    assert take_a(a, MessageKind.ANSWER, outcome.reply).kind is OutcomeKind.repeated
    assert a.schedule() is schedule


def test_another_hello_or_answer_changes_nothing() -> None:
    a, b = agreed()
    answer = b.answer
    other = take_hello(b, hello_of(a, random=bytes(32)))
    assert (other.kind, other.drop, other.reply) == (OutcomeKind.ignored, AoDrop.ke_repeated_differently, None)
    assert b.answer == answer
    assert answer is not None
    take_a(a, MessageKind.ANSWER, answer)
    session = a.schedule().session
    other = take_a(a, MessageKind.ANSWER, answer_of(b, random=bytes(32)))
    assert (other.kind, other.drop) == (OutcomeKind.ignored, AoDrop.ke_repeated_differently)
    assert a.schedule().session == session == b.schedule().session


def test_a_changed_hello_gives_other_keys() -> None:
    """The keys bind every octet of both messages: a suite struck from A's list on the path is noticed."""
    a, b = make_a(), make_b()
    outcome = take_hello(b, hello_of(a, suites=(Suite(2, 1), Suite(1, 1))))
    assert outcome.reply is not None
    assert take_a(a, MessageKind.ANSWER, outcome.reply).kind is OutcomeKind.keys
    assert a.schedule().prk != b.schedule().prk


HELLO_REFUSALS: list[tuple[str, dict[str, Any], dict[str, Any], RefuseReason]] = [
    ("version 0", {"version": 0}, {}, RefuseReason.VERSION),
    ("ENO in the hello", {"eno": b"\x45\x02"}, {}, RefuseReason.ENO),
    ("ENO in the SYN", {}, {"peer_eno": b"\x45\x04\x20\xed"}, RefuseReason.ENO),
    ("ISN in the hello", {"isn": S_A + 1}, {}, RefuseReason.ISN),
    ("ISN in the SYN", {}, {"peer_isn": S_A - 1}, RefuseReason.ISN),
    ("equal ISNs", {"isn": S_B}, {"peer_isn": S_B}, RefuseReason.ISN),
    ("ENO before ISN", {"isn": 1, "eno": b""}, {}, RefuseReason.ENO),
    ("no common suite", {"suites": (Suite(1, 3), Suite(3, 1))}, {}, RefuseReason.SUITE),
    ("no suite", {"suites": ()}, {}, RefuseReason.SUITE),
    ("no common group", {"groups": (23,), "group": 23, "share": bytes(65)}, {}, RefuseReason.GROUP),
    ("group not listed", {"groups": (23,)}, {}, RefuseReason.GROUP),
    ("no group", {"groups": ()}, {}, RefuseReason.GROUP),
    ("group without share", {"share": b""}, {}, RefuseReason.SHARE),
    ("share without group", {"group": 0}, {}, RefuseReason.SHARE),
    ("short share", {"share": bytes(31)}, {}, RefuseReason.SHARE),
    ("long share", {"share": b"\x09" + bytes(32)}, {}, RefuseReason.SHARE),
    ("zero share", {"share": bytes(32)}, {}, RefuseReason.SHARE),
    ("share of order 4", {"share": b"\x01" + bytes(31)}, {}, RefuseReason.SHARE),
]


@pytest.mark.parametrize(
    ("hello", "syn", "reason"), [case[1:] for case in HELLO_REFUSALS], ids=[case[0] for case in HELLO_REFUSALS]
)
def test_b_refuses(hello: dict[str, Any], syn: dict[str, Any], reason: RefuseReason) -> None:
    a, b = make_a(), make_b()
    message = hello_of(a, **hello)
    for _ in range(2):  # a repetition gets the same refusal
        assert is_refusal(take_hello(b, message, **syn), reason)
    assert b.answer is None
    assert has_no_keys(b)
    # The first message stands: a right one comes too late.
    assert take_hello(b, hello_of(a, random=b"\xff" * 32)).kind is OutcomeKind.ignored
    assert has_no_keys(b)


def test_a_later_version_is_answered_with_ours() -> None:
    a, b = make_a(), make_b()
    take_hello(b, hello_of(a, version=2))
    answer = decode(MessageKind.ANSWER, b.answer or b"")
    assert answer.version == 1


ANSWER_REFUSALS: list[tuple[str, dict[str, Any], dict[str, Any], RefuseReason]] = [
    ("version 0", {"version": 0}, {}, RefuseReason.VERSION),
    ("version above", {"version": 2}, {}, RefuseReason.VERSION),
    ("ENO in the answer", {"eno": ENO_A}, {}, RefuseReason.ENO),
    ("ENO in the SYN-ACK", {}, {"peer_eno": ENO_A}, RefuseReason.ENO),
    ("ISN in the answer", {"isn": S_B + 1}, {}, RefuseReason.ISN),
    ("ISN in the SYN-ACK", {}, {"peer_isn": S_B + 1}, RefuseReason.ISN),
    ("equal ISNs", {"isn": S_A}, {"peer_isn": S_A}, RefuseReason.ISN),
    ("suite not listed", {"suite": Suite(1, 2)}, {}, RefuseReason.SUITE),
    ("another group", {"group": 23}, {}, RefuseReason.GROUP),
    ("no share", {"group": 0, "share": b""}, {}, RefuseReason.SHARE),
    ("group 0 with a share", {"group": 0}, {}, RefuseReason.SHARE),
    ("group without share", {"share": b""}, {}, RefuseReason.SHARE),
    ("short share", {"share": bytes(31)}, {}, RefuseReason.SHARE),
    ("zero share", {"share": bytes(32)}, {}, RefuseReason.SHARE),
    ("ticket that was not offered", {"ticket_index": 0}, {}, RefuseReason.SHARE),
]


@pytest.mark.parametrize(
    ("answer", "syn_ack", "reason"),
    [case[1:] for case in ANSWER_REFUSALS],
    ids=[case[0] for case in ANSWER_REFUSALS],
)
def test_a_refuses(answer: dict[str, Any], syn_ack: dict[str, Any], reason: RefuseReason) -> None:
    a, b = agreed()
    message = answer_of(b, **answer)
    for _ in range(2):
        assert is_refusal(take_a(a, MessageKind.ANSWER, message, **syn_ack), reason)
    assert has_no_keys(a)
    assert take_a(a, MessageKind.ANSWER, answer_of(b, random=b"\xff" * 32)).kind is OutcomeKind.ignored
    assert has_no_keys(a)


def test_a_refuses_its_own_share_reflected() -> None:
    a, b = agreed()
    hello = decode(MessageKind.HELLO, a.hello)
    assert isinstance(hello, Hello)
    outcome = take_a(a, MessageKind.ANSWER, answer_of(b, share=hello.share))
    assert is_refusal(outcome, RefuseReason.SHARE)


@pytest.mark.parametrize("reason", RefuseReason)
def test_refused(reason: RefuseReason) -> None:
    a, b = agreed()
    refuse = Refuse(reason).encode()
    for outcome in (take_a(a, MessageKind.REFUSE, refuse), take_b(b, MessageKind.REFUSE, refuse)):
        assert (outcome.kind, outcome.reason, outcome.reply) == (OutcomeKind.refused, reason, None)
    assert has_no_keys(a)
    assert has_no_keys(b)
    assert take_hello(b, a.hello).kind is OutcomeKind.ignored


def test_a_refusal_for_an_unknown_reason_is_one() -> None:
    outcome = take_a(make_a(), MessageKind.REFUSE, b"\x01\xc8")
    assert (outcome.kind, outcome.reason) == (OutcomeKind.refused, None)


def test_nothing_clear_ends_an_agreement_that_has_keys() -> None:
    a, b = agreed()
    assert b.answer is not None
    take_a(a, MessageKind.ANSWER, b.answer)
    assert take_a(a, MessageKind.REFUSE, Refuse(5).encode()).kind is OutcomeKind.ignored
    assert take_a(a, MessageKind.RETRY, Retry(1, ENO_B, 23).encode()).kind is OutcomeKind.ignored
    assert a.schedule().prk == b.schedule().prk


@pytest.mark.parametrize("kind", [0, 1, 4, 7, 9, 255])
def test_a_takes_nothing_of_another_role(kind: int) -> None:
    a, b = agreed()
    for message in (a.hello, b.answer or b"", b"\x01\x01", b""):
        outcome = take_a(a, kind, message)
        assert (outcome.kind, outcome.drop) == (OutcomeKind.malformed, AoDrop.ke_malformed)


@pytest.mark.parametrize("kind", [0, 2, 3, 7, 9, 255])
def test_b_takes_nothing_of_another_role(kind: int) -> None:
    a, b = agreed()
    for message in (a.hello, b.answer or b"", b"\x01\x01", b""):
        assert take_b(b, kind, message).kind is OutcomeKind.malformed
    assert b.schedule() is not None


def test_second_hello_and_rekeys_have_no_place() -> None:
    a, b = agreed()
    assert take_b(b, MessageKind.SECOND_HELLO, a.hello).kind is OutcomeKind.ignored
    rekey = Rekey(1, bytes(32), X25519, bytes(32)).encode()
    for kind in (MessageKind.REKEY, MessageKind.REKEY_ANSWER):
        assert take_a(a, kind, rekey).kind is OutcomeKind.ignored
        assert take_b(b, kind, rekey).kind is OutcomeKind.ignored


def test_malformed_messages_leave_everything_as_it_was() -> None:
    a, b = make_a(), make_b()
    for end in range(len(a.hello)):
        assert take_hello(b, a.hello[:end]).kind is OutcomeKind.malformed
    assert take_hello(b, a.hello + b"\x00").kind is OutcomeKind.malformed
    answer = take_hello(b, a.hello).reply
    assert answer is not None
    for end in range(len(answer)):
        assert take_a(a, MessageKind.ANSWER, answer[:end]).kind is OutcomeKind.malformed
    assert take_a(a, MessageKind.ANSWER, answer).kind is OutcomeKind.keys
    assert take_a(a, MessageKind.ANSWER, answer[:-1]).kind is OutcomeKind.malformed


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"suites": ()}, "at least one"),
        ({"groups": ()}, "at least one"),
        ({"suites": (Suite(1, 9),)}, "suite 1 9 is not available"),
        ({"suites": (Suite(9, 1),)}, "suite 9 1 is not available"),
        ({"groups": (X25519, 4)}, "group 4 is not available"),
    ],
)
def test_an_offer_that_cannot_be_kept(changes: dict[str, Any], fault: str) -> None:
    for make in (make_a, make_b):
        with pytest.raises(ValueError, match=fault):
            make(**changes)


def test_the_secret_is_computed_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """profile.md §5: B computes it when A's first protected segment comes."""
    calls = 0
    group = GROUPS[X25519]
    respond = group.respond

    def counted(random: Any, peer_share: bytes) -> Any:
        share = respond(random, peer_share)

        class Counted:
            public = share.public

            def secret(self, peer: bytes) -> bytes:
                nonlocal calls
                calls += 1
                return share.secret(peer)

        return Counted()

    monkeypatch.setattr(group, "respond", counted)
    _, b = agreed()
    assert calls == 0
    b.schedule()
    b.schedule()
    assert calls == 1


def test_wiped() -> None:
    a, b = agreed()
    assert b.answer is not None
    take_a(a, MessageKind.ANSWER, b.answer)
    schedule = a.schedule()
    session = schedule.session
    for agreement in (a, b):
        agreement.wipe()
        assert has_no_keys(agreement)
    assert (schedule.prk, schedule.ao, schedule.enc, schedule.chain, schedule.session) == (
        b"",
        b"",
        b"",
        b"",
        session,
    )


def test_no_secret_in_a_repr() -> None:
    a, b = agreed()
    assert b.answer is not None
    take_a(a, MessageKind.ANSWER, b.answer)
    schedule = a.schedule()
    for secret in (schedule.prk, schedule.ao, schedule.enc, schedule.chain):
        assert secret.hex() not in repr(schedule)
        assert repr(secret) not in repr(schedule)
