"""From the messages of an agreement and its secret to master keys, and on to cipher keys (profile.md §7)."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from .kdf import hkdf_expand, hkdf_extract
from .messages import MessageKind

_LABEL = b"TCP-AO-ENC BTNS 1"
_REKEY_LABEL = b"TCP-AO-ENC rekey 1"
_ENCRYPTION_LABEL = b"TCP-AO-ENC"
_NO_SALT = bytes(32)

# B's TEP octet in TCP-ENO: the first octet of session identifiers (RFC 8547 §5.1).
TEP_OCTET = 0xA0


def transcript(entries: Iterable[tuple[int, bytes]], label: bytes = _LABEL) -> bytes:
    """Return T: the label, then each entry's code (0-255), length and octets."""
    parts = [label]
    for code, octets in entries:
        parts += (bytes((code,)), len(octets).to_bytes(2, "big"), octets)
    return b"".join(parts)


class Schedule:
    """The keys of one agreement, 32 octets each: ``ao`` is the master key of the MAC, ``enc`` that of the cipher,
    ``chain`` what the next generation is made from, ``prk`` what all come from.

    ``session`` (33 octets) is public, the same on both sides, and may be signed by applications.
    """

    __slots__ = ("ao", "chain", "enc", "prk", "session")

    def __init__(self, prk: bytes, first_octet: int = TEP_OCTET) -> None:
        self.prk = prk
        self.ao = hkdf_expand(prk, b"edotun ao", 32)
        self.enc = hkdf_expand(prk, b"edotun enc", 32)
        self.chain = hkdf_expand(prk, b"edotun chain", 32)
        self.session = bytes((first_octet,)) + hkdf_expand(prk, b"edotun session", 32)

    @classmethod
    def from_messages(
        cls, entries: Iterable[tuple[int, bytes]], secret: bytes, first_octet: int = TEP_OCTET
    ) -> Schedule:
        """Return the schedule of messages ``entries``, (kind, octets) in order, and the group's ``secret``."""
        return cls(hkdf_extract(sha256(transcript(entries)).digest(), secret), first_octet)

    @classmethod
    def rekeyed(cls, session: bytes, chain: bytes, rekey: bytes, answer: bytes, secret: bytes) -> Schedule:
        """Return the schedule of the next generation: ``chain`` is the present one's, the session stays as it is.

        ``rekey`` and ``answer`` are the two messages, ``secret`` that of their shares.
        """
        entries = ((MessageKind.REKEY, rekey), (MessageKind.REKEY_ANSWER, answer))
        octets = transcript(entries, _REKEY_LABEL + session)
        schedule = cls(hkdf_extract(sha256(octets).digest(), chain + secret), session[0])
        schedule.session = session
        return schedule

    def wipe(self) -> None:
        """Forget the secrets; the session identifier, which is public, stays."""
        self.prk = self.ao = self.enc = self.chain = b""

    def __repr__(self) -> str:
        return f"Schedule(session={self.session.hex()})"


def encryption_key(
    master: bytes, cipher_id: int, context: bytes, key_octets: int, salt_octets: int
) -> tuple[bytes, bytes]:
    """Return key and salt of one direction: the E-KDF (profile.md §7; draft-touch-tcp-ao-encrypt §3).

    ``context`` is that of the traffic key (RFC 5925 §5.2); the label keeps the two apart under one master key.
    """
    info = _ENCRYPTION_LABEL + bytes((cipher_id,)) + context
    octets = hkdf_expand(hkdf_extract(_NO_SALT, master), info, key_octets + salt_octets)
    return octets[:key_octets], octets[key_octets:]
