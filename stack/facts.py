"""What held at the end of a handshake, as an application is told it."""

from __future__ import annotations


class Facts:
    """What held at the end of a handshake: the names of the line of a finished connection.

    ``method`` is that of ``edo.rivals`` that was used, ``peer_options`` the options that came with the peer's SYN
    by it, or beside it, and are not TCP's own. ``eno`` are the TCP-ENO options of host A and of host B by which
    keys were agreed on, and ``is_a`` says which one this is (RFC 8547 §4.3); None where ENO agreed on nothing.
    ``syn_eos`` is None where the SYN did not need it, else "confirmed" or "not confirmed".
    """

    __slots__ = (
        "authenticated",
        "cipher",
        "eno",
        "fallback",
        "generation",
        "group",
        "is_a",
        "mac",
        "method",
        "mode",
        "path",
        "peer_aware",
        "peer_options",
        "placement",
        "requested",
        "resumed",
        "session_id",
        "syn_eos",
    )

    def __init__(self, requested: str) -> None:
        self.requested = requested
        self.mode = "none"
        self.fallback: str | None = None
        self.placement: str | None = None
        self.group: str | None = None
        self.mac: str | None = None
        self.cipher: str | None = None
        # How many times the keys were made anew; None where they were not agreed on.
        self.generation: int | None = None
        # Whether the keys come from an earlier connection's; None where they were not agreed on.
        self.resumed: bool | None = None
        self.session_id: str | None = None
        self.syn_eos: str | None = None
        # What a path did to our SYN or SYN-ACK, by the peer's report; None where there was none.
        self.path: list[dict[str, str]] | None = None
        self.authenticated = False
        # Whether the peer's application knows of TCP-ENO (RFC 8547 §4.2); None where no TEP was agreed on.
        self.peer_aware: bool | None = None
        self.eno: tuple[bytes, bytes] | None = None
        self.is_a = False
        self.method: str | None = None
        self.peer_options: tuple[bytes, ...] = ()
