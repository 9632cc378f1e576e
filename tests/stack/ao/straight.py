"""TCP-AO in a straight line, from the text of RFC 5925 and 5926 alone: a second opinion on every MAC."""

from __future__ import annotations

import hashlib
import hmac
import struct

FIN, SYN, RST, ACK = 1, 2, 4, 16


class Recomputed:
    """Looks at every packet of two hosts in the order of sending, and says what is wrong with its MAC.

    ``secrets`` by (from the client?, KeyID); HMAC-SHA-1-96, options covered; IPv4. ISNs are learnt from SYNs, the
    SNE from the nearest number that was sent (RFC 5925 §6.2).
    """

    def __init__(self, secrets: dict[tuple[bool, int], bytes]) -> None:
        self.secrets = secrets
        self.seen = 0
        self.kinds: set[str] = set()
        self._isn: dict[tuple[bool, bytes], int] = {}
        self._last: dict[tuple[bool, bytes], int] = {}

    def fault(self, packet: bytes, from_client: bool) -> str | None:
        """None where the MAC is good."""
        tcp = packet[20:]
        header = (tcp[12] >> 4) * 4
        flags, seq = tcp[13], int.from_bytes(tcp[4:8], "big")
        at = 20
        while at < header and tcp[at] != 29:
            at += 1 if tcp[at] == 1 else tcp[at + 1]
        if at >= header:
            return "no TCP-AO"
        if tcp[at + 1] != 16:
            return f"an option of {tcp[at + 1]} octets"
        secret = self.secrets.get((from_client, tcp[at + 2]))
        if secret is None:
            return f"KeyID {tcp[at + 2]}"
        ports = tcp[0:4] if from_client else tcp[2:4] + tcp[0:2]
        here, there = (from_client, ports), (not from_client, ports)
        if flags & SYN:
            if self._isn.get(here) != seq:
                self._last[here] = seq
            self._isn[here] = seq
        sender = self._isn[here]
        receiver = 0 if flags & (SYN | ACK) == SYN else self._isn[there]
        context = packet[12:20] + tcp[0:4] + struct.pack("!II", sender, receiver)
        label = b"\x01" + b"TCP-AO" + context + struct.pack("!H", 160)
        traffic_key = hmac.new(secret, label, hashlib.sha1).digest()
        reference = self._last[here]
        number = reference + ((seq - reference + (1 << 31)) % (1 << 32)) - (1 << 31)
        self._last[here] = max(reference, number)
        zeroed = bytearray(tcp)
        zeroed[16:18] = bytes(2)
        zeroed[at + 4 : at + 16] = bytes(12)
        pseudo = packet[12:20] + struct.pack("!BBH", 0, 6, len(tcp))
        message = struct.pack("!I", number >> 32) + pseudo + bytes(zeroed)
        expected = hmac.new(traffic_key, message, hashlib.sha1).digest()[:12]
        self.seen += 1
        self._note(flags, len(tcp) - header)
        return None if expected == tcp[at + 4 : at + 16] else "a bad MAC"

    def _note(self, flags: int, payload: int) -> None:
        names = [name for name, bit in (("SYN", SYN), ("FIN", FIN), ("RST", RST)) if flags & bit]
        self.kinds.update(names or ["text" if payload else "ACK"])
