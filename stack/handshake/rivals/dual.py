"""The dual handshake: an ordinary connection and an upgraded one are tried, and the loser is reset.

draft-briscoe-tcpm-inner-space-01 §2.1.1, draft-briscoe-tcpm-syn-op-sis-02: both SYNs go at once, from two source
ports; an ordinary SYN-ACK that comes first waits for the other's answer, and of the two SYNs only one is ever sent
again. Assumed: that this is the ordinary one; that its SYN-ACK waits as long as it took to come, at least 50 ms and
at most a second.
"""

from __future__ import annotations

from typing import Final

from ao.keys import Key
from edo.options import Options
from edo.rivals.base import Laid, Method, Part, Wanted

from ...attempt import Attempt
from ...events import Event, SoftError, TcpError
from ...fastopen import FastOpening
from ...flow import Flow
from ...ports import Carrier
from ...run import ACK, RST, SYN, Run
from ...segment import Segment
from ...seqnum import extend
from ...states import State
from ...syn_space import SynSpace
from ...tcb import NEVER
from .base import RivalHandshake

_LEAST_WAIT: Final = 0.05
_MOST_WAIT: Final = 1.0


class Race:
    """Two connections in the place of one: what happens to either before it is decided which of them it is."""

    def __init__(self, attempt: Attempt, ordinary: Flow, second: Flow) -> None:
        self._attempt = attempt
        self._ordinary = ordinary
        self._second = second
        self._error: TcpError | None = None
        ordinary.attempt = second.attempt = self

    # --- as the application of both ----------------------------------------------------------------------

    def push(self, event: Event) -> None:
        """Soft errors of either are passed on."""
        if isinstance(event, SoftError):
            self._attempt.push(event)

    def settled(self) -> None:
        """Neither stands before it has won, and then it is no longer in the race."""

    def replaced(self, flow: Carrier, error: TcpError) -> bool:
        """Nothing takes the place of a connection that has not begun."""
        return False

    def lost(self, flow: Carrier, error: TcpError) -> None:
        """One failed: the other goes on alone, and the attempt fails with both."""
        if flow is self._second:
            if self._error is not None:
                self._attempt.lost(self._ordinary, self._error)
            else:
                self.second_is_out()
        elif self._second.over:
            self._attempt.lost(flow, error)
        else:
            self._error = error
            self._wait_for_second(self._ordinary.stack.now)

    # --- what the handshakes tell ------------------------------------------------------------------------

    def _wait_for_second(self, now: float) -> None:
        handshake = self._second.handshake
        assert isinstance(handshake, Second)
        handshake.next_deadline = now + wait(now - self._second.started)
        self._second.stack.touch(self._second)

    def second_won(self) -> None:
        """The upgraded connection's SYN-ACK is here."""
        attempt, second, ordinary = self._attempt, self._second, self._ordinary
        second.attempt = attempt
        attempt.flow = second
        if not ordinary.over:
            handshake = ordinary.handshake
            assert isinstance(handshake, Ordinary)
            withdraw(ordinary, handshake.held)

    def second_is_out(self) -> None:
        """There will be no upgraded connection: the ordinary one goes on."""
        ordinary = self._ordinary
        if ordinary.over:
            if self._error is not None:
                self._attempt.lost(ordinary, self._error)
            return
        ordinary.attempt = self._attempt
        handshake = ordinary.handshake
        assert isinstance(handshake, Ordinary)
        handshake.go_on(ordinary.stack.now)

    def waited(self) -> None:
        """The other's answer did not come in time; should it come later, nobody is there, which resets it."""
        withdraw(self._second, None)
        self.second_is_out()

    def abort(self) -> None:
        """The application gives up."""
        if not self._second.over:
            withdraw(self._second, None)
        self._ordinary.attempt = self._attempt


def wait(took: float) -> float:
    """How long one SYN-ACK that took so long waits for the other, seconds."""
    return min(max(took, _LEAST_WAIT), _MOST_WAIT)


def withdraw(flow: Flow, answer: Segment | None) -> None:
    """End a connection that has lost: with RST where its SYN-ACK has come, and without a word where it has not."""
    flow.attempt = None
    if answer is not None:
        flow.send(Run(answer.ack, 0, RST, 0, Options()), flow.stack.out)
    flow.leave()


class Ordinary(RivalHandshake):
    """The connection that any server understands; by itself where all options fit its SYN."""

    def __init__(self, flow: Flow, settings: SynSpace, method: Method) -> None:
        super().__init__(flow, settings)
        self.race: Race | None = None
        self.held: Segment | None = None
        self._method = method
        self._syn: Laid | None = None

    @property
    def falls_short(self) -> bool:
        """Whether an ordinary SYN has no room for all options, so that a second connection is worth trying."""
        wants = self.settings.wants(self.flow.connection.syn_options(False))
        return self._method.lay_out(Part.BESIDE, Wanted(syn=wants), self.space) is not None

    def dress(self, run: Run, now: float, out: list[bytes]) -> None:
        if run.flags & (SYN | ACK) == SYN:
            self._syn = self._method.lay_out(Part.SYN, Wanted(syn=self.settings.wants(run.options)), self.space)
            assert self._syn is not None
            self.send_laid(self._syn, run, out)
        else:
            self.dress_plain(run, out)

    def take(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        if is_answer(self.flow, segment):
            if self.race is not None:
                self._hold(segment, now)
                return
            if self._syn is not None:
                self.keep_to(self._syn)
        self.take_plain(segment, number, key, now)

    def _hold(self, segment: Segment, now: float) -> None:
        if self.held is None:
            segment.tcp = memoryview(bytes(segment.tcp))
            self.held = segment
            self.next_deadline = now + wait(now - self.flow.started)
            # While it waits it is not lost: the server would be asked twice.
            self.flow.connection.rexmt_at = NEVER

    def go_on(self, now: float) -> None:
        """No other connection will take this one's place."""
        self.race = None
        self.next_deadline = None
        self.facts.fallback = f"no answer by {self._method.name} to the second SYN"
        if self.held is not None:
            segment, self.held = self.held, None
            self.take(segment, segment.seq, None, now)

    def advance(self, now: float) -> None:
        if self.race is not None:
            self.race.waited()

    def abort(self, now: float) -> None:
        if self.race is not None:
            self.race.abort()
            self.race = None
        super().abort(now)


class Second(RivalHandshake):
    """The upgraded connection's handshake; ``race`` is there from before anything is sent until it is decided."""

    race: Race | None = None
    beyond = 0
    """Octets of our SYN that only a server which does not know the method takes for text."""

    def opening(self, now: float) -> tuple[FastOpening | None, bytes]:
        """What the SYN takes of the stream, in the way of Fast Open."""
        return None, b""

    def upgraded(self, segment: Segment) -> bool:
        """Whether a SYN-ACK says that the server knows the method; reads its options."""
        raise NotImplementedError

    def take(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        if self.race is not None and is_answer(self.flow, segment, self.beyond):
            # The other connection is to be forgotten with the race.
            race, self.race = self.race, None
            if not is_answer(self.flow, segment) or not self.upgraded(segment):
                withdraw(self.flow, segment)
                race.second_is_out()
                return
            race.second_won()
            self.next_deadline = None
            self.answered(segment, number, key, now)
            return
        self.take_plain(segment, number, key, now)

    def answered(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        """The connection has won: take its SYN-ACK, whose options are read."""
        self.flow.deliver(segment, number, key, now)
        self._check_settled()

    def never_again(self) -> None:
        """This SYN is sent once: only the ordinary one is repeated."""
        self.flow.connection.rexmt_at = NEVER

    def advance(self, now: float) -> None:
        """The ordinary connection has failed, and no answer has come here."""
        race, self.race = self.race, None
        if race is not None:
            withdraw(self.flow, None)
            race.second_is_out()


def is_answer(flow: Flow, segment: Segment, beyond: int = 0) -> bool:
    """Whether a segment is a SYN-ACK that acknowledges our SYN, or of its text some or the ``beyond`` octets."""
    connection = flow.connection
    return (
        connection.state is State.SYN_SENT
        and segment.flags & (SYN | ACK | RST) == SYN | ACK
        and connection.iss < extend(segment.ack, connection.snd_nxt) <= connection.snd_nxt + beyond
    )
