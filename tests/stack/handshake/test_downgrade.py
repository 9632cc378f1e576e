"""No downgrade from ``require``, whatever one changes of the handshake, octet by octet, in any placement.

Each run changes one octet, its checksum put right, in every copy of a segment or in the first alone. It ends in a
connection that is protected and delivers exactly what was sent, or in an error, in time; nothing crosses in clear
(``tampering.behind`` holds that).
"""

from __future__ import annotations

import pytest

from stack.security import Security
from tests.stack.handshake.tampering import (
    Change,
    Wanted,
    at,
    behind,
    is_answer,
    is_first_protected,
    is_hello,
    is_oob,
    is_protected_ack,
    is_syn,
    is_syn_ack,
    options_of,
    sample,
    without,
)

SYN_PLACED = Security("ao-enc-dh", placements=("syn",))
AUTO = Security("ao-enc-dh")
LATE = Security("ao-enc-dh", placements=("late",))
COMPACT = Security("ao-enc-dh", placements=("compact",))
RETRIED = Security("ao-enc-dh", placements=("late",), groups=("x448", "x25519"))
ASKING = Security("ao-enc-dh", groups=("x25519",))

SEGMENTS: list[tuple[str, Security, Wanted]] = [
    ("syn/syn", SYN_PLACED, is_syn),
    ("syn/oob", SYN_PLACED, is_oob),
    ("syn/syn-ack", SYN_PLACED, is_syn_ack),
    ("auto/oob", AUTO, is_oob),
    ("auto/syn-ack", AUTO, is_syn_ack),
    ("auto/ack", AUTO, is_first_protected),
    ("late/syn", LATE, is_syn),
    ("late/syn-ack", LATE, is_syn_ack),
    ("late/hello", LATE, is_hello),
    ("late/answer", LATE, is_answer),
    ("compact/syn", COMPACT, is_syn),
    ("compact/syn-ack", COMPACT, is_syn_ack),
    ("compact/ack", COMPACT, is_protected_ack),
    ("retry/hellos", RETRIED, is_hello),
    ("retry/answers", RETRIED, is_answer),
]
BY_NAME = pytest.mark.parametrize(("client", "wanted"), [pytest.param(*rest, id=name) for name, *rest in SEGMENTS])


def fits(client: Security) -> Security:
    """A listener that takes what the client asks, if only after a retry."""
    return COMPACT if client is COMPACT else ASKING if client is RETRIED else AUTO


def run(client: Security, wanted: Wanted, change: Change, *, once: bool = False) -> str | None:
    outcome = behind(wanted, change, client, fits(client), once=once)
    assert outcome.mode in (None, "ao-enc-dh"), outcome
    assert (outcome.mode is None) == bool(outcome.error)
    return outcome.mode


@BY_NAME
def test_every_octet_of_every_handshake_segment(client: Security, wanted: Wanted) -> None:
    packet = sample(wanted, client, fits(client))
    for position in range(len(packet) - 20):
        # The checksum is put right behind each change.
        if position not in (16, 17):
            run(client, wanted, at(position, flip=1 << position % 8), once=position % 2 == 0)


@BY_NAME
def test_every_bit_of_the_flags_and_the_data_offset(client: Security, wanted: Wanted) -> None:
    for bit in range(8):
        run(client, wanted, at(13, flip=1 << bit))
        run(client, wanted, at(12, flip=1 << bit))


@BY_NAME
def test_every_option_is_taken_away_and_has_another_kind_or_length(client: Security, wanted: Wanted) -> None:
    packet = sample(wanted, client, fits(client))
    for offset, _, octets in options_of(packet):
        run(client, wanted, without(octets[:4]))
        for position, value in ((offset, 0), (offset, 253), (offset + 1, 0), (offset + 1, 255)):
            run(client, wanted, at(position, value))


@BY_NAME
def test_every_field_of_the_header_at_its_ends(client: Security, wanted: Wanted) -> None:
    packet = sample(wanted, client, fits(client))
    for position in (0, 2, 4, 8, 14, 18):
        for value in (0, 255):
            if packet[20 + position] != value:
                run(client, wanted, at(position, value))


def test_a_clear_syn_ack_does_not_end_the_stream() -> None:
    """FIN in it would be the peer's end of a stream of which nothing was heard: a truncation that no MAC covers."""
    assert run(AUTO, is_syn_ack, at(13, flip=0x01)) == "ao-enc-dh"
