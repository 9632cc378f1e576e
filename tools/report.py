"""The line of a finished connection: one JSON object, or a short sentence for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from ao.ends import endpoint

NAMES: Final = (
    "peer",
    "local",
    "role",
    "requested",
    "mode",
    "fallback",
    "placement",
    "group",
    "mac",
    "cipher",
    "edo",
    "octets_in",
    "octets_out",
    "retransmissions",
    "drops",
    "session_id",
    "authenticated",
    "path",
    "seconds",
    "error",
)


def json_line(report: Mapping[str, object], error: str | None = None, **more: object) -> str:
    """Return the JSON object of ``report`` in one line, the fixed names first and each present.

    ``error`` (text) stands where the connection itself had none; ``more`` names what a tool adds.
    """
    line: dict[str, object] = {name: _plain(report.get(name)) for name in NAMES}
    line.update((name, _plain(value)) for name, value in report.items() if name not in line)
    line.update(more)
    if line["error"] is None:
        line["error"] = error
    if line["drops"] is None:
        line["drops"] = {}
    return json.dumps(line)


def unconnected(peer: str, requested: str, error: str, seconds: float) -> dict[str, object]:
    """Return the report of a connection for which no segment was sent (no route, unknown name, ...)."""
    facts: dict[str, object] = {"peer": peer, "role": "connect", "requested": requested}
    counts: dict[str, object] = {"octets_in": 0, "octets_out": 0, "retransmissions": 0}
    return facts | counts | {"authenticated": False, "seconds": round(seconds, 6), "error": error}


def text_line(report: Mapping[str, object], error: str | None = None) -> str:
    """Return the same for people: who, what held, how much, what went wrong."""
    trouble = report.get("error") or error
    drops = report.get("drops")
    dropped = sum(drops.values()) if isinstance(drops, Mapping) else 0
    return (
        f"{report.get('peer')} {report.get('mode') or report.get('requested')}: "
        f"{report.get('octets_in')} octets in, {report.get('octets_out')} out, "
        f"{report.get('retransmissions')} retransmissions, {dropped} drops, {report.get('seconds')} s"
        + (f", error: {trouble}" if trouble else "")
    )


def _plain(value: object) -> object:
    """Return ``value`` as JSON knows it: octets in hex, endpoints as text, tables as dicts."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple) and len(value) >= 2 and isinstance(value[0], str) and isinstance(value[1], int):
        return endpoint(value[0], value[1])
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list | set | frozenset):
        return [_plain(item) for item in value]
    return value
