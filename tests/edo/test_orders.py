"""Options of a SYN in the orders of other systems, octet by octet, and padding of data segments."""

from __future__ import annotations

import pytest

from edo.codepoints import Dialect, EdoKind, FormChoice, OptionOrder, Units
from edo.layout import fit_syn, lay_out
from edo.options import Options
from edo.plan import Form
from edo.usertimeout import decode, encode

LINUX = Dialect(order=OptionOrder.LINUX, units=Units.OCTETS, form=FormChoice.LONG)
FREEBSD = Dialect(kind=EdoKind.NATIVE_79_80, form=FormChoice.SHORT, order=OptionOrder.FREEBSD)
TS = "080a0000000100000002"


def _syn(dialect: Dialect, *, edo: bool = False, ts: bool = True, sack: bool = True, wscale: bool = True) -> str:
    options = Options(
        mss=1460,
        wscale=7 if wscale else None,
        sack_permitted=sack,
        ts_val=1 if ts else None,
        ts_ecr=2,
        edo_supported=edo,
    )
    plan = lay_out(options, dialect=dialect, syn=True)
    assert plan.data_offset == plan.header_octets == 20 + len(plan.octets)
    return plan.octets.hex()


@pytest.mark.parametrize(
    ("ts", "sack", "wscale", "octets"),
    [
        # mss, sackOK, TS, nop, wscale: Linux puts SACK-permitted where the timestamps' padding would be.
        (True, True, True, f"020405b40402{TS}01030307"),
        (True, False, True, f"020405b40101{TS}01030307"),
        (False, True, True, "020405b40101040201030307"),
        (False, True, False, "020405b401010402"),
        (False, False, False, "020405b4"),
    ],
)
def test_linux(ts: bool, sack: bool, wscale: bool, octets: str) -> None:
    assert _syn(LINUX, ts=ts, sack=sack, wscale=wscale) == octets


@pytest.mark.parametrize(
    ("ts", "sack", "wscale", "octets"),
    [
        # mss, nop, wscale, sackOK, TS; what is left over is filled with zeros.
        (True, True, True, f"020405b4010303070402{TS}"),
        (True, True, False, f"020405b40402{TS}"),
        (False, True, False, "020405b404020000"),
        (False, True, True, "020405b40103030704020000"),
        (True, False, False, f"020405b40101{TS}"),
    ],
)
def test_freebsd(ts: bool, sack: bool, wscale: bool, octets: str) -> None:
    assert _syn(FREEBSD, ts=ts, sack=sack, wscale=wscale) == octets


def test_the_prototypes_place_of_edo_supported() -> None:
    assert _syn(LINUX, edo=True, ts=False, sack=False, wscale=False) == "fe040ed0020405b4"
    assert _syn(FREEBSD, edo=True, ts=False, wscale=False) == "020405b404024f02"


def test_sack_behind_an_extension_is_aligned_as_linux_does() -> None:
    plan = lay_out(Options(sack=((1, 2),)), extension=Form.LONG, behind=True, dialect=LINUX)
    assert plan.data_offset == 28
    assert plan.octets[8:].hex() == "0101050a0000000100000002"


def test_an_order_that_needs_more_room_than_there_is_yields_to_the_own_one() -> None:
    options = Options(mss=1460, wscale=7, sack_permitted=True, ts_val=1, eno=bytes((69, 18)) + bytes(16))
    plan = lay_out(options, dialect=FREEBSD, syn=True)
    assert plan.header_octets <= 60


def test_orders_tell_dialects_apart() -> None:
    assert len({hash(Dialect(order=order)) for order in OptionOrder}) == 3
    assert Dialect(data_padding=80) != Dialect()


@pytest.mark.parametrize(
    ("order", "cookie", "octets"),
    [
        # mss, wscale, sackOK, TS; then the cookie, and what fills the words.
        (OptionOrder.LINUX, "", f"020405b40402{TS}0103030722020101"),
        (OptionOrder.LINUX, "abcd1234", f"020405b40402{TS}010303072206abcd12340101"),
        (OptionOrder.FREEBSD, "", f"020405b4010303070402{TS}22020000"),
        (OptionOrder.OWN, "0102030405060708", f"020405b40303070402{TS}220a010203040506070801" + "0101"),
    ],
)
def test_fast_open_follows_the_others(order: OptionOrder, cookie: str, octets: str) -> None:
    options = Options(mss=1460, wscale=7, sack_permitted=True, ts_val=1, ts_ecr=2, fast_open=bytes.fromhex(cookie))
    assert lay_out(options, dialect=Dialect(order=order), syn=True).octets.hex() == octets


def test_fast_open_and_the_user_timeout_yield_first() -> None:
    options = Options(mss=1460, wscale=7, sack_permitted=True, ts_val=1, fast_open=bytes(16), user_timeout=5)
    kept = fit_syn(options)
    assert (kept.fast_open, kept.user_timeout, kept.ts_val) == (bytes(16), None, 1)
    options.edo_supported = True
    kept = fit_syn(options)
    assert (kept.fast_open, kept.user_timeout, kept.ts_val) == (None, None, 1)
    options.fast_open = None
    assert fit_syn(options).user_timeout == 5


@pytest.mark.parametrize(
    ("seconds", "field"), [(0.2, 1), (1, 1), (32767, 0x7FFF), (32768, 0x8000 | 547), (1e9, 0xFFFF)]
)
def test_a_user_timeout_is_told_in_seconds_or_minutes(seconds: float, field: int) -> None:
    # RFC 5482 §2.
    assert encode(seconds) == field
    assert decode(field) >= min(seconds, 0x7FFF * 60)
