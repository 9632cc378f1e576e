"""How long a SYN is tried before the connection is given up (RFC 9293 §3.8.3, MUST-23)."""

from __future__ import annotations

from stack.config import TcpConfig
from stack.run import SYN
from tests.stack.core.script import Script


def test_a_syn_is_tried_for_three_minutes_at_least() -> None:
    s = Script(TcpConfig(), establish=False)
    s.c.connect(s.now)
    begun = s.now
    s.take()
    s.wait(179.0)
    assert s.c.error is None
    assert all(run.flags == SYN for run in s.out)
    s.wait(60.0)
    assert s.c.error is not None
    assert s.now - begun >= 180.0
