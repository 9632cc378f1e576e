"""What ICMP errors mean to a connection: the code that its application is told, and whether they are hard.

Hard errors end an attempt to connect; to a connection that stands every error is soft, since it stood in spite of
it (RFC 9293 §3.9.2.2, RFC 1122 §4.2.3.9, RFC 5927 §5.2).
"""

from __future__ import annotations

import errno
from typing import Final, Protocol

from . import closing
from .events import TcpError
from .icmp import IcmpError, IcmpKind
from .peers import Peers
from .ports import Carrier, FlowKey
from .states import State

# By ICMP code of Destination Unreachable: the errno and whether the error is hard. Codes 0, 1 and 5 of IPv4 and 0
# and 3 of IPv6 are soft by RFC 9293 §3.9.2.2; 9, 10 and 13 (IPv6: 1, 5 and 6) say that somebody forbids it.
_UNREACHABLE: Final[dict[int, dict[int, tuple[int, bool]]]] = {
    4: {
        0: (errno.ENETUNREACH, False),
        1: (errno.EHOSTUNREACH, False),
        2: (errno.ENOPROTOOPT, True),
        3: (errno.ECONNREFUSED, True),
        5: (errno.EOPNOTSUPP, False),
        9: (errno.ENETUNREACH, True),
        10: (errno.EHOSTUNREACH, True),
        13: (errno.EHOSTUNREACH, True),
    },
    6: {
        0: (errno.ENETUNREACH, False),
        1: (errno.EACCES, True),
        3: (errno.EHOSTUNREACH, False),
        4: (errno.ECONNREFUSED, True),
        5: (errno.EACCES, True),
        6: (errno.EACCES, True),
    },
}
# BSD's view of Destination Unreachable: what forbids or is not there refuses, all else cannot be reached.
_BSD_REFUSES: Final[dict[int, frozenset[int]]] = {4: frozenset({2, 3, 9, 10, 13}), 6: frozenset({1, 4})}
_OTHER: Final = {
    IcmpKind.TIME_EXCEEDED: (errno.EHOSTUNREACH, "the time to live was exceeded in transit"),
    IcmpKind.PARAMETER_PROBLEM: (errno.EPROTO, "a header field was refused on the way"),
}


class _HalfOpen(Protocol):
    def revive(self, key: FlowKey, /) -> Carrier | None: ...


class _Host(Protocol):
    """What has connections: a stack."""

    flows: dict[FlowKey, Carrier]
    peers: Peers

    @property
    def half_open(self) -> _HalfOpen: ...

    def note(self, reason: str) -> None: ...


def arrive(host: _Host, error: IcmpError, now: float) -> None:
    """An error goes to the connection that sent what it quotes (RFC 9293 §3.9.2.2)."""
    key = FlowKey((error.source, error.source_port, error.destination, error.destination_port))
    flow = host.flows.get(key) or host.half_open.revive(key)
    if flow is None:
        host.note("icmp_no_connection")
    else:
        take(flow, error, host.peers, now)


def take(flow: Carrier, error: IcmpError, peers: Peers, now: float) -> None:
    """Act on an error about a segment of ``flow``, which is believed only as far as RFC 5927 §4 goes."""
    connection = flow.connection
    if flow.protection.authenticates and not flow.accept_icmps:
        # RFC 5925 §7.8 has this for v4 type 3 codes 2-4 and v6 type 1 codes 1 and 4 of connections that stand. No
        # other error says anything that a forger could not say, Packet Too Big least of all.
        flow.drop("icmp_ignored")
        return
    if (error.seq - connection.snd_una) & 0xFFFFFFFF >= connection.snd_nxt - connection.snd_una:
        flow.drop("icmp_out_of_window")
        return
    if connection.state <= State.SYN_RECEIVED:
        flow.handshake.doubt(now)
    if error.kind is IcmpKind.TOO_BIG:
        connection.path_mtu(error.mtu, now)
        if connection.config.remember_path_mtu:
            peers.narrow_path(flow.key[2], connection.path_mtu_octets, now)
    else:
        config = connection.config
        code, text, hard = (bsd_judge if config.bsd_icmp else judge)(error)
        hard = hard and config.icmp_resets
        if connection.state <= State.SYN_RECEIVED and (hard or config.soft_errors_end_opening):
            closing.fail(connection, code, text)
        else:
            connection.soft_error(TcpError(code, text))
    flow.settle(now)


def judge(error: IcmpError) -> tuple[int, str, bool]:
    """Return (errno, text, whether hard) of an error that is not about a packet's size."""
    if error.kind in _OTHER:
        return (*_OTHER[error.kind], False)
    code, hard = _UNREACHABLE[error.version].get(error.code, (errno.EHOSTUNREACH, False))
    return code, f"the network says that the destination cannot be reached (code {error.code})", hard


def bsd_judge(error: IcmpError) -> tuple[int, str, bool]:
    """As ``judge``, in the way of BSD (``TcpConfig.bsd_icmp``): a lifetime that ended in transit is hard, too."""
    if error.kind is IcmpKind.TIME_EXCEEDED:
        return errno.EHOSTUNREACH, _OTHER[error.kind][1], error.code == 0
    if error.kind is IcmpKind.PARAMETER_PROBLEM:
        # Of IPv6: the next header is not known there, so neither is TCP.
        unknown = error.version == 6 and error.code == 1
        return (errno.ECONNREFUSED if unknown else errno.ENOPROTOOPT), _OTHER[error.kind][1], unknown
    hard = error.code in _BSD_REFUSES[error.version]
    text = f"the network says that the destination cannot be reached (code {error.code})"
    return (errno.ECONNREFUSED if hard else errno.EHOSTUNREACH), text, hard
