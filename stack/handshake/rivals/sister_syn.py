"""Sister SYNs of a connection (draft-briscoe-tcpm-syn-op-sis-02; ``edo.rivals.sister_syn`` has the octets)."""

from __future__ import annotations

from typing import Final

from edo.reasons import EdoDrop
from edo.rivals.base import Part, Wanted
from edo.rivals.numbers import SYN_OP_SIS
from edo.rivals.sister_syn import SisterSyn, laid_syn_ack

from ...flow import Flow
from ...run import ACK, SYN, Run
from ...segment import Segment
from ...syn_space import SynSpace
from .base import RivalHandshake
from .dual import Ordinary, Second

_METHOD: Final = SisterSyn()


def ordinary(flow: Flow, settings: SynSpace) -> Ordinary:
    """The first of the two connections."""
    return Ordinary(flow, settings, _METHOD)


class SisterClient(Second):
    """The second: all options in its SYN, behind the text there would be."""

    def _structural(self) -> tuple[int, ...]:
        return (*super()._structural(), SYN_OP_SIS >> 16)

    def dress(self, run: Run, now: float, out: list[bytes]) -> None:
        if run.flags & (SYN | ACK) == SYN:
            laid = _METHOD.lay_out(Part.BESIDE, Wanted(syn=self.settings.wants(run.options)), self.space)
            assert laid is not None
            self.beyond = sum(len(piece.octets) for piece in laid.after)
            self.send_laid(laid, run, out)
            self.never_again()
        else:
            self.dress_plain(run, out)

    def upgraded(self, segment: Segment) -> bool:
        reading = _METHOD.read(Part.SYN_ACK, segment.tcp, self.space)
        if isinstance(reading, EdoDrop) or not reading.marked:
            return False
        self.take_reading(segment, reading)
        self.facts.method = _METHOD.name
        self.facts.peer_options = self.users(segment, reading.spans)
        return True


class SisterServer(RivalHandshake):
    """The passive opener's side, of an ordinary SYN as well as of a sister."""

    def __init__(self, flow: Flow, settings: SynSpace, segment: Segment) -> None:
        super().__init__(flow, settings)
        reading = _METHOD.read(Part.SYN, segment.tcp, self.space)
        self._marked = not isinstance(reading, EdoDrop) and reading.marked
        spans = segment.spans if isinstance(reading, EdoDrop) else reading.spans
        self.facts.peer_options = self.users(segment, spans)

    def _structural(self) -> tuple[int, ...]:
        return (*super()._structural(), SYN_OP_SIS >> 16)

    def dress(self, run: Run, now: float, out: list[bytes]) -> None:
        if run.flags & SYN and self._marked:
            self.send_laid(laid_syn_ack(self.settings.wants(run.options), self.space), run, out)
        else:
            self.dress_plain(run, out)

    def established(self, now: float) -> None:
        if self._marked:
            self.facts.method = _METHOD.name
        super().established(now)
