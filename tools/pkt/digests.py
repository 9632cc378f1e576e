"""Digests of TCP-MD5 that a script asks for in words: ``md5 valid`` and ``md5 invalid`` (RFC 2385)."""

from __future__ import annotations

from dataclasses import replace

from ao.md5 import Md5Signature
from edo.fast import find_md5
from edo.walk import walk

from .syntax import Opt


def filled(tcp: bytes, options: tuple[Opt, ...], source: bytes, destination: bytes, secret: bytes) -> bytes:
    """A segment with the digest that its options ask for, a right one or its complement."""
    asked = next((option for option in options if option.word == "md5" and option.numbers), None)
    if asked is None:
        return tcp
    data_offset, place = _place(tcp)
    digest = Md5Signature(secret, source, destination).tag(0, tcp[:data_offset], tcp[data_offset:])
    if not asked.numbers[0]:
        digest = bytes(octet ^ 0xFF for octet in digest)
    return tcp[: place + 2] + digest + tcp[place + 18 :]


def judged(
    options: tuple[Opt, ...], tcp: bytes, source: bytes, destination: bytes, secret: bytes
) -> tuple[Opt, ...]:
    """The options of a segment that was sent, its digest told as valid or not where there is a secret."""
    if not secret or all(option.word != "md5" for option in options):
        return options
    data_offset, place = _place(tcp)
    valid = Md5Signature(secret, source, destination).verify(memoryview(tcp), data_offset, place)
    return tuple(replace(option, numbers=(int(valid),)) if option.word == "md5" else option for option in options)


def _place(tcp: bytes) -> tuple[int, int]:
    """Data Offset and where the one option stands, octets."""
    data_offset = (tcp[12] >> 4) * 4
    spans = walk(memoryview(tcp), 20, data_offset)
    assert spans is not None
    place, _ = find_md5(spans)
    assert place >= 0
    return data_offset, place
