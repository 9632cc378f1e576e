"""Losses: timeouts, fast retransmit, SACK recovery, NewReno, limited transmit, D-SACK, smaller paths."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from edo.options import Options
from stack.config import TcpConfig
from stack.recovery import FAST, LOSS, OPEN
from stack.run import ACK, FIN, Run
from tests.stack.core.script import PLAIN, SACK, Script
from tests.stack.core.tcp_world import World

MSS = 1460
RENO = TcpConfig(congestion="reno", recovery="rfc6675")


def octet(segment: int) -> int:
    """First relative stream octet of the ``segment``-th full segment, counted from 0."""
    return 1 + segment * MSS


def sender(segments: int, offer: Options = SACK, config: TcpConfig = RENO, more: int = 0) -> Script:
    """A connection that has just sent ``segments`` full segments (and has ``more`` to send)."""
    config = TcpConfig(**{**{name: getattr(config, name) for name in config.__slots__}, "initial_window": segments})
    s = Script(config, offer)
    s.write(bytes(MSS * (segments + more)))
    s.out.clear()
    return s


def spans(runs: Iterable[Run], s: Script) -> list[tuple[int, int]]:
    """Sent runs as (first segment, number of segments)."""
    return [((s.rel(run)[0] - 1) // MSS, -(-run.length // MSS)) for run in runs]


# --- timeouts ----------------------------------------------------------------------------------------------


def test_the_timeout_doubles_and_a_measurement_ends_that() -> None:
    """RFC 6298 §5.5 and Karn's algorithm, §3."""
    s = Script(TcpConfig(rto_max=60.0, timestamps=False))
    rto = s.c.rtt.rto
    s.write(b"x" * 100)
    start = s.now
    times = []
    for _ in range(3):
        deadline = s.c.next_deadline
        assert deadline is not None
        (again,) = s.wait(deadline - s.now)
        assert s.rel(again) == (1, 101)
        times.append(s.now - start)
    assert times == pytest.approx([rto, 3 * rto, 7 * rto])
    s.seg(1, 101)
    assert s.c.rtt.rto == pytest.approx(8 * rto), "an ambiguous acknowledgment is no measurement"
    s.write(b"y" * 100)
    s.wait(0.1)
    s.seg(1, 201)
    assert s.c.rtt.rto < 2 * rto


def test_the_timeout_has_bounds() -> None:
    s = Script(TcpConfig(rto_min=0.2, rto_max=5.0))
    for _ in range(20):
        s.write(b"x")
        s.now += 0.001
        s.seg(1, s.c.snd_nxt - s.iss)
    assert s.c.rtt.rto == 0.2
    s.write(b"x")
    s.wait(60.0)
    assert s.c.rtt.rto == 5.0


def test_after_a_timeout_one_segment_then_slow_start_over_what_is_missing() -> None:
    """RFC 5681 §3.1."""
    s = sender(10)
    assert spans(s.wait(s.c.rtt.rto), s) == [(0, 1)]
    assert s.c.recovery == LOSS
    assert s.c.control.cwnd == MSS
    assert s.c.control.ssthresh == 5 * MSS
    assert spans(s.seg(1, octet(1)), s) == [(1, 2)]
    assert spans(s.seg(1, octet(3)), s) == [(3, 4)]
    s.seg(1, octet(10))
    assert s.c.recovery == OPEN
    assert s.c.next_deadline is None


def test_a_second_timeout_does_not_halve_again() -> None:
    s = sender(10)
    s.wait(s.c.rtt.rto)
    s.wait(s.c.rtt.rto)
    assert s.c.control.ssthresh == 5 * MSS


def test_what_was_sacked_is_not_repeated_after_a_timeout() -> None:
    s = sender(10)
    s.seg(1, 1, sack=[(octet(4), octet(6))])
    s.out.clear()
    assert spans(s.wait(s.c.rtt.rto), s) == [(0, 1)]
    s.seg(1, octet(1), sack=[(octet(4), octet(6))])
    s.seg(1, octet(3), sack=[(octet(4), octet(6))])
    sent = [n for first, count in spans(s.out, s) for n in range(first, first + count)]
    assert sent == [0, 1, 2, 3, 6, 7, 8]


def test_reneging_is_noticed_at_the_timeout() -> None:
    """RFC 2018 §8: what was SACKed may be gone; a head that is SACKed and not acknowledged shows it."""
    s = sender(4)
    s.seg(1, 1, sack=[(octet(1), octet(3))])
    s.out.clear()
    s.seg(1, octet(1))
    assert spans(s.wait(2 * s.c.rtt.rto), s)[0] == (1, 1)
    sent = [n for ack in (2, 4) for first, k in spans(s.seg(1, octet(ack)), s) for n in range(first, first + k)]
    assert sent[:2] == [2, 3]


def test_the_timer_restarts_with_each_new_acknowledgment() -> None:
    """RFC 6298 §5.3."""
    s = sender(10)
    s.wait(0.5 * s.c.rtt.rto)
    s.seg(1, octet(1))
    assert s.c.next_deadline == pytest.approx(s.now + s.c.rtt.rto)


# --- fast retransmit ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("offer", [PLAIN, SACK])
def test_the_third_duplicate_acknowledgment_retransmits(offer: Options) -> None:
    """RFC 5681 §3.2; RFC 6675 §5."""
    s = sender(10, offer)
    for n in (2, 3):
        block = [(octet(1), octet(n))] if offer is SACK else []
        assert s.seg(1, 1, sack=block) == [], f"duplicate {n - 1}"
    runs = s.seg(1, 1, sack=[(octet(1), octet(4))] if offer is SACK else [])
    assert spans(runs, s) == [(0, 1)]
    assert s.c.recovery == FAST
    assert s.c.control.ssthresh == s.c.control.cwnd == 5 * MSS
    assert s.c.retransmissions == 1


@pytest.mark.parametrize(
    "segment",
    [
        {"data": b"x"},
        {"window": 60_000},
        {"flags": ACK | FIN},
    ],
)
def test_what_is_not_a_duplicate_acknowledgment(segment: dict[str, object]) -> None:
    """RFC 5681 §2: no data, no FIN, same window."""
    s = sender(10, PLAIN)
    position = 1
    for _ in range(5):
        s.seg(position, 1, **segment)  # type: ignore[arg-type]
        if "window" in segment:
            segment["window"] = int(str(segment["window"])) - 1
        position += len(segment.get("data", b""))  # type: ignore[arg-type]
    assert s.c.recovery == OPEN
    assert s.c.retransmissions == 0


def test_with_sack_a_duplicate_brings_news() -> None:
    """RFC 6675 §2: an ACK without new SACK information is none."""
    s = sender(10)
    for _ in range(6):
        s.seg(1, 1, sack=[(octet(1), octet(2))])
        s.seg(1, 1)
    assert s.c.recovery == OPEN


def test_three_small_ranges_are_enough() -> None:
    """IsLost() of RFC 6675 §4: DupThresh separate ranges, or more than (DupThresh - 1) * SMSS octets."""
    s = sender(10)
    blocks = [(octet(2), octet(2) + 1), (octet(4), octet(4) + 1), (octet(6), octet(6) + 1)]
    assert spans(s.seg(1, 1, sack=blocks), s)[0][0] == 0
    s = sender(10)
    s.seg(1, 1, sack=[(octet(2), octet(4))])
    assert s.c.recovery == OPEN
    s.seg(1, 1, sack=[(octet(2), octet(4) + 1)])
    assert s.c.recovery == FAST


def test_limited_transmit() -> None:
    """RFC 3042: a new segment for each of the first two duplicates; they do not count for ssthresh."""
    s = sender(10, PLAIN, more=10)
    assert spans(s.seg(1, 1), s) == [(10, 1)]
    assert spans(s.seg(1, 1), s) == [(11, 1)]
    assert spans(s.seg(1, 1), s)[0] == (0, 1)
    assert s.c.control.ssthresh == 5 * MSS


def test_limited_transmit_with_sack() -> None:
    s = sender(10, more=10)
    assert spans(s.seg(1, 1, sack=[(octet(1), octet(2))]), s) == [(10, 1)]
    assert spans(s.seg(1, 1, sack=[(octet(1), octet(3))]), s) == [(11, 1)]
    assert spans(s.seg(1, 1, sack=[(octet(1), octet(4))]), s) == [(0, 1)]


def test_newreno_partial_acknowledgments() -> None:
    """RFC 6582 §3.2 step 3: each retransmits the next hole; only the first restarts the timer."""
    s = sender(10, PLAIN)
    for _ in range(3):
        s.seg(1, 1)
    s.out.clear()
    s.wait(0.05)
    assert spans(s.seg(1, octet(4)), s) == [(4, 1)]
    deadline = s.c.next_deadline
    s.wait(0.05)
    assert spans(s.seg(1, octet(7)), s) == [(7, 1)]
    assert s.c.next_deadline == deadline
    s.seg(1, octet(10))
    assert s.c.recovery == OPEN
    assert s.c.retransmissions == 3
    # Nothing is outstanding: min(ssthresh, max(FlightSize, SMSS) + SMSS).
    assert s.c.control.cwnd == 2 * MSS


def test_newreno_deflates_by_what_a_partial_acknowledgment_covers() -> None:
    """RFC 6582 §3.2 step 3: what duplicates had let in is taken back when the acknowledgment covers them."""
    s = sender(20, PLAIN, more=100)
    for _ in range(19):
        s.seg(1, 1)
    in_network = (s.c.snd_nxt - s.c.snd_una) // MSS - 19
    assert in_network == 10
    runs = s.seg(1, octet(10))
    # Nine of the 19 duplicates are covered: ten segments and the second hole remain in the network.
    assert spans(runs, s) == [(10, 1), (29, 1)]


def test_newreno_does_not_start_again_at_the_recovery_point() -> None:
    """RFC 6582 §3.2 step 2: the acknowledgment must cover more than recover; with SACK it need not."""
    for offer, again in ((PLAIN, False), (SACK, True)):
        s = sender(10, offer, more=20)
        for n in (2, 3, 4):
            s.seg(1, 1, sack=[(octet(1), octet(n))] if again else [])
        s.seg(1, s.c.recover - s.iss)
        assert s.c.recovery == OPEN
        assert s.c.snd_una == s.c.recover
        at = s.c.snd_una - s.iss
        for n in (2, 3, 4):
            s.seg(1, at, sack=[(at + MSS, at + n * MSS)] if again else [])
        assert (s.c.recovery == FAST) == again


def test_a_second_timeout_forgets_nothing_that_was_sacked() -> None:
    """Errata 1610 of RFC 2018: that the first segment is lost again and again says nothing of the others."""
    s = sender(4)
    s.seg(1, 1, sack=[(octet(1), octet(3))])
    for _ in range(3):
        s.wait(s.c.rtt.rto)
        assert s.c.scoreboard.sacked == 2 * MSS


def test_newreno_does_not_start_again_within_the_window() -> None:
    """RFC 6582 §3.2 step 2 after a timeout: duplicates of what was repeated mean nothing."""
    s = sender(10, PLAIN)
    s.wait(s.c.rtt.rto)
    s.seg(1, octet(4))
    for _ in range(5):
        s.seg(1, octet(4))
    assert s.c.recovery == LOSS
    assert s.c.control.ssthresh == 5 * MSS


def lossy_window(lost: set[int], total: int, config: TcpConfig) -> World:
    """One write of ``total`` segments of which those in ``lost`` disappear the first time."""
    world = World(config)
    world.establish()
    gone = set(lost)
    first = world.a.snd_nxt

    def choose(wire: Run, count: int) -> bool:
        if wire.length:
            number = (wire.seq - first) // world.a.segment_size
            if number in gone:
                gone.discard(number)
                return False
        return True

    world.filter[0] = choose
    world.write(0, bytes(world.a.segment_size * total))
    world.run(30.0)
    assert world.a.unsent == 0
    return world


@pytest.mark.parametrize(
    "lost", [{3}, {3, 4, 5}, {0, 2, 4, 6, 8}, {10, 12, 19}, set(range(20, 30)), {5, 40, 41, 60}]
)
@pytest.mark.parametrize("controller", ["reno", "cubic"])
def test_sack_recovery_repeats_what_was_lost_and_nothing_else(lost: set[int], controller: str) -> None:
    world = lossy_window(lost, 200, TcpConfig(initial_window=40, congestion=controller))
    assert world.a.retransmissions == len(lost)
    assert world.now - 100.0 < 31.0
    assert world.a.retries == 0


@pytest.mark.parametrize("lost", [{3}, {3, 5}, {10, 20, 30}])
def test_newreno_recovery_repeats_what_was_lost_and_nothing_else(lost: set[int]) -> None:
    world = lossy_window(lost, 100, TcpConfig(initial_window=40, sack=False))
    assert world.a.retransmissions == len(lost)


def test_recovery_halves_once() -> None:
    s = sender(20, more=100)
    s.seg(1, 1, sack=[(octet(1), octet(4))])
    assert s.c.control.cwnd == 10 * MSS
    s.seg(1, octet(4), sack=[(octet(6), octet(12))])
    assert s.c.control.cwnd == 10 * MSS
    s.seg(1, octet(12), sack=[(octet(14), octet(19))])
    assert s.c.control.cwnd == 10 * MSS
    s.seg(1, octet(20))
    assert s.c.recovery == OPEN


def test_in_recovery_the_pipe_is_kept_full_and_not_more() -> None:
    """RFC 6675 §5 step C."""
    s = sender(20, more=100)
    for n in range(2, 20):
        s.seg(1, 1, sack=[(octet(1), octet(n))])
        board = s.c.scoreboard
        pipe = s.c.snd_nxt - s.c.snd_una - board.sacked - board.waiting + board.extra
        assert pipe <= max(s.c.control.cwnd, 20 * MSS - (n - 1) * MSS + 3 * MSS)
    assert pipe == 10 * MSS


def test_the_tail_is_rescued_once() -> None:
    """NextSeg() rules 3 and 4 of RFC 6675 §4, the latter only after a partial acknowledgment."""
    s = sender(10)
    s.seg(1, 1, sack=[(octet(1), octet(4))])
    assert s.seg(1, 1, sack=[(octet(1), octet(5)), (octet(6), octet(7))]) == []
    runs = s.seg(1, octet(5), sack=[(octet(6), octet(7))])
    assert spans(runs, s) == [(5, 1)], "below a SACKed range, though not yet taken for lost"
    assert spans(s.seg(1, octet(7)), s) == [(9, 1)]
    assert s.seg(1, octet(8)) == []


def test_the_tail_is_not_rescued_before_a_partial_acknowledgment() -> None:
    s = sender(10)
    assert spans(s.seg(1, 1, sack=[(octet(1), octet(4))]), s) == [(0, 1)]
    assert s.seg(1, 1, sack=[(octet(1), octet(9))]) == [], "segment 9 may still be under way"


def test_what_a_shrunken_window_does_not_take_is_not_repeated() -> None:
    s = sender(10)
    s.seg(1, 1, window=2 * MSS)
    s.wait(s.c.rtt.rto)
    assert spans(s.seg(1, octet(1), window=MSS), s) == [(1, 1)]


def test_blocks_that_cannot_be_are_ignored() -> None:
    s = sender(10)
    s.seg(
        1,
        octet(1),
        sack=[(octet(3), octet(2)), (octet(9), octet(12)), (0, 1), (octet(2), octet(2)), (0, octet(1))],
    )
    assert s.c.scoreboard.sacked == 0
    assert s.c.recovery == OPEN


# --- SACK sent ---------------------------------------------------------------------------------------------


def test_each_segment_beyond_a_hole_is_acknowledged_with_blocks() -> None:
    """RFC 2018 §4: the first block holds the latest segment, the others repeat earlier ones."""
    s = Script(offer=SACK)
    seen = []
    for n in (2, 4, 6, 8, 3, 10):
        (ack,) = s.seg(n * 100 + 1, 1, b"x" * 100)
        assert s.ack(ack) == 1
        seen.append(s.blocks(ack))
    assert seen[0] == [(201, 301)]
    assert seen[3] == [(801, 901), (601, 701), (401, 501), (201, 301)]
    assert seen[4] == [(201, 501), (801, 901), (601, 701)]
    assert seen[5] == [(1001, 1101), (201, 501), (801, 901), (601, 701)]


def test_several_beyond_a_hole_in_one_batch_are_acknowledged_one_by_one() -> None:
    s = Script(offer=SACK)
    runs = s.batch(*(s.make(1 + n * MSS, 1, b"x" * MSS) for n in (0, 2, 3, 4)))
    assert [s.ack(run) for run in runs] == [1461, 1461, 1461]
    merged = Script(offer=PLAIN)
    runs = merged.batch(merged.make(octet(2), 1, b"x" * MSS * 3, segments=3))
    assert len(runs) == 3


def test_filling_a_hole_is_acknowledged_at_once() -> None:
    s = Script(offer=SACK)
    s.seg(201, 1, b"x" * 100)
    (ack,) = s.seg(1, 1, b"x" * 100)
    assert (s.ack(ack), s.blocks(ack)) == (101, [(201, 301)])
    (ack,) = s.seg(101, 1, b"x" * 100)
    assert (s.ack(ack), s.blocks(ack)) == (301, [])


def test_without_sack_permitted_there_are_no_blocks() -> None:
    s = Script(offer=PLAIN)
    (ack,) = s.seg(201, 1, b"x" * 100)
    assert ack.options.sack == ()


def test_duplicates_are_reported() -> None:
    """RFC 2883 §4.1, §4.2: the first block, once."""
    s = Script(offer=SACK)
    s.seg(1, 1, b"x" * 300)
    (ack,) = s.seg(101, 1, b"x" * 300)
    assert (s.ack(ack), s.blocks(ack)) == (401, [(101, 301)])
    s.seg(1001, 1, b"x" * 500)
    (ack,) = s.seg(1101, 1, b"x" * 100)
    assert s.blocks(ack) == [(1101, 1201), (1001, 1501)]
    (ack,) = s.seg(2001, 1, b"x" * 100)
    assert s.blocks(ack) == [(2001, 2101), (1001, 1501)]
    (ack,) = s.seg(1001, 1, b"x" * 100)
    assert s.blocks(ack) == [(1001, 1101), (1001, 1501), (2001, 2101)], "§4.2: its block follows the duplicate"


def test_the_number_of_blocks_is_configured() -> None:
    for most, room, blocks in ((10, 31, 10), (31, 16, 16), (31, 4, 4), (2, 4, 2)):
        s = Script(TcpConfig(sack_blocks=most), offer=SACK)
        s.c.sack_room = room
        for n in range(1, 20):
            s.seg(n * 200, 1, b"x" * 100)
        # The latest arrival first, then those that were reported before it, latest first (RFC 2018 §4).
        wanted = [(n * 200, n * 200 + 100) for n in range(19, 19 - blocks, -1)]
        assert s.blocks(s.out[-1]) == wanted
    for most in (0, 32):
        with pytest.raises(ValueError, match="sack_blocks must be 1 to 31"):
            TcpConfig(sack_blocks=most)


# --- the path becomes smaller ------------------------------------------------------------------------------


def test_a_smaller_path_mtu_resegments() -> None:
    """RFC 1191 §6.4: at once, and not as congestion."""
    s = sender(8)
    s.c.path_mtu(1000, s.now)
    runs = s.take()
    assert s.c.segment_size == 960
    assert {run.segment_size for run in runs} == {960}
    assert sum(run.length for run in runs) == 8 * 960
    assert s.c.control.cwnd == 8 * 960, "no more segments than before (RFC 4821 §4)"
    assert s.c.recovery == OPEN


def test_a_smaller_path_repeats_what_was_just_repeated() -> None:
    s = sender(8)
    s.seg(1, 1, sack=[(octet(3), octet(6))])
    s.seg(1, 1, sack=[(octet(3), octet(7))])
    assert [n for n, _ in spans(s.out, s)] == [0, 1, 2]
    s.c.path_mtu(1000, s.now)
    again = s.take()
    assert s.rel(again[0])[0] == octet(0)
    assert again[0].segment_size == 960


def test_what_is_small_enough_is_not_repeated_for_a_smaller_path() -> None:
    s = Script()
    s.write(b"x" * 500)
    s.c.path_mtu(1000, s.now)
    assert s.take() == []


def test_after_idleness_the_window_starts_again() -> None:
    """RFC 5681 §4.1."""
    s = sender(4, more=60)
    position = 4
    for _ in range(4):
        s.now += 0.01
        s.seg(1, octet(position))
        position = (s.c.snd_nxt - s.iss - 1) // MSS
    s.seg(1, s.c.snd_nxt - s.iss)
    s.seg(1, s.c.snd_nxt - s.iss)
    assert s.c.unsent == 0
    assert s.c.control.cwnd > 4 * MSS
    s.now += 10.0
    assert sum(run.length for run in s.write(bytes(100 * MSS))) == 4 * MSS
