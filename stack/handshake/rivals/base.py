"""What the handshakes of all methods share: sending a layout, and telling a user's options from TCP's."""

from __future__ import annotations

from typing import Final

from edo.codepoints import MSS as MSS_KIND
from edo.codepoints import SACK, SACK_PERMITTED, TIMESTAMPS, WSCALE, CodePoints
from edo.fast import read_options
from edo.options import Options, Span
from edo.plan import Plan
from edo.rivals.base import Laid, Reading, Space

from ...flow import Flow
from ...run import Run
from ...segment import Segment
from ...syn_space import SynSpace
from ..base import Handshake

PLAIN_AFTER: Final = 2
"""From this repetition on a SYN goes without anything of the method: the path may swallow what it does not know."""

_OWN: Final = frozenset({MSS_KIND, WSCALE, SACK_PERMITTED, SACK, TIMESTAMPS})


class RivalHandshake(Handshake):
    """A handshake that lays out its own SYNs; ``facts`` has the method once it is in use and the peer's options."""

    def __init__(self, flow: Flow, settings: SynSpace) -> None:
        super().__init__(flow)
        self.settings = settings
        config = flow.connection.config
        self.space = Space(config.mtu, config.ip_header, flow.edo.dialect)

    @property
    def points(self) -> CodePoints:
        """The numbers of the options."""
        return self.flow.edo.dialect.points

    def send_laid(self, laid: Laid, run: Run, out: list[bytes]) -> None:
        """Send ``run`` with its header as ``laid`` has it, and what ``laid`` has behind the payload as payload."""
        flow = self.flow
        octets = b"".join(piece.octets for piece in laid.before)
        after = b"".join(piece.octets for piece in laid.after)
        flags = run.flags | (laid.offset & 0x08) << 8
        sent = Run(run.seq, run.ack, flags, run.window, run.options, run.payload, run.length, ecn=run.ecn)
        if after:
            sent.payload = [*run.payload, memoryview(after)]
            sent.length += len(after)
        flow.sealer.seal(sent, Plan(octets, laid.data_offset), max(sent.length, 1), out)
        trace = flow.stack.trace
        if trace is not None:
            trace.segments_sent(flow.key, sent, 1, len(out[-1]), flow.stack.now)

    def take_reading(self, segment: Segment, reading: Reading) -> Options:
        """Give the segment the options and the header's end that were found in it; the options."""
        segment.header_end = reading.payload[0]
        segment.options = read_options(segment.tcp, reading.spans, self.points)
        return segment.options

    def users(self, segment: Segment, spans: list[Span]) -> tuple[bytes, ...]:
        """The options among ``spans`` that are neither TCP's own nor of the option space."""
        return tuple(
            bytes(segment.tcp[at : at + length])
            for kind, exid, at, length in spans
            if kind not in _OWN and exid not in self._structural()
        )

    def _structural(self) -> tuple[int, ...]:
        return (self.points.edo_exid, self.points.syn_eos_exid)

    def keep_to(self, laid: Laid) -> None:
        """What a SYN had no room for is not in use with a peer that knows nothing of the method (RFC 7323 §2.2)."""
        octets = b"".join(want.octets for want in laid.carried)
        header = memoryview(octets)
        spans: list[Span] = []
        at = 0
        for want in laid.carried:
            spans.append((want.octets[0], -1, at, len(want.octets)))
            at += len(want.octets)
        self.flow.connection.renounce(read_options(header, spans, self.points))
