"""Inner space of a connection (draft-briscoe-tcpm-inner-space-01; ``edo.rivals.inner_space`` has the octets).

The second of two connections begins with an InSpace and options in its SYN and SYN-ACK, which are octets of the
stream like all that follows: acknowledged, repeated, counted by the window. ``stack.inner_stream`` has the text.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ao.keys import Key
from edo.reasons import EdoDrop
from edo.rivals.base import Laid, Part, Reading, Want, Wanted, Zone
from edo.rivals.inner_space import InnerSpace, find_on_syn, laid_syn

from ...fastopen import FastOpening
from ...flow import Flow
from ...inner_stream import InnerStream
from ...ports import Stream
from ...run import ACK, SYN, Run
from ...segment import Segment
from ...syn_space import SynSpace
from .base import RivalHandshake
from .dual import Ordinary, Second

_METHOD: Final = InnerSpace()


def ordinary(flow: Flow, settings: SynSpace) -> Ordinary:
    """The first of the two connections."""
    return Ordinary(flow, settings, _METHOD)


def head(laid: Laid) -> bytes:
    """What stands in the stream of a SYN: Magic Number A, InSpace, options."""
    return b"".join(piece.octets for piece in laid.before if piece.zone is Zone.STREAM)


def header(laid: Laid) -> Laid:
    """The rest of it, which is the TCP header."""
    return replace(laid, before=tuple(piece for piece in laid.before if piece.zone is Zone.INSIDE))


def stream(handshake: RivalHandshake, segment: Segment, sent: int) -> InnerStream:
    """The stream behind the peer's SYN ``segment``; of what was counted as sent ``sent`` octets are no text."""
    flow = handshake.flow
    found = find_on_syn(segment.tcp, segment.data_offset)
    assert found is not None
    end = found[2]

    def take(option: bytes) -> None:
        handshake.facts.peer_options += (option,)

    def broken() -> None:
        flow.drop(EdoDrop.MALFORMED_SPACE)
        flow.abort()

    skip = end - segment.data_offset
    text = len(segment.tcp) - end
    return InnerStream(flow.connection, skip, text, sent, take, broken, flow.update_overhead)


class InnerClient(Second):
    """The second connection's opener."""

    def __init__(self, flow: Flow, settings: SynSpace) -> None:
        super().__init__(flow, settings)
        self._head = b""
        self._stream: Stream | None = None

    @property
    def stream(self) -> Stream:
        return self._stream or self.flow.connection

    def opening(self, now: float) -> tuple[FastOpening | None, bytes]:
        self.flow.connection.now = now
        options = self.flow.connection.syn_options(False)
        laid = laid_syn(Part.BESIDE, self.settings.wants(options), self.space)
        self._head = head(laid)
        return FastOpening(None, octets=len(self._head)), self._head

    def dress(self, run: Run, now: float, out: list[bytes]) -> None:
        if run.flags & (SYN | ACK) == SYN:
            laid = _METHOD.lay_out(Part.BESIDE, Wanted(syn=self.settings.wants(run.options)), self.space)
            assert laid is not None
            self.send_laid(header(laid), run, out)
            self.never_again()
        else:
            self.dress_plain(run, out)

    def upgraded(self, segment: Segment) -> bool:
        reading = _METHOD.read(Part.SYN_ACK, segment.tcp, self.space)
        if not isinstance(reading, Reading) or not reading.marked:
            return False
        self.take_reading(segment, reading)
        # Its options and InSpace take sequence numbers.
        segment.header_end = segment.data_offset
        self.facts.method = _METHOD.name
        self.facts.peer_options = self.users(segment, reading.spans)
        return True

    def answered(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        self._stream = stream(self, segment, len(self._head))
        super().answered(segment, number, key, now)
        self.flow.connection.opening = None


class InnerServer(RivalHandshake):
    """The passive opener's side, of an ordinary SYN as well as of an upgraded one."""

    def __init__(self, flow: Flow, settings: SynSpace, segment: Segment) -> None:
        super().__init__(flow, settings)
        reading = _METHOD.read(Part.SYN, segment.tcp, self.space)
        self._marked = isinstance(reading, Reading) and reading.marked
        spans = reading.spans if isinstance(reading, Reading) else segment.spans
        self.facts.peer_options = self.users(segment, spans)
        self._laid: Laid | None = None
        self._stream: InnerStream | None = None
        if self._marked:
            self._laid = laid_syn(Part.SYN_ACK, self._wants(), self.space)
            octets = head(self._laid)
            # It is ours to be acknowledged as any text is.
            flow.connection.sending.append(octets)
            flow.connection.snd_nxt += len(octets)
            self._stream = stream(self, segment, 0)

    def _wants(self) -> tuple[Want, ...]:
        return self.settings.wants(self.flow.connection.syn_options(True))

    @property
    def stream(self) -> Stream:
        return self._stream or self.flow.connection

    def dress(self, run: Run, now: float, out: list[bytes]) -> None:
        if run.flags & SYN and self._laid is not None:
            octets = head(self._laid)
            run.payload = [memoryview(octets)]
            run.length = len(octets)
            laid = laid_syn(Part.SYN_ACK, self.settings.wants(run.options), self.space)
            self.send_laid(header(laid), run, out)
        else:
            self.dress_plain(run, out)

    def established(self, now: float) -> None:
        if self._marked:
            self.facts.method = _METHOD.name
        super().established(now)
