"""Experiments as declarations: bounds, pieces, and octets of others that raise nothing but the one error."""

from __future__ import annotations

from typing import Any

import pytest
from construct import Adapter, Bytes, GreedyBytes, Int32ub, Struct
from hypothesis import given
from hypothesis import strategies as st

from edo.experiments import MOST, Experiment, ExperimentError, check, experiment

NUMBER = Struct("number" / Int32ub)
REST = Struct("octets" / GreedyBytes)


def test_one_option_with_an_exid_or_a_kind_of_its_own() -> None:
    """RFC 6994 §3: Kind, Length, ExID, contents."""
    by_exid = experiment("echo", NUMBER, exid=0xE0C0, most=4)
    assert by_exid.build({"number": 7}) == (bytes.fromhex("fe08e0c000000007"),)
    by_kind = experiment("echo", NUMBER, kind=200, most=4)
    assert by_kind.build({"number": 7}) == (bytes.fromhex("c80600000007"),)
    for one in (by_exid, by_kind):
        assert one.parse(one.build({"number": 7})) == {"number": 7}
    assert by_exid.bears(253, 0xE0C0)
    assert by_exid.bears(254, 0xE0C0)
    assert not by_exid.bears(254, 0xE0C1)
    assert by_kind.bears(200, -1)


@pytest.mark.parametrize(
    ("most", "octets"), [(251, 255), (252, 252 + 2 * 6), (249, 253), (1000, 1030), (1024, 1054)]
)
def test_octets_of_the_longest_option(most: int, octets: int) -> None:
    """What 255 octets do not hold goes in pieces of 249, each with a head of six."""
    one = experiment("long", REST, exid=1, most=most)
    made = one.wrap(bytes(most))
    assert sum(map(len, made)) == one.most_octets == octets
    assert all(len(option) == option[1] for option in made)


@given(st.binary(max_size=600), st.sampled_from((300, 600, MOST)))
def test_pieces_come_back_whole(contents: bytes, most: int) -> None:
    one = experiment("long", REST, exid=1, most=most)
    if len(contents) > most:
        with pytest.raises(ExperimentError):
            one.wrap(contents)
        return
    assert one.parse(one.wrap(contents)) == {"octets": contents}


def test_pieces_that_do_not_go_together_are_refused() -> None:
    one = experiment("long", REST, exid=1, most=600)
    first, second, third = one.wrap(bytes(600))
    for pieces in ((first, second), (second, first, third), (first, first, third), (third,), (first[:4] + b"\0",)):
        with pytest.raises(ExperimentError):
            one.parse(pieces)


class Cruel(Adapter):  # type: ignore[misc]  # construct has no types
    """A user's construct that raises what it likes."""

    def _decode(self, obj: Any, context: Any, path: Any) -> Any:
        raise ZeroDivisionError("decode")

    def _encode(self, obj: Any, context: Any, path: Any) -> Any:
        raise RuntimeError("encode")


DECLARED = (
    experiment("echo", NUMBER, exid=1, most=4),
    experiment("long", REST, exid=1, most=700),
    experiment("short", Struct("octets" / Bytes(3)), kind=200, most=3),
    experiment("cruel", Struct("x" / Cruel(Int32ub)), exid=1, most=8),
)


@given(st.sampled_from(DECLARED), st.lists(st.binary(max_size=251), min_size=1, max_size=4))
def test_any_octets_raise_nothing_but_the_one_error(one: Experiment, contents: list[bytes]) -> None:
    head = bytes((one.kind, 0)) + (b"" if one.exid is None else one.exid.to_bytes(2))
    try:
        fields = one.parse([head + octets for octets in contents])
    except ExperimentError:
        pass
    else:
        assert set(fields) == {part.name for part in one.fields.subcons}


@given(
    st.sampled_from(DECLARED), st.dictionaries(st.sampled_from(("number", "octets", "x")), st.none() | st.text())
)
def test_any_values_raise_nothing_but_the_one_error(one: Experiment, values: dict[str, object]) -> None:
    with pytest.raises(ExperimentError):
        one.build(values)


@pytest.mark.parametrize(
    ("fault", "changes"),
    [
        ("name 'a b' is no identifier", {"name": "a b"}),
        ("fields must be a construct Struct", {"fields": Int32ub}),
        ("most must be 0 to 1024 octets, not 1025", {"most": 1025}),
        ("it needs an exid or a kind", {"exid": None}),
        ("ExID 0x0ED0 is not one of", {"exid": 0x0ED0}),
        ("ExID 0xA0E1 is not one of", {"exid": 0xA0E1}),
        ("an ExID stands under kind 253 or 254, not 200", {"kind": 200}),
        ("kind 29 is not one of 6 to 252, or the stack's own", {"exid": None, "kind": 29}),
        ("kind 1 is not one of", {"exid": None, "kind": 1}),
        ("kind 254 is not one of", {"exid": None, "kind": 254}),
        ("on is of syn, ack, data", {"on": ("fin",)}),
    ],
)
def test_declarations_that_cannot_be(fault: str, changes: dict[str, Any]) -> None:
    values: dict[str, Any] = {"name": "echo", "fields": NUMBER, "exid": 1, "most": 4} | changes
    with pytest.raises(ValueError, match="experiment") as error:
        experiment(values.pop("name"), values.pop("fields"), **values)
    assert fault in str(error.value)
    assert "\n" not in str(error.value)


def test_two_of_one_name_or_number_are_refused() -> None:
    one = experiment("one", NUMBER, exid=1, most=4)
    for other in (experiment("one", NUMBER, exid=2, most=4), experiment("two", NUMBER, kind=253, exid=1, most=4)):
        with pytest.raises(ValueError, match="another has its name or number"):
            check((one, other))
    check((one, experiment("two", NUMBER, exid=2, most=4), experiment("three", NUMBER, kind=200, most=4)))
