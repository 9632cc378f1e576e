"""The order and the padding in which other systems put the options of a SYN.

No RFC prescribes an order; middleboxes and tests know those of the systems that are common.
"""

from __future__ import annotations

from struct import Struct

from edo.codepoints import MSS, SACK_PERMITTED, TIMESTAMPS, WSCALE, Dialect, OptionOrder
from edo.fastopen import option as fast_open_option
from edo.options import Options
from edo.syneos import option as syn_eos_option

_TIMESTAMPS = Struct(">BBII").pack
NOP = b"\x01"
EOL = b"\x00"


def syn_area(options: Options, dialect: Dialect, first: bytes, last: tuple[bytes, ...]) -> bytes:
    """The options of a SYN, padded to 32-bit words, in the order of ``dialect``.

    ``first`` stands before all others, ``last`` behind them. The result may have more than 40 octets: padding
    between options takes room.
    """
    supported = dialect.supported() if options.edo_supported else b""
    behind = b"".join(
        (options.eno or b"", syn_eos_option(dialect.points) if options.syn_eos else b"", *last),
    )
    user_timeout = b""
    if options.user_timeout is not None:
        user_timeout = bytes((dialect.points.user_timeout, 4)) + options.user_timeout.to_bytes(2)
    fast_open = b""
    if options.fast_open is not None:
        fast_open = fast_open_option(options.fast_open, options.fast_open_experimental, dialect.points)
    if dialect.order is OptionOrder.LINUX:
        area = _padded(first + supported, NOP) + _linux(options)
        area += user_timeout + fast_open + NOP * (-len(fast_open) % 4) + behind
        return _padded(area, NOP)
    area = first + _freebsd(options) + user_timeout + fast_open
    if supported:
        area += NOP * (len(area) % 2) + supported
    return _padded(area + behind, EOL)


def _linux(options: Options) -> bytes:
    """MSS, SACK-permitted where padding of the timestamps would be, timestamps, window scale; whole words each."""
    parts = []
    if options.mss is not None:
        parts.append(bytes((MSS, 4)) + options.mss.to_bytes(2))
    permitted = bytes((SACK_PERMITTED, 2)) if options.sack_permitted else b""
    if options.ts_val is not None:
        parts.append((permitted or 2 * NOP) + _TIMESTAMPS(TIMESTAMPS, 10, options.ts_val, options.ts_ecr))
    elif permitted:
        parts.append(2 * NOP + permitted)
    if options.wscale is not None:
        parts.append(NOP + bytes((WSCALE, 3, options.wscale)))
    return b"".join(parts)


def _freebsd(options: Options) -> bytes:
    """MSS, window scale, SACK-permitted, timestamps; each behind as many NOPs as its alignment takes."""
    area = b""
    if options.mss is not None:
        area += bytes((MSS, 4)) + options.mss.to_bytes(2)
    if options.wscale is not None:
        area += NOP * ((1 - len(area)) % 4) + bytes((WSCALE, 3, options.wscale))
    if options.sack_permitted:
        area += NOP * (len(area) % 2) + bytes((SACK_PERMITTED, 2))
    if options.ts_val is not None:
        area += NOP * ((2 - len(area)) % 4) + _TIMESTAMPS(TIMESTAMPS, 10, options.ts_val, options.ts_ecr)
    return area


def _padded(area: bytes, padding: bytes) -> bytes:
    return area + padding * (-len(area) % 4)
