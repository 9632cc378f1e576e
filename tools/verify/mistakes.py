"""The usual mistakes: ways to compute a MAC that differ from the right one in one or two points."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import combinations
from typing import Any, NamedTuple

from ao.macs import MACS

from .packets import Packet
from .trial import Trial


class Change(NamedTuple):
    """What differs: ``kind`` (two of one kind exclude each other), in ``words``, as ``fields`` of a trial."""

    kind: str
    words: str
    fields: dict[str, Any]


def changes(trial: Trial, packet: Packet, other_isn: int | None, *, handshake: bool) -> Iterator[Change]:
    """Yield the mistakes that may have been made instead of ``trial``.

    ``other_isn`` is the destination's ISN where it is known; ``handshake``: the segment is a SYN or SYN-ACK.
    """
    octets = packet.ao[1] - 4 if packet.ao is not None else trial.mac_octets
    covered = not trial.cover_options
    yield Change("options", f"options are {'' if covered else 'not '}covered", {"cover_options": covered})
    for algorithm in MACS.values():
        if algorithm is trial.algorithm:
            if octets != trial.mac_octets:
                yield Change("mac", f"a MAC of {octets} octets", {"mac_octets": octets})
        else:
            words = f"MAC {algorithm.name}" + ("" if octets == algorithm.mac_octets else f" of {octets} octets")
            yield Change("mac", words, {"algorithm": algorithm, "mac_octets": octets})
    for words, secret in readings(trial.secret):
        yield Change("secret", words, {"secret": secret})
    for words, zero_source, zero_destination in (
        ("addresses and ports count as they are", False, False),
        ("NAT: the sender's address and port count as zero", True, False),
        ("NAT: the receiver's address and port count as zero", False, True),
        ("NAT: both addresses and ports count as zero", True, True),
    ):
        if (zero_source, zero_destination) != (trial.zero_source, trial.zero_destination):
            yield Change("nat", words, {"zero_source": zero_source, "zero_destination": zero_destination})
    if handshake and trial.destination_isn:
        yield Change("isn", "the SYN's traffic key", {"destination_isn": 0})
    elif handshake and other_isn:
        yield Change("isn", "the traffic key with both ISNs", {"destination_isn": other_isn})
    for words, sne in (("SNE 0", 0), ("SNE one less", trial.sne - 1), ("SNE one more", trial.sne + 1)):
        if sne != trial.sne and 0 <= sne <= 0xFFFFFFFF:
            yield Change("sne", words, {"sne": sne})


def readings(secret: bytes) -> Iterator[tuple[str, bytes]]:
    """Other readings of what somebody typed as a key, in words and octets."""
    yield "the secret with a newline at its end", secret + b"\n"
    yield "the secret with CR LF at its end", secret + b"\r\n"
    yield "the secret with a zero octet at its end", secret + b"\x00"
    stripped = secret.strip()
    if stripped and stripped != secret:
        yield "the secret without white space around it", stripped
    try:
        plain = bytes.fromhex(secret.decode("ascii").removeprefix("0x"))
    except ValueError:
        plain = b""
    if plain:
        yield "the secret read as hexadecimal", plain
    yield "the secret's hexadecimal digits as text", secret.hex().encode()
    yield "the secret's hexadecimal digits, capitals, as text", secret.hex().upper().encode()
    yield "the secret's hexadecimal digits with 0x as text", b"0x" + secret.hex().encode()


def search(
    trial: Trial,
    packet: Packet,
    other_isn: int | None,
    *,
    handshake: bool,
    deep: bool,
    found: Iterable[tuple[str, ...]] = (),
) -> tuple[str, ...] | None:
    """Return in words what would have matched: no change, one, or with ``deep`` two; None where nothing does.

    ``found`` are earlier answers, which are tried whatever their number of changes.
    """
    if trial.verifies(packet):
        return ()
    known = list(changes(trial, packet, other_isn, handshake=handshake))
    by_words = {change.words: change.fields for change in known}
    for words in found:
        if all(word in by_words for word in words):
            fields = {name: value for word in words for name, value in by_words[word].items()}
            if replace(trial, **fields).verifies(packet):
                return words
    for change in known:
        if replace(trial, **change.fields).verifies(packet):
            return (change.words,)
    if deep:
        for one, other in combinations(known, 2):
            if one.kind != other.kind and replace(trial, **one.fields, **other.fields).verifies(packet):
                return (one.words, other.words)
    return None
