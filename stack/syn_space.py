"""What an application asks of option space in the handshake: a method, and options of its own (``edo.rivals``)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edo.codepoints import MSS as MSS_KIND
from edo.codepoints import SACK_PERMITTED as SACK_PERMITTED_KIND
from edo.codepoints import TIMESTAMPS, WSCALE
from edo.options import Options
from edo.rivals.base import Want

METHODS: Final = ("four-way", "aggregated", "seg-u", "sister-syn", "inner-space")
"""Methods that connections can use."""

_BY_EDO: Final = frozenset({"four-way"})


@dataclass(frozen=True, slots=True)
class SynSpace:
    """The ``method`` by which a connection finds room for SYN options, and the application's whole ``options``.

    Both ends have to ask for the same method; to any other peer a connection is an ordinary one. A client's options
    go with its SYN, a listener's with each SYN-ACK that answers such a SYN; what a plain header has no room for
    goes where the method finds some. ``first``: they come before TCP's own options but MSS, which then may have to
    go there. Raises ValueError for a method that there is not, or octets that are no option.
    """

    method: str
    options: tuple[bytes, ...] = ()
    first: bool = False

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method: {self.method!r} is not one of {', '.join(METHODS)}")
        for octets in self.options:
            Want("syn_option", octets)

    @property
    def needs_edo(self) -> bool:
        """Whether the method builds on EDO."""
        return self.method in _BY_EDO

    def wants(self, own: Options) -> tuple[Want, ...]:
        """TCP's own options of a SYN or SYN-ACK and the application's, in order of importance."""
        tcp: list[Want] = []
        if own.wscale is not None:
            tcp.append(Want("wscale", bytes((WSCALE, 3, own.wscale)), directional=True))
        if own.sack_permitted:
            tcp.append(Want("sack-permitted", bytes((SACK_PERMITTED_KIND, 2)), directional=True))
        if own.ts_val is not None:
            values = own.ts_val.to_bytes(4) + own.ts_ecr.to_bytes(4)
            tcp.append(Want("timestamps", bytes((TIMESTAMPS, 10)) + values, directional=True))
        users = [Want(f"option {octets[0]}", octets) for octets in self.options]
        mss = [] if own.mss is None else [Want("mss", bytes((MSS_KIND, 4)) + own.mss.to_bytes(2))]
        return (*mss, *users, *tcp) if self.first else (*mss, *tcp, *users)
