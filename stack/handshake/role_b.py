"""What the passive opener does with keys, wherever they were agreed on (profile.md §5)."""

from __future__ import annotations

from collections.abc import Callable

from ao.agreement import Outcome
from ao.groups import GROUPS_BY_NAME, BadShare
from ao.keys import Key
from ao.reasons import AoDrop
from ao.sessions import Session
from edo.fast import find_ao
from edo.plan import Plan

from ..flow import Flow
from ..protection import Protection, Verdict
from ..receiver import challenge
from ..run import Run
from ..sealer import Sealer
from ..security import Security
from ..segment import Segment
from ..states import State
from .agreed import CLEAR, Agreed
from .agreed_protection import AgreedProtection
from .stages import Stage, with_eno


class AwaitingKeys(Protection):
    """B has answered and still sends in clear; the shared secret is computed when TCP-AO first arrives.

    So a flood of hellos from unproven addresses costs one key generation each and no more (profile.md §5).
    """

    __slots__ = ("_left", "_make", "keyed")

    def __init__(self, make: Callable[[], AgreedProtection], left: Callable[[], None] = lambda: None) -> None:
        """``make`` computes the keys; ``left`` is called if the connection is forgotten before they serve."""
        super().__init__()
        self._make = make
        self._left = left
        self.keyed: AgreedProtection | None = None

    def open(self, segment: Segment, number: int) -> Verdict:
        if self.keyed is None:
            if find_ao(segment.spans)[0] == -1:
                return None
            try:
                self.keyed = self._make()
            except BadShare:
                return AoDrop.ao_bad_mac
        return self.keyed.open(segment, number)

    def seal(self, sealer: Sealer, run: Run, plan: Plan, room: int, out: list[bytes]) -> None:
        sealer.seal(run, plan, room, out)

    def wipe(self) -> None:
        self._left()
        if self.keyed is not None:
            self.keyed.wipe()


class RoleB(Agreed):
    """From its answer to A's first good MAC."""

    __slots__ = (
        "_lent",
        "_syn_ack",
    )

    is_a = False

    def __init__(self, flow: Flow, security: Security, stage: Stage) -> None:
        super().__init__(flow, security, stage)
        self._syn_ack: Run | None = None
        self._lent: Session | None = None

    def find(self, ticket: bytes) -> Session | None:
        """The session of a ticket that A offers, if this attempt may have it (profile.md §7)."""
        if self.security.resume == "off":
            return None
        stack = self.flow.stack
        groups = [GROUPS_BY_NAME[name].code for name in self.security.groups]
        self._lent = stack.peers.tickets.take(ticket, groups, stack.now)
        return self._lent

    def release(self) -> None:
        """What was lent to this attempt may be lent to another."""
        if self._lent is not None:
            self.flow.stack.peers.tickets.give_back(self._lent)
            self._lent = None

    def refused(self, outcome: Outcome, now: float) -> None:
        self.release()
        super().refused(outcome, now)

    def go_plain(self, reason: str) -> None:
        self.release()
        super().go_plain(reason)

    def _make_keys(self) -> AgreedProtection:
        return self.make_keys(self.agreement)

    def _first_good(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        flow = self.flow
        connection = flow.connection
        protection = flow.protection
        assert isinstance(protection, AwaitingKeys)
        assert protection.keyed is not None
        if (
            connection.state is State.SYN_RECEIVED
            and number == connection.irs
            and len(segment.tcp) == segment.header_end
        ):
            # A's probe at SEQ = S_A ends the handshake as an ACK at RCV.NXT would.
            number = connection.rcv_nxt
        self.protect(protection.keyed)
        self._syn_ack = None
        if self._lent is not None:
            flow.stack.peers.tickets.used(self._lent)
            self._lent = None
        assert key is not None
        self.confirm(segment, key, now)
        flow.deliver(segment, number, key, now)
        if not flow.over and connection.state is not State.CLOSED:
            self.send_protected_ack()
            flow.settle(now)

    def other_syn(self, now: float) -> None:
        """A SYN with another number, of a peer that was restarted it may be: a challenge in clear (RFC 5961 §4)."""
        flow = self.flow
        flow.drop(AoDrop.clear_segment)
        connection = flow.connection
        waiting, connection.out = connection.out, []
        challenge(connection, now)
        challenges, connection.out = connection.out, waiting
        for run in challenges:
            if self.eno_due:
                run.options = with_eno(run.options)
            flow.send(run, flow.stack.out, (), CLEAR)

    def _plain_syn_ack(self) -> None:
        run = self._syn_ack
        if run is not None:
            options = run.options
            options.eno = None
            options.syn_eos = False
            options.edo_supported = False
            self.flow.send(run, self.flow.stack.out)
