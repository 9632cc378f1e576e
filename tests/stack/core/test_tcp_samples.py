"""Which acknowledgments measure the round trip (RFC 6298 §3, RFC 7323 §4)."""

from __future__ import annotations

from edo.options import Options
from tests.stack.core.script import SACK, STAMPS, Script

BOTH = Options(mss=1460, sack_permitted=True, ts_val=7000)


def test_an_echo_older_than_the_retransmission_is_no_round_trip() -> None:
    """The data arrived, its acknowledgment was lost: the answer to the retransmission echoes the first sending."""
    s = Script(offer=STAMPS)
    first = s.write(b"x" * 1000)[0].options.ts_val
    assert first is not None
    s.wait(5.0)
    repeated = s.out[-1].options.ts_val
    assert repeated is not None
    assert repeated > first
    backed_off, srtt = s.c.rtt.rto, s.c.rtt.srtt
    s.now += 0.1
    s.seg(1, 1001, options=Options(ts_val=7100, ts_ecr=first))
    assert (s.c.rtt.rto, s.c.rtt.srtt) == (backed_off, srtt)
    assert s.c.unsent == 0


def test_an_echo_of_the_retransmission_measures_it() -> None:
    s = Script(offer=STAMPS)
    s.write(b"x" * 1000)
    s.wait(0.35)
    repeated = s.out[-1].options.ts_val
    backed_off = s.c.rtt.rto
    s.now += 0.1
    s.seg(1, 1001, options=Options(ts_val=7100, ts_ecr=repeated or 0))
    assert s.c.rtt.rto < backed_off
    assert 0.1 <= s.c.rtt.srtt < 0.3


def test_what_was_given_up_and_had_arrived_measures_nothing() -> None:
    """After a second timeout SACK information is dropped; octets acknowledged then without being sent again had
    arrived long before."""
    s = Script(offer=SACK)
    s.write(b"x" * 8760)
    s.now += 0.1
    s.seg(1, 1, sack=[(1461, 2921)])
    srtt = s.c.rtt.srtt
    s.wait(1.5)
    assert s.c.retries >= 2
    # Both in one batch, so that the second comes before anything more can be sent again.
    s.batch(s.make(1, 1461), s.make(1, 2921))
    assert s.c.unsent == 8760 - 2920
    assert s.c.rtt.srtt == srtt
