"""qlog: a JSON text sequence that tells a connection's life (RFC 7464)."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from stack.batch import Batch
from stack.security import Security
from tests.stack.wire import Wire, transfer
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
    assert sum(data["payload_length"] for data in sent) == 100_000
    metrics = [event["data"] for event in events if event["name"] == "recovery:metrics_updated"]
    assert any(data.get("smoothed_rtt", 0) >= 20.0 for data in metrics)
    assert all("congestion_window" not in data or data["congestion_window"] >= 0 for data in metrics)
    # Only what changed is written again.
    assert all(a != b for a, b in itertools.pairwise(metrics))


def test_drops_are_told_with_their_reason(tmp_path: Path) -> None:
    wire = Wire()
    with Qlog(tmp_path / "q") as qlog:
        wire.server.trace = qlog
        wire.server.dropped = []
        attempt, listener = wire.open(Security("ao-enc-dh"))
        attempt.write(b"x" * 5000)
        wire.run(1.0)
        good = next(packet for _, from_client, packet in wire.sent if from_client and len(packet) > 1000)
        bad = bytearray(good)
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
