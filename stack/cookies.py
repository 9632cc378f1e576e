"""SYN cookies: the state of a half-open connection in the peer's hands (RFC 4987 §3.6, appendix A).

A cookie is our ISN: 5 bits of a counter that steps every 64 s, 3 of an index into eight MSS values, 24 of a keyed
hash over these, the socket pair, the peer's ISN, and whether EDO was offered and answered. Window scale and SACK
survive only where the peer echoes timestamps, as does that the peer offered ECN: they stand in the low 6 bits of
our TSval.
"""

from __future__ import annotations

from hashlib import blake2s
from typing import Final

from edo.options import Options

_STEP: Final = 64.0
_MSS: Final = (536, 1200, 1220, 1300, 1380, 1440, 1460, 8940)
_NO_SCALE: Final = 15
_SACK_BIT: Final = 0x10
_ECN_BIT: Final = 0x20
_MASK: Final = 0xFFFFFFFF
_LOW: Final = 0x3F


class Cookies:
    """Makes and checks cookies under one secret of 32 octets; ``last`` is when one was made last, seconds."""

    __slots__ = ("_secret", "last")

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self.last = float("-inf")

    def make(
        self,
        key: tuple[bytes, int, bytes, int],
        irs: int,
        options: Options,
        now: float,
        *,
        edo: bool = False,
        eno: bytes = b"",
    ) -> int:
        """The 32-bit ISN that answers a SYN with these options and the 32-bit number ``irs``.

        ``edo``: the answer has EDO Supported; ``eno``: the SYN's TCP-ENO option, where the answer has one.
        """
        self.last = now
        mss = options.mss or _MSS[0]
        index = max((n for n, value in enumerate(_MSS) if value <= mss), default=0)
        head = (int(now // _STEP) & 0x1F) << 3 | index
        return head << 24 | self._hash(key, irs, head, edo, eno)

    def check(
        self,
        key: tuple[bytes, int, bytes, int],
        irs: int,
        cookie: int,
        now: float,
        *,
        edo: bool = False,
        eno: bytes = b"",
    ) -> int | None:
        """The MSS that a good cookie stands for, octets; None where it is older than 128 s, or not ours.

        ``edo``: whether it is to be one of an answer with EDO Supported, or one without; ``eno`` likewise.
        """
        if now - self.last > 2 * _STEP:
            return None
        head = cookie >> 24
        age = (int(now // _STEP) - (head >> 3)) & 0x1F
        if age > 1 or cookie & 0xFFFFFF != self._hash(key, irs, head, edo, eno):
            return None
        return _MSS[head & 7]

    def _hash(self, key: tuple[bytes, int, bytes, int], irs: int, head: int, edo: bool, eno: bytes) -> int:
        local, local_port, remote, remote_port = key
        ports = (local_port << 16 | remote_port).to_bytes(4, "big")
        data = b"".join((local, remote, ports, irs.to_bytes(4, "big"), bytes((head, edo)), eno))
        return int.from_bytes(blake2s(data, key=self._secret, digest_size=3, person=b"syncooki").digest(), "big")


def stamp(ts_val: int, options: Options, *, ecn: bool) -> int:
    """Our TSval with what the cookie has no room for; never ahead of ``ts_val`` (RFC 7323).

    That is of the SYN's ``options`` window scale and SACK-permitted, and whether ``ecn`` was agreed on.
    """
    scale = _NO_SCALE if options.wscale is None else min(options.wscale, 14)
    low = scale | (_SACK_BIT if options.sack_permitted else 0) | (_ECN_BIT if ecn else 0)
    stamped = ts_val & ~_LOW | low
    return (stamped - (_LOW + 1) if stamped > ts_val else stamped) & _MASK


def unstamp(ts_ecr: int) -> tuple[int | None, bool, bool]:
    """Window scale (None: not offered), SACK-permitted and ECN, from the echo of our TSval."""
    scale = ts_ecr & 0x0F
    return (None if scale == _NO_SCALE else min(scale, 14), bool(ts_ecr & _SACK_BIT), bool(ts_ecr & _ECN_BIT))
