"""Segments and connections as JSON has them; the names are told in docs/guides/decode.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ao.ends import endpoint

from .anatomy import Anatomy, OptionView
from .conversation import Conversation, End
from .exchange import Taken
from .steps import Fault


def end_text(end: End) -> str:
    """ADDR:PORT, IPv6 in brackets; the port alone where hex had no address."""
    return endpoint(*end) if end[0] else f"port {end[1]}"


def _plain(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items() if name != "_io"}
    return value if isinstance(value, (int, float, str, bool, type(None))) else str(value)


def _option(option: OptionView) -> dict[str, Any]:
    return {
        "name": option.name,
        "title": option.title,
        "kind": option.kind,
        "exid": option.exid,
        "offset": option.offset,
        "length": option.length,
        "area": option.area.value,
        "fields": _plain(option.fields),
    }


def _taken(taken: Taken) -> dict[str, Any]:
    return {
        "kind": taken.kind,
        "name": taken.name,
        "result": taken.result,
        "segments": list(taken.packets),
        "fields": dict(taken.fields),
        "fault": taken.fault,
    }


def _fault(fault: Fault) -> dict[str, Any]:
    return asdict(fault)


def segment_json(anatomy: Anatomy) -> dict[str, Any]:
    """One segment."""
    reading = anatomy.reading
    packet = reading.packet
    segment = packet.segment
    return {
        "n": packet.number,
        "time": packet.when,
        "connection": reading.conversation.number,
        "src": end_text((segment.source, segment.source_port)),
        "dst": end_text((segment.destination, segment.destination_port)),
        "what": reading.what,
        "seq": segment.seq,
        "ack": segment.ack,
        "flags": segment.flags,
        "window": segment.window,
        "checksum": packet.checksum,
        "tcp_length": len(segment.tcp),
        "captured": packet.kept,
        "data_offset": segment.data_offset,
        "header_length": reading.end,
        "payload_length": anatomy.payload_octets,
        "options": [_option(option) for option in anatomy.options],
        "experiments": [{"name": name, "fields": _plain(fields)} for name, fields in anatomy.experiments],
        "messages": [_taken(taken) for taken in reading.taken],
        "faults": [_fault(fault) for fault in anatomy.faults],
        "notes": list(anatomy.notes),
        "layout": [
            {
                "offset": piece.offset,
                "length": piece.length,
                "area": piece.area.value,
                "name": piece.name,
                "text": piece.text,
            }
            for piece in anatomy.pieces
        ],
    }


def connection_json(conversation: Conversation) -> dict[str, Any]:
    """One connection: what its SYNs and the segments behind them agreed on."""
    found = conversation.found
    return {
        "n": conversation.number,
        "ends": [end_text(end) for end in conversation.ends],
        "opener": None if conversation.opener is None else end_text(conversation.opener),
        "segments": conversation.segments,
        "edo": conversation.edo.value,
        "edo_kind": found.dialect.kind.value,
        "edo_units": found.dialect.units.value,
        "edo_found": {"kind": found.kind_seen, "units": found.units_seen},
        "extending": sorted(end_text(end) for end in conversation.extending),
        "syn_eos": conversation.syn_eos,
        "eno": conversation.negotiated(),
        "ao": {
            end_text(end): [{"key_id": k, "rnext_key_id": r, "mac_octets": m} for k, r, m in sorted(ids)]
            for end, ids in conversation.ao.items()
        },
    }


def whole_json(anatomies: Sequence[Anatomy], conversations: Sequence[Conversation], other: int) -> dict[str, Any]:
    """What ``--json`` prints; ``other`` counts packets that have no TCP segment."""
    return {
        "connections": [connection_json(one) for one in conversations],
        "segments": [segment_json(one) for one in anatomies],
        "other_packets": other,
    }
