"""A session that is upgraded to SEG-U, if both ends ask for it (``edo.rivals.seg_u`` has the octets).

The client whose options do not fit sends its first SYN in the longer form, and any further one in the old form,
since an old stack drops Data Offset 0 without an answer. The server answers each SYN in the SYN's form; the form of
the client's first acknowledgment decides for the session. Either form can be read at any time. All of this was
assumed.
"""

from __future__ import annotations

from typing import Final

from ao.keys import Key
from edo.rivals.base import Part
from edo.rivals.seg_u import SegU, laid_upgraded

from ...flow import Flow
from ...run import ACK, RST, SYN, Run
from ...segment import Segment
from ...seqnum import extend
from ...states import State
from ...syn_space import SynSpace
from ...upgraded import is_upgraded
from .base import RivalHandshake

_METHOD: Final = SegU()
_INSIDE: Final = 40


class SegUClient(RivalHandshake):
    """The active opener's side."""

    def __init__(self, flow: Flow, settings: SynSpace) -> None:
        super().__init__(flow, settings)
        self._asked = False

    def dress(self, run: Run, now: float, out: list[bytes]) -> None:
        if run.flags & (SYN | ACK) == SYN and not run.transmission:
            wants = self.settings.wants(run.options)
            if sum(len(want.octets) for want in wants) > _INSIDE:
                self._asked = True
                self.flow.upgraded = False
                self.send_laid(laid_upgraded(Part.SYN, wants, self.space), run, out)
                return
        self.dress_plain(run, out)

    def take(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        connection = self.flow.connection
        answer = segment.flags & (SYN | ACK | RST) == SYN | ACK and connection.state is State.SYN_SENT
        if self._asked and answer and extend(segment.ack, connection.snd_nxt) == connection.iss + 1:
            self.flow.upgraded = is_upgraded(segment)
            if self.flow.upgraded:
                self.facts.method = _METHOD.name
                self.facts.peer_options = self.users(segment, segment.spans)
            else:
                self.facts.fallback = "no answer to a SYN with Data Offset 0"
        self.take_plain(segment, number, key, now)


class SegUServer(RivalHandshake):
    """The passive opener's side."""

    def __init__(self, flow: Flow, settings: SynSpace, segment: Segment) -> None:
        super().__init__(flow, settings)
        flow.upgraded = False
        self._form = is_upgraded(segment)
        self._heard = self.users(segment, segment.spans)

    def dress(self, run: Run, now: float, out: list[bytes]) -> None:
        if run.flags & SYN and self._form:
            wants = self.settings.wants(run.options)
            self.send_laid(laid_upgraded(Part.SYN_ACK, wants, self.space), run, out)
        else:
            self.dress_plain(run, out)

    def take(self, segment: Segment, number: int, key: Key | None, now: float) -> None:
        connection = self.flow.connection
        if connection.state is State.SYN_RECEIVED:
            kind = segment.flags & (SYN | ACK | RST)
            if kind == SYN and number == connection.irs:
                self._form = is_upgraded(segment)
                self._heard = self.users(segment, segment.spans) or self._heard
            elif kind == ACK and self.acceptable(segment, number):
                self.flow.upgraded = is_upgraded(segment)
                if self.flow.upgraded:
                    self.facts.method = _METHOD.name
                    self.facts.peer_options = self._heard
        self.take_plain(segment, number, key, now)
