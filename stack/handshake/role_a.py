"""What the active opener does with keys, wherever they were agreed on (profile.md §5)."""

from __future__ import annotations

import errno

from ao.keys import Key
from ao.reasons import AoDrop

from ..flow import Flow
from ..security import Security
from ..segment import Segment
from .agreed import ANSWER_INTERVAL, Agreed
from .stages import Stage


class RoleA(Agreed):
    """From the peer's answer to its first good MAC, and the wait for a SYN-ACK where something else can be tried.

    ``last``: no other placement is tried after this one. If there is one, silence is borne no longer than until the
    third SYN, and ``prefer`` does not go on plain.
    """

    __slots__ = (
        "_answered_at",
        "last",
        "sent_plain_syn",
    )

    is_a = True

    def __init__(self, flow: Flow, security: Security) -> None:
        super().__init__(flow, security, Stage.SYN_SENT)
        self.sent_plain_syn = False
        self.last = True
        self._answered_at = float("-inf")

    def not_last(self, now: float) -> None:
        """Another placement is tried after this one."""
        self.last = False
        # One SYN was sent then, and one repeated.
        self.next_deadline = now + 3 * self.flow.connection.config.rto_initial

    def advance(self, now: float) -> None:
        if self.stage is Stage.SYN_SENT and not self.last:
            self.give_up(errno.ETIMEDOUT, "no answer to the SYNs", now)
        else:
            super().advance(now)

    def _have_keys(self, now: float) -> None:
        self.protect(self.make_keys(self.agreement))
        self.stage = Stage.KEYED
        self.ready = not self.security.waits
        self.send_protected_ack()
        self.start_repeating(self._probe, "keys agreed but nothing verifies", now)
        self.flow.settle(now)

    def _probe(self, now: float) -> None:
        """An empty protected ACK with SEQ = S_A, which TCP always answers (profile.md §5)."""
        self.send_protected_ack(self.flow.connection.iss)

    def answers_our_syn(self, segment: Segment) -> bool:
        """Whether a SYN-ACK has the numbers of the one that was taken."""
        connection = self.flow.connection
        acknowledged = (connection.iss + 1) & 0xFFFFFFFF
        return segment.seq == connection.irs & 0xFFFFFFFF and segment.ack == acknowledged

    def _repeated_syn_ack(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        if self.answers_our_syn(segment):
            self._repetition(now)
        else:
            self.flow.drop(AoDrop.clear_segment)

    def _repetition(self, now: float) -> None:
        """The peer has not heard from us since its SYN-ACK or answer."""
        if now - self._answered_at >= ANSWER_INTERVAL:
            self._answered_at = now
            self._probe(now)

    def _first_good(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        assert key is not None
        self.flow.stack.peers.placement_served(self.flow.key[2], self.facts.placement or "")
        self.confirm(segment, key, now)
        self.flow.deliver(segment, number, key, now)
