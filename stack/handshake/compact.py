"""Placement ``compact``: a share each way in the TCP-AO option of SYN and SYN-ACK, and no other option but MSS.

profile.md §5; draft-touch-tcp-ao-encrypt §3.2 (ENC-BTNS).
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import ClassVar, Final

from ao.compact import OCTETS, CompactAgreement, is_offer
from ao.groups import BadShare
from ao.keys import Key
from ao.octets import Octets
from ao.reasons import AoDrop
from edo.fast import find_ao
from edo.plan import Plan

from ..flow import Flow
from ..protection import Protection, Verdict
from ..run import RST, SYN, Run
from ..sealer import Sealer
from ..security import Security
from ..segment import Segment
from ..seqnum import extend
from .agreed_protection import AgreedProtection
from .role_a import RoleA
from .role_b import AwaitingKeys, RoleB
from .sighting import of_segment
from .stages import Kind, Stage

# From this SYN on, counted from 0, policy ``prefer`` offers nothing (profile.md §5).
_PLAIN_FROM: Final = 2
_NO_SHARE: Final = "no TCP-AO share in the SYN-ACK"


def offer_of(segment: Segment) -> bytes | None:
    """The whole option of a SYN or SYN-ACK that carries a share; None without one."""
    offset, octets = find_ao(segment.spans)
    if octets != OCTETS:
        return None
    option = bytes(segment.tcp[offset : offset + octets])
    return option if is_offer(option) else None


class _Share:
    """Puts a share where a MAC would stand."""

    def __init__(self, share: bytes) -> None:
        self._share = share

    def tag(self, _sne: int, _header: Octets, _rest: Octets, _keep: tuple[tuple[int, int], ...] = ()) -> bytes:
        return self._share


class _Offering(Protection):
    """SYN and SYN-ACK with a share; every other option but MSS finds no room."""

    __slots__ = ("_share",)

    def __init__(self, option: bytes) -> None:
        super().__init__()
        self._share = _Share(option[4:])

    @property
    def ao_octets(self) -> int:
        return OCTETS

    def seal(self, sealer: Sealer, run: Run, plan: Plan, room: int, out: list[bytes]) -> None:
        sealer.seal(run, plan, room, out, self._share)


class CompactProtection(AgreedProtection):
    """Segments under the keys; a SYN with a share is a clear one, as SYNs of other placements are."""

    __slots__ = ()

    def open(self, segment: Segment, number: int) -> Verdict:
        if segment.flags & SYN and offer_of(segment) is not None:
            return None
        return super().open(segment, number)


class _Awaiting(AwaitingKeys):
    __slots__ = ()

    def open(self, segment: Segment, number: int) -> Verdict:
        return None if segment.flags & SYN else super().open(segment, number)


def agreement_of(security: Security, flags: int, random: Callable[[int], bytes], *, is_a: bool) -> CompactAgreement:
    """One side's part; the first suite of the list is the one that the peer is configured with too."""
    return CompactAgreement(is_a=is_a, suite=security.agreed_suites[0], flags=flags, random=random)


class CompactA(RoleA):
    """The active opener's handshake."""

    __slots__ = (
        "_may_go_plain",
        "_offering",
    )

    PROTECTION = CompactProtection

    TABLE: ClassVar = {
        (Stage.SYN_SENT, Kind.SYN_ACK): "_syn_ack",
        (Stage.SYN_SENT, Kind.SYN): "_crossed_syn",
        (Stage.SYN_SENT, Kind.RST): "_pass_on",
        (Stage.KEYED, Kind.GOOD): "_first_good",
        (Stage.KEYED, Kind.SYN_ACK): "_repeated_syn_ack",
    }

    def __init__(
        self, flow: Flow, security: Security, random: Callable[[int], bytes], *, plain_syn: bool = True
    ) -> None:
        """``plain_syn`` False: no SYN goes without a share."""
        super().__init__(flow, security)
        self._may_go_plain = self.prefer and plain_syn
        self.eno_due = False
        self.agreement = agreement_of(security, self.flags, random, is_a=True)
        self._offering = _Offering(self.own.option)
        flow.edo.turn_off()

    @property
    def own(self) -> CompactAgreement:
        """The agreement, of this placement's kind."""
        agreement = self.agreement
        assert isinstance(agreement, CompactAgreement)
        return agreement

    def dress(self, run: Run, now: float, out: list[bytes]) -> None:
        if self.stage is Stage.PLAIN:
            self.flow.send(run, out)
        elif self.stage is Stage.CONFIRMED:
            self.after.dress(run, out)
        elif self.stage is Stage.SYN_SENT and run.flags & SYN:
            self._dress_syn(run, out)
        elif run.flags & RST and self.stage is not Stage.SYN_SENT:
            self.send_resets()
        elif self.stage in (Stage.KEYED, Stage.SYN_SENT):
            self.flow.send(run, out)

    def _dress_syn(self, run: Run, out: list[bytes]) -> None:
        before = len(out)
        if self._may_go_plain and self.last and run.transmission >= _PLAIN_FROM:
            self.sent_plain_syn = True
        if self.sent_plain_syn:
            self.flow.send(run, out)
        else:
            self.flow.send(run, out, (), self._offering)
            self.note_sent(out[before])

    def _crossed_syn(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        self.falls_through = False
        self.give_up(errno.EPROTO, "simultaneous open: placement compact has no roles for it", now)

    def _syn_ack(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        flow = self.flow
        connection = flow.connection
        if extend(segment.ack, connection.snd_nxt) != connection.iss + 1:
            flow.deliver(segment, number, None, now, payload=False)
            return
        option = offer_of(segment)
        if self.sent_plain_syn:
            # Which SYN this answers nobody can tell.
            self._settle_plain(segment, number, "no answer to SYNs with a share", now)
            return
        if option is None:
            if self.prefer and self.last:
                self._settle_plain(segment, number, _NO_SHARE, now)
            else:
                self._fail(segment, number, errno.EPROTO, _NO_SHARE, now)
            return
        if segment.seq == connection.iss & 0xFFFFFFFF:
            self._fail(segment, number, errno.ECONNABORTED, "equal initial sequence numbers", now)
            return
        self.seen = of_segment(segment)
        self.own.take(option)
        flow.deliver(segment, number, None, now, payload=False)
        if flow.over:
            return
        # From here on failure is told to the peer.
        self.stage = Stage.KEYED
        self.facts.placement = "compact"
        try:
            self._have_keys(now)
        except BadShare:
            self.falls_through = False
            self.give_up(errno.ECONNABORTED, "the peer's share fails its check", now)

    def _fail(self, segment: Segment, number: int, code: int, text: str, now: float) -> None:
        self.flow.deliver(segment, number, None, now, payload=False)
        if not self.flow.over:
            self.stage = Stage.HELLO_SENT
            self.give_up(code, text, now)

    def _settle_plain(self, segment: Segment, number: int, reason: str, now: float) -> None:
        self.go_plain(reason)
        self.flow.deliver(segment, number, None, now)
        self._check_settled()


class CompactB(RoleB):
    """The passive opener's handshake, made for a SYN with a share."""

    __slots__ = ("_offering",)

    PROTECTION = CompactProtection

    TABLE: ClassVar = {
        (Stage.ANSWERED, Kind.GOOD): "_first_good",
        (Stage.ANSWERED, Kind.SYN): "_repeated_syn",
        (Stage.ANSWERED, Kind.ACK_PLAIN): "_clear_ack",
        (Stage.ANSWERED, Kind.ACK_WITH_ENO): "_clear_ack",
        (Stage.ANSWERED, Kind.RST): "_exact_reset",
    }

    def __init__(self, flow: Flow, security: Security, random: Callable[[int], bytes], syn: Segment) -> None:
        """``syn`` is one for which ``offer_of`` finds a share."""
        super().__init__(flow, security, Stage.ANSWERED)
        self.eno_due = False
        self.seen = of_segment(syn)
        self.agreement = agreement_of(security, self.flags, random, is_a=False)
        self.own.take(offer_of(syn) or b"")
        self._offering = _Offering(self.own.option)
        flow.edo.turn_off()
        flow.protection = _Awaiting(self._make_keys)
        self.facts.placement = "compact"

    @property
    def own(self) -> CompactAgreement:
        """The agreement, of this placement's kind."""
        agreement = self.agreement
        assert isinstance(agreement, CompactAgreement)
        return agreement

    def dress(self, run: Run, now: float, out: list[bytes]) -> None:
        if self.stage is Stage.PLAIN:
            self.flow.send(run, out)
        elif self.stage is Stage.CONFIRMED:
            self.after.dress(run, out)
        elif run.flags & SYN:
            self._syn_ack = run
            self._send_syn_ack(out)
        elif run.flags & RST:
            self.send_resets()
        # Until A's first good MAC nothing else leaves.

    def _send_syn_ack(self, out: list[bytes]) -> None:
        if self._syn_ack is not None:
            before = len(out)
            self.flow.send(self._syn_ack, out, (), self._offering)
            self.note_sent(out[before])

    def _repeated_syn(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        if segment.seq != self.flow.connection.irs & 0xFFFFFFFF:
            self.other_syn(now)
        elif offer_of(segment) is not None:
            self._send_syn_ack(self.flow.stack.out)
        elif self.prefer:
            self.go_plain("the SYN was repeated without a share")
            self._plain_syn_ack()
        else:
            self.give_up(errno.EPROTO, "the SYN was repeated without a share", now)

    def _clear_ack(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        """Its payload may be ciphertext whose option was removed: RST under any policy (profile.md §5)."""
        if self.acceptable(segment, number):
            self.give_up(errno.EPROTO, "keys were answered and a clear ACK came", now)
        else:
            self.flow.drop(AoDrop.clear_segment)
