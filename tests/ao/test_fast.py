"""What is read and written straight says the same as the declarations, on good, mutated and random octets."""

from __future__ import annotations

from typing import Any

import pytest
from construct import Construct, ConstructError
from hypothesis import given
from hypothesis import strategies as st

from ao import fast, messages, report
from ao.messages import Answer, Hello, MessageKind
from ao.report import Report
from ao.suite import Suite

from .test_messages import answers, hellos, octet

reports = st.builds(
    Report,
    octet,
    st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16),
    st.integers(0, 0xFFFF),
    octet,
    st.integers(0, 3),
    octet,
    st.integers(0, 0xFFFF),
    st.none() | st.binary(max_size=40),
)
changes = st.lists(st.tuples(st.integers(0), octet), max_size=4)
cut = st.integers(-3, 0)


def declared(declaration: Construct, octets: bytes) -> Any:
    try:
        return declaration.parse(octets)
    except ConstructError:
        return None


def mutated(octets: bytes, places: list[tuple[int, int]], end: int) -> bytes:
    changed = bytearray(octets)
    for place, value in places:
        changed[place % len(changed)] = value
    return bytes(changed[: len(changed) + end])


def same_hello(octets: bytes) -> bool:
    fields = declared(messages._HELLO, octets)
    read = fast.read_hello(octets)
    assert (read is None) == (fields is None), octets.hex()
    if read is not None:
        assert Hello(*read) == messages._hello(fields)
    return read is not None


def same_answer(octets: bytes) -> bool:
    fields = declared(messages._ANSWER, octets)
    read = fast.read_answer(octets)
    assert (read is None) == (fields is None), octets.hex()
    if read is not None:
        assert Answer(*read) == messages._answer(fields)
    return read is not None


def same_report(octets: bytes) -> bool:
    fields = declared(report._REPORT, octets)
    read = fast.read_report(octets, messages.VERSION)
    assert (read is None) == (fields is None), octets.hex()
    if read is not None:
        options = None if fields.nopt == 255 else fields.options
        seen = (fields.port, fields.tcp_flags, fields.ecn, fields.ttl, fields.window, options)
        assert read == (fields.flags, fields.source, *seen)
    return read is not None


@given(hellos, changes, cut, st.binary(max_size=2))
def test_hellos(hello: Hello, places: list[tuple[int, int]], end: int, rest: bytes) -> None:
    octets = hello.encode()
    assert octets == messages._HELLO.build({name: getattr(hello, name) for name in Hello.__slots__})
    assert same_hello(octets)
    same_hello(mutated(octets, places, end))
    same_hello(octets + rest)


@given(answers, changes, cut, st.binary(max_size=2))
def test_answers(answer: Answer, places: list[tuple[int, int]], end: int, rest: bytes) -> None:
    octets = answer.encode()
    assert octets == messages._ANSWER.build({name: getattr(answer, name) for name in Answer.__slots__})
    assert same_answer(octets)
    same_answer(mutated(octets, places, end))
    same_answer(octets + rest)


@given(reports, changes, cut, st.binary(max_size=2))
def test_reports(told: Report, places: list[tuple[int, int]], end: int, rest: bytes) -> None:
    octets = told.encode()
    assert same_report(octets)
    same_report(mutated(octets, places, end))
    same_report(octets + rest)


@given(st.binary(max_size=120))
def test_noise(octets: bytes) -> None:
    for same in (same_hello, same_answer, same_report):
        same(octets)


GOOD = Hello(5, bytes(32), 7, b"E", (Suite(1, 1),), (29,), 29, b"sh", (bytes(16),))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("flags", 256),
        ("random", bytes(31)),
        ("isn", -1),
        ("eno", bytes(256)),
        ("suites", (Suite(1, 256),)),
        ("suites", (Suite(1, 1),) * 256),
        ("groups", (65536,)),
        ("groups", (1,) * 256),
        ("group", -1),
        ("share", bytes(65536)),
        ("tickets", (bytes(15),)),
        ("tickets", (bytes(16),) * 256),
        ("version", 256),
    ],
)
def test_a_field_out_of_its_range_is_left_to_the_declaration(field: str, value: object) -> None:
    fields = {name: getattr(GOOD, name) for name in Hello.__slots__} | {field: value}
    assert fast.write_hello(**fields) is None
    with pytest.raises(ValueError, match="cannot be encoded"):
        Hello(**fields).encode()


def test_long_hellos_are_within_the_bound_of_messages() -> None:
    """profile.md §4: 4,096 octets at most."""
    fields = {name: getattr(GOOD, name) for name in Hello.__slots__} | {"share": bytes(4096)}
    with pytest.raises(ValueError, match="more than 4096"):
        Hello(**fields).encode()
    octets = fast.write_hello(**fields)
    assert octets is not None
    with pytest.raises(messages.MalformedMessage):
        messages.decode(MessageKind.HELLO, octets)


@pytest.mark.parametrize(
    ("source", "ecn", "options"),
    [(bytes(5), 0, b""), (bytes(4), 4, b""), (bytes(16), 0, bytes(41)), (bytes(4), -1, None)],
)
def test_reports_out_of_range(source: bytes, ecn: int, options: bytes | None) -> None:
    assert fast.write_report(1, 0, source, 1, 2, ecn, 64, 5, options) is None
