"""qlog of a stack's connections as a JSON text sequence (draft-ietf-quic-qlog-main-schema §11.2, RFC 7464).

qlog has no event names for TCP: segments, drops and states are under ``tcp:``, what congestion control and
loss recovery do under ``recovery:`` with QUIC's names. Times in milliseconds, sizes in octets.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from stack.connection import Connection
from stack.ip import address_text
from stack.recovery import in_flight
from stack.run import Run
from stack.segment import Segment
from stack.trace import FlowName

from .errors import TunError

_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")


def _open(path: str | Path) -> TextIO:
    try:
        return Path(path).open("w", encoding="utf-8")
    except OSError as error:
        raise TunError(f"cannot write qlog {path}: {error.strerror}", error.errno or 0) from None


class Qlog:
    """Writes every event of a stack to ``path``; TunError where that cannot be opened.

    ``vantage`` is "client", "server", "network" or "unknown"; ``epoch`` is what must be added to the stack's times
    to get seconds since 1970.
    """

    def __init__(
        self, path: str | Path, *, title: str = "edotun", vantage: str = "unknown", epoch: float = 0.0
    ) -> None:
        self._file = _open(path)
        self._last: dict[FlowName, tuple[str, dict[str, Any]]] = {}
        self._write(
            {
                "file_schema": "urn:ietf:params:qlog:file:sequential",
                "serialization_format": "application/qlog+json-seq",
                "title": title,
                "trace": {
                    "vantage_point": {"type": vantage},
                    "common_fields": {
                        "time_format": "relative_to_epoch",
                        "reference_time": {"clock_type": "monotonic", "epoch": "unknown", "wall_clock": epoch},
                    },
                },
            }
        )

    def __enter__(self) -> Qlog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write what is left and close the file."""
        self._file.close()

    # --- what the stack tells ----------------------------------------------------------------------------

    def segment_received(self, flow: FlowName, segment: Segment, now: float) -> None:
        """``tcp:segment_received``."""
        data = {
            "header": {
                "seq": segment.seq,
                "ack": segment.ack,
                "flags": _names(segment.flags),
                "window": segment.window,
                "data_offset": segment.data_offset,
            },
            "raw": {"length": len(segment.tcp)},
        }
        self._event("tcp:segment_received", flow, now, data)

    def segment_dropped(self, flow: FlowName, reason: str, now: float) -> None:
        """``tcp:segment_dropped``."""
        self._event("tcp:segment_dropped", flow, now, {"trigger": reason})

    def segments_sent(self, flow: FlowName, run: Run, count: int, octets: int, now: float) -> None:
        """``tcp:segments_sent``, one for a run of segments."""
        data = {
            "header": {
                "seq": run.seq & 0xFFFFFFFF,
                "ack": run.ack & 0xFFFFFFFF,
                "flags": _names(run.flags),
                "window": run.window,
            },
            "payload_length": run.length,
            "segments": count,
            "raw": {"length": octets},
        }
        self._event("tcp:segments_sent", flow, now, data)

    def updated(self, flow: FlowName, connection: Connection, now: float) -> None:
        """``tcp:state_updated`` and ``recovery:metrics_updated``: only what has changed since the last."""
        state, known = self._last.get(flow, ("CLOSED", {}))
        name = connection.state.name
        if name != state:
            self._event("tcp:state_updated", flow, now, {"old": state, "new": name})
        metrics = _metrics(connection)
        changed = {key: value for key, value in metrics.items() if known.get(key) != value}
        if changed:
            self._event("recovery:metrics_updated", flow, now, changed)
        if name == "CLOSED":
            self._last.pop(flow, None)
        else:
            self._last[flow] = (name, metrics)

    def _event(self, name: str, flow: FlowName, now: float, data: dict[str, Any]) -> None:
        group = f"{_endpoint(flow[0], flow[1])}-{_endpoint(flow[2], flow[3])}"
        self._write({"time": round(now * 1000.0, 3), "name": name, "group_id": group, "data": data})

    def _write(self, record: dict[str, Any]) -> None:
        self._file.write(f"\x1e{json.dumps(record, separators=(',', ':'))}\n")


def _metrics(connection: Connection) -> dict[str, Any]:
    """Recovery metrics under QUIC's names (draft-ietf-quic-qlog-quic-events §7.2), times in milliseconds."""
    rtt = connection.rtt
    return {
        "smoothed_rtt": round(rtt.srtt * 1000.0, 3),
        "rtt_variance": round(rtt.rttvar * 1000.0, 3),
        "rto": round(rtt.rto * 1000.0, 3),
        "congestion_window": int(connection.control.cwnd),
        "ssthresh": None if connection.control.ssthresh > 1 << 40 else int(connection.control.ssthresh),
        "bytes_in_flight": max(in_flight(connection), 0),
        "send_window": connection.snd_wnd,
        "retransmissions": connection.retransmissions,
    }


def _names(flags: int) -> list[str]:
    return [name for bit, name in enumerate(_FLAGS) if flags >> bit & 1]


def _endpoint(address: bytes, port: int) -> str:
    text = address_text(address)
    return f"[{text}]:{port}" if len(address) == 16 else f"{text}:{port}"
