"""Messages: nothing but what is declared is taken, and nothing but MalformedMessage comes out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ao.messages import (
    MAX_OCTETS,
    Answer,
    Hello,
    MalformedMessage,
    Message,
    MessageKind,
    Refuse,
    Rekey,
    Retry,
    decode,
)
from ao.suite import Suite

octet = st.integers(0, 255)
double = st.integers(0, 0xFFFF)
suite = st.builds(Suite, octet, octet)
random32 = st.binary(min_size=32, max_size=32)
share = st.binary(max_size=1300)
eno = st.binary(max_size=255)
isn = st.integers(0, 0xFFFFFFFF)

hellos = st.builds(
    Hello,
    octet,
    random32,
    isn,
    eno,
    st.lists(suite, max_size=5).map(tuple),
    st.lists(double, max_size=5).map(tuple),
    double,
    share,
    st.lists(st.binary(min_size=16, max_size=16), max_size=4).map(tuple),
    octet,
)
answers = st.builds(Answer, octet, random32, isn, eno, suite, double, share, octet, octet)
rekeys = st.builds(Rekey, octet, random32, double, share, octet)
messages = st.one_of(
    st.tuples(st.sampled_from([1, 4]), hellos),
    st.tuples(st.just(2), answers),
    st.tuples(st.just(3), st.builds(Retry, octet, eno, double, octet)),
    st.tuples(st.sampled_from([5, 6]), rekeys),
    st.tuples(st.just(8), st.builds(Refuse, octet, octet)),
)


def strictly(kind: int, octets: bytes) -> bool:
    """Whether ``octets`` are taken; what is taken must be what its fields build, octet for octet."""
    try:
        message = decode(kind, octets)
    except MalformedMessage:
        return False
    assert message.encode() == octets
    return True


@given(messages)
def test_round_trip(case: tuple[int, Message]) -> None:
    kind, message = case
    assert decode(kind, message.encode()) == message


@settings(max_examples=60)
@given(messages, st.binary(min_size=1, max_size=3))
def test_every_truncation_and_any_rest_is_malformed(case: tuple[int, Message], rest: bytes) -> None:
    kind, message = case
    octets = message.encode()
    for end in range(len(octets)) if len(octets) < 200 else range(0, len(octets), 17):
        assert not strictly(kind, octets[:end])
    assert not strictly(kind, octets + rest)


@given(messages, st.lists(st.tuples(st.integers(0), octet), min_size=1, max_size=6), st.integers(0, 300))
def test_mutations(case: tuple[int, Message], changes: list[tuple[int, int]], kind: int) -> None:
    own_kind, message = case
    octets = bytearray(message.encode())
    for place, value in changes:
        octets[place % len(octets)] = value
    strictly(own_kind, bytes(octets))
    strictly(kind, bytes(octets))


@given(st.integers(-1, 300), st.binary(max_size=400))
def test_noise(kind: int, octets: bytes) -> None:
    strictly(kind, octets)


@pytest.mark.parametrize("kind", [-1, 0, 7, 9, 255])
def test_unknown_kinds(kind: int) -> None:
    with pytest.raises(MalformedMessage):
        decode(kind, b"\x01\x01")


def test_bound() -> None:
    """profile.md §4: more than 4,096 octets are malformed."""
    rekey = Rekey(1, bytes(32), 29, bytes(MAX_OCTETS - 38))
    octets = rekey.encode()
    assert len(octets) == MAX_OCTETS
    assert decode(MessageKind.REKEY, octets) == rekey
    longer = octets[:36] + (MAX_OCTETS - 37).to_bytes(2, "big") + bytes(MAX_OCTETS - 37)
    with pytest.raises(MalformedMessage):
        decode(MessageKind.REKEY, longer)
    with pytest.raises(ValueError, match="4097 octets"):
        Rekey(1, bytes(32), 29, bytes(MAX_OCTETS - 37)).encode()


@pytest.mark.parametrize(
    "message",
    [
        Retry(256, b"", 29),
        Retry(0, bytes(256), 29),
        Retry(0, b"", 65536),
        Rekey(0, bytes(31), 29, b""),
        Answer(0, bytes(32), 2**32, b"", Suite(1, 1), 29, b""),
    ],
    ids=repr,
)
def test_fields_out_of_range_do_not_encode(message: Message) -> None:
    with pytest.raises(ValueError, match="cannot be encoded"):
        message.encode()


def test_layout_of_the_profile() -> None:
    """profile.md §4, octet by octet."""
    hello = Hello(
        0x0D, bytes(range(32)), 0x01020304, b"\x45\x02", (Suite(1, 2),), (29, 23), 29, b"sh", (b"t" * 16,)
    )
    assert hello.encode().hex() == (
        "01" "0d" + bytes(range(32)).hex() + "01020304" "02" "4502" "01" "0102" "02" "001d" "0017" "001d" "0002"
        "7368" "01" + "74" * 16
    )  # fmt: skip
    assert Refuse(6).encode().hex() == "0106"
    assert Retry(1, b"E", 23).encode().hex() == "010101450017"
