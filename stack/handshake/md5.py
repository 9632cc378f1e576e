"""TCP-MD5 with a configured key, for legacy peers: every segment is signed, the SYN included (RFC 2385)."""

from __future__ import annotations

from ao.md5 import NAME, OPTION_OCTETS, Md5Key, Md5Signature
from ao.reasons import AoDrop
from edo.fast import find_ao, find_md5
from edo.plan import Plan
from edo.reasons import EdoDrop

from ..flow import Flow
from ..ports import FlowKey
from ..protection import Protection, Verdict
from ..run import Run
from ..sealer import Sealer
from ..segment import Segment
from .base import Handshake


class Md5Protection(Protection):
    """The signature option on each segment of a connection; one without it is never accepted (RFC 2385 §2.0).

    ``key`` is what signs, None once it is wiped. A segment that verifies is a clear one to everything behind: no
    key has a number, ICMP is believed as without protection, and paths are probed no more than there.
    """

    __slots__ = ("_check", "_sign", "key")

    md5 = True

    def __init__(self, key: Md5Key, ends: FlowKey) -> None:
        super().__init__()
        self.key: Md5Key | None = key
        local, _, remote, _ = ends
        self._sign = Md5Signature(key.secret, local, remote)
        self._check = Md5Signature(key.secret, remote, local)

    def open(self, segment: Segment, number: int) -> Verdict:
        offset, octets = find_md5(segment.spans)
        if offset == -1:
            return AoDrop.md5_required
        if octets != OPTION_OCTETS:
            return EdoDrop.MALFORMED_OPTION
        if find_ao(segment.spans)[0] != -1:
            return AoDrop.ao_md5_conflict
        return None if self._check.verify(segment.tcp, segment.data_offset, offset) else AoDrop.md5_bad

    def succeeds(self, segment: Segment) -> bool:
        """Only if it verifies, like everything else."""
        return self.open(segment, segment.seq) is None

    def seal(self, sealer: Sealer, run: Run, plan: Plan, room: int, out: list[bytes]) -> None:
        sealer.seal(run, plan, room, out, self._sign)

    def wipe(self) -> None:
        self.key = None
        self._sign.wipe()
        self._check.wipe()


class NoMd5(Protection):
    """A plain connection where others are signed: what nobody can verify is not accepted (RFC 2385 §2.0)."""

    __slots__ = ()

    def open(self, segment: Segment, number: int) -> Verdict:
        return None if find_md5(segment.spans)[0] == -1 else AoDrop.md5_unexpected


class Md5Handshake(Handshake):
    """RFC 9293's handshake, signed."""

    __slots__ = ()

    def __init__(self, flow: Flow, protection: Md5Protection) -> None:
        super().__init__(flow, NAME)
        flow.protection = protection
        self.facts.mode = NAME
        self.facts.mac = NAME
        self.facts.authenticated = True
