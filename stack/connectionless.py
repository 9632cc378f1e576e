"""The RST that answers a segment of no connection, signed where the peer would believe no other (RFC 2385 §4.1)."""

from __future__ import annotations

from ao.md5 import Md5Key
from ao.traffic_keys import SocketPair
from edo.layout import lay_out
from edo.options import Options
from edo.plan import Plan

from .config import TcpConfig
from .handshake.md5 import Md5Protection
from .ports import FlowKey
from .protection import Verdict
from .resets import reset_for, swallowed
from .run import Run
from .sealer import Sealer
from .security import Security
from .segment import Segment

_BARE = Plan(b"", 20)


def reset(segment: Segment, config: TcpConfig, security: Security | None) -> bytes | Verdict:
    """Return the RST's packet, None where there is none, or the reason for which nothing may answer.

    ``security`` is that of the listener on the segment's port. A peer for which it has a key of TCP-MD5 ignores
    what is not signed; and what it has not signed itself is answered by nothing (RFC 2385 §2.0).
    """
    answer = reset_for(segment.seq, segment.ack, segment.flags, segment.sequence_octets())
    if answer is None or swallowed(segment.flags, config.blackhole):
        return None
    seq, ack, flags = answer
    ends = FlowKey((segment.destination, segment.destination_port, segment.source, segment.source_port))
    sealer = Sealer(*ends, ttl=config.ttl)
    run = Run(seq, ack, flags, 0, Options())
    out: list[bytes] = []
    key = _key(security, ends)
    if key is None:
        sealer.seal(run, _BARE, 1, out)
        return out[0]
    protection = Md5Protection(key, ends)
    verdict = protection.open(segment, segment.seq)
    if verdict is not None:
        return verdict
    protection.seal(sealer, run, lay_out(run.options, md5=True), 1, out)
    return out[0]


def _key(security: Security | None, ends: FlowKey) -> Md5Key | None:
    """The key of TCP-MD5 of a connection with these ends, unless it would be one of TCP-AO."""
    if security is None or security.md5_keys is None:
        return None
    pair = SocketPair(*ends)
    if security.keys is not None and security.keys.required(pair):
        return None
    return security.md5_keys.find(pair)
