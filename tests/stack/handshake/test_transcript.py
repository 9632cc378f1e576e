"""The transcript binds what was negotiated (profile.md §4, §7): each item is changed or taken away on the path.

Either the connection refuses, or, where the profile says so, it goes on as if the thing had never been offered.
What is not bound is told afterwards by the report, and with ``strict_syn`` it is refused too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ao.messages import Answer, Hello, Message, MessageKind, Retry, decode
from ao.suite import Suite
from stack.security import Security
from tests.stack.handshake.tampering import (
    Change,
    Wanted,
    at,
    behind,
    inside,
    is_answer,
    is_hello,
    is_oob,
    is_syn,
    is_syn_ack,
    options_of,
    without,
)
from tests.stack.handshake.test_agreed import resummed

AUTO = Security("ao-enc-dh")
LATE = Security("ao-enc-dh", placements=("late",))
SYN_PLACED = Security("ao-enc-dh", placements=("syn",))
RETRIED = Security("ao-enc-dh", placements=("late",), groups=("x448", "x25519"))
ENO, EDO, SYN_EOS, MSS, WSCALE, SACK_OK, TS = (
    bytes.fromhex(octets) for octets in ("45", "fe040ed0", "fe045e05", "0204", "0303", "0402", "080a")
)

Edit = Callable[[Message], Message]


def editing(kind: MessageKind, edit: Edit) -> Change:
    """Put another message in the place of one: of the same length, so that it stands where that stood."""

    def change(packet: bytes) -> bytes:
        pieces = [
            (offset, octets)
            for offset, _, octets in options_of(packet)
            if octets[2:4] == b"\xa0\xe1" and octets[4] == kind
        ]
        message = b"".join(octets[9:] for _, octets in pieces)
        if not message:
            return packet
        other = edit(decode(kind, message)).encode()
        assert len(other) == len(message), "the edited message is of another length"
        assert other != message, "nothing was edited"
        start = 0
        for offset, octets in pieces:
            for index in range(9, len(octets)):
                packet = resummed(packet, offset + index, other[start])
                start += 1
        return packet

    return change


def hello(**changes: object) -> Edit:
    def edit(message: Message) -> Message:
        assert isinstance(message, Hello)
        return replace(message, **changes)  # type: ignore[arg-type]

    return edit


def answer(**changes: object) -> Edit:
    def edit(message: Message) -> Message:
        assert isinstance(message, Answer)
        return replace(message, **changes)  # type: ignore[arg-type]

    return edit


def flipped(name: str, bits: int) -> Edit:
    """A whole number, or the last octet of a field, with other bits."""

    def edit(message: Message) -> Message:
        value = getattr(message, name)
        other = value ^ bits if isinstance(value, int) else value[:-1] + bytes((value[-1] ^ bits,))
        return replace(message, **{name: other})

    return edit


SUITES = (Suite(1, 1), Suite(2, 1))
HELLOS = {
    "version": hello(version=2),
    "version 0": hello(version=0),
    "flag: ports and addresses": flipped("flags", 1),
    "flag: options outside": flipped("flags", 2),
    "flag: reports": flipped("flags", 4),
    "flag: rekeying": flipped("flags", 8),
    "unknown flag": flipped("flags", 0x40),
    "random": flipped("random", 1),
    "S_A": flipped("isn", 1),
    "copy of ENO": flipped("eno", 1),
    "order of suites": hello(suites=SUITES[::-1]),
    "a suite": hello(suites=(Suite(1, 1), Suite(3, 1))),
    "all suites": hello(suites=(Suite(9, 9), Suite(9, 8))),
    "order of groups": hello(groups=(29, 23)),
    "group of the share": hello(group=29),
    "share": flipped("share", 1),
}
ANSWERS = {
    "version": answer(version=2),
    "flag: ports and addresses": flipped("flags", 1),
    "flag: options outside": flipped("flags", 2),
    "flag: reports": flipped("flags", 4),
    "flag: rekeying": flipped("flags", 8),
    "unknown flag": flipped("flags", 0x40),
    "random": flipped("random", 1),
    "S_B": flipped("isn", 1),
    "copy of ENO": flipped("eno", 1),
    "another suite of the list": answer(suite=Suite(2, 1)),
    "a suite that is not in the list": answer(suite=Suite(3, 3)),
    "group": answer(group=29),
    "share": flipped("share", 1),
    "ticket": answer(ticket_index=0),
}
TWO_GROUPS = Security("ao-enc-dh", placements=("late",), groups=("secp256r1", "x25519"))
LISTENER = Security("ao-enc-dh", groups=("secp256r1", "x25519"))
# Has not the group of whose share is sent.
ASKING = Security("ao-enc-dh", groups=("x25519",))


def refused(wanted: Wanted, change: Change, client: Security, server: Security = AUTO) -> str:
    outcome = behind(wanted, change, client, server)
    assert outcome.mode is None, outcome
    assert outcome.error
    return outcome.error


@pytest.mark.parametrize("edit", HELLOS.values(), ids=list(HELLOS))
def test_every_field_of_the_hello_is_bound(edit: Edit) -> None:
    refused(is_hello, editing(MessageKind.HELLO, edit), TWO_GROUPS, LISTENER)


@pytest.mark.parametrize("edit", ANSWERS.values(), ids=list(ANSWERS))
def test_every_field_of_the_answer_is_bound(edit: Edit) -> None:
    refused(is_answer, editing(MessageKind.ANSWER, edit), TWO_GROUPS, LISTENER)


@pytest.mark.parametrize("edit", ANSWERS.values(), ids=list(ANSWERS))
def test_so_is_every_field_of_an_answer_in_a_syn_ack(edit: Edit) -> None:
    client = replace(TWO_GROUPS, placements=("auto",))
    refused(is_syn_ack, editing(MessageKind.ANSWER, edit), client, LISTENER)


@pytest.mark.parametrize("edit", [edit for name, edit in HELLOS.items() if name != "version 0"])
def test_a_hello_beside_the_syn_is_bound_or_refused_in_silence(edit: Edit) -> None:
    """What B would refuse it ignores there; the hello that follows in an ACK is the client's own."""
    client = replace(TWO_GROUPS, placements=("auto",))
    outcome = behind(is_oob, editing(MessageKind.HELLO, edit), client, LISTENER)
    if outcome.mode is not None:
        assert outcome.mode == "ao-enc-dh"


RETRIES: dict[str, Edit] = {
    "version": lambda message: replace(message, version=2),
    "flags": flipped("flags", 1),
    "copy of ENO": flipped("eno", 1),
    "another group": lambda message: replace(message, group=23),  # type: ignore[call-arg]
}


@pytest.mark.parametrize("edit", RETRIES.values(), ids=list(RETRIES))
def test_every_field_of_a_retry_is_bound(edit: Edit) -> None:
    def checked(message: Message) -> Message:
        assert isinstance(message, Retry)
        return edit(message)

    refused(is_answer, editing(MessageKind.RETRY, checked), RETRIED, ASKING)


@pytest.mark.parametrize("kind", [MessageKind.HELLO, MessageKind.SECOND_HELLO])
@pytest.mark.parametrize("name", ["flags", "random", "isn", "eno", "share"])
def test_both_hellos_around_a_retry_are_bound(kind: MessageKind, name: str) -> None:
    refused(is_hello, editing(kind, flipped(name, 1)), RETRIED, ASKING)


@pytest.mark.parametrize("name", ["flags", "random", "isn", "share"])
def test_a_man_in_the_middle_s_refusal_is_an_error_and_no_fallback(name: str) -> None:
    error = refused(is_answer, editing(MessageKind.ANSWER, flipped(name, 4)), LATE)
    assert "no ENO" not in error


# --- TCP-ENO and EDO -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "change", "error"),
    [
        pytest.param(is_syn, without(ENO), "", id="syn without ENO"),
        pytest.param(is_syn_ack, without(ENO), "no ENO in the SYN-ACK", id="syn-ack without ENO"),
        pytest.param(is_syn, inside(ENO, 2, flip=0x21), "", id="another TEP in the syn"),
        pytest.param(
            is_syn_ack, inside(ENO, 3, flip=0x01), "our TEP was not chosen", id="another TEP in the syn-ack"
        ),
        pytest.param(is_syn, inside(ENO, 3), "", id="another experiment in the syn"),
        pytest.param(is_syn, inside(ENO, 4, flip=2), "ENO", id="another version in the syn"),
        pytest.param(is_syn_ack, inside(ENO, 2, flip=2), "ENO", id="application-aware in the syn-ack"),
        pytest.param(is_syn_ack, inside(ENO, 2), "", id="role bit in the syn-ack"),
    ],
)
@pytest.mark.parametrize("client", [AUTO, LATE], ids=["auto", "late"])
def test_eno_is_bound(wanted: Wanted, change: Change, error: str, client: Security) -> None:
    assert error in refused(wanted, change, client)


@pytest.mark.parametrize("wanted", [is_syn, is_syn_ack], ids=["syn", "syn-ack"])
def test_without_edo_there_is_no_agreement_in_an_ack(wanted: Wanted) -> None:
    refused(wanted, without(EDO), LATE)


@pytest.mark.parametrize(
    ("wanted", "change"),
    [
        pytest.param(is_syn, without(SYN_EOS), id="syn"),
        pytest.param(is_oob, without(SYN_EOS), id="oob"),
        pytest.param(is_oob, at(4, flip=1), id="oob of another number"),
    ],
)
def test_syn_eos_that_is_taken_away_goes_on_late_or_is_refused(wanted: Wanted, change: Change) -> None:
    """Keys depend on messages, not on placement; who allows no other placement has none."""
    assert behind(wanted, change, AUTO, AUTO).mode == "ao-enc-dh"
    refused(wanted, change, SYN_PLACED)


def test_a_confirmation_of_syn_eos_that_is_taken_away() -> None:
    # The answer is lost with it; with EDO Supported, which the SYN-ACK has not, it would go on late.
    assert "EDO" in refused(is_syn_ack, without(SYN_EOS), AUTO)


# --- what the transcript does not bind, the report does ------------------------------------------------------

UNBOUND = {
    "MSS": (inside(MSS, 2), False),
    "window scale": (inside(WSCALE, 2), True),
    "no window scale": (without(WSCALE), True),
    "no SACK-permitted": (without(SACK_OK), True),
    "no timestamps": (without(TS), True),
}


@pytest.mark.parametrize(("change", "strictly"), UNBOUND.values(), ids=list(UNBOUND))
@pytest.mark.parametrize("wanted", [is_syn, is_syn_ack], ids=["syn", "syn-ack"])
def test_tcp_s_own_options_go_on_and_are_told(wanted: Wanted, change: Change, strictly: bool) -> None:
    outcome = behind(wanted, change, AUTO, AUTO)
    if change is UNBOUND["no timestamps"][0] and wanted is is_syn_ack:
        # One end uses them and the other does not: no TCP gets on so (RFC 7323 §3.2).
        assert outcome.mode is None
        return
    assert outcome.mode == "ao-enc-dh"
    if wanted is is_syn:
        assert outcome.path
    strict = replace(AUTO, strict_syn=True)
    ends = (strict, AUTO) if wanted is is_syn else (AUTO, strict)
    if strictly:
        refused(wanted, change, *ends)
    else:
        assert behind(wanted, change, *ends).mode == "ao-enc-dh"
