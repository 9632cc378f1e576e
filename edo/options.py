"""The values of one segment's options: what parsing yields and what laying out takes."""

from __future__ import annotations

# One option found by the structural walk: kind, ExID (-1 where the kind has none), offset of the Kind octet
# from the start of the TCP header, whole length. Offsets and lengths in octets.
Span = tuple[int, int, int, int]


class Fragment:
    """One KE option: a piece of a key-exchange message.

    ``message`` is the message kind (1-8), ``total`` the whole message's length, ``offset`` where ``octets``
    belong in it; both in octets.
    """

    __slots__ = ("message", "octets", "offset", "total")

    def __init__(self, message: int, total: int, offset: int, octets: bytes) -> None:
        self.message = message
        self.total = total
        self.offset = offset
        self.octets = octets


class Options:
    """Option values of one segment; an absent option is None, False or empty.

    ``mss`` in octets (RFC 9293 §3.7.1); ``wscale`` a shift count as received (RFC 7323 §2.2); ``ts_val`` and
    ``ts_ecr`` 32-bit timestamps (RFC 7323 §3.2); ``sack`` pairs of 32-bit left and right edges in the order of
    the option (RFC 2018 §3); ``eno`` the whole TCP-ENO option (RFC 8547 §4.1), ``eno_count`` how many there
    were; ``edo_supported`` and ``syn_eos`` the offers; ``ke`` the key-exchange fragments in order; ``fast_open`` a
    cookie, b"" a request for one, ``fast_open_experimental`` whether under its ExID (RFC 7413 §4.1.1);
    ``user_timeout`` the 16-bit field (RFC 5482 §2).
    """

    __slots__ = (
        "edo_supported",
        "eno",
        "eno_count",
        "fast_open",
        "fast_open_experimental",
        "ke",
        "mss",
        "sack",
        "sack_permitted",
        "syn_eos",
        "ts_ecr",
        "ts_val",
        "user_timeout",
        "wscale",
    )

    def __init__(
        self,
        *,
        mss: int | None = None,
        wscale: int | None = None,
        sack_permitted: bool = False,
        ts_val: int | None = None,
        ts_ecr: int = 0,
        sack: tuple[tuple[int, int], ...] = (),
        eno: bytes | None = None,
        edo_supported: bool = False,
        syn_eos: bool = False,
        ke: tuple[Fragment, ...] = (),
        fast_open: bytes | None = None,
        fast_open_experimental: bool = False,
        user_timeout: int | None = None,
    ) -> None:
        self.mss = mss
        self.wscale = wscale
        self.sack_permitted = sack_permitted
        self.ts_val = ts_val
        self.ts_ecr = ts_ecr
        self.sack = sack
        self.eno = eno
        self.eno_count = 0 if eno is None else 1
        self.edo_supported = edo_supported
        self.syn_eos = syn_eos
        self.ke = ke
        self.fast_open = fast_open
        self.fast_open_experimental = fast_open_experimental
        self.user_timeout = user_timeout
