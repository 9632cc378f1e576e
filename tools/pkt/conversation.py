"""Conversations: how a script's stream numbers, acknowledgments and timestamps stand to those on the wire.

In SYNs the numbers are what the script makes them: those of the peer, which it plays, are the same on the wire,
those of the stack are moved by the difference of both initial numbers. In all other segments they count from the
initial number of each side, whatever it was, once a connection has begun with it.
"""

from __future__ import annotations

from dataclasses import replace

from .segments import Ends, Segment
from .syntax import Opt, TcpSpec

_MASK = 0xFFFFFFFF
_ACK = 0x10
_SYN = 0x02


class Conversation:
    """What is known of one pair of sockets; ``ends`` as in an inbound packet.

    ``origin`` is added to the script's numbers of the stack's stream to get those on the wire: its initial number.
    """

    def __init__(self, ends: Ends) -> None:
        self.ends = ends
        self.origin = 0
        self._shift = 0
        self._begun = False
        self._offered = 0
        self._irs: int | None = None
        self._clock: tuple[int, int] | None = None
        self._echoes: dict[int, int] = {}

    def inbound(self, spec: TcpSpec, tos: int, ttl: int, flow_label: int) -> Segment:
        """The segment on the wire for one that the script sends to the stack."""
        seq = spec.seq or 0
        if not spec.flags & _SYN:
            seq = (seq + (self._irs or 0)) & _MASK
        elif self._irs is None:
            self._offered = seq
            if self._begun:
                self._irs = seq
        return Segment(
            self.ends,
            seq,
            self._acknowledged(spec),
            spec.flags,
            spec.window or 0,
            spec.urgent or 0,
            tuple(map(self._inbound_option, spec.options or ())),
            len(spec.options or ()),
            spec.length,
            tos,
            ttl,
            flow_label,
        )

    def _acknowledged(self, spec: TcpSpec) -> int:
        if spec.ack is None or not spec.flags & _ACK:
            return spec.ack or 0
        return (spec.ack + (self._shift if spec.flags & _SYN else self.origin)) & _MASK

    def _inbound_option(self, option: Opt) -> Opt:
        if option.word == "TS" and not option.plain_echo:
            value, echo = option.numbers
            return replace(option, numbers=(value, self._echo(echo)))
        if option.word == "sack":
            return replace(option, numbers=tuple((edge + self.origin) & _MASK for edge in option.numbers))
        return option

    def _echo(self, script: int) -> int:
        """The stack's timestamp that the script means: one that it named before, or one as far from the first."""
        if script in self._echoes:
            return self._echoes[script]
        if self._clock is None or not script:
            return script
        first_script, first_live = self._clock
        return (first_live + script - first_script) & _MASK

    def learn(self, spec: TcpSpec, sent: Segment) -> None:
        """Take the numbers of a segment that the stack sent where the script expects ``spec``."""
        if sent.flags & _SYN and spec.flags & _SYN:
            self.origin = sent.seq
            self._shift = (sent.seq - (spec.seq or 0)) & _MASK
            self._begun = True
            if not sent.flags & _ACK:
                self._irs = None
            elif self._irs is None:
                self._irs = self._offered
        said = _timestamp(spec.options or ())
        live = _timestamp(sent.options)
        if said is not None and live is not None:
            self._clock = self._clock or (said.numbers[0], live.numbers[0])
            self._echoes[said.numbers[0]] = live.numbers[0]

    def outbound(self, sent: Segment, *, plain_seq: bool = False) -> Segment:
        """A segment that the stack sent, in the script's numbers but for SEQ if that is ``plain_seq``."""
        options = sent.options
        if self._clock is not None:
            first_script, first_live = self._clock
            options = tuple(
                replace(
                    option, numbers=((option.numbers[0] - first_live + first_script) & _MASK, option.numbers[1])
                )
                if option.word == "TS"
                else option
                for option in options
            )
        if self._irs and not sent.flags & _SYN:
            options = tuple(map(self._outbound_sack, options))
            if sent.flags & _ACK:
                sent = replace(sent, ack=(sent.ack - self._irs) & _MASK)
        shift = 0 if plain_seq else self._shift if sent.flags & _SYN else self.origin
        return replace(sent, seq=(sent.seq - shift) & _MASK, options=options)

    def _outbound_sack(self, option: Opt) -> Opt:
        if option.word != "sack":
            return option
        return replace(option, numbers=tuple((edge - (self._irs or 0)) & _MASK for edge in option.numbers))


def _timestamp(options: tuple[Opt, ...]) -> Opt | None:
    return next((option for option in options if option.word == "TS" and not option.any_value), None)
