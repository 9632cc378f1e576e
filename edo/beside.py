"""Which options stand inside Data Offset of a SYN or SYN-ACK, and which go elsewhere.

Those of a SYN go into its out-of-band segment, those of a SYN-ACK that confirms SYN-EOS behind its Extension
(draft-touch-tcpm-tcp-syn-ext-opt, rules S1, S2 and S6 of docs/syn-eos.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from edo.area import MOST_INSIDE, encoded
from edo.codepoints import Dialect
from edo.layout import NoRoom, fit_syn
from edo.options import Options
from edo.plan import Form

_TIMESTAMPS = 10
SYN_EOS_OCTETS = 4


@dataclass(frozen=True, slots=True)
class Split:
    """``inside`` with the whole options ``riders`` stand in the header; ``beside`` are whole options elsewhere.

    ``extension`` is the form of the Extension that a SYN-ACK needs for them.
    """

    inside: Options
    riders: tuple[bytes, ...] = ()
    beside: tuple[bytes, ...] = ()
    extension: Form | None = None


def split_syn(options: Options, riders: tuple[bytes, ...], *, ao_octets: int, dialect: Dialect) -> Split:
    """What a SYN keeps, and what goes into its OOB: nothing where all fits without SYN-EOS (S1).

    The SYN keeps what old servers know as ``fit_syn`` has it, MSS too unless SYN-EOS leaves it no room. All
    ``riders``, options that users have declared, go where one of them must. Raises NoRoom where TCP-AO of
    ``ao_octets`` and SYN-EOS alone do not fit.
    """
    try:
        if fit_syn(options, ao_octets=ao_octets, riders=riders, dialect=dialect) is options:
            return Split(options, riders)
    except NoRoom:
        pass
    marked = _with(options, syn_eos=True)
    inside = _fit(marked, ao_octets, None, dialect)
    return Split(inside, (), encoded(_lacking(options, inside), dialect) + riders)


def split_syn_ack(
    options: Options, riders: tuple[bytes, ...], form: Form, *, ao_octets: int, dialect: Dialect
) -> Split:
    """Where the options of a SYN-ACK stand that has SYN-EOS: behind an Extension those that yield (S6).

    ``form`` is the Extension's, which stands there only if it is needed. Where it has no room beside TCP-AO, what
    does not fit is left out.
    """
    whole = _fit(options, ao_octets, None, dialect)
    if whole is options:
        try:
            if fit_syn(options, ao_octets=ao_octets, riders=riders, dialect=dialect) is options:
                return Split(options, riders)
        except NoRoom:
            pass
    try:
        inside = _fit(options, ao_octets, form, dialect)
    except NoRoom:
        return Split(whole)
    return Split(inside, (), encoded(_lacking(options, inside), dialect) + riders, form)


def room_for_syn_eos(ao_octets: int, dialect: Dialect) -> bool:
    """Whether TCP-AO of ``ao_octets`` leaves room for SYN-EOS in a SYN, and for the Extension in what follows."""
    return ao_octets + max(dialect.short_octets, SYN_EOS_OCTETS) <= MOST_INSIDE


def room_for_timestamps(ao_octets: int, dialect: Dialect) -> bool:
    """Whether every segment has room for timestamps beside TCP-AO and the Extension, inside Data Offset."""
    return ao_octets + dialect.short_octets + _TIMESTAMPS <= MOST_INSIDE


def _fit(options: Options, ao_octets: int, extension: Form | None, dialect: Dialect) -> Options:
    try:
        return fit_syn(options, ao_octets=ao_octets, extension=extension, dialect=dialect)
    except NoRoom:
        # A MAC of more than 28 octets: MSS is then the one that can stand elsewhere.
        lesser = _with(options, without_mss=True)
        return fit_syn(lesser, ao_octets=ao_octets, extension=extension, dialect=dialect)


def _with(options: Options, *, syn_eos: bool = False, without_mss: bool = False) -> Options:
    """The same options with SYN-EOS, or without MSS."""
    return Options(
        mss=None if without_mss else options.mss,
        wscale=options.wscale,
        sack_permitted=options.sack_permitted,
        ts_val=options.ts_val,
        ts_ecr=options.ts_ecr,
        eno=options.eno,
        edo_supported=options.edo_supported,
        syn_eos=syn_eos or options.syn_eos,
        ke=options.ke,
        fast_open=options.fast_open,
        fast_open_experimental=options.fast_open_experimental,
        user_timeout=options.user_timeout,
    )


def _lacking(options: Options, inside: Options) -> Options:
    """The options that ``inside`` lacks of ``options``."""
    return Options(
        mss=options.mss if inside.mss is None else None,
        wscale=options.wscale if inside.wscale is None else None,
        sack_permitted=options.sack_permitted and not inside.sack_permitted,
        ts_val=options.ts_val if inside.ts_val is None else None,
        ts_ecr=options.ts_ecr,
        fast_open=options.fast_open if inside.fast_open is None else None,
        fast_open_experimental=options.fast_open_experimental,
        user_timeout=options.user_timeout if inside.user_timeout is None else None,
    )
