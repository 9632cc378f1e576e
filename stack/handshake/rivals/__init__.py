"""Handshakes that find more room for options than a SYN has: a file a method of ``edo.rivals``, both roles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from edo.fast import read_options
from edo.rivals.base import Part, Reading, Space
from edo.rivals.registry import find

from ...attempt import Attempt
from ...fastopen import FastOpening
from ...flow import Flow
from ...security import Security
from ...segment import Segment
from ...syn_space import SynSpace
from ..base import Handshake
from . import inner_space, sister_syn
from .aggregated import AggregatedClient, AggregatedServer
from .dual import Ordinary, Race, Second
from .four_way import FourWayClient, FourWayServer
from .inner_space import InnerClient, InnerServer
from .seg_u import SegUClient, SegUServer
from .sister_syn import SisterClient, SisterServer

INNER: Final = "inner-space"
"""The method whose options are part of the stream."""


def active(flow: Flow, settings: SynSpace) -> Handshake:
    """The active opener's handshake by the method of ``settings``."""
    return _CLIENTS[settings.method](flow, settings)


def wants_second(flow: Flow) -> bool:
    """Whether a second connection is to be tried beside ``flow``, from another port (a dual handshake)."""
    return isinstance(flow.handshake, Ordinary) and flow.handshake.falls_short


def race(
    attempt: Attempt, ordinary: Flow, second: Flow, settings: SynSpace, now: float
) -> tuple[FastOpening | None, bytes]:
    """Have two connections try for one attempt; what the second, which sent nothing yet, opens with."""
    handshake = _SECONDS[settings.method](second, settings)
    second.handshake = handshake
    assert isinstance(ordinary.handshake, Ordinary)
    ordinary.handshake.race = handshake.race = Race(attempt, ordinary, second)
    return handshake.opening(now)


def read_syn(security: Security, segment: Segment) -> memoryview:
    """The text of a SYN, whose options are read anew where a method has some of them in the payload."""
    settings = security.syn_space
    if settings is not None and settings.method in _IN_PAYLOAD:
        reading = find(settings.method).read(Part.SYN, segment.tcp, Space())
        if isinstance(reading, Reading) and reading.marked:
            segment.options = read_options(segment.tcp, reading.spans)
            if settings.method != INNER:
                return segment.tcp[slice(*reading.payload)]
    return segment.tcp[segment.data_offset :]


def passive(flow: Flow, security: Security, segment: Segment) -> Handshake:
    """The handshake with which a SYN without keys is answered, by a method where the listener has one."""
    settings = security.syn_space
    if settings is None:
        return Handshake(flow, security.protect)
    return _SERVERS[settings.method](flow, settings, segment)


_CLIENTS: dict[str, Callable[[Flow, SynSpace], Handshake]] = {
    "four-way": FourWayClient,
    "aggregated": AggregatedClient,
    "seg-u": SegUClient,
    "sister-syn": sister_syn.ordinary,
    INNER: inner_space.ordinary,
}
_SERVERS: dict[str, Callable[[Flow, SynSpace, Segment], Handshake]] = {
    "four-way": FourWayServer,
    "aggregated": AggregatedServer,
    "seg-u": SegUServer,
    "sister-syn": SisterServer,
    INNER: InnerServer,
}
_SECONDS: dict[str, type[Second]] = {"sister-syn": SisterClient, INNER: InnerClient}
_IN_PAYLOAD = frozenset({"sister-syn", INNER})
