"""What stands where in a sent header: the options inside Data Offset, the Extension, and what is behind it.

Order inside: TCP-AO or TCP-MD5, ENO, MSS, window scale, SACK-permitted, timestamps, user timeout, Fast Open,
SYN-EOS, [SACK, riders,] NOPs, EDO Supported or Extension. SACK and riders stand behind Data Offset wherever they
may.
"""

from __future__ import annotations

from edo.area import (
    MOST_INSIDE,
    NOP,
    VALUES,
    area_of,
    fast_open,
    head_of,
    mss,
    mss_is_odd,
    padded,
    sack,
    signature_of,
)
from edo.codepoints import DEFAULT, TIMESTAMPS, Dialect, OptionOrder
from edo.fast import read_options
from edo.messages import encode
from edo.options import Options
from edo.orders import syn_area
from edo.plan import Form, Plan
from edo.walk import walk

HEADER = 20
MSS_OCTETS = 4
# Kind, Length and key ids of TCP-AO, octets; its MAC follows.
AO_HEAD = 4
MOST_BLOCKS = 31
MOST_HEADER = 0xFFFC


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
    if syn and not riders and not options.sack and not options.ke and options.fast_open is None:
        return _syn(options, ao_octets, key_ids, extension, behind, dialect, md5)
    return _laid_out(options, ao_octets, key_ids, extension, behind, riders, dialect, syn, md5)


def _laid_out(
    options: Options,
    ao_octets: int,
    key_ids: tuple[int, int],
    extension: Form | None,
    behind: bool,
    riders: tuple[bytes, ...],
    dialect: Dialect,
    syn: bool,
    md5: bool,
) -> Plan:
    """What ``lay_out`` says, from the beginning."""
    _check(options, ao_octets, extension, syn, md5)
    if options.ke:
        riders = tuple(encode(fragment, dialect.points) for fragment in options.ke) + riders
    behind = behind and extension is not None
    signature = signature_of(ao_octets, key_ids, md5, dialect)
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
    cookie = fast_open(options, dialect)
    user_timeout = 0 if options.user_timeout is None else 4
    needed = fixed + wscale + sack_permitted + timestamps
    if needed + len(cookie) + user_timeout <= MOST_INSIDE:
        return options
    if needed + len(cookie) <= MOST_INSIDE:
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
    head = head_of(options, signature, dialect)
    inside = list(head) if behind else [*head, *riders]
    ends = _end_octets(options, extension, dialect)
    left = MOST_INSIDE - sum(map(len, inside)) - ends
    if left > 0 and syn and mss_is_odd(inside):
        inside.insert(inside.index(mss(options)), NOP)
        left -= 1
    if left < 0:
        raise NoRoom(f"the options need {MOST_INSIDE - left} octets inside Data Offset, there are {MOST_INSIDE}")
    extended = b""
    if behind:
        blocks = sack(options, MOST_BLOCKS)
        if blocks and dialect.order is not OptionOrder.OWN:
            blocks = 2 * NOP + blocks
        extended = padded(b"".join((blocks, *riders)))
    else:
        inside.insert(len(head), sack(options, (left - 2) // 8))
    area, at = area_of(inside, ends, extension, aligned=not (syn or ends))
    data_offset = HEADER + len(padded(area + bytes(ends)))
    header_octets = data_offset + len(extended)
    if header_octets > MOST_HEADER:
        raise NoRoom(f"a header has {MOST_HEADER} octets at most, not {header_octets}")
    if extension is not None:
        area += dialect.extension(extension, header_octets)
    elif ends:
        area += dialect.supported()
    return Plan(
        padded(area) + extended,
        data_offset,
        ao_offset=ao_offset,
        ao_octets=ao_octets,
        mac_offset=mac_offset,
        extension_offset=-1 if extension is None else HEADER + at,
        extension_octets=0 if extension is None else ends,
        segment_length_offset=HEADER + at + ends - 2 if extension is Form.LONG else -1,
    )


class _Template:
    """The plan of a shape that only timestamps change: the octets before and behind their values."""

    __slots__ = ("_after", "_before", "_last", "_stamped")

    def __init__(self, plan: Plan, values: int) -> None:
        self._before = plan.octets[:values]
        self._after = plan.octets[values + 8 :]
        self._stamped = values >= 0
        # The plan of last time behind its timestamps. One tuple: stacks of several threads share a template.
        self._last = (0, 0, plan)

    def plan(self, ts_val: int | None, ts_ecr: int) -> Plan:
        """The plan with these timestamps; the last one again where they are the same or there are none."""
        last_val, last_ecr, plan = self._last
        if not self._stamped or ts_val is None or (ts_val == last_val and ts_ecr == last_ecr):
            return plan
        plan = plan.with_octets(self._before + VALUES(ts_val, ts_ecr) + self._after)
        self._last = (ts_val, ts_ecr, plan)
        return plan


_Shape = tuple[Dialect, int, tuple[int, int], int, bool, bool]

_TEMPLATES: dict[_Shape, _Template] = {}
_SYN_TEMPLATES: dict[tuple[object, ...], _Template] = {}
_MOST_TEMPLATES = 256


def _syn(
    options: Options,
    ao_octets: int,
    key_ids: tuple[int, int],
    extension: Form | None,
    behind: bool,
    dialect: Dialect,
    md5: bool,
) -> Plan:
    """The plan of a SYN without riders, by the template of its shape: one host's SYNs differ in timestamps only."""
    shape = (
        dialect,
        ao_octets,
        key_ids,
        0 if extension is None else 1 if extension is Form.SHORT else 2,
        behind,
        md5,
        options.mss,
        options.wscale,
        options.sack_permitted,
        options.ts_val is None,
        options.eno,
        options.edo_supported,
        options.syn_eos,
        options.user_timeout,
    )
    template = _SYN_TEMPLATES.get(shape)
    if template is None:
        rest = (ao_octets, key_ids, extension, behind, (), dialect, True, md5)
        asked = _without(options)
        asked.ts_ecr = 0
        asked.ts_val = None if options.ts_val is None else 0
        plan = _laid_out(asked, *rest)
        values = -1
        if options.ts_val is not None:
            # What all other values change is the place of the values, if they found room.
            asked.ts_val = asked.ts_ecr = 0xFFFFFFFF
            other = _laid_out(asked, *rest)
            places = (at for at, octet in enumerate(plan.octets) if octet != other.octets[at])
            values = next(places, -1)
        plan.whole = _is_whole(options, plan, values >= 0, dialect)
        if len(_SYN_TEMPLATES) >= _MOST_TEMPLATES:
            _SYN_TEMPLATES.clear()
        _SYN_TEMPLATES[shape] = template = _Template(plan, values)
    return template.plan(options.ts_val, options.ts_ecr)


def _is_whole(asked: Options, plan: Plan, timestamps: bool, dialect: Dialect) -> bool:
    """Whether nothing of a SYN that decides on what is in use yielded to other options (``fit_syn``)."""
    header = memoryview(bytes(HEADER) + plan.octets)
    sent = read_options(header, walk(header, HEADER, plan.data_offset) or [], dialect.points)
    kept = (sent.wscale, sent.sack_permitted) == (asked.wscale, asked.sack_permitted)
    return kept and timestamps == (asked.ts_val is not None)


def _keep_template(shape: _Shape, extension: Form | None) -> _Template:
    dialect, ao_octets, key_ids, _, plain, md5 = shape
    options = Options(ts_val=None if plain else 0)
    _check(options, ao_octets, extension, False, md5)
    signature = signature_of(ao_octets, key_ids, md5, dialect)
    plan = _lay_out(options, signature, extension, False, (), dialect, False)
    values = -1 if plain else plan.octets.index(bytes((TIMESTAMPS, 10)), len(signature)) + 2
    if len(_TEMPLATES) >= _MOST_TEMPLATES:
        _TEMPLATES.clear()
    _TEMPLATES[shape] = template = _Template(plan, values)
    return template
