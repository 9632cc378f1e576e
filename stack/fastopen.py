"""Fast Open (RFC 7413): what one connection opens with, and what comes of it.

Only connections without protection open fast: a SYN's text can be replayed (RFC 7413 §6.1), and under keys no octet
is taken that a MAC of the connection's own does not cover.
"""

from __future__ import annotations


class FastOpening:
    """Fast Open of one connection until it stands.

    ``cookie`` is what the option of our first SYN or SYN-ACK carries: b"" asks for one, None means no option;
    ``experimental`` is its form. ``octets`` is how much text our first SYN has or may have. ``accepted``: the
    peer's SYN came with a good cookie, so that its text is taken (the FastOpened flag of RFC 7413 §4.2).
    """

    __slots__ = ("accepted", "cookie", "experimental", "octets")

    def __init__(
        self, cookie: bytes | None, *, experimental: bool = False, octets: int = 0, accepted: bool = False
    ) -> None:
        self.cookie = cookie
        self.experimental = experimental
        self.octets = octets
        self.accepted = accepted
