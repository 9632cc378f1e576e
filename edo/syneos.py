"""SYN-EOS: SYN options that do not fit the SYN, in a segment of their own beside it.

draft-touch-tcpm-tcp-syn-ext-opt, base form. The out-of-band segment (OOB) has the SYN's addresses, ports and
sequence number, neither SYN nor ACK, SYN-EOS among its options, and a payload that is options only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edo.codepoints import DEFAULT, POINTS, CodePoints, Dialect
from edo.extended import header_end
from edo.options import Options, Span
from edo.walk import walk

SYN = 0x02
RST = 0x04
ACK = 0x10
MOST_JOINED = 1024
"""Octets of the joined list, options of the SYN and those of the OOB's payload."""

MOST_WITH_MESSAGE = 2048
"""The same where a key-exchange message travels in it: that with ML-KEM has 1,376 octets (profile.md §6)."""


def option(points: CodePoints = POINTS) -> bytes:
    """The whole SYN-EOS option."""
    return bytes((points.experimental, 4)) + points.syn_eos_exid.to_bytes(2)


def oob_payload(riders: Iterable[bytes], most: int = MOST_JOINED) -> bytes:
    """Whole options as the payload of an OOB, padded with NOPs to a multiple of 4 octets.

    Made once for an attempt: every retransmission has the same octets. ValueError above ``most`` octets.
    """
    joined = b"".join(riders)
    joined += b"\x01" * (-len(joined) % 4)
    if len(joined) > most:
        raise ValueError(f"an out-of-band segment holds {most} octets of options, not {len(joined)}")
    return joined


def is_oob(flags: int, options: Options) -> bool:
    """Whether a segment is an OOB: SYN-EOS without SYN, ACK and RST. Such a segment is never answered."""
    return options.syn_eos and not flags & (SYN | ACK | RST)


def read_oob(
    tcp: memoryview,
    data_offset: int,
    syn: Sequence[Span] = (),
    points: CodePoints = POINTS,
    most: int = MOST_JOINED,
) -> list[Span] | None:
    """The options in an OOB's payload; None where it is to be treated as if it had not come.

    That is: an option overruns or has Length 0 or 1; one that may stand once is there twice, or in ``syn``, the
    SYN's options, already; one that speaks of its own segment alone (TCP-AO, TCP-MD5) is there; payload and the
    options of the SYN are more than ``most`` octets. Only KE options may be there more than once.
    """
    if len(tcp) - data_offset + sum(span[3] for span in syn) > most:
        return None
    spans = walk(tcp, data_offset, len(tcp))
    if spans is None:
        return None
    seen = {(kind, exid) for kind, exid, _, _ in syn}
    seen |= {(points.ao, -1), (points.md5, -1)}
    for kind, exid, _, _ in spans:
        if exid == points.ke_exid:
            continue
        if (kind, exid) in seen:
            return None
        seen.add((kind, exid))
    return spans


def join(syn: Options, payload: Options) -> Options | None:
    """The SYN's options and those of the OOB's payload as one list, as if all had stood in the SYN.

    None where an option that may stand once is in both. Only KE options may be in both, the SYN's first.
    """
    once = (
        (syn.mss, payload.mss),
        (syn.wscale, payload.wscale),
        (syn.ts_val, payload.ts_val),
        (syn.sack_permitted or None, payload.sack_permitted or None),
        (syn.eno, payload.eno),
        (syn.edo_supported or None, payload.edo_supported or None),
        (syn.syn_eos or None, payload.syn_eos or None),
        (syn.fast_open, payload.fast_open),
        (syn.user_timeout, payload.user_timeout),
    )
    if any(mine is not None and theirs is not None for mine, theirs in once) or payload.sack:
        return None
    joined = Options(
        mss=syn.mss if payload.mss is None else payload.mss,
        wscale=syn.wscale if payload.wscale is None else payload.wscale,
        sack_permitted=syn.sack_permitted or payload.sack_permitted,
        ts_val=syn.ts_val if payload.ts_val is None else payload.ts_val,
        ts_ecr=syn.ts_ecr if payload.ts_val is None else payload.ts_ecr,
        eno=syn.eno if payload.eno is None else payload.eno,
        edo_supported=syn.edo_supported or payload.edo_supported,
        syn_eos=syn.syn_eos or payload.syn_eos,
        ke=syn.ke + payload.ke,
        fast_open=syn.fast_open if payload.fast_open is None else payload.fast_open,
        fast_open_experimental=(syn if payload.fast_open is None else payload).fast_open_experimental,
        user_timeout=syn.user_timeout if payload.user_timeout is None else payload.user_timeout,
    )
    joined.eno_count = syn.eno_count + payload.eno_count
    return joined


def read_syn_ack(
    tcp: memoryview, data_offset: int, spans: list[Span], options: Options, dialect: Dialect = DEFAULT
) -> list[Span] | None:
    """The options behind Data Offset of a SYN-ACK that answers a SYN with SYN-EOS.

    Only where SYN-EOS (in ``options``, those inside Data Offset) and a valid Extension (in ``spans``) are both
    there: None otherwise, and where the options behind are malformed. Whatever follows them is never payload.
    """
    if not options.syn_eos:
        return None
    end = header_end(tcp, spans, data_offset, dialect)
    return walk(tcp, data_offset, end) if isinstance(end, int) else None
