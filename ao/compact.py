"""The draft's own agreement: one x25519 share each way, in the MAC field of the SYN's TCP-AO option.

draft-touch-tcp-ao-encrypt §3.2 (ENC-BTNS), with the share and the key schedule of profile.md §5 and §7. Suite and
flags are configured alike on both sides; nothing is negotiated.
"""

from __future__ import annotations

from typing import Final

from .groups import GROUPS, PrivateShare
from .messages import Flag
from .octets import Random
from .outcome import NotAgreed
from .schedule import Schedule
from .suite import Suite

KIND: Final = 29
OCTETS: Final = 36
"""The whole option: kind, length, two KeyIDs of 0, 32 octets of share."""

_HEAD: Final = bytes((KIND, OCTETS, 0, 0))
_GROUP: Final = 29
_OF_A: Final = 0xF3
_OF_B: Final = 0xF4
# Not a TEP of TCP-ENO: no session of RFC 8547's.
_FIRST_OCTET: Final = 0


def option(share: bytes) -> bytes:
    """The option that carries ``share``, 32 octets."""
    return _HEAD + share


def is_offer(octets: bytes) -> bool:
    """Whether a TCP-AO option of a SYN or SYN-ACK is one of these."""
    return len(octets) == OCTETS and octets[:4] == _HEAD


class CompactAgreement:
    """One side's part: ``option`` goes into its SYN or SYN-ACK, ``take`` takes the peer's.

    ``suite`` and ``flags`` (0x01 and 0x02 count) are what both sides are configured with. ``random`` is called
    once, for 32 octets.
    """

    __slots__ = ("_is_a", "_own", "_peer", "_schedule", "flags", "group", "option", "suite")

    def __init__(self, *, is_a: bool, suite: Suite, flags: int, random: Random) -> None:
        self._is_a = is_a
        own = GROUPS[_GROUP].generate(random)
        self._own: PrivateShare | None = own
        self._peer: bytes | None = None
        self._schedule: Schedule | None = None
        self.option = option(own.public)
        self.suite: Suite | None = suite
        self.group: int | None = _GROUP
        self.flags = flags & (Flag.NAT | Flag.OPTIONS_OUTSIDE)

    def take(self, peer_option: bytes) -> None:
        """Take the peer's whole option, for which ``is_offer`` held; the first one stands."""
        if self._peer is None:
            self._peer = peer_option

    def schedule(self) -> Schedule:
        """Return the keys; the secret is computed by the first call.

        Raises NotAgreed without the peer's option, BadShare for a share that is one's own or makes the secret zero.
        """
        if self._schedule is None:
            if self._peer is None or self._own is None:
                raise NotAgreed("there are no keys")
            a, b = (self.option, self._peer) if self._is_a else (self._peer, self.option)
            secret = self._own.secret(self._peer[len(_HEAD) :])
            self._schedule = Schedule.from_messages(((_OF_A, a), (_OF_B, b)), secret, _FIRST_OCTET)
        return self._schedule

    def wipe(self) -> None:
        """Forget share and keys; ``schedule`` raises NotAgreed from now on."""
        self._peer = None
        self._own = None
        if self._schedule is not None:
            self._schedule.wipe()
            self._schedule = None
