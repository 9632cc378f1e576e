"""qlog of a stack's connections as a JSON text sequence (draft-ietf-quic-qlog-main-schema, RFC 7464).

qlog has no event names for TCP: segments, drops, states and parameters are under ``tcp:``, what congestion control
and loss recovery do under ``recovery:`` with QUIC's names. Times in milliseconds, sizes in octets.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TextIO

from ao.ends import endpoint
from stack.connection import Connection
from stack.run import Run
from stack.segment import Segment
from stack.states import State
from stack.tcb import NEVER
from stack.trace import FlowName

from .errors import TunError
from .qlog_facts import metrics, parameters, phase, timer

_FLAGS: Final = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")
_OPENING: Final = (State.CLOSED, State.SYN_SENT, State.SYN_RECEIVED)


def _open(path: str | Path) -> TextIO:
    try:
        return Path(path).open("w", encoding="utf-8")
    except OSError as error:
        raise TunError(f"cannot write qlog {path}: {error.strerror}", error.errno or 0) from None


class _Known:
    """What was written of one connection, so that only changes are written again."""

    __slots__ = ("drops", "lost", "metrics", "opened", "phase", "state", "timer")

    def __init__(self) -> None:
        self.state = State.CLOSED
        self.opened = False
        self.metrics: dict[str, Any] = {}
        self.phase: str | None = None
        self.timer = ("", NEVER)
        self.drops: dict[str, int] = {}
        self.lost = 0


class Qlog:
    """Writes every event of a stack to ``path``; TunError where that cannot be opened.

    ``vantage`` is "client", "server", "network" or "unknown"; ``epoch`` is what must be added to the stack's times
    to get seconds since 1970 (0: unknown).
    """

    def __init__(
        self, path: str | Path, *, title: str = "edotun", vantage: str = "unknown", epoch: float = 0.0
    ) -> None:
        self._file = _open(path)
        self._known: dict[FlowName, _Known] = {}
        reference = {"clock_type": "monotonic", "epoch": "unknown"}
        if epoch:
            reference["wall_clock_time"] = datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds")
        self._write(
            {
                # The two names that the drafts had for each before, for older tools.
                "qlog_version": "0.4",
                "qlog_format": "JSON-SEQ",
                "file_schema": "urn:ietf:params:qlog:file:sequential",
                "serialization_format": "application/qlog+json-seq",
                "title": title,
                "trace": {
                    "title": title,
                    "vantage_point": {"name": "edotun", "type": vantage},
                    "event_schemas": ["urn:edotun:qlog:events:tcp", "urn:edotun:qlog:events:recovery"],
                    "common_fields": {
                        "protocol_types": ["TCP"],
                        "time_format": "relative_to_epoch",
                        "reference_time": reference,
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
        """``tcp:segment_received``, one for as many as a device has put together."""
        data: dict[str, object] = {
            "header": {
                "seq": segment.seq,
                "ack": segment.ack,
                "flags": _names(segment.flags),
                "window": segment.window,
                "data_offset": segment.data_offset,
            },
            "raw": {"length": len(segment.tcp), "payload_length": max(len(segment.tcp) - segment.data_offset, 0)},
        }
        if segment.segments > 1:
            data["segments"] = segment.segments
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
            "segments": count,
            "raw": {"length": octets, "payload_length": run.length},
        }
        self._event("tcp:segments_sent", flow, now, data)

    def updated(self, flow: FlowName, connection: Connection, now: float) -> None:
        """States, drops by TCP itself, parameters, losses, metrics, timers: only what has changed."""
        known = self._known.get(flow)
        if known is None:
            known = self._known[flow] = _Known()
        if connection.drops != known.drops:
            self._drops(flow, known, connection, now)
        state = connection.state
        if not known.opened and state not in _OPENING:
            known.opened = True
            self._event("tcp:parameters_set", flow, now, parameters(connection))
        if state is not known.state:
            self._event("tcp:state_updated", flow, now, {"old": known.state.name, "new": state.name})
            known.state = state
        if known.opened:
            self._recovery(flow, known, connection, now)
        if state is State.CLOSED:
            del self._known[flow]

    def _drops(self, flow: FlowName, known: _Known, connection: Connection, now: float) -> None:
        for reason, number in connection.drops.items():
            for _ in range(number - known.drops.get(reason, 0)):
                self._event("tcp:segment_dropped", flow, now, {"trigger": reason})
        known.drops = dict(connection.drops)

    def _recovery(self, flow: FlowName, known: _Known, connection: Connection, now: float) -> None:
        lost = connection.scoreboard.lost
        if lost > known.lost:
            self._event("recovery:octets_lost", flow, now, {"length": lost - known.lost})
            known.lost = lost
        name = phase(connection)
        if name != known.phase:
            change = {"new": name} if known.phase is None else {"old": known.phase, "new": name}
            self._event("recovery:congestion_state_updated", flow, now, change)
            known.phase = name
        found = metrics(connection)
        changed = {key: value for key, value in found.items() if known.metrics.get(key) != value}
        if changed:
            self._event("recovery:metrics_updated", flow, now, changed)
            known.metrics = found
        self._timer(flow, known, timer(connection), now)

    def _timer(self, flow: FlowName, known: _Known, new: tuple[str, float], now: float) -> None:
        """``recovery:loss_timer_updated``; a timer of the same type that only moves on is not told."""
        kind, at = known.timer
        known.timer = new
        expired = kind and at <= now and new != (kind, at)
        if expired:
            self._event("recovery:loss_timer_updated", flow, now, {"timer_type": kind, "event_type": "expired"})
        if new[0] and (expired or new[0] != kind):
            data = {"timer_type": new[0], "event_type": "set", "delta": round((new[1] - now) * 1000.0, 3)}
            self._event("recovery:loss_timer_updated", flow, now, data)
        elif kind and not new[0] and not expired:
            self._event("recovery:loss_timer_updated", flow, now, {"timer_type": kind, "event_type": "cancelled"})

    def _event(self, name: str, flow: FlowName, now: float, data: dict[str, Any]) -> None:
        group = f"{endpoint(flow[0], flow[1])}-{endpoint(flow[2], flow[3])}"
        self._write({"time": round(now * 1000.0, 3), "name": name, "group_id": group, "data": data})

    def _write(self, record: dict[str, Any]) -> None:
        self._file.write(f"\x1e{json.dumps(record, separators=(',', ':'))}\n")


def _names(flags: int) -> list[str]:
    return [name for bit, name in enumerate(_FLAGS) if flags >> bit & 1]
