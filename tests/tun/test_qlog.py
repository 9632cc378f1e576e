"""qlog: a JSON text sequence that tells a connection's life (RFC 7464)."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stack.batch import Batch
from stack.config import TcpConfig
from stack.security import Security
from tests.stack.core.script import Script
from tests.stack.wire import Wire, transfer
from tools.sim.scenario import Scenario, run
from tun.errors import TunError
from tun.qlog import Qlog


def records(path: Path) -> list[dict[str, Any]]:
    """Every record of the file, which begins with RS and ends with a line feed."""
    text = path.read_text()
    assert text.startswith("\x1e")
    parts = text.split("\x1e")[1:]
    assert all(part.endswith("\n") for part in parts)
    return [json.loads(part) for part in parts]


def test_a_connection_is_told_from_syn_to_closed(tmp_path: Path) -> None:
    wire = Wire()
    with Qlog(tmp_path / "q.sqlog", title="test", epoch=7.0) as qlog:
        wire.client.trace = qlog
        attempt, listener = wire.open(Security("ao-enc-dh"))
        transfer(wire, attempt, listener, b"u" * 100_000, b"d" * 50_000, 100.0)
        wire.run(100.0)
    header, *events = records(tmp_path / "q.sqlog")
    assert (header["qlog_version"], header["qlog_format"]) == ("0.4", "JSON-SEQ")
    common = header["trace"]["common_fields"]
    assert common["protocol_types"] == ["TCP"]
    assert common["time_format"] == "relative_to_epoch"
    # A monotonic clock has no epoch (main schema, ReferenceTime).
    assert common["reference_time"] == {
        "clock_type": "monotonic",
        "epoch": "unknown",
        "wall_clock_time": "1970-01-01T00:00:07.000+00:00",
    }
    parameters = [event["data"] for event in events if event["name"] == "tcp:parameters_set"]
    assert len(parameters) == 1
    assert parameters[0]["congestion_control"] == "cubic"
    assert parameters[0]["loss_recovery"] == "rack"
    assert parameters[0]["peer_mss"] == 1460
    assert header["serialization_format"] == "application/qlog+json-seq"
    assert header["file_schema"] == "urn:ietf:params:qlog:file:sequential"
    assert {event["group_id"] for event in events} == {f"10.0.0.1:{attempt.local[1]}-10.0.0.2:80"}
    times = [event["time"] for event in events]
    assert times == sorted(times)
    states = [event["data"]["new"] for event in events if event["name"] == "tcp:state_updated"]
    assert states[:2] == ["SYN_SENT", "ESTABLISHED"]
    assert states[-1] == "CLOSED"
    sent = [event["data"] for event in events if event["name"] == "tcp:segments_sent"]
    assert sent[0]["header"]["flags"] == ["SYN"]
    assert sum(data["raw"]["payload_length"] for data in sent) == 100_000
    metrics = [event["data"] for event in events if event["name"] == "recovery:metrics_updated"]
    assert any(data.get("smoothed_rtt", 0) >= 20.0 for data in metrics)
    assert all("congestion_window" not in data or data["congestion_window"] >= 0 for data in metrics)
    known = {key: value for data in metrics for key, value in data.items()}
    assert known["min_rtt"] == pytest.approx(20.0, abs=1.0)
    assert known.keys() >= {"smoothed_rtt", "rtt_variance", "rto", "bytes_in_flight", "congestion_window"}
    assert "ssthresh" not in known, "nothing was lost"
    # Only what changed is written again.
    assert all(a != b for a, b in itertools.pairwise(metrics))


def lossy(path: Path, **settings: object) -> list[dict[str, Any]]:
    """What is told of a sender over a link that loses one segment in fifty."""
    with Qlog(path, vantage="client") as qlog:
        scenario = Scenario(rate=2e6, rtt=0.05, loss=0.02, seconds=6.0, seed=3)
        run(replace(scenario, **settings), trace=qlog)  # type: ignore[arg-type]
    header, *events = records(path)
    assert header["trace"]["vantage_point"] == {"name": "edotun", "type": "client"}
    return events


def of(events: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [event["data"] for event in events if event.get("name") == name]


def test_recovery_is_told(tmp_path: Path) -> None:
    events = lossy(tmp_path / "q")
    phases = of(events, "recovery:congestion_state_updated")
    assert phases[0]["new"] in ("slow_start", "application_limited")
    assert {"recovery", "congestion_avoidance"} <= {data["new"] for data in phases}
    assert all(a["new"] == b["old"] for a, b in itertools.pairwise(phases))
    assert sum(data["length"] for data in of(events, "recovery:octets_lost")) >= 10 * 1448
    metrics = of(events, "recovery:metrics_updated")
    assert any("ssthresh" in data for data in metrics)
    timers = of(events, "recovery:loss_timer_updated")
    assert {data["timer_type"] for data in timers} >= {"rto", "probe"}
    assert {data["event_type"] for data in timers} >= {"set", "expired"}
    assert all(data["delta"] >= 0 for data in timers if data["event_type"] == "set")


def test_what_paces_is_told(tmp_path: Path) -> None:
    events = lossy(tmp_path / "q", controller="bbr")
    assert of(events, "tcp:parameters_set")[0]["pacing"] == "quantum"
    rates = [data["pacing_rate"] for data in of(events, "recovery:metrics_updated") if "pacing_rate" in data]
    # The link has 2 Mbit/s.
    assert 0.6e6 < rates[-1] < 4e6
    phases = [data["new"] for data in of(events, "recovery:congestion_state_updated")]
    assert phases[0] == "startup"
    assert "probe_bw" in phases


def test_drops_by_tcp_itself_are_told(tmp_path: Path) -> None:
    with Qlog(tmp_path / "q") as qlog:
        script = Script()
        flow = (bytes(4), 1, bytes(4), 2)
        qlog.updated(flow, script.c, 10.0)
        for _ in range(2):
            script.seg(1 << 20, 1, b"far beyond the window")
        qlog.updated(flow, script.c, 10.5)
        qlog.updated(flow, script.c, 11.0)
    assert of(records(tmp_path / "q"), "tcp:segment_dropped") == [{"trigger": "out_of_window"}] * 2


def test_drops_are_told_with_their_reason(tmp_path: Path) -> None:
    # Without timestamps: a late copy of a segment is old news then, and no more.
    wire = Wire(config=TcpConfig(timestamps=False))
    with Qlog(tmp_path / "q") as qlog:
        wire.server.trace = qlog
        wire.server.dropped = []
        attempt, listener = wire.open(Security("ao-enc-dh"))
        attempt.write(b"x" * 5000)
        wire.run(1.0)
        # The latest, lest its timestamp be too old by now.
        sent = [packet for _, from_client, packet in wire.sent if from_client]
        good = sent[-1]
        bad = bytearray(next(packet for packet in sent if len(packet) > 1000))
        bad[-1] ^= 1
        wire.server.receive(Batch([good, bytes(bad), b"junk"]), wire.now)
        assert wire.server.dropped == [(1, "bad_checksum"), (2, "ip_truncated")]
    drops = [event["data"] for event in records(tmp_path / "q")[1:] if event["name"] == "tcp:segment_dropped"]
    assert drops == [{"trigger": "bad_checksum"}]
    assert listener.accept() is not None


def test_what_tcp_itself_drops_is_laid_to_its_packet() -> None:
    wire = Wire()
    wire.server.dropped = []
    attempt, _ = wire.open()
    attempt.write(b"x" * 5000)
    wire.run(1.0)
    segment = next(packet for _, from_client, packet in wire.sent if from_client and len(packet) > 1000)
    far = bytearray(segment)
    far[24:28] = ((int.from_bytes(far[24:28]) + (1 << 30)) & 0xFFFFFFFF).to_bytes(4)
    # The top bits of SEQ moved by 2^30: the checksum's high half follows by the same amount.
    total = int.from_bytes(far[36:38]) - (1 << 14)
    far[36:38] = ((total if total > 0 else total + 0xFFFF) & 0xFFFF).to_bytes(2)
    wire.server.receive(Batch([segment, bytes(far)]), wire.now)
    assert (1, "out_of_window") in wire.server.dropped


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TunError, match="cannot write qlog"):
        Qlog(tmp_path / "no" / "where")
