"""The Fast Open option (RFC 7413 §4.1.1) and its experimental form (appendix A, RFC 6994)."""

from __future__ import annotations

from typing import Final

from edo.codepoints import CodePoints

# Octets of a cookie: none is a request; "4 to 16 bytes", and the Length is even.
COOKIE_OCTETS: Final = (0, *range(4, 17, 2))


def option(cookie: bytes, experimental: bool, points: CodePoints) -> bytes:
    """The whole option with ``cookie`` (b"" asks for one), under its kind or, ``experimental``, under its ExID."""
    if experimental:
        return bytes((points.experimental, 4 + len(cookie))) + points.fast_open_exid.to_bytes(2) + cookie
    return bytes((points.fast_open, 2 + len(cookie))) + cookie
