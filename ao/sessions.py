"""Sessions that later connections of the same hosts may resume (profile.md §7, Resumption)."""

from __future__ import annotations

from dataclasses import dataclass, field

from .kdf import hkdf_expand

TICKET_OCTETS = 16


@dataclass(frozen=True, slots=True)
class Session:
    """What both sides keep of a connection: its ``ticket`` (16 octets, shown in clear when it is offered), the
    ``resume`` secret (32), and the code of its ``group``.
    """

    ticket: bytes
    resume: bytes = field(repr=False)
    group: int

    @classmethod
    def of(cls, chain: bytes, group: int) -> Session:
        """The session of a connection whose first chain is ``chain``; of that chain it tells nothing."""
        resume = hkdf_expand(chain, b"edotun resume", 32)
        return cls(hkdf_expand(resume, b"edotun ticket", TICKET_OCTETS), resume, group)
