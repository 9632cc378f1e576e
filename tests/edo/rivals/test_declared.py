"""The readers of the rivals take what the declarations take, on generated and on mutated octets."""

from __future__ import annotations

from construct import Construct, ConstructError
from hypothesis import given, settings
from hypothesis import strategies as st

from edo.codec import DECLARATIONS, OptionError, Registry
from edo.codepoints import POINTS
from edo.rivals import aggregated, inner_space, seg_u, sister_syn
from edo.rivals.declared import DECLARATIONS as RIVALS
from edo.rivals.declared import IN_SPACE, IN_SPACE_SYN, SEG_U_PREFIX

REGISTRY = Registry(POINTS, DECLARATIONS + RIVALS)


def parsed(declaration: Construct, octets: bytes) -> object:
    try:
        return declaration.parse(octets)
    except ConstructError:
        return None


def mutated(whole: bytes, at: int, value: int) -> bytes:
    return whole[: at % len(whole)] + bytes((value,)) + whole[at % len(whole) + 1 :]


@given(extra=st.integers(0, 255), prefix=st.integers(0, 255), at=st.integers(0, 7), value=st.integers(0, 255))
@settings(max_examples=100)
def test_syn_op_sis(extra: int, prefix: int, at: int, value: int) -> None:
    whole = REGISTRY.build("syn_op_sis", extra_words=extra, prefix_words=prefix)
    assert whole == sister_syn.end_option(4 * extra, 4 * prefix)
    assert REGISTRY.build("syn_op_sis_confirmed") == sister_syn.confirmation()
    for option in (whole, mutated(whole, at, value)):
        found = sister_syn.find_extra(memoryview(bytes(20 + 1020) + option), 20)
        try:
            fields = REGISTRY.parse(option).fields
        except OptionError:
            assert found is None
            continue
        if REGISTRY.parse(option).name != "syn_op_sis" or fields["prefix_words"] > fields["extra_words"]:
            assert found is None
        else:
            start = 1040 - 4 * fields["extra_words"]
            assert found == (start, start + 4 * fields["prefix_words"], 1040)


@given(contents=st.binary(max_size=8), kind=st.sampled_from((253, 254, 200)))
def test_aggregated_option(contents: bytes, kind: int) -> None:
    option = aggregated.option(contents, kind)
    found = aggregated.contents_of(memoryview(option), [(kind, aggregated.AGGREGATED, 0, len(option))])
    try:
        value = REGISTRY.parse(option)
    except OptionError:
        assert found is None or kind == 200
        return
    assert value.fields["groups"] == found == contents
    assert REGISTRY.build("aggregated", groups=contents)[1:] == option[1:]


@given(
    text=st.integers(0, 40),
    prefix=st.integers(0, 12),
    inner=st.integers(0, 12),
    at=st.integers(0, 11),
    value=st.integers(0, 255),
)
@settings(max_examples=100)
def test_in_space_of_a_syn(text: int, prefix: int, inner: int, at: int, value: int) -> None:
    head = inner_space.on_syn(text, 4 * prefix, 4 * inner)
    built = IN_SPACE_SYN.build(
        {"text": text, "first": {"inner_words": inner}, "second": {"prefix_words": prefix, "unused": 0}}
    )
    assert built == head
    size = 4 * inner + text
    for octets in (head, mutated(head, at, value)):
        fields = IN_SPACE_SYN.parse(octets) if parsed(IN_SPACE_SYN, octets) else None
        found = inner_space.find_on_syn(memoryview(bytes(20) + octets + bytes(size)), 20)
        if fields is None:
            assert found is None
            continue
        words, first = fields.first.inner_words, fields.second.prefix_words
        fits = first <= words and 4 * words + fields.text == size
        assert found == ((32, 32 + 4 * first, 32 + 4 * words) if fits else None)


@given(octets=st.binary(min_size=4, max_size=4))
@settings(max_examples=100)
def test_in_space_of_other_segments(octets: bytes) -> None:
    fields = IN_SPACE.parse(octets) if parsed(IN_SPACE, octets) else None
    stream = inner_space.Stream()
    stream.take(memoryview(octets))
    if fields is None:
        assert stream.broken or int.from_bytes(octets[2:]) >> 2
        stream.take(memoryview(bytes(4 * 0x3FFF)))
        assert stream.broken
    else:
        stream.take(memoryview(bytes(4 * fields.first.inner_words)))
        assert not stream.broken
        assert stream.inside == fields.text
        assert inner_space.on_others(fields.text, 4 * fields.first.inner_words) == octets


@given(octets=st.binary(min_size=4, max_size=4), size=st.integers(0, 1020))
def test_prefix_of_seg_u(octets: bytes, size: int) -> None:
    words = SEG_U_PREFIX.parse(octets).words
    found = seg_u.header_end(memoryview(bytes(20) + octets + bytes(size)))
    assert found == (20 + 4 * words if 4 <= 4 * words <= 4 + size else None)
    assert SEG_U_PREFIX.build({"words": 5, "reserved": bytes(3)}) == seg_u.prefix(16)
