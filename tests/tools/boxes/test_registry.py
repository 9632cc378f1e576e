"""Boxes by their text: names, parameters, what is wrong with them, and where they stand."""

from __future__ import annotations

import random

import pytest

from stack import icmp
from stack.box import Box, Direction
from stack.checksum import checksum, pseudo_header_sum
from stack.ip import ICMPV6, TCP, Ip, parse
from stack.simulator.boxes import repair_checksum
from tests.tools.boxes.support import UNKNOWN, dissected, named, segment, through
from tools.boxes.registry import BOXES, BoxError, arranged, box, listing, make


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("striip", "there is no box 'striip'"),
        ("strip:kind=30", "box strip: there is no parameter 'kind' (kinds, syn, after, remove, only, near)"),
        ("strip:kinds=x", "box strip: kinds: 'x' is not of kind numbers"),
        ("strip:syn=sometimes", "box strip: syn: 'sometimes' is not one of any, only, except"),
        ("strip:after=-1", "box strip: after: -1 is less than 0"),
        ("strip:remove=perhaps", "box strip: remove: 'perhaps' is not of kind yes|no"),
        ("nat:address=nowhere", "box nat: 'nowhere' does not appear to be an IPv4 or IPv6 address"),
        ("strip:only=router", "box strip: only: 'router' is not one of client, server"),
        ("change:to=(strip", "the parentheses do not match"),
        ("change:to=(strip:kinds=x)", "box strip: kinds"),
        ("split:most=0", "box split: a segment has an octet at least"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(text: str, complaint: str) -> None:
    with pytest.raises(BoxError) as raised:
        named(text)
    assert complaint in str(raised.value)
    assert "\n" not in str(raised.value)


def test_every_box_is_made_with_its_defaults_and_told_of() -> None:
    for name, what, parameters in listing():
        named(name)
        assert what
        assert "\n" not in what
        assert len(parameters) == len(BOXES[name].parameters)


def test_parameters_have_the_types_of_their_defaults() -> None:
    seen: dict[str, object] = {}

    @box("test-typed", "keeps its parameters")
    def typed(
        *, flag: bool = False, count: int = 3, share: float = 0.5, text: str = "", kinds: tuple[int, ...] = ()
    ) -> Box:
        seen.update(flag=flag, count=count, share=share, text=text, kinds=kinds)
        return named("strip")  # type: ignore[no-any-return]

    try:
        named("test-typed:flag,count=0x10,share=1,text=a b,kinds=30+252-254")
        assert seen == {"flag": True, "count": 16, "share": 1.0, "text": "a b", "kinds": (30, 252, 253, 254)}
        assert isinstance(seen["share"], float)
    finally:
        BOXES.remove("test-typed")


def test_a_box_without_defaults_or_with_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(ValueError, match="exists already"):
        box("strip", "another")(lambda: named("strip"))  # type: ignore[no-any-return]
    with pytest.raises(ValueError, match="parameter 'kinds' has no default"):
        box("test-bare", "no default")(lambda kinds: named("strip"))  # type: ignore[misc]
    with pytest.raises(ValueError, match="letters, digits"):
        box("a,b", "a name that no text can have")
    assert "test-bare" not in BOXES


def test_only_leaves_the_other_way_alone() -> None:
    syn = {"flags": "S", "options": [UNKNOWN]}
    strip = named("strip:only=server")
    assert through(strip, segment(**syn))[0]["TCP"].options[0] == UNKNOWN
    assert through(strip, segment(backward=True, **syn), backward=True)[0]["TCP"].options[0] == ("NOP", None)


def test_counters_tell_what_passed_and_what_was_done() -> None:
    strip = named("strip")
    through(strip, segment(options=[UNKNOWN]), segment())
    through(strip, segment(backward=True), backward=True)
    counters = strip.counters()
    assert (counters["in_from_client"], counters["in_from_server"]) == (2, 1)
    assert (counters["out_from_client"], counters["out_from_server"]) == (2, 1)
    assert counters["stripped"] == 1
    lost = named("loss:share=1")
    assert through(lost, segment()) == []
    assert lost.counters()["lost"] == 1


def test_boxes_stand_on_the_side_that_they_are_near_to() -> None:
    boxes = [named("strip:near=server"), named("ecn:near=client"), named("mss")]
    delay = named("delay")
    assert [one.text.partition(":")[0] for one in arranged(boxes, delay)] == ["ecn", "delay", "strip", "mss"]


@pytest.mark.parametrize("name", sorted(BOXES))
def test_nothing_that_comes_makes_a_box_raise(name: str) -> None:
    """Segments with octets changed and cut off, and no segments at all; what leaves is a packet."""
    seed = sum(name.encode())
    chance = random.Random(seed)
    made = make(name, chance)
    whole = [
        segment(b"10.0.0.1 " * 200, "PA", version=version, backward=backward, options=[UNKNOWN, ("SAck", (1, 2))])
        for version in (4, 6)
        for backward in (False, True)
    ]
    whole += [segment(flags="S", options=[("MSS", 1460), UNKNOWN, ("Timestamp", (1, 0))])]
    # Errors about segments of the client's and of the server's, whose quotes a NAT translates.
    whole += [icmp_error(one) for one in whole]
    for step in range(600):
        packet = bytearray(chance.choice(whole))
        header = 20 if packet[0] >> 4 == 4 else 40
        for _ in range(chance.randrange(4)):
            packet[chance.randrange(header, min(len(packet), header + 100))] = chance.getrandbits(8)
        if chance.random() < 0.7:
            packet = _fitting(packet)
        if chance.random() < 0.2:
            packet = packet[: chance.randrange(len(packet))]
        direction = Direction(chance.randrange(2))
        for _, _, out in made.process([bytes(packet)], direction, step * 0.01):
            assert isinstance(out, bytes | bytearray | memoryview), f"seed {seed}, step {step}"


def icmp_error(quoted: bytes) -> bytes:
    ip = parse(quoted)
    assert isinstance(ip, Ip)
    return icmp.too_big(ip, quoted, 1280, bytes((10, 9, 9, 9)) if ip.version == 4 else bytes(15) + b"\x09")


def _fitting(packet: bytearray) -> bytearray:
    """The packet with the checksum that fits, of TCP or ICMP."""
    ip = parse(packet)
    if not isinstance(ip, Ip):
        return packet
    if ip.protocol == TCP:
        repair_checksum(ip, packet)
        return packet
    at = ip.header_octets
    message = ip.payload(packet)
    message[2:4] = bytes(2)
    initial = pseudo_header_sum(ip.source, ip.destination, len(message), ICMPV6) if ip.version == 6 else 0
    packet[at + 2 : at + 4] = checksum(message, initial=initial).to_bytes(2)
    return packet


def test_a_segment_whose_checksum_is_wrong_is_not_made_right() -> None:
    """The receiver shall find the damage."""
    packet = bytearray(segment(b"text", options=[UNKNOWN]))
    packet[-1] ^= 1
    out = named("strip").process([bytes(packet)], Direction.FORWARD, 0.0)
    assert [bytes(one) for _, _, one in out] == [bytes(packet)]


def test_support_tells_wrong_checksums() -> None:
    packet = bytearray(segment(b"text"))
    packet[-1] ^= 1
    with pytest.raises(AssertionError):
        dissected(packet)
