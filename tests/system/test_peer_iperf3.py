"""iperf3 over the stack: the kernel's cubic and bbr towards it, its own cubic and bbr towards the kernel."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .relayed import PATIENCE, RELAY, STACK, Place, from_programs, gateway, place, to_programs

pytestmark = [pytest.mark.tun, pytest.mark.programs("iperf3", "nft", "ip", "nstat")]

PORT, NEAR = 5201, 5301
OCTETS = 20_000_000
SEGMENTS = OCTETS // 1448

each_way = pytest.mark.parametrize(
    ("version", "congestion", "opens"),
    [(4, "cubic", "kernel"), (6, "bbr", "kernel"), (6, "cubic", "stack"), (4, "bbr", "stack")],
)


@pytest.fixture
def between(fresh_name: Callable[[str], str], tmp_path: Path) -> Iterator[Place]:
    with place(fresh_name, tmp_path) as one, one.program("iperf3", "-s", "-p", str(PORT), "--forceflush") as server:
        server.line("out", lambda text: "listening" in text, PATIENCE)
        yield one


def measured(between: Place, address: str, port: int, congestion: str, *more: str) -> dict[str, Any]:
    """What iperf3 says at the end of a test whose senders use the kernel's ``congestion`` control."""
    done = between.run("iperf3", "-J", "-c", address, "-p", str(port), "-C", congestion, *more)
    end: dict[str, Any] = json.loads(done.stdout)["end"]
    assert end["sender_tcp_congestion"] == end["receiver_tcp_congestion"] == congestion
    return end


def data_report(reports: list[dict[str, Any]], *resets: str) -> dict[str, Any]:
    """The one connection of iperf3's that carried most; nothing was dropped of any.

    But for an ACK that the kernel's next segment has overtaken, each having left from another core: PAWS takes it
    for old, as it must. ``resets`` is the reason for which RSTs may be dropped.
    """
    assert all(report["drops"].keys() <= {"paws", *resets} for report in reports), [
        report["drops"] for report in reports
    ]
    return max(reports, key=lambda report: int(report["octets_in"]) + int(report["octets_out"]))


@each_way
def test_the_kernel_sends(between: Place, version: int, congestion: str, opens: str) -> None:
    if opens == "kernel":
        with gateway(between, to_programs(version, PORT)) as relay:
            end = measured(between, STACK[version], PORT, congestion, "-n", str(OCTETS))
            report = data_report(relay.reports(2))
        # iperf3 ends a test when all is sent; what its server has not read by then, some MB, it does not count.
        assert OCTETS / 3 < end["sum_received"]["bytes"] <= report["octets_in"]
    else:
        with gateway(between, from_programs(version, NEAR, PORT)) as relay:
            end = measured(between, RELAY[version], NEAR, congestion, "-n", str(OCTETS), "-R")
            report = data_report(relay.reports(2))
        assert OCTETS <= end["sum_received"]["bytes"] <= report["octets_in"]
    assert report["retransmissions"] == 0


@each_way
def test_the_stack_sends(between: Place, version: int, congestion: str, opens: str) -> None:
    if opens == "kernel":
        with gateway(between, to_programs(version, PORT), congestion=congestion) as relay:
            end = measured(between, STACK[version], PORT, congestion, "-n", str(OCTETS), "-R")
            report = data_report(relay.reports(2))
        assert OCTETS <= end["sum_received"]["bytes"] <= report["octets_out"]
    else:
        with gateway(between, from_programs(version, NEAR, PORT), congestion=congestion) as relay:
            end = measured(between, RELAY[version], NEAR, congestion, "-n", str(OCTETS))
            # Its server closes with octets unread: FIN, and RSTs for what was underway to it. Such a RST has the
            # number that the segment acknowledged, which lies before the FIN: RFC 5961 §3.2 has it dropped.
            report = data_report(relay.reports(2), "out_of_window")
        assert OCTETS / 3 < end["sum_received"]["bytes"] <= report["octets_out"]
    # Nothing is lost here: what is sent twice is a probe that came too early on a busy machine.
    assert report["retransmissions"] < SEGMENTS / 100


@pytest.mark.parametrize(("version", "congestion"), [(4, "cubic"), (6, "bbr")])
def test_both_send_over_a_lossy_path(between: Place, version: int, congestion: str) -> None:
    octets, lost = 4_000_000, 20
    between.lose(lost)
    more = ("-n", str(octets))
    with gateway(between, to_programs(version, PORT), congestion=congestion) as relay:
        measured(between, STACK[version], PORT, congestion, *more)
        towards = data_report(relay.reports(2))
        before, doubled = between.lost(), between.doubled()
        end = measured(between, STACK[version], PORT, congestion, *more, "-R")
        report = data_report(relay.reports(2))
    after = between.lost()
    assert towards["octets_in"] > octets / 3
    assert before["to_stack"] > octets / 1448 * lost / 1000 / 3
    assert octets <= end["sum_received"]["bytes"] <= report["octets_out"]
    # What was lost is sent again; what arrived hardly is, even if acknowledgments come late on a busy machine.
    # Losses that the rules do not count are nobody's fault here: a queue that is full, a receiver that prunes.
    away = after["from_stack"] - before["from_stack"]
    assert 0.5 * away <= report["retransmissions"]
    assert between.doubled() - doubled <= 0.5 * away + 20


@pytest.mark.parametrize("version", [4, 6])
def test_eight_streams_both_ways_at_once(between: Place, version: int) -> None:
    with gateway(between, to_programs(version, PORT)) as relay:
        end = measured(between, STACK[version], PORT, "cubic", "-t", "1", "-P", "4", "--bidir")
        reports = relay.reports(9)
    assert data_report(reports)["octets_in"] > 0
    assert len(end["streams"]) == 8
    # Of the streams each way each has got something through.
    assert all(stream["receiver"]["bytes"] > 100_000 for stream in end["streams"])
    carried = [report for report in reports if report["octets_in"] + report["octets_out"] > 100_000]
    assert len(carried) == 8
    assert sum(report["octets_out"] for report in carried) >= end["sum_received_bidir_reverse"]["bytes"]
