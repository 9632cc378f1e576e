"""The octets of options as they are sent, and of what stands inside Data Offset; ``edo.layout`` says where."""

from __future__ import annotations

from struct import Struct
from typing import Final

from edo.codepoints import MSS, SACK, SACK_PERMITTED, TIMESTAMPS, WSCALE, Dialect
from edo.fastopen import option as fast_open_option
from edo.options import Options
from edo.plan import Form
from edo.syneos import option as syn_eos_option

MOST_INSIDE: Final = 40
MD5_OCTETS: Final = 18
NOP: Final = b"\x01"
VALUES: Final = Struct(">II").pack
_TIMESTAMPS: Final = Struct(">BBII").pack


def fast_open(options: Options, dialect: Dialect) -> bytes:
    if options.fast_open is None:
        return b""
    return fast_open_option(options.fast_open, options.fast_open_experimental, dialect.points)


def mss(options: Options) -> bytes:
    """The whole MSS option, or nothing."""
    return b"" if options.mss is None else bytes((MSS, 4)) + options.mss.to_bytes(2)


def mss_is_odd(inside: list[bytes]) -> bool:
    """Whether MSS would stand at an odd offset: Linux's rules that lower it get the checksum wrong there."""
    at = 0
    for option in inside:
        if option[:1] == bytes((MSS,)):
            return bool(at & 1)
        at += len(option)
    return False


def head_of(options: Options, signature: bytes, dialect: Dialect) -> list[bytes]:
    """The options that always stand inside Data Offset, in their order."""
    head = []
    if signature:
        head.append(signature)
    if options.eno is not None:
        head.append(options.eno)
    if options.mss is not None:
        head.append(mss(options))
    if options.wscale is not None:
        head.append(bytes((WSCALE, 3, options.wscale)))
    if options.sack_permitted:
        head.append(bytes((SACK_PERMITTED, 2)))
    if options.ts_val is not None:
        head.append(_TIMESTAMPS(TIMESTAMPS, 10, options.ts_val, options.ts_ecr))
    if options.user_timeout is not None:
        head.append(bytes((dialect.points.user_timeout, 4)) + options.user_timeout.to_bytes(2))
    if options.fast_open is not None:
        head.append(fast_open(options, dialect))
    if options.syn_eos:
        head.append(syn_eos_option(dialect.points))
    return head


def encoded(options: Options, dialect: Dialect) -> tuple[bytes, ...]:
    """MSS, window scale, SACK-permitted, timestamps, ENO, user timeout, Fast Open and SYN-EOS as whole options."""
    return tuple(head_of(options, b"", dialect))


def signature_of(ao_octets: int, key_ids: tuple[int, int], md5: bool, dialect: Dialect) -> bytes:
    """A TCP-AO option whose MAC is zero, or a TCP-MD5 option whose digest is; nothing for neither."""
    if md5:
        return bytes((dialect.points.md5, MD5_OCTETS)) + bytes(MD5_OCTETS - 2)
    if not ao_octets:
        return b""
    return bytes((dialect.points.ao, ao_octets, *key_ids)) + bytes(ao_octets - 4)


def sack(options: Options, most: int) -> bytes:
    blocks = options.sack[: max(most, 0)]
    if not blocks:
        return b""
    return bytes((SACK, 2 + 8 * len(blocks))) + b"".join(VALUES(left, right) for left, right in blocks)


def area_of(inside: list[bytes], ends: int, extension: Form | None, *, aligned: bool) -> tuple[bytes, int]:
    """Join the options, with NOPs where a boundary is wanted and there is room; (octets, offset of their end).

    EDO's option stands on a 32-bit boundary, Supported so that nothing follows it (draft-ietf-tcpm-tcp-edo §5).
    Without one (``aligned``) the values of timestamps and SACK do (RFC 7323 Appendix A).
    """
    plain = b"".join(inside)
    area = plain
    if aligned:
        area = b""
        for option in inside:
            if option and option[0] in {TIMESTAMPS, SACK}:
                area += NOP * ((2 - len(area)) % 4)
            area += option
    elif ends:
        area += NOP * (-len(area) % 4 if extension is not None else -(len(area) + ends) % 4)
    if len(area) + ends > MOST_INSIDE:
        area = plain
    return area, len(area)


def padded(octets: bytes) -> bytes:
    return octets + NOP * (-len(octets) % 4)
