"""What stands where in a sent header: the options inside Data Offset, the Extension, and what is behind it.

Order inside: TCP-AO or TCP-MD5, ENO, MSS, window scale, SACK-permitted, timestamps, user timeout, Fast Open,
SYN-EOS, [SACK, riders,] NOPs, EDO Supported or Extension. SACK and riders stand behind Data Offset wherever they
may.
"""

from __future__ import annotations

from struct import Struct

from edo.codepoints import DEFAULT, MSS, SACK, SACK_PERMITTED, TIMESTAMPS, WSCALE, Dialect, OptionOrder
from edo.fastopen import option as fast_open_option
from edo.messages import encode
from edo.options import Options
from edo.orders import syn_area
from edo.plan import Form, Plan
from edo.syneos import option as syn_eos_option

HEADER = 20
MOST_INSIDE = 40
MSS_OCTETS = 4
# Kind, Length and key ids of TCP-AO, octets; its MAC follows.
AO_HEAD = 4
MOST_BLOCKS = 31
MOST_HEADER = 0xFFFC
MD5_OCTETS = 18
NOP = b"\x01"

_TIMESTAMPS = Struct(">BBII").pack
_VALUES = Struct(">II").pack


class NoRoom(ValueError):
    """Options that must be in a segment do not fit its option space."""


class LayoutError(ValueError):
    """Options that may not stand together in one segment."""


def lay_out(
    options: Options,
    *,
    ao_octets: int = 0,
    key_ids: tuple[int, int] = (0, 0),
    extension: Form | None = None,
    behind: bool = False,
    riders: tuple[bytes, ...] = (),
    dialect: Dialect = DEFAULT,
    syn: bool = False,
    md5: bool = False,
) -> Plan:
    """Lay out the options of a segment, or of a run of segments that share them.

    ``ao_octets`` is the length of the whole TCP-AO option (4-40; 0: none), ``key_ids`` its KeyID and RNextKeyID;
    its MAC is left zero, as is Segment_Length of a long ``extension``: the sealer fills both. ``behind`` allows
    options behind Data Offset, which needs an Extension. ``riders`` are whole options; fragments in
    ``options.ke`` go before them. SACK blocks for which there is no room are cut from the end (RFC 2018 §4).
    ``syn``: the segment has SYN; what does not fit yields as ``fit_syn`` says. ``md5``: it has a TCP-MD5 option
    (RFC 2385 §3.0), its digest zero likewise, and neither TCP-AO nor an Extension. A plan may be shared between
    calls: nobody changes it.

    Raises NoRoom where what must be sent does not fit, riders inside Data Offset among it. Raises LayoutError for
    EDO Supported without SYN or beside an Extension, and for an Extension in a SYN that does not confirm SYN-EOS
    (draft-ietf-tcpm-tcp-edo §5.1, draft-touch-tcpm-tcp-syn-ext-opt §6).
    """
    if (
        not syn
        and not riders
        and not options.sack
        and not options.ke
        and options.eno is None
        and options.mss is None
        and options.wscale is None
        and options.user_timeout is None
        and not (options.sack_permitted or options.edo_supported or options.syn_eos)
    ):
        form = 0 if extension is None else 1 if extension is Form.SHORT else 2
        shape = (dialect, ao_octets, key_ids, form, options.ts_val is None, md5)
        template = _TEMPLATES.get(shape) or _keep_template(shape, extension)
        return template.plan(options.ts_val, options.ts_ecr)
    _check(options, ao_octets, extension, syn, md5)
    if options.ke:
        riders = tuple(encode(fragment, dialect.points) for fragment in options.ke) + riders
    behind = behind and extension is not None
    signature = _signature(ao_octets, key_ids, md5, dialect)
    if syn:
        kept = () if behind else riders
        options = fit_syn(options, ao_octets=len(signature), extension=extension, riders=kept, dialect=dialect)
    try:
        return _lay_out(options, signature, extension, behind, riders, dialect, syn)
    except NoRoom:
        if options.user_timeout is None:
            raise
        # It is advice, and can come later (RFC 5482 §3.2).
        options = _without(options, user_timeout=True)
        return _lay_out(options, signature, extension, behind, riders, dialect, syn)


def fit_syn(
    options: Options,
    *,
    ao_octets: int = 0,
    extension: Form | None = None,
    riders: tuple[bytes, ...] = (),
    dialect: Dialect = DEFAULT,
) -> Options:
    """The options that a SYN or SYN-ACK will carry: what does not fit 40 octets yields.

    First the user timeout and Fast Open (RFC 7413 §4.2.2), then timestamps, SACK-permitted and window scale; a
    caller that compares knows what it did not offer or answer. ``riders`` are those that stand inside Data Offset.
    Raises NoRoom where the others alone do not fit.
    """
    ends = _end_octets(options, extension, dialect)
    fixed = (
        ao_octets
        + (0 if options.eno is None else len(options.eno))
        + (0 if options.mss is None else MSS_OCTETS)
        + (4 if options.syn_eos else 0)
        + sum(map(len, riders))
        + ends
    )
    wscale = 0 if options.wscale is None else 3
    sack_permitted = 2 if options.sack_permitted else 0
    timestamps = 0 if options.ts_val is None else 10
    fast_open = _fast_open(options, dialect)
    user_timeout = 0 if options.user_timeout is None else 4
    needed = fixed + wscale + sack_permitted + timestamps
    if needed + len(fast_open) + user_timeout <= MOST_INSIDE:
        return options
    if needed + len(fast_open) <= MOST_INSIDE:
        return _without(options, user_timeout=True)
    options = _without(options, user_timeout=True, fast_open=True)
    if needed <= MOST_INSIDE:
        return options
    if fixed > MOST_INSIDE:
        raise NoRoom(f"the options of this SYN need {fixed} octets, there are {MOST_INSIDE}")
    without_timestamps = fixed + wscale + sack_permitted
    return Options(
        mss=options.mss,
        wscale=options.wscale if fixed + wscale <= MOST_INSIDE else None,
        sack_permitted=options.sack_permitted and without_timestamps <= MOST_INSIDE,
        eno=options.eno,
        edo_supported=options.edo_supported,
        syn_eos=options.syn_eos,
        ke=options.ke,
    )


def _without(options: Options, *, user_timeout: bool = False, fast_open: bool = False) -> Options:
    """The options without those two."""
    return Options(
        mss=options.mss,
        wscale=options.wscale,
        sack_permitted=options.sack_permitted,
        ts_val=options.ts_val,
        ts_ecr=options.ts_ecr,
        sack=options.sack,
        eno=options.eno,
        edo_supported=options.edo_supported,
        syn_eos=options.syn_eos,
        ke=options.ke,
        fast_open=None if fast_open else options.fast_open,
        fast_open_experimental=options.fast_open_experimental,
        user_timeout=None if user_timeout else options.user_timeout,
    )


def _fast_open(options: Options, dialect: Dialect) -> bytes:
    if options.fast_open is None:
        return b""
    return fast_open_option(options.fast_open, options.fast_open_experimental, dialect.points)


def _check(options: Options, ao_octets: int, extension: Form | None, syn: bool, md5: bool) -> None:
    if md5 and (ao_octets or extension is not None or options.edo_supported):
        raise LayoutError("TCP-MD5 stands beside neither TCP-AO nor EDO")
    if ao_octets and not 4 <= ao_octets <= MOST_INSIDE:
        raise LayoutError(f"a TCP-AO option has 4 to {MOST_INSIDE} octets, not {ao_octets}")
    if options.edo_supported and (extension is not None or not syn):
        raise LayoutError("EDO Supported stands in a SYN without Extension only")
    if syn and extension is not None and not options.syn_eos:
        raise LayoutError("a SYN has an Extension only where it confirms SYN-EOS")


def _end_octets(options: Options, extension: Form | None, dialect: Dialect) -> int:
    """Octets of the EDO option that ends Data Offset."""
    if extension is not None:
        return dialect.extension_octets(extension)
    return dialect.supported_octets if options.edo_supported else 0


def _lay_out(
    options: Options,
    signature: bytes,
    extension: Form | None,
    behind: bool,
    riders: tuple[bytes, ...],
    dialect: Dialect,
    syn: bool,
) -> Plan:
    ao_octets = len(signature) if signature[:1] == bytes((dialect.points.ao,)) else 0
    ao_offset = HEADER if ao_octets else -1
    mac_offset = HEADER + 2 if signature and not ao_octets else -1
    if syn and extension is None and dialect.order is not OptionOrder.OWN:
        foreign = syn_area(options, dialect, signature, riders)
        if len(foreign) <= MOST_INSIDE:
            octets = HEADER + len(foreign)
            return Plan(foreign, octets, ao_offset=ao_offset, ao_octets=ao_octets, mac_offset=mac_offset)
    head = _head(options, signature, dialect)
    inside = list(head) if behind else [*head, *riders]
    ends = _end_octets(options, extension, dialect)
    left = MOST_INSIDE - sum(map(len, inside)) - ends
    if left > 0 and syn and _mss_is_odd(inside):
        inside.insert(inside.index(_mss(options)), NOP)
        left -= 1
    if left < 0:
        raise NoRoom(f"the options need {MOST_INSIDE - left} octets inside Data Offset, there are {MOST_INSIDE}")
    extended = b""
    if behind:
        sack = _sack(options, MOST_BLOCKS)
        if sack and dialect.order is not OptionOrder.OWN:
            sack = 2 * NOP + sack
        extended = _padded(b"".join((sack, *riders)))
    else:
        inside.insert(len(head), _sack(options, (left - 2) // 8))
    area, at = _area(inside, ends, extension, aligned=not (syn or ends))
    data_offset = HEADER + len(_padded(area + bytes(ends)))
    header_octets = data_offset + len(extended)
    if header_octets > MOST_HEADER:
        raise NoRoom(f"a header has {MOST_HEADER} octets at most, not {header_octets}")
    if extension is not None:
        area += dialect.extension(extension, header_octets)
    elif ends:
        area += dialect.supported()
    return Plan(
        _padded(area) + extended,
        data_offset,
        ao_offset=ao_offset,
        ao_octets=ao_octets,
        mac_offset=mac_offset,
        extension_offset=-1 if extension is None else HEADER + at,
        extension_octets=0 if extension is None else ends,
        segment_length_offset=HEADER + at + ends - 2 if extension is Form.LONG else -1,
    )


def _mss(options: Options) -> bytes:
    """The whole MSS option, or nothing."""
    return b"" if options.mss is None else bytes((MSS, 4)) + options.mss.to_bytes(2)


def _mss_is_odd(inside: list[bytes]) -> bool:
    """Whether MSS would stand at an odd offset: Linux's rules that lower it get the checksum wrong there."""
    at = 0
    for option in inside:
        if option[:1] == bytes((MSS,)):
            return bool(at & 1)
        at += len(option)
    return False


def _head(options: Options, signature: bytes, dialect: Dialect) -> list[bytes]:
    """The options that always stand inside Data Offset, in their order."""
    head = []
    if signature:
        head.append(signature)
    if options.eno is not None:
        head.append(options.eno)
    if options.mss is not None:
        head.append(_mss(options))
    if options.wscale is not None:
        head.append(bytes((WSCALE, 3, options.wscale)))
    if options.sack_permitted:
        head.append(bytes((SACK_PERMITTED, 2)))
    if options.ts_val is not None:
        head.append(_TIMESTAMPS(TIMESTAMPS, 10, options.ts_val, options.ts_ecr))
    if options.user_timeout is not None:
        head.append(bytes((dialect.points.user_timeout, 4)) + options.user_timeout.to_bytes(2))
    if options.fast_open is not None:
        head.append(_fast_open(options, dialect))
    if options.syn_eos:
        head.append(syn_eos_option(dialect.points))
    return head


def encoded(options: Options, dialect: Dialect) -> tuple[bytes, ...]:
    """MSS, window scale, SACK-permitted, timestamps, ENO, user timeout, Fast Open and SYN-EOS as whole options."""
    return tuple(_head(options, b"", dialect))


def _signature(ao_octets: int, key_ids: tuple[int, int], md5: bool, dialect: Dialect) -> bytes:
    """A TCP-AO option whose MAC is zero, or a TCP-MD5 option whose digest is; nothing for neither."""
    if md5:
        return bytes((dialect.points.md5, MD5_OCTETS)) + bytes(MD5_OCTETS - 2)
    if not ao_octets:
        return b""
    return bytes((dialect.points.ao, ao_octets, *key_ids)) + bytes(ao_octets - 4)


def _sack(options: Options, most: int) -> bytes:
    blocks = options.sack[: max(most, 0)]
    if not blocks:
        return b""
    return bytes((SACK, 2 + 8 * len(blocks))) + b"".join(_VALUES(left, right) for left, right in blocks)


def _area(inside: list[bytes], ends: int, extension: Form | None, *, aligned: bool) -> tuple[bytes, int]:
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


def _padded(octets: bytes) -> bytes:
    return octets + NOP * (-len(octets) % 4)


class _Template:
    """The plan of a shape that only timestamps change: the octets before and behind their values."""

    __slots__ = ("_after", "_before", "_last", "_ts_ecr", "_ts_val")

    def __init__(self, plan: Plan, values: int) -> None:
        self._last = plan
        self._before = plan.octets[:values]
        self._after = plan.octets[values + 8 :]
        self._ts_val: int | None = None if values < 0 else 0
        self._ts_ecr = 0

    def plan(self, ts_val: int | None, ts_ecr: int) -> Plan:
        """The plan with these timestamps; the last one again where they are the same or there are none."""
        if ts_val is None or (ts_val == self._ts_val and ts_ecr == self._ts_ecr):
            return self._last
        plan = self._last.with_octets(self._before + _VALUES(ts_val, ts_ecr) + self._after)
        self._last = plan
        self._ts_val = ts_val
        self._ts_ecr = ts_ecr
        return plan


_Shape = tuple[Dialect, int, tuple[int, int], int, bool, bool]

_TEMPLATES: dict[_Shape, _Template] = {}
_MOST_TEMPLATES = 256


def _keep_template(shape: _Shape, extension: Form | None) -> _Template:
    dialect, ao_octets, key_ids, _, plain, md5 = shape
    options = Options(ts_val=None if plain else 0)
    _check(options, ao_octets, extension, False, md5)
    signature = _signature(ao_octets, key_ids, md5, dialect)
    plan = _lay_out(options, signature, extension, False, (), dialect, False)
    values = -1 if plain else plan.octets.index(bytes((TIMESTAMPS, 10)), len(signature)) + 2
    if len(_TEMPLATES) >= _MOST_TEMPLATES:
        _TEMPLATES.clear()
    _TEMPLATES[shape] = template = _Template(plan, values)
    return template
