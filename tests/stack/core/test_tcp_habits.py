"""Settings with which a connection behaves as other systems do."""

from __future__ import annotations

import errno

import pytest

from edo.options import Options
from stack.config import TcpConfig
from stack.events import Closed
from stack.host import Stack
from stack.run import ACK, RST, SYN
from stack.states import State
from tests.stack.core.script import IRS, ISS, Script


def _error(script: Script) -> int | None:
    closed = next(event for event in script.events() if isinstance(event, Closed))
    return closed.error.errno if closed.error is not None else None


@pytest.mark.parametrize(("seq", "taken"), [(0, False), (1, True), (2, True), (60_000, True)])
def test_insecure_rst_takes_any_reset_within_the_window(seq: int, taken: bool) -> None:
    s = Script(TcpConfig(insecure_rst=True))
    assert s.seg(seq, 1, flags=RST) == []
    assert (s.state() is State.CLOSED) is taken
    assert not taken or _error(s) == errno.ECONNRESET


def test_insecure_rst_does_not_take_one_beyond_the_window() -> None:
    s = Script(TcpConfig(insecure_rst=True))
    s.seg(s.c.rcv_adv - IRS, 1, flags=RST)
    assert s.state() is State.ESTABLISHED


def test_insecure_syn_resets_within_the_window_only() -> None:
    s = Script(TcpConfig(insecure_syn=True))
    (challenge,) = s.seg(-5, 1, flags=SYN)
    assert challenge.flags == ACK
    (reset,) = s.seg(1, 1, flags=SYN)
    assert (reset.flags, reset.seq, reset.ack) == (RST | ACK, ISS + 1, IRS + 1)
    assert s.state() is State.CLOSED
    assert _error(s) == errno.ECONNRESET


def test_the_shift_may_be_chosen() -> None:
    s = Script(TcpConfig(receive_buffer=65535, window_scale=6), establish=False)
    s.c.connect(s.now)
    (syn,) = s.take()
    assert (syn.options.wscale, syn.window) == (6, 65535)
    with pytest.raises(ValueError, match="window_scale"):
        TcpConfig(window_scale=15)
    assert isinstance(syn.options, Options)


def test_a_stack_takes_settings_for_what_begins_later() -> None:
    stack = Stack(["10.0.0.1"], random=bytes)
    stack.configure(TcpConfig(mss=1000))
    stack.connect(("10.0.0.2", 81), now=0.0)
    assert bytes.fromhex("020403e8") in bytes(stack.take_output(0.0).packets[0])
