"""SYN-EOS as a connection or a listener is asked to use it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edo.codepoints import CodePoints
from edo.syneos import MOST_JOINED

_OWN_KINDS: Final = (0, 1, 2, 3, 4, 5, 8)
# The SYN's own share of the joined list.
_SYN_OCTETS: Final = 40
_MOST_DELAY: Final = 0.2


@dataclass(frozen=True, slots=True)
class SynEos:
    """SYN-EOS (draft-touch-tcpm-tcp-syn-ext-opt), which a connection uses only where its SYN's options need it.

    ``options`` are whole options, Kind and Length first, of experiments: an active opener has them go with the SYN,
    and where one does not fit, all go into the out-of-band segment; a listener has them go with each SYN-ACK that
    confirms, if that is not many times what came (profile.md §5). ``delay`` is how long that segment waits behind
    the SYN, seconds (0-0.2). ``early``: a listener keeps an out-of-band segment that comes before its SYN for a
    second; the document warns of it, since old firewalls let such segments in, and has public servers in mind.
    Raises ValueError, one line that names the fault.
    """

    options: tuple[bytes, ...] = ()
    delay: float = 0.0
    early: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.delay <= _MOST_DELAY:
            raise ValueError(f"syn_eos: delay must be 0 to {_MOST_DELAY} seconds, not {self.delay}")
        for option in self.options:
            if not 2 <= len(option) <= 255 or option[1] != len(option):
                raise ValueError("syn_eos: an option is not whole: Kind, Length of the whole, and no more")
        octets = sum(map(len, self.options))
        if octets > MOST_JOINED - _SYN_OCTETS:
            raise ValueError(f"syn_eos: options have {octets} octets, {MOST_JOINED - _SYN_OCTETS} are the most")

    def check(self, points: CodePoints) -> None:
        """Raise ValueError where an option is one of the stack's own, or there twice: the peer would refuse it."""
        seen = {(kind, -1) for kind in _OWN_KINDS}
        seen |= {(kind, -1) for kind in (points.ao, points.md5, points.eno, points.fast_open, points.user_timeout)}
        seen |= {(kind, -1) for kind in (points.native_supported, points.native_extension)}
        exids = (points.edo_exid, points.syn_eos_exid, points.ke_exid, points.fast_open_exid)
        seen |= {(kind, exid) for kind in (253, 254) for exid in exids}
        for option in self.options:
            experimental = option[0] in (253, 254) and len(option) >= 4
            number = (option[0], int.from_bytes(option[2:4]) if experimental else -1)
            if number in seen:
                raise ValueError(f"syn_eos: option kind {number[0]} is the stack's own, or there twice")
            seen.add(number)
