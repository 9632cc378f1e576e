"""IPv4 options that a connection sends, and source routes among them (RFC 791 §3.1, RFC 9293 §3.9.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

MOST: Final = 40
_END: Final = 0
_NOP: Final = 1
# Loose and strict source and record route.
_ROUTES: Final = frozenset((131, 137))
_FIRST_POINTER: Final = 4


def check(options: bytes) -> None:
    """Raise ValueError, one line, for what is no list of IPv4 options of 40 octets at most."""
    if len(options) > MOST:
        raise ValueError(f"IP options have {MOST} octets at most, not {len(options)}")
    if options and _walk(options) is None:
        raise ValueError("IP options: one runs past the end, or has a length of less than 2 octets")


def laid_out(options: bytes, destination: bytes) -> tuple[bytes, bytes]:
    """Where packets for ``destination`` (4 octets) go first, and their options as they leave, padded by zeros.

    A source route is given as its hops; the packet goes to the first of them, and the destination ends the route
    (RFC 791 §3.1). ``options`` passed ``check``. A route that leaves no room for the destination is none.
    """
    first = destination
    parts = []
    for kind, option in _walk(options) or ():
        hops = option[3:]
        if kind in _ROUTES and len(hops) >= 4 and first == destination:
            first = hops[:4]
            option = bytes((kind, len(option), _FIRST_POINTER)) + hops[4:] + destination
        parts.append(option)
    joined = b"".join(parts)
    return first, joined + bytes(-len(joined) % 4)


def way_back(options: bytes) -> bytes | None:
    """The source route, in the form that ``laid_out`` takes, by which an answer to a packet goes back.

    ``options`` are those of the received packet. None where they hold no route that was followed to its end: only
    then is every hop known (RFC 9293 §3.9.2.1, MUST-53).
    """
    for kind, option in _walk(options) or ():
        hops = option[3:]
        if kind in _ROUTES and hops and not len(hops) % 4 and option[2] > len(option):
            back = [hops[at : at + 4] for at in range(len(hops) - 4, -1, -4)]
            return bytes((kind, len(option), _FIRST_POINTER)) + b"".join(back)
    return None


def target(options: bytes, destination: bytes) -> bytes:
    """Whom a packet of ours was for at last whose header names ``destination``: the end of its source route."""
    for kind, option in _walk(options) or ():
        if kind in _ROUTES and len(option) >= 7 and option[2] <= len(option):
            return option[-4:]
    return destination


def _walk(options: bytes) -> list[tuple[int, bytes]] | None:
    """Kind and octets of each option before the end of the list; None where one is malformed."""
    found = list(_options(options))
    return None if found and found[-1][0] < 0 else found


def _options(options: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(options) and options[at] != _END:
        kind = options[at]
        size = 1 if kind == _NOP else options[at + 1] if at + 1 < len(options) else 0
        if at + size > len(options) or (kind != _NOP and size < (3 if kind in _ROUTES else 2)):
            yield -1, b""
            return
        yield kind, options[at : at + size]
        at += size
