"""The context of traffic keys (RFC 5925 §5.2, RFC 5926 §3.1)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SocketPair:
    """Both ends of a connection as the local host sees them (RFC 9293 §3.3.1).

    Addresses are 4 or 16 octets each, of one family; ports 0-65535. Raises ValueError for anything else.
    """

    local: bytes
    local_port: int
    remote: bytes
    remote_port: int

    def __post_init__(self) -> None:
        if len(self.local) != len(self.remote) or len(self.local) not in (4, 16):
            raise ValueError(f"addresses of {len(self.local)} and {len(self.remote)} octets make no socket pair")
        if not (0 <= self.local_port <= 0xFFFF and 0 <= self.remote_port <= 0xFFFF):
            raise ValueError(f"ports {self.local_port} and {self.remote_port}: not both in 0-65535")

    @property
    def reverse(self) -> SocketPair:
        """The same connection as the other host sees it."""
        return SocketPair(self.remote, self.remote_port, self.local, self.local_port)


def context(
    source: bytes,
    source_port: int,
    destination: bytes,
    destination_port: int,
    source_isn: int,
    destination_isn: int,
    *,
    zero_source: bool = False,
    zero_destination: bool = False,
) -> bytes:
    """Return the KDF context of one direction: 20 octets for IPv4, 44 for IPv6 (RFC 5925 §5.2).

    Source is who sends under the key. ISNs are 32 bits; ``destination_isn`` is 0 for the keys of a SYN without
    ACK. ``zero_source`` and ``zero_destination`` count address and port as zero (RFC 6978 §3).
    """
    if zero_source:
        source, source_port = bytes(len(source)), 0
    if zero_destination:
        destination, destination_port = bytes(len(destination)), 0
    return b"".join(
        (
            source,
            destination,
            source_port.to_bytes(2, "big"),
            destination_port.to_bytes(2, "big"),
            source_isn.to_bytes(4, "big"),
            destination_isn.to_bytes(4, "big"),
        )
    )
