"""A flow whose segments carry options that users declared (``edo.experiments``).

They stand behind Data Offset wherever EDO lets them, inside it where EDO is off and they fit, and else nowhere. In
a SYN they take only what nothing else needs, or go by SYN-EOS. A peer that does not know them passes them over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ao.keys import Key
from edo.area import MOST_INSIDE
from edo.experiments import Experiment
from edo.layout import HEADER, NoRoom
from edo.negotiation import Edo
from edo.options import Span
from edo.plan import Plan
from edo.syneos import MOST_JOINED
from edo.walk import walk

from . import space
from .connection import Connection
from .edo_damage import acceptable
from .experiments import Experiments
from .flow import Flow
from .ip import address_text
from .ports import FlowKey, Home
from .protection import Protection
from .run import ACK, RST, SYN, Run, head_of
from .segment import Segment
from .seqnum import extend
from .states import State
from .syneos import SynEos

# What options leave to data, at least, of a segment that has as much (draft-ietf-tcpm-tcp-edo: better MSS - 128).
_LEAST_PAYLOAD: Final = 128
_EXPERIMENTAL: Final = (253, 254)
_SYN_HEADER: Final = HEADER + MOST_INSIDE


class ExperimentalFlow(Flow):
    """A flow with ``experiments``."""

    __slots__ = ("_asked", "_heard", "experiments")

    def __init__(
        self,
        stack: Home,
        key: FlowKey,
        connection: Connection,
        edo: Edo,
        started: float,
        accept_icmps: bool,
        declared: Sequence[Experiment],
    ) -> None:
        super().__init__(stack, key, connection, edo, started, accept_icmps)
        local, local_port, peer, peer_port = key
        self.experiments = Experiments(
            declared, (address_text(local), local_port), (address_text(peer), peer_port), stack.counters
        )
        # Options of the peer's SYN that were taken from its header; those beside it are asked for once.
        self._heard: set[bytes] = set()
        self._asked = False

    @property
    def _role(self) -> str:
        return "accept" if self.connection.passive else "connect"

    # --- out ---------------------------------------------------------------------------------------------

    def send(
        self, run: Run, out: list[bytes], riders: tuple[bytes, ...] = (), protection: Protection | None = None
    ) -> None:
        """Send a run, segment by segment, each with the options that its experiments want in it."""
        if riders or run.flags & RST or not self.experiments.sends:
            super().send(run, out, riders, protection)
            return
        rest: Run | None = run
        while rest is not None:
            carried, room = self._carried(rest, protection or self.protection)
            head = rest
            rest = None
            if not run.flags & SYN:
                head, rest = head_of(head, room)
            super().send(head, out, carried, protection)

    def _carried(self, run: Run, protection: Protection) -> tuple[tuple[bytes, ...], int]:
        """The options that go with the next segment of ``run``, and the payload octets that it has room for."""
        try:
            plan = self.plan(run.options, run.flags, (), protection, run.length)
        except NoRoom:
            return (), max(run.length, 1)
        room = self._room(run, plan)
        syn = bool(run.flags & SYN)
        carried = self.experiments.carried(
            self.stack.now,
            self._role,
            syn=syn,
            payload=min(run.length, room),
            room=self._left(run, plan, protection, room),
        )
        if carried and not syn:
            room = self._room(run, self.plan(run.options, run.flags, carried, protection, run.length))
        return carried, room

    def _room(self, run: Run, plan: Plan) -> int:
        size = run.segment_size or self.connection.segment_size
        return max(size + self.overhead - (plan.header_octets - HEADER), 1)

    def _left(self, run: Run, plan: Plan, protection: Protection, room: int) -> int:
        """Octets that experiments may take of a segment."""
        edo = self.edo
        if run.flags & SYN or not (edo.on or self.upgraded):
            header = memoryview(bytes(HEADER) + plan.octets)
            spans = walk(header, HEADER, len(header)) or []
            return MOST_INSIDE - sum(span[3] for span in spans)
        if not self.upgraded and not edo.may_extend(protection.authenticates):
            # An Extension is there, and a box that removes it would make data of what stands behind.
            return 0
        return room - min(run.length, _LEAST_PAYLOAD) - 3

    def update_overhead(self) -> None:
        """As a flow's, with the octets of what goes with every segment of data."""
        reserve = self.experiments.reserve
        if not reserve:
            super().update_overhead()
            return
        extends = self.edo.may_extend(self.protection.authenticates)
        own = space.overhead(self.edo, self.protection, timestamps=self.connection.timestamps)
        if not (extends or (not self.edo.on and own + reserve <= MOST_INSIDE)):
            reserve = 0
        overhead = own + -(-reserve // 4) * 4
        if overhead != self.overhead:
            self.overhead = overhead
            self.connection.set_overhead(overhead + self.sealer.ip_octets - self.connection.config.ip_header)
        self.connection.sack_room = space.sack_room(self.edo, self.protection, self.connection.segment_size)

    def beside(self, settings: SynEos) -> SynEos:
        """SYN-EOS with what experiments want in the SYN or SYN-ACK among the options that it carries."""
        config = self.connection.config
        most = min(MOST_JOINED, config.mtu - config.ip_header - _SYN_HEADER) - MOST_INSIDE
        room = most - sum(map(len, settings.options))
        carried = self.experiments.carried(self.stack.now, self._role, syn=True, payload=0, room=room)
        return replace(settings, options=settings.options + carried)

    # --- in ----------------------------------------------------------------------------------------------

    def _run_of(self, segment: Segment, number: int, key: Key | None, payload: bool) -> Run:
        if self._accepts(segment, number):
            self.heard(segment)
        return super()._run_of(segment, number, key, payload)

    def _accepts(self, segment: Segment, number: int) -> bool:
        """Whether the connection is going to accept a segment: what an attacker sends blindly reaches nobody."""
        connection = self.connection
        if segment.flags & SYN:
            answers = segment.flags & (ACK | RST) == ACK and connection.state is State.SYN_SENT
            return answers and extend(segment.ack, connection.snd_nxt) == connection.iss + 1
        return acceptable(connection, segment, number)

    def heard(self, segment: Segment) -> None:
        """Take the experiments' options of a segment, inside and behind Data Offset."""
        tcp = segment.tcp
        spans: list[Span] = segment.spans
        if segment.header_end > segment.data_offset:
            spans = spans + (walk(tcp, segment.data_offset, segment.header_end) or [])
        options = [(kind, exid, bytes(tcp[at : at + octets])) for kind, exid, at, octets in spans]
        syn = bool(segment.flags & SYN)
        if syn:
            self._heard |= {octets for _, _, octets in options}
        self._take(options, syn, len(tcp) - segment.header_end)

    def _take(self, options: list[tuple[int, int, bytes]], syn: bool, payload: int) -> None:
        self.experiments.take(options, self.stack.now, self._role, syn=syn, payload=payload)

    def settle(self, now: float) -> None:
        """As a flow's; once the connection stands, what came beside the peer's SYN is taken."""
        super().settle(now)
        if self._asked or not self.handshake.ready:
            return
        self._asked = True
        beside = [octets for octets in self.handshake.facts.peer_options if octets not in self._heard]
        options = [(octets[0], _exid(octets), octets) for octets in beside]
        if options:
            self._take(options, True, 0)


def beside(flow: Flow, settings: SynEos) -> SynEos:
    """SYN-EOS as ``flow`` uses it."""
    return flow.beside(settings) if isinstance(flow, ExperimentalFlow) else settings


def _exid(octets: bytes) -> int:
    return int.from_bytes(octets[2:4]) if octets[0] in _EXPERIMENTAL and len(octets) >= 4 else -1
