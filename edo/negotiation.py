"""EDO of one connection: offered, in use, confirmed or off (draft-ietf-tcpm-tcp-edo §5, §6)."""

from __future__ import annotations

from enum import Enum

from edo.codepoints import DEFAULT, Dialect, FormChoice
from edo.extended import header_end
from edo.options import Span
from edo.plan import Form
from edo.reasons import EdoDrop

SYN = 0x02
RST = 0x04


class EdoPolicy(Enum):
    """OFF: never. STRICT: the draft. LENIENT: a prototype's ways, in which a segment may lack the Extension."""

    OFF = "off"
    STRICT = "strict"
    LENIENT = "lenient"


class EdoState(Enum):
    """OFF; OFFERED in our SYN; UNCONFIRMED: agreed, no Extension of the peer seen yet; CONFIRMED: seen."""

    OFF = "off"
    OFFERED = "offered"
    UNCONFIRMED = "unconfirmed"
    CONFIRMED = "confirmed"


class Edo:
    """What one end of a connection knows of EDO, and what follows from it for segments in and out.

    A strict end that waits for the peer's first Extension takes a segment without one as the peer's word that EDO
    is off, for good: were it dropped instead, an end whose Extension got lost and one that insists on it would
    never understand each other again. After the first Extension a segment without one is dropped, save RST.
    A lenient end takes segments without an Extension at any time and goes on sending its own. ``extended``: the
    segment that ``boundary`` judged last has an Extension that holds.
    """

    __slots__ = ("_active", "_dialect", "_given_up", "_policy", "extended", "state")

    def __init__(self, policy: EdoPolicy, *, active: bool, dialect: Dialect = DEFAULT) -> None:
        self._policy = policy
        self._active = active
        self._dialect = dialect
        self._given_up = policy is EdoPolicy.OFF
        self.state = EdoState.OFF
        self.extended = False

    @property
    def dialect(self) -> Dialect:
        """How EDO is written on this connection."""
        return self._dialect

    @property
    def on(self) -> bool:
        """Whether both ends agreed on EDO: every segment but SYN and RST is to carry an Extension."""
        return self.state is EdoState.UNCONFIRMED or self.state is EdoState.CONFIRMED

    @property
    def possible(self) -> bool:
        """Whether this side still lets EDO come to be."""
        return not self._given_up

    def offer(self) -> bool:
        """Whether the active opener's SYN, each time it is sent, carries EDO Supported."""
        if self._given_up:
            return False
        if self.state is EdoState.OFF:
            self.state = EdoState.OFFERED
        return True

    def take_syn(self, supported: bool) -> bool:
        """Take the peer's SYN; whether the SYN-ACK to it carries EDO Supported.

        ``supported``: the SYN had it. A repeated SYN is judged anew until the peer's first Extension. For an active
        opener this is a crossed SYN, and one without EDO Supported ends its offer.
        """
        if self._given_up:
            return False
        if self._active and not supported:
            self.turn_off()
        elif self.state is not EdoState.CONFIRMED:
            self.state = EdoState.UNCONFIRMED if supported else EdoState.OFF
        return supported

    def take_syn_ack(self, supported: bool) -> None:
        """Take the SYN-ACK: without EDO Supported there is no EDO on this connection.

        A repetition changes nothing once the peer's first Extension has come. Where a SYN-ACK confirms SYN-EOS
        ``enable`` is called instead.
        """
        if self.state is EdoState.CONFIRMED or self._given_up:
            return
        if not supported:
            self.turn_off()
        elif self.state is EdoState.OFFERED:
            self.state = EdoState.UNCONFIRMED

    def enable(self, *, seen: bool = False) -> None:
        """SYN-EOS succeeded, and that enables EDO; ``seen``: the peer's Extension stood in its SYN-ACK.

        draft-touch-tcpm-tcp-syn-ext-opt §6. Does nothing under policy OFF or after ``turn_off``.
        """
        if self._given_up:
            return
        if seen:
            self.state = EdoState.CONFIRMED
        elif self.state is not EdoState.CONFIRMED:
            self.state = EdoState.UNCONFIRMED

    def turn_off(self) -> None:
        """No EDO on this connection from here on, whatever comes."""
        self._given_up = True
        self.state = EdoState.OFF

    def boundary(self, tcp: memoryview, data_offset: int, spans: list[Span], flags: int) -> int | EdoDrop:
        """Octets from the start of the TCP header to its true end, or why the segment is dropped.

        ``tcp`` is exactly the segment, its checksum and MAC found good; ``spans`` is what ``walk`` found inside
        Data Offset (20-60 octets); ``flags`` the TCP flags. Changes no state but ``extended``. What lies between
        Data Offset and the result is walked only after this; an overrun there is EdoDrop.MALFORMED_OPTION too.
        """
        self.extended = False
        if flags & SYN or not self.on:
            return data_offset
        end = header_end(tcp, spans, data_offset, self._dialect, lenient=self._policy is EdoPolicy.LENIENT)
        if end is not None:
            self.extended = end.__class__ is int
            return end
        if self.state is EdoState.CONFIRMED and self._policy is EdoPolicy.STRICT and not flags & RST:
            return EdoDrop.EDO_MISSING
        return data_offset

    def accepted(self, has_extension: bool) -> None:
        """Take note that a segment without SYN and RST was found acceptable, with or without an Extension."""
        if self.state is not EdoState.UNCONFIRMED:
            return
        if has_extension:
            self.state = EdoState.CONFIRMED
        elif self._policy is EdoPolicy.STRICT:
            self.turn_off()

    def form(self, authenticated: bool) -> Form | None:
        """The Extension's form in the next segment without SYN; None where it carries none.

        Under a MAC (``authenticated``) the short form is enough; without, the long one shows that a box has split
        or merged segments.
        """
        if not self.on:
            return None
        choice = self._dialect.form
        if choice is FormChoice.AUTO:
            return Form.SHORT if authenticated else Form.LONG
        return Form.SHORT if choice is FormChoice.SHORT else Form.LONG

    def may_extend(self, authenticated: bool) -> bool:
        """Whether options may stand behind Data Offset.

        Without a MAC the active opener puts none there before it saw an Extension of the peer: a box that removes
        the Extension would turn them into data.
        """
        return self.state is EdoState.CONFIRMED or (self.on and (authenticated or not self._active))

    def rst_extension(self, answered_had_extension: bool) -> bool:
        """Whether a RST carries an Extension: EDO is on and the segment that it answers had one."""
        return self.on and answered_had_extension
