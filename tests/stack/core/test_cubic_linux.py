"""CUBIC with Linux's details: whole segments, HyStart of the first kind, one segment for 20 after a timeout."""

from __future__ import annotations

from stack.congestion.registry import find

_SMSS = 1000


def _grown(control: object, count: int, now: float, *, rtt: float, apart: float = 0.0) -> float:
    """Acknowledge ``count`` segments, one each; the time after the last."""
    una = 0
    for _ in range(count):
        una += _SMSS
        control.on_round_trip(rtt, una, 1 << 30)  # type: ignore[attr-defined]  # a controller of the registry
        control.on_ack(_SMSS, _SMSS, now, rtt)  # type: ignore[attr-defined]
        now += apart
    return now


def test_window_grows_by_one_segment_for_twenty_after_a_timeout() -> None:
    control = find("cubic-linux")(10 * _SMSS)
    control.on_rto(10 * _SMSS, _SMSS, 0.0, first=True)
    assert (control.cwnd, control.ssthresh) == (_SMSS, 7001)
    now = _grown(control, 6, 0.1, rtt=0.1)
    assert control.cwnd == 7 * _SMSS
    now = _grown(control, 19, now, rtt=0.1, apart=0.001)
    assert control.cwnd == 7 * _SMSS
    _grown(control, 2, now, rtt=0.1)
    assert control.cwnd == 8 * _SMSS


def test_loss_reduces_by_three_tenths_and_growth_returns_to_the_maximum() -> None:
    control = find("cubic-linux")(100 * _SMSS)
    control.on_ack(_SMSS, _SMSS, 0.0, 0.1)
    control.on_loss(control.cwnd, _SMSS, 1.0)
    assert 70 * _SMSS <= control.cwnd <= 71 * _SMSS
    now = 1.0
    for _ in range(60):
        now = _grown(control, control.cwnd // _SMSS, now, rtt=0.1, apart=0.1 * _SMSS / control.cwnd)
    # K is the third root of 30 segments over C, 4.2 s; a second later the plateau is left.
    assert 101 * _SMSS <= control.cwnd <= 110 * _SMSS


def test_slow_start_ends_when_every_sample_of_a_round_is_late() -> None:
    control = find("cubic-linux")(20 * _SMSS)
    now = _grown(control, 9, 0.0, rtt=0.1, apart=0.01)
    assert control.ssthresh > 1 << 60
    control.on_round_trip(0.1, (1 << 30) + 1, 1 << 31)
    control.on_ack(_SMSS, _SMSS, now, 0.1)
    before = control.cwnd
    una = (1 << 30) + 1
    for _ in range(9):
        now += 0.01
        una += _SMSS
        control.on_round_trip(0.13, una, 1 << 31)
        control.on_ack(_SMSS, _SMSS, now, 0.13)
    # One early sample is enough to hold it off.
    assert control.ssthresh > 1 << 60
    control.on_round_trip(0.13, (1 << 31) + 1, 1 << 32)
    control.on_ack(_SMSS, _SMSS, now, 0.13)
    una = (1 << 31) + 1
    for _ in range(9):
        now += 0.01
        una += _SMSS
        control.on_round_trip(0.13, una, 1 << 32)
        control.on_ack(_SMSS, _SMSS, now, 0.13)
    assert before < control.ssthresh < 1 << 60


def test_train_of_acknowledgments_as_long_as_half_a_round_trip_ends_slow_start() -> None:
    control = find("cubic-linux")(20 * _SMSS)
    _grown(control, 60, 0.0, rtt=0.1, apart=0.001)
    assert 20 * _SMSS < control.ssthresh < 80 * _SMSS
