"""Handshakes that find more room for options than a SYN has: a file a method of ``edo.rivals``, both roles."""

from __future__ import annotations

from collections.abc import Callable

from ...flow import Flow
from ...security import Security
from ...segment import Segment
from ...syn_space import SynSpace
from ..base import Handshake
from .aggregated import AggregatedClient, AggregatedServer
from .base import RivalHandshake
from .four_way import FourWayClient, FourWayServer
from .seg_u import SegUClient, SegUServer


def active(flow: Flow, settings: SynSpace) -> Handshake:
    """The active opener's handshake by the method of ``settings``."""
    return _CLIENTS[settings.method](flow, settings)


def passive(flow: Flow, security: Security, segment: Segment) -> Handshake:
    """The handshake with which a SYN without keys is answered, by a method where the listener has one."""
    settings = security.syn_space
    if settings is None:
        return Handshake(flow, security.protect)
    return _SERVERS[settings.method](flow, settings, segment)


_CLIENTS: dict[str, type[RivalHandshake]] = {
    "four-way": FourWayClient,
    "aggregated": AggregatedClient,
    "seg-u": SegUClient,
}
_SERVERS: dict[str, Callable[[Flow, SynSpace, Segment], Handshake]] = {
    "four-way": FourWayServer,
    "aggregated": AggregatedServer,
    "seg-u": SegUServer,
}
