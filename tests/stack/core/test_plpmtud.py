"""Packetization-layer path MTU discovery (RFC 8899, RFC 4821): the search, and what a probe is to a connection."""

from __future__ import annotations

import random

import pytest

from edo.options import Options
from stack.config import TcpConfig
from stack.losses import FAST, OPEN
from stack.plpmtud import MAX_PROBES, PMTU_RAISE_TIMER, PathSearch, SearchState
from stack.run import Run
from stack.seqnum import low32
from tests.stack.core.script import Script

SACK = Options(mss=1460, sack_permitted=True)
BASE = 1200 - 40
ON = TcpConfig(mtu_probing="on", initial_window=20)


# --- the search alone --------------------------------------------------------------------------------------


def searched(search: PathSearch, path: int, *, loss: float = 0.0, seed: int = 1) -> int:
    """Probe until the search rests, where packets of more than ``path`` octets are lost; the number of losses."""
    source = random.Random(seed)
    lost = 0
    for n in range(200):
        size = search.plpmtu if search.state is SearchState.BASE else search.next_size()
        if not size:
            return lost
        search.sent(size, n, n + 1)
        if size > path or source.random() < loss:
            lost += 1
            search.failed()
        else:
            search.acknowledged()
    raise AssertionError("the search does not end")


@pytest.mark.parametrize("path", [1200, 1207, 1280, 1300, 1333, 1400, 1492, 1499, 1500])
def test_the_size_is_found_to_eight_octets(path: int) -> None:
    search = PathSearch(576, 1200, 1500)
    lost = searched(search, path)
    assert search.state is SearchState.SEARCH_COMPLETE
    assert path - 8 <= search.plpmtu <= path
    assert lost <= 8


def test_a_path_as_wide_as_the_link_takes_one_probe() -> None:
    """RFC 8899 §5.3.2: the greatest gain first."""
    search = PathSearch(576, 1200, 1500)
    assert searched(search, 1500) == 0
    assert search.probes == 2, "one for BASE_PLPMTU, one for MAX_PLPMTU"


@pytest.mark.parametrize("path", [1500, 1501, 4352, 8000, 9000])
def test_wide_links_are_searched_as_well(path: int) -> None:
    search = PathSearch(576, 1200, 9000)
    searched(search, path)
    assert path - 8 <= search.plpmtu <= path


def test_probes_lost_by_chance_do_not_decide() -> None:
    """RFC 8899 §5.1.2, MAX_PROBES: one in ten is lost for another reason."""
    for seed in range(100):
        search = PathSearch(576, 1200, 1500)
        searched(search, 1420, loss=0.1, seed=seed)
        assert 1412 <= search.plpmtu <= 1420 or search.lost >= MAX_PROBES, f"seed {seed}"
        assert search.plpmtu >= 1380, f"seed {seed}"


def test_it_ends_when_a_size_was_lost_max_probes_times() -> None:
    search = PathSearch(576, 1496, 1500)
    search.sent(1496, 0, 1)
    search.acknowledged()
    for count in range(1, MAX_PROBES + 1):
        assert search.state is SearchState.SEARCHING
        assert search.next_size() == 1500
        search.sent(1500, count, count + 1)
        search.failed()
        assert search.probe_count == count
    assert search.state is SearchState.SEARCH_COMPLETE


def test_the_raise_timer_costs_two_probes_where_nothing_changed() -> None:
    search = PathSearch(576, 1200, 1500)
    searched(search, 1300)
    size = search.plpmtu
    search.resume()
    assert search.state is SearchState.SEARCHING
    assert searched(search, 1300) == 2
    assert (search.plpmtu, search.state) == (size, SearchState.SEARCH_COMPLETE)
    search.resume()
    assert searched(search, 1500) == 0
    assert search.plpmtu == 1500


def test_a_little_wider_is_found_after_the_raise_timer_too() -> None:
    search = PathSearch(576, 1200, 1500)
    searched(search, 1300)
    search.resume()
    searched(search, 1440)
    assert 1432 <= search.plpmtu <= 1440


def test_a_router_that_names_its_size_ends_the_search() -> None:
    """RFC 8899 §4.6.2: PLPMTU < PL_PTB_SIZE < PROBED_SIZE makes it the next probe; acknowledged it is the end."""
    search = PathSearch(576, 1200, 1500)
    search.sent(1200, 0, 1)
    search.acknowledged()
    search.sent(1500, 1, 2)
    search.refused(1377)
    assert search.next_size() == 1377
    search.sent(1377, 2, 3)
    search.acknowledged()
    assert (search.plpmtu, search.state) == (1377, SearchState.SEARCH_COMPLETE)


def test_error_is_left_when_base_gets_through() -> None:
    """RFC 8899 §5.2: ERROR goes on with what gets through until a probe of BASE_PLPMTU is acknowledged."""
    search = PathSearch(576, 1200, 1500)
    search.error(576)
    searched(search, 900)
    assert search.state is SearchState.ERROR
    assert 892 <= search.plpmtu <= 900
    search.resume()
    searched(search, 1500)
    assert (search.plpmtu, search.state) == (1500, SearchState.SEARCH_COMPLETE)


# --- a probe in the stream ---------------------------------------------------------------------------------


def searching(config: TcpConfig = ON, offer: Options = SACK) -> tuple[Script, list[Run]]:
    """A connection whose BASE_PLPMTU was confirmed, and what it sent then."""
    s = Script(config, offer=offer)
    s.write(bytes(60 * BASE))
    assert {run.segment_size for run in s.out} == {BASE}
    s.now += 0.1
    sent = s.seg(1, 1 + 4 * BASE)
    return s, sent


def probe_of(runs: list[Run]) -> Run:
    (probe,) = [run for run in runs if run.segment_size > BASE]
    assert probe.length == probe.segment_size == 1460, "one segment, of the size of the link"
    return probe


def octet(s: Script, run: Run) -> int:
    return run.seq - s.iss


def test_it_starts_at_base_and_sends_one_larger_segment() -> None:
    """RFC 4821 §10.1: a probe is the next octets of the stream, and one at a time (§7.4)."""
    s, sent = searching()
    probe = probe_of(sent)
    assert probe.seq == s.out[0].seq + s.out[0].length, "in its place in the stream"
    s.now += 0.1
    assert not [run for run in s.seg(1, 1 + 6 * BASE) if run.segment_size > BASE], "not another beside it"


def test_an_acknowledged_probe_makes_segments_larger() -> None:
    s, sent = searching()
    probe = probe_of(sent)
    s.now += 0.1
    cwnd = s.c.control.cwnd
    sent = s.seg(1, octet(s, probe) + probe.length)
    assert {run.segment_size for run in sent} == {1460}
    assert s.c.path_mtu_octets == 1500
    assert s.c.control.cwnd <= cwnd + 8 * 1460, "the window is octets and does not jump (RFC 4821 §4)"


def sacks(s: Script, probe: Run, count: int) -> list[Run]:
    """The probe is missing; ``count`` segments behind it arrive."""
    start = octet(s, probe) + probe.length
    s.seg(1, octet(s, probe))
    sent: list[Run] = []
    for n in range(1, count + 1):
        s.now += 0.001
        sent += s.seg(1, octet(s, probe), sack=[(start, start + n * BASE)])
    return sent


@pytest.mark.parametrize("recovery", ["rack", "rfc6675"])
def test_a_lost_probe_is_no_congestion(recovery: str) -> None:
    """RFC 4821 §7.6.2: only the probe is lost, so the window stays; its octets go again in smaller segments."""
    s, sent = searching(TcpConfig(mtu_probing="on", initial_window=20, recovery=recovery))
    probe = probe_of(sent)
    s.now += 0.1
    cwnd = s.c.control.cwnd
    sent = sacks(s, probe, 8)
    again = [run for run in sent if run.seq == probe.seq]
    assert [run.segment_size for run in again] == [BASE]
    assert again[0].length == probe.length
    assert s.c.recovery == OPEN
    assert s.c.control.cwnd >= cwnd
    assert s.c.path is not None
    assert (s.c.path.lost, s.c.path_mtu_octets) == (1, 1200)


def test_no_probe_follows_a_lost_one_for_a_window_of_round_trips() -> None:
    """RFC 4821 §4, §7.6.2: losses that are no congestion must be rarer than those that are."""
    s, sent = searching()
    probe = probe_of(sent)
    s.now += 0.1
    sacks(s, probe, 4)
    assert s.c.probe_at >= s.now + s.c.rtt.srtt * (s.c.control.cwnd // BASE) - 0.01


@pytest.mark.parametrize("recovery", ["rack", "rfc6675"])
def test_other_losses_beside_a_probe_are_congestion(recovery: str) -> None:
    """RFC 4821 §7.6.4: inconclusive; nothing is learned, the window is reduced."""
    s, sent = searching(TcpConfig(mtu_probing="on", initial_window=20, recovery=recovery))
    probe = probe_of(sent)
    s.now += 0.2
    start = octet(s, probe) + probe.length
    before = octet(s, probe) - 2 * BASE
    cwnd = s.c.control.cwnd
    # The two segments before the probe are lost as well.
    for n in range(1, 6):
        s.now += 0.001
        s.seg(1, before, sack=[(start, start + n * BASE)])
    assert s.c.recovery == FAST
    assert s.c.control.ssthresh < cwnd
    assert s.c.path is not None
    assert s.c.path.lost == 0


def test_what_is_lost_again_is_congestion() -> None:
    s, sent = searching()
    probe = probe_of(sent)
    s.now += 0.1
    sacks(s, probe, 4)
    start = octet(s, probe) + probe.length
    s.now += 0.11
    s.seg(1, octet(s, probe), sack=[(start, s.c.snd_nxt - s.iss)])
    s.wait(0.05)
    assert s.c.recovery == FAST


def test_without_sack_nothing_is_probed() -> None:
    """Which octets are missing could not be told (RFC 4821 §7.5: "timely and accurate")."""
    s = Script(ON)
    s.write(bytes(60 * BASE))
    s.now += 0.1
    s.seg(1, 1 + 4 * BASE)
    s.now += 0.1
    s.seg(1, 1 + 8 * BASE)
    assert {run.segment_size for run in s.out} == {BASE}


def test_a_probe_waits_for_enough_to_send() -> None:
    """RFC 4821 §7.4: the probe and three segments behind it, or its loss would take a timeout."""
    s = Script(ON, offer=SACK)
    s.write(bytes(4 * BASE))
    s.now += 0.1
    s.seg(1, 1 + 4 * BASE)
    assert {run.segment_size for run in s.write(bytes(1460 + 3 * BASE - 1))} == {BASE}
    s.now += 0.1
    s.seg(1, s.c.snd_nxt - s.iss)
    assert probe_of(s.write(bytes(1460 + 3 * BASE)))


def test_a_wide_probe_waits_for_room_in_the_window() -> None:
    s = Script(
        TcpConfig(mtu_probing="on", initial_window=20, mtu=9000), offer=Options(mss=8960, sack_permitted=True)
    )
    s.write(bytes(200 * BASE))
    position = 1
    for _ in range(12):
        s.now += 0.01
        position += 2 * BASE
        wide = [run for run in s.seg(1, position) if run.segment_size > BASE]
        if wide:
            assert [run.length for run in wide] == [8960]
            return
    raise AssertionError("no probe was sent")


def test_a_timeout_of_the_probe_reduces_the_window_and_waits_longer() -> None:
    """RFC 4821 §7.6.3."""
    s, sent = searching()
    probe = probe_of(sent)
    s.now += 0.1
    s.seg(1, octet(s, probe))
    deadline = s.now + 5.0
    while s.c.path is not None and not s.c.path.lost and s.now < deadline:
        s.wait(0.05)
    assert s.c.path is not None
    assert s.c.path.lost == 1
    assert s.c.control.cwnd == BASE
    assert s.c.probe_at - s.now > 4 * s.c.rtt.srtt


# --- signs of a narrower path ------------------------------------------------------------------------------


def test_three_timeouts_are_a_black_hole_then_the_search_begins() -> None:
    """RFC 8899 §4.3, §5.2; by default a connection that may believe ICMP begins at the link's MTU."""
    s = Script(TcpConfig(), offer=SACK)
    s.write(bytes(20 * 1460))
    assert {run.segment_size for run in s.out} == {1460}
    assert s.c.path is None, "DISABLED"
    while s.c.path is None:
        s.wait(0.1)
    assert s.c.retries == MAX_PROBES
    assert (s.c.path.state, s.c.path_mtu_octets) == (SearchState.BASE, 1200)
    while s.c.path.state is SearchState.BASE:
        s.wait(0.1)
    assert (s.c.path.state, s.c.path_mtu_octets) == (SearchState.ERROR, 576)


def test_off_leaves_it_to_icmp() -> None:
    s = Script(TcpConfig(mtu_probing="off"), offer=SACK)
    s.write(bytes(20 * 1460))
    s.wait(30.0)
    assert s.c.retries > 5
    assert s.c.path_mtu_octets == 1500
    s.c.path_mtu(1400, s.now)
    assert s.c.path_mtu_octets == 1400
    assert s.c.path is None


def test_a_segment_that_alone_never_arrives_is_too_large() -> None:
    """Later, smaller segments arrive, so no timeout comes: the size is suspected all the same."""
    s = Script(TcpConfig(nagle=False), offer=SACK)
    s.write(bytes(1460))
    for n in range(80):
        s.write(b"x" * 10)
        s.now += 0.15
        s.seg(1, 1, sack=[(1461, 1461 + 10 * (n + 1))])
        if s.c.path_mtu_octets < 1500:
            break
    assert s.c.path_mtu_octets == 1200
    assert s.c.retries < MAX_PROBES


def test_icmp_about_a_probe_leaves_the_size_in_use() -> None:
    """RFC 8899 §4.6.2."""
    s, sent = searching()
    probe = probe_of(sent)
    cwnd = s.c.control.cwnd
    s.c.path_mtu(1400, s.now)
    again = [run for run in s.take() if run.seq == probe.seq]
    assert [run.segment_size for run in again] == [BASE]
    assert s.c.path_mtu_octets == 1200
    assert s.c.control.cwnd == cwnd
    assert s.c.path is not None
    assert s.c.path.next_size() == 1400


def test_icmp_below_the_size_in_use_restarts_the_search_there() -> None:
    """RFC 8899 §4.6.2: BASE_PLPMTU <= PL_PTB_SIZE < PLPMTU."""
    s, sent = searching()
    probe = probe_of(sent)
    s.now += 0.1
    s.seg(1, octet(s, probe) + probe.length)
    s.c.path_mtu(1400, s.now)
    assert s.c.path is not None
    assert (s.c.path_mtu_octets, s.c.path.state, s.c.path.next_size()) == (1200, SearchState.BASE, 1400)
    s.c.path_mtu(700, s.now)
    assert (s.c.path_mtu_octets, s.c.path.state) == (700, SearchState.ERROR)


def test_what_icmp_lowered_is_raised_after_ten_minutes() -> None:
    """RFC 1191 §6.3, RFC 8201 §4; by a probe, so that nothing is lost if the path is as it was."""
    s = Script(TcpConfig(initial_window=20), offer=SACK)
    s.c.path_mtu(1400, s.now)
    assert s.c.segment_size == 1360
    s.now += PMTU_RAISE_TIMER - 1.0
    s.write(bytes(10 * 1360))
    assert {run.segment_size for run in s.out} == {1360}
    s.seg(1, s.c.snd_nxt - s.iss)
    s.now += 1.0
    sent = s.write(bytes(10 * 1360))
    assert [run.segment_size for run in sent] == [1460, 1360]
    s.now += 0.1
    s.seg(1, 1 + s.out[-1].seq + s.out[-1].length - s.iss - 1)
    assert s.c.path_mtu_octets == 1500


def test_base_may_be_set_and_the_peer_bounds_the_search() -> None:
    s = Script(TcpConfig(mtu_probing="on", base_mtu=1064, mtu=9000), offer=Options(mss=1300, sack_permitted=True))
    assert s.c.segment_size == 1024
    assert s.c.path is not None
    assert s.c.path.max_plpmtu == 1340
    narrow = Script(TcpConfig(mtu_probing="on", mtu=1000), offer=SACK)
    assert narrow.c.path is None, "nothing to look for"
    assert low32(narrow.c.segment_size) == 960
