"""The report's octets (profile.md §8)."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from ao.messages import MalformedMessage
from ao.report import HAVE, HAVE_CONFIRMED, Report

V4 = Report(HAVE, ip_address("192.0.2.1").packed, 0xC306, 0xC2, 2, 57, 0xFFFF, bytes.fromhex("020405b401030307"))
V6 = Report(HAVE | HAVE_CONFIRMED, ip_address("2001:db8::1").packed, 80, 0x12, 0, 64, 1, b"")


def test_every_octet_of_one() -> None:
    assert (
        V4.encode().hex()
        == "010104" + "c0000201" + "c306" + "c2" + "02" + "39" + "ffff" + "08" + "020405b401030307"
    )


@pytest.mark.parametrize("report", [V4, V6], ids=["v4", "v6"])
def test_what_is_built_is_parsed(report: Report) -> None:
    assert Report.decode(report.encode()) == report


def test_after_a_cookie_nothing_but_the_address_is_known() -> None:
    report = Report(0, V4.source, 7, 0x02, 1, 64, 1000, None)
    octets = report.encode()
    assert octets.hex() == "010004c00002010007" + "00" * 5 + "ff"
    assert Report.decode(octets) == Report(0, V4.source, 7, 0, 0, 0, 0, None)


def test_unknown_flags_are_ignored() -> None:
    octets = bytearray(V4.encode())
    octets[1] |= 0xFC
    assert Report.decode(bytes(octets)) == V4


@pytest.mark.parametrize("octets", [V4.encode()[:cut] for cut in range(len(V4.encode()))] + [V4.encode() + b"\0"])
def test_neither_more_nor_fewer_octets(octets: bytes) -> None:
    with pytest.raises(MalformedMessage):
        Report.decode(octets)


@pytest.mark.parametrize(("at", "value"), [(0, 2), (2, 5), (2, 6), (10, 4), (14, 41), (14, 254), (14, 255)])
def test_fields_out_of_their_range(at: int, value: int) -> None:
    octets = bytearray(V4.encode())
    octets[at] = value
    with pytest.raises(MalformedMessage):
        Report.decode(bytes(octets))
