"""The keys of one connection (RFC 5925 §3.3, §5; profile.md §7, §9)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .auth import SegmentMac
from .cipher import CIPHERS, CIPHERS_BY_NAME, NO_CIPHER, CipherAlgorithm, PositionCipher
from .macs import MacAlgorithm, by_number
from .macs.base import Keyed
from .messages import Flag
from .mkt import Mkt
from .schedule import Schedule, encryption_key
from .suite import Suite
from .tally import Tally
from .traffic_keys import SocketPair, context

# A TCP-AO option fills the option space with this (RFC 5925 §2.2).
MOST_MAC_OCTETS: Final = 36


class Key:
    """One key of one connection, both directions.

    ``send_id`` is the KeyID sent, ``recv_id`` the KeyID accepted (0-255); ``mac_octets`` the MAC's length;
    ``sign`` and ``check`` make and verify MACs; ``encrypt`` and ``decrypt`` are None where the payload stays clear.
    ``tally`` counts what was verified; keys of one tuple on one connection share it. ``generation`` is that of a
    key that was agreed on, of which the KeyIDs have the last 8 bits.
    """

    __slots__ = (
        "check",
        "cover_options",
        "decrypt",
        "encrypt",
        "generation",
        "mac_octets",
        "recv_id",
        "send_id",
        "sign",
        "tally",
    )

    def __init__(
        self,
        send_id: int,
        recv_id: int,
        mac_octets: int,
        sign: SegmentMac,
        check: SegmentMac,
        encrypt: PositionCipher | None = None,
        decrypt: PositionCipher | None = None,
        cover_options: bool = True,
        tally: Tally | None = None,
    ) -> None:
        self.tally = tally or Tally()
        self.generation = 0
        self.send_id = send_id
        self.recv_id = recv_id
        self.mac_octets = mac_octets
        self.sign = sign
        self.check = check
        self.encrypt = encrypt
        self.decrypt = decrypt
        self.cover_options = cover_options

    def wipe(self) -> None:
        """Forget the secrets; any later use raises KeysWiped."""
        self.sign.wipe()
        self.check.wipe()
        for cipher in (self.encrypt, self.decrypt):
            if cipher is not None:
                cipher.wipe()

    def __repr__(self) -> str:
        return f"Key(send_id={self.send_id}, recv_id={self.recv_id})"


class KeyRing:
    """The keys of one connection: ``current`` signs what is sent, ``rnext`` is the one asked for (RFC 5925 §3.3).

    ``heard`` is the key of the last good segment, ``heard_rnext`` its RNextKeyID (-1: there was none). ``room`` is
    what a MAC may have in the connection's header, octets: a key with more verifies, and never signs.

    Raises ValueError where two keys have the same send_id or recv_id.
    """

    __slots__ = ("_keys", "current", "heard", "heard_rnext", "rnext", "room")

    def __init__(self, current: Key, *others: Key) -> None:
        self.current = current
        self.rnext = current
        self.heard: Key | None = None
        self.heard_rnext = -1
        self.room = MOST_MAC_OCTETS
        # One, nearly always, and seldom more than two: a tuple is the smallest that holds them.
        self._keys: tuple[Key, ...] = ()
        for key in (current, *others):
            self.add(key)

    @property
    def tallies(self) -> dict[int, Tally]:
        """What each key has verified, by its recv_id."""
        return {key.recv_id: key.tally for key in self._keys}

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys)

    def find(self, key_id: int) -> Key | None:
        """Return the key that verifies a segment with KeyID ``key_id`` (0-255)."""
        for key in self._keys:
            if key.recv_id == key_id:
                return key
        return None

    def _sends(self, send_id: int) -> Key | None:
        """The key that signs with KeyID ``send_id``."""
        for key in self._keys:
            if key.send_id == send_id:
                return key
        return None

    def add(self, key: Key) -> None:
        """Hold another key; it is used once the peer, or ``rnext``, asks for it. Raises ValueError."""
        if self.find(key.recv_id) is not None or self._sends(key.send_id) is not None:
            raise ValueError(f"{key!r}: an id is in use on this connection")
        self._keys += (key,)

    def remove(self, key_id: int) -> None:
        """Forget the key with recv_id ``key_id`` (0-255), its secrets too.

        Raises KeyError where there is none, ValueError while it signs or is asked for: RFC 5925 §3.1 lets no key
        vanish that is in use.
        """
        key = self._known(self.find(key_id), key_id)
        if key is self.current or key is self.rnext:
            raise ValueError(f"{key!r} {'signs' if key is self.current else 'is asked for'} on this connection")
        self._keys = tuple(other for other in self._keys if other is not key)
        key.wipe()

    @staticmethod
    def _known(key: Key | None, key_id: int) -> Key:
        if key is None:
            raise KeyError(key_id)
        return key

    def ask_for(self, key_id: int) -> None:
        """Ask the peer to sign under the key with recv_id ``key_id`` (RFC 5925 §7.5.1); raises KeyError."""
        self.rnext = self._known(self.find(key_id), key_id)

    def sign_under(self, send_id: int) -> None:
        """Sign under the key with ``send_id``, whatever the peer asks for until it asks again; raises KeyError.

        One whose MAC has no room changes nothing.
        """
        key = self._known(self._sends(send_id), send_id)
        if key.mac_octets <= self.room:
            self.current = key

    def learn(self, key: Key, rnext_key_id: int) -> None:
        """Follow the RNextKeyID of a segment whose MAC was good under ``key`` (RFC 5925 §7.5).

        An unknown one changes nothing, nor does one whose MAC has no room. Both are kept for whoever asks (RFC 5925
        §7.1).
        """
        self.heard = key
        self.heard_rnext = rnext_key_id
        if rnext_key_id != self.current.send_id and self._sends(rnext_key_id) is not None:
            self.sign_under(rnext_key_id)

    def limit(self, room: int) -> None:
        """No key whose MAC has more than ``room`` octets signs from now on; one that does gives way."""
        self.room = room
        if self.current.mac_octets > room:
            self.current = next((key for key in self if key.mac_octets <= room), self.current)

    def wipe(self) -> None:
        """Forget every secret: nothing verifies any more, and signing raises KeysWiped."""
        for key in self._keys:
            key.wipe()
        self._keys = ()


class _Direction:
    """One direction of a connection: ``pair`` as its sender sees it, the ISNs of sender and receiver."""

    __slots__ = ("_context", "_pair", "_zero_destination", "_zero_source")

    def __init__(
        self, pair: SocketPair, source_isn: int, destination_isn: int, zero_source: bool, zero_destination: bool
    ) -> None:
        self._pair = pair
        self._zero_source = zero_source
        self._zero_destination = zero_destination
        self._context = context(
            pair.local,
            pair.local_port,
            pair.remote,
            pair.remote_port,
            source_isn,
            destination_isn,
            zero_source=zero_source,
            zero_destination=zero_destination,
        )

    def mac(self, algorithm: MacAlgorithm, mac_octets: int, master: bytes, cover_options: bool) -> SegmentMac:
        """Return the MAC under the traffic key derived from ``master``."""
        return SegmentMac(
            Keyed(algorithm, algorithm.traffic_key(master, self._context), mac_octets),
            mac_octets,
            self._pair.local,
            self._pair.remote,
            cover_options=cover_options,
            zero_source=self._zero_source,
            zero_destination=self._zero_destination,
        )

    def cipher(self, algorithm: CipherAlgorithm, master: bytes) -> PositionCipher:
        """Return the cipher under the key that the E-KDF derives from ``master``."""
        key, salt = encryption_key(
            master, algorithm.number, self._context, algorithm.key_octets, algorithm.salt_octets
        )
        return algorithm.prepare(key, salt)


def syn_send(mkt: Mkt, pair: SocketPair, local_isn: int) -> SegmentMac:
    """Return the MAC under Send_SYN_traffic_key, for SYNs without ACK to be sent (RFC 5925 §5.2)."""
    direction = _Direction(pair, local_isn, 0, mkt.zero_local, mkt.zero_remote)
    return direction.mac(mkt.algorithm, mkt.option_mac_octets, mkt.secret, mkt.cover_options)


def syn_receive(mkt: Mkt, pair: SocketPair, remote_isn: int) -> SegmentMac:
    """Return the MAC under Receive_SYN_traffic_key, for received SYNs without ACK (RFC 5925 §5.2)."""
    direction = _Direction(pair.reverse, remote_isn, 0, mkt.zero_remote, mkt.zero_local)
    return direction.mac(mkt.algorithm, mkt.option_mac_octets, mkt.secret, mkt.cover_options)


def configured_key(mkt: Mkt, pair: SocketPair, local_isn: int, remote_isn: int, tally: Tally | None = None) -> Key:
    """Return the key of a configured tuple for everything but SYNs without ACK, SYN-ACKs included.

    ``local_isn`` and ``remote_isn`` are the 32-bit sequence numbers of the two SYNs; ``tally`` goes on counting.
    """
    there = _Direction(pair, local_isn, remote_isn, mkt.zero_local, mkt.zero_remote)
    here = _Direction(pair.reverse, remote_isn, local_isn, mkt.zero_remote, mkt.zero_local)
    cipher = None if mkt.encrypt is None else CIPHERS_BY_NAME[mkt.encrypt]
    master = mkt.algorithm.condensed(mkt.secret)
    return Key(
        mkt.send_id,
        mkt.recv_id,
        mkt.option_mac_octets,
        there.mac(mkt.algorithm, mkt.option_mac_octets, master, mkt.cover_options),
        here.mac(mkt.algorithm, mkt.option_mac_octets, master, mkt.cover_options),
        None if cipher is None else there.cipher(cipher, mkt.secret),
        None if cipher is None else here.cipher(cipher, mkt.secret),
        mkt.cover_options,
        tally,
    )


def agreed_key(
    schedule: Schedule,
    suite: Suite,
    flags: int,
    pair: SocketPair,
    local_isn: int,
    remote_isn: int,
    generation: int = 0,
) -> Key:
    """Return the key of an agreement (profile.md §7).

    ``flags`` are those that both sides permit: 0x01 counts addresses and ports as zero (section 9), 0x02 leaves
    options outside the MAC. ``generation`` (0-255) is the KeyID of both directions. Raises ValueError for a suite
    that is not available.
    """
    mac = by_number(suite.mac)
    cipher = CIPHERS.get(suite.cipher)
    if mac is None or (cipher is None and suite.cipher != NO_CIPHER):
        raise ValueError(f"suite {suite.mac} {suite.cipher} is not available")
    zero = bool(flags & Flag.NAT)
    cover_options = not flags & Flag.OPTIONS_OUTSIDE
    there = _Direction(pair, local_isn, remote_isn, zero, zero)
    here = _Direction(pair.reverse, remote_isn, local_isn, zero, zero)
    master = mac.condensed(schedule.ao)
    return Key(
        generation,
        generation,
        mac.mac_octets,
        there.mac(mac, mac.mac_octets, master, cover_options),
        here.mac(mac, mac.mac_octets, master, cover_options),
        None if cipher is None else there.cipher(cipher, schedule.enc),
        None if cipher is None else here.cipher(cipher, schedule.enc),
        cover_options,
    )
