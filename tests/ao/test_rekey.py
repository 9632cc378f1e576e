"""Rekeying as messages in and messages out, and rings of keys that only go forward (profile.md §7)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from ao.generations import GenerationRing
from ao.keys import Key, agreed_key
from ao.messages import MessageKind, Refuse, RefuseReason, Rekey, decode
from ao.outcome import NotAgreed, Outcome, OutcomeKind
from ao.reasons import AoDrop
from ao.rekey import Rekeying
from ao.schedule import Schedule
from ao.suite import Suite
from ao.traffic_keys import SocketPair
from tests.ao.support import counting

X25519 = 29
PAIR = SocketPair(ip_address("10.0.0.1").packed, 1, ip_address("10.0.0.2").packed, 2)


class Two:
    """Both ends of a connection's rekeying; ``sending`` is the generation that each signs under."""

    def __init__(self) -> None:
        random = counting()
        self.a = Rekeying(Schedule(b"p" * 32), X25519, is_a=True, random=random)
        self.b = Rekeying(Schedule(b"p" * 32), X25519, is_a=False, random=random)
        self.generation = 0

    def give(self, to: Rekeying, kind: MessageKind, message: bytes) -> Outcome:
        """The message arrives under the generation that both sign under."""
        return to.take(kind, message, self.generation, self.generation)

    def round(self, one: Rekeying, other: Rekeying) -> None:
        answered = self.give(other, MessageKind.REKEY, one.start())
        assert answered.kind is OutcomeKind.answer
        assert answered.reply is not None
        assert self.give(one, MessageKind.REKEY_ANSWER, answered.reply).kind is OutcomeKind.keys
        self.generation += 1
        for side in (one, other):
            side.confirmed()


def masters(side: Rekeying) -> tuple[bytes, bytes, bytes]:
    schedule = side.schedule()
    return schedule.ao, schedule.enc, schedule.chain


def test_either_side_may_begin_and_each_round_has_other_keys() -> None:
    two = Two()
    seen = {masters(two.a)}
    session = two.a.schedule().session
    for number in range(4):
        two.round(*((two.a, two.b) if number % 2 else (two.b, two.a)))
        assert masters(two.a) == masters(two.b)
        seen.add(masters(two.a))
        assert two.a.schedule().session == two.b.schedule().session == session
    assert len(seen) == 5


def test_the_messages_of_two_hundred_and_sixty_rounds_count_mod_256() -> None:
    two = Two()
    for number in range(260):
        two.round(two.a, two.b)
        assert two.a.newest == two.b.newest == number + 1
    assert masters(two.a) == masters(two.b)
    message = decode(MessageKind.REKEY, two.a.start())
    assert isinstance(message, Rekey)
    assert message.generation == 261 - 256


def test_a_repeated_rekey_gets_the_same_answer_and_another_one_nothing() -> None:
    two = Two()
    rekey = two.a.start()
    first = two.give(two.b, MessageKind.REKEY, rekey)
    again = two.give(two.b, MessageKind.REKEY, rekey)
    assert (again.kind, again.reply) == (OutcomeKind.repeated, first.reply)
    parsed = decode(MessageKind.REKEY, rekey)
    assert isinstance(parsed, Rekey)
    other = two.give(two.b, MessageKind.REKEY, replace(parsed, random=bytes(32)).encode())
    assert (other.kind, other.drop) == (OutcomeKind.ignored, AoDrop.ke_repeated_differently)


def test_who_has_answered_starts_none_until_the_peer_uses_the_keys() -> None:
    two = Two()
    two.give(two.b, MessageKind.REKEY, two.a.start())
    assert two.b.open
    with pytest.raises(NotAgreed):
        two.b.start()
    two.b.confirmed()
    assert two.b.start()


def test_of_two_at_once_that_of_a_stands() -> None:
    two = Two()
    of_a, of_b = two.a.start(), two.b.start()
    assert two.give(two.a, MessageKind.REKEY, of_b).kind is OutcomeKind.ignored
    answered = two.give(two.b, MessageKind.REKEY, of_a)
    assert answered.kind is OutcomeKind.answer
    assert answered.reply is not None
    assert not two.b.asks
    assert two.give(two.a, MessageKind.REKEY_ANSWER, answered.reply).kind is OutcomeKind.keys
    assert masters(two.a) == masters(two.b)


@pytest.mark.parametrize("generation", [0, 2, 255])
def test_only_the_generation_above_the_current_one_is_answered(generation: int) -> None:
    two = Two()
    parsed = decode(MessageKind.REKEY, two.a.start())
    assert isinstance(parsed, Rekey)
    wrong = replace(parsed, generation=generation).encode()
    assert two.give(two.b, MessageKind.REKEY, wrong).kind is OutcomeKind.ignored
    assert two.b.newest == 0


def test_a_rekey_under_another_generation_than_that_in_use_is_ignored() -> None:
    two = Two()
    two.round(two.a, two.b)
    late = two.a.start()
    assert two.b.take(MessageKind.REKEY, late, 0, 1).kind is OutcomeKind.ignored
    assert two.b.take(MessageKind.REKEY, late, 1, 0).kind is OutcomeKind.ignored


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"group": 23}, RefuseReason.GROUP),
        ({"group": 0, "share": b""}, RefuseReason.GROUP),
        ({"share": bytes(32)}, RefuseReason.SHARE),
        ({"share": b"short"}, RefuseReason.SHARE),
        ({"version": 2}, RefuseReason.VERSION),
    ],
)
@pytest.mark.parametrize("answer", [False, True], ids=["rekey", "answer"])
def test_what_cannot_be_accepted_is_refused_and_ends_rekeying(
    change: dict[str, object], reason: RefuseReason, answer: bool
) -> None:
    two = Two()
    message: bytes | None = two.a.start()
    assert message is not None
    to, kind = two.b, MessageKind.REKEY
    if answer:
        message = two.give(two.b, MessageKind.REKEY, message).reply
        to, kind = two.a, MessageKind.REKEY_ANSWER
    assert message is not None
    parsed = decode(kind, message)
    assert isinstance(parsed, Rekey)
    outcome = two.give(to, kind, replace(parsed, **change).encode())  # type: ignore[arg-type]
    assert (outcome.kind, outcome.reason, outcome.reply_kind) == (OutcomeKind.refuse, reason, MessageKind.REFUSE)
    assert to.ended
    with pytest.raises(NotAgreed):
        to.start()
    assert outcome.reply is not None
    other = two.b if to is two.a else two.a
    assert two.give(other, MessageKind.REFUSE, outcome.reply).kind is OutcomeKind.refused
    assert other.ended


def test_a_repetition_of_what_was_refused_is_refused_again() -> None:
    two = Two()
    parsed = decode(MessageKind.REKEY, two.a.start())
    assert isinstance(parsed, Rekey)
    bad = replace(parsed, group=23).encode()
    first, again = (two.give(two.b, MessageKind.REKEY, bad) for _ in range(2))
    assert (first.kind, again.kind) == (OutcomeKind.refuse, OutcomeKind.repeated)
    assert (first.reply, first.reply_kind) == (again.reply, again.reply_kind)
    assert two.give(two.b, MessageKind.REKEY, parsed.encode()).kind is OutcomeKind.ignored


def test_no_rekey_is_answered_while_there_is_a_key_with_its_id() -> None:
    two = Two()
    rekey = two.a.start()
    assert two.b.take(MessageKind.REKEY, rekey, 0, 0, held=True).kind is OutcomeKind.ignored
    assert two.b.newest == 0
    first = two.b.take(MessageKind.REKEY, rekey, 0, 0)
    assert first.kind is OutcomeKind.answer
    # The answer's own repetition is another matter.
    assert two.b.take(MessageKind.REKEY, rekey, 0, 0, held=True).reply == first.reply


def test_ones_own_share_is_refused() -> None:
    two = Two()
    parsed = decode(MessageKind.REKEY, two.a.start())
    assert isinstance(parsed, Rekey)
    outcome = two.give(two.a, MessageKind.REKEY_ANSWER, parsed.encode())
    assert (outcome.kind, outcome.reason) == (OutcomeKind.refuse, RefuseReason.SHARE)


def test_a_refusal_of_nothing_is_ignored() -> None:
    two = Two()
    assert two.give(two.a, MessageKind.REFUSE, Refuse(3).encode()).kind is OutcomeKind.ignored
    assert not two.a.ended


@pytest.mark.parametrize("kind", [MessageKind.REKEY, MessageKind.REKEY_ANSWER, MessageKind.REFUSE])
def test_what_is_no_message_is_malformed(kind: MessageKind) -> None:
    two = Two()
    outcome = two.give(two.a, kind, b"\x01")
    assert (outcome.kind, outcome.drop) == (OutcomeKind.malformed, AoDrop.ke_malformed)


def test_wiped_secrets_make_no_keys() -> None:
    two = Two()
    rekey = two.a.start()
    two.b.wipe()
    assert two.give(two.b, MessageKind.REKEY, rekey).kind is OutcomeKind.ignored
    assert two.b.schedule().chain == b""


# --- rings ---------------------------------------------------------------------------------------------------


def key(generation: int) -> Key:
    return agreed_key(Schedule(bytes((generation & 0xFF,)) * 32), Suite(1, 1), 1, PAIR, 1, 2, generation & 0xFF)


def ring_of(*generations: int) -> GenerationRing:
    """A ring with generation 0 and these, announced in order."""
    ring = GenerationRing(key(0))
    ring.learn(ring.current, 0)
    for generation in generations:
        ring.announce(key(generation), generation)
    return ring


def test_a_ring_turns_to_the_generation_that_the_peer_announces() -> None:
    ring = ring_of(1)
    assert (ring.current.send_id, ring.rnext.recv_id, ring.agreed) == (0, 1, False)
    ring.learn(ring.current, 1)
    assert (ring.sending, ring.agreed) == (1, False)
    newer = ring.find(1)
    assert newer is not None
    ring.learn(newer, 1)
    assert ring.agreed


def test_what_was_announced_before_there_was_a_key_is_looked_at_again() -> None:
    ring = ring_of()
    ring.learn(ring.current, 1)
    assert ring.sending == 0
    ring.announce(key(1), 1)
    assert ring.sending == 1


def test_a_ring_never_goes_back() -> None:
    """Neither by an older RNextKeyID nor by a segment under an older key than the newest heard."""
    ring = ring_of(1)
    old = ring.current
    ring.learn(old, 1)
    newer = ring.find(1)
    assert newer is not None
    ring.learn(newer, 0)
    assert ring.sending == 1
    ring.learn(old, 0)
    assert (ring.sending, ring.heard, ring.heard_rnext) == (1, newer, 0)


def test_a_key_that_signs_is_not_given_up() -> None:
    ring = ring_of(1)
    with pytest.raises(ValueError, match="signs"):
        ring.give_up(0)
    ring.learn(ring.current, 1)
    ring.give_up(0)
    assert ring.find(0) is None
    assert ring.generations == {1: 1}


def test_a_refused_generation_is_forgotten_unless_it_signs() -> None:
    ring = ring_of(1)
    assert ring.retract()
    assert (ring.find(1), ring.rnext.recv_id) == (None, 0)
    ring = ring_of(1)
    ring.learn(ring.current, 1)
    assert not ring.retract()
    assert ring.find(1) is not None


def test_generation_256_takes_the_id_of_generation_0() -> None:
    ring = ring_of()
    for generation in range(1, 300):
        ring.announce(key(generation), generation)
        ring.learn(ring.current, generation & 0xFF)
        assert ring.sending == generation
        newest = ring.find(generation & 0xFF)
        assert newest is not None
        ring.learn(newest, generation & 0xFF)
        ring.give_up(generation - 1)
    assert ring.generations == {299 & 0xFF: 299}
