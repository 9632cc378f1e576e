"""Templates of headers are everybody's: stacks in several threads lay out headers of one shape at the same time."""

from __future__ import annotations

import sys
from types import FrameType

import pytest

import edotun_core
from edo.layout import _Template, lay_out
from edo.options import Options


@pytest.mark.parametrize("syn", [False, True])
def test_a_plan_has_the_timestamps_that_were_asked_for_whatever_another_thread_asks(syn: bool) -> None:
    """Between any two lines of the one another is laid out: as a thread may that runs in between."""
    mine, theirs = (Options(ts_val=value, ts_ecr=value + 1) for value in (0x11111111, 0x22222222))
    between = 0

    def local(_frame: FrameType, event: str, _: object) -> object:
        nonlocal between
        if event == "line" and between == at:
            lay_out(theirs, syn=syn)
        between += event == "line"
        return local

    def follow(frame: FrameType, _event: str, _: object) -> object:
        return local if frame.f_code.co_qualname.startswith(_Template.__name__) else None

    before = sys.gettrace()
    for first in (mine, theirs):
        for at in range(12):
            lay_out(first, syn=syn)
            between = 0
            sys.settrace(follow)
            try:
                plan = lay_out(mine, syn=syn)
            finally:
                sys.settrace(before)
            assert between or edotun_core.FORM == "compiled"
            again = lay_out(mine, syn=syn)
            for one in (plan, again):
                assert b"\x11\x11\x11\x11\x11\x11\x11\x12" in one.octets, (first is mine, at)
