"""Socket options of TCP-ENO under the names of draft-ietf-tcpinc-api-06, which gives them no numbers.

Errors are the draft's: EINVAL for a value that is none and for what ENO did not come to, ENOTCONN while it may
still come to it, EISCONN for what has to be known before the SYN. TCP_CRYPT_* belong to another TEP (RFC 8548).
"""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from edo.eno import AWARE_BIT, B_BIT, negotiate, parse
from edo.eno import Negotiated as Agreed

from ..facts import Facts
from ..security import Security
from .errors import SocketError
from .numbers import (
    TCP_ENO_AA_MANDATORY,
    TCP_ENO_ENABLED,
    TCP_ENO_NEGTEP,
    TCP_ENO_PEER_GOPT,
    TCP_ENO_PEER_NAME,
    TCP_ENO_ROLE,
    TCP_ENO_SELF_GOPT,
    TCP_ENO_SELF_NAME,
    TCP_ENO_SESSID,
    TCP_ENO_TEP_MANDATORY,
    TCP_ENO_TEPS,
    TCP_ENO_TRANSCRIPT,
)
from .values import Value, integer

if TYPE_CHECKING:
    from ..attempt import Attempt

# What can be set, and what only tells of a connection.
SETTABLE: Final = (
    TCP_ENO_ENABLED,
    TCP_ENO_TEPS,
    TCP_ENO_SELF_GOPT,
    TCP_ENO_AA_MANDATORY,
    TCP_ENO_TEP_MANDATORY,
)
TOLD: Final = (
    TCP_ENO_SESSID,
    TCP_ENO_NEGTEP,
    TCP_ENO_PEER_GOPT,
    TCP_ENO_ROLE,
    TCP_ENO_SELF_NAME,
    TCP_ENO_PEER_NAME,
    TCP_ENO_TRANSCRIPT,
)
NAMES: Final = SETTABLE + TOLD
_TEP: Final = 0x20
_SYSTEM_DEFAULT: Final = -1
_MOST_GOPT: Final = 31
# The mode that ENO stands for where the application turns it on: RFC 8547 knows no TEP that does not encrypt.
_MODE: Final = "ao-enc-dh"


def asked(security: Security, name: int, *, listening: bool) -> int | bytes:
    """What an option reads as that can be set, on a socket with ``security``."""
    on = security.agrees and not security.exempt
    if name == TCP_ENO_ENABLED:
        return 0 if security.exempt else 1 if on else _SYSTEM_DEFAULT
    if name == TCP_ENO_TEPS:
        return bytes((_TEP,)) if on else b""
    if name == TCP_ENO_SELF_GOPT:
        # b says host B, which a listener is (RFC 8547 §4.3).
        return (B_BIT if listening else 0) | (AWARE_BIT if security.application_aware else 0)
    if name == TCP_ENO_AA_MANDATORY:
        return int(security.demand_aware)
    return int(on and security.policy == "require")


def changed(security: Security, name: int, value: Value) -> Security:
    """``security`` with one of the settable options set; EINVAL for a value that is none."""
    try:
        if name == TCP_ENO_TEPS:
            teps = bytes(value) if not isinstance(value, int) else None
            if teps not in (b"", bytes((_TEP,))):
                raise SocketError(errno.EINVAL)
            return _enabled(security, bool(teps))
        number = integer(value)
        if name == TCP_ENO_ENABLED:
            if number == _SYSTEM_DEFAULT:
                return replace(security, exempt=False)
            return _enabled(security, _flag(number))
        if name == TCP_ENO_SELF_GOPT:
            # Other global bits have no meaning yet, and b is not the application's to choose (RFC 8547 §4.2).
            if not 0 <= number <= _MOST_GOPT or number & ~(AWARE_BIT | B_BIT):
                raise SocketError(errno.EINVAL)
            aware = bool(number & AWARE_BIT)
            return replace(security, application_aware=aware, demand_aware=security.demand_aware and aware)
        if name == TCP_ENO_AA_MANDATORY:
            mandatory = _flag(number)
            return replace(
                security, demand_aware=mandatory, application_aware=security.application_aware or mandatory
            )
        if not security.agrees:
            raise SocketError(errno.EINVAL)
        return replace(security, policy="require" if _flag(number) else "prefer")
    except ValueError as fault:
        raise SocketError(errno.EINVAL, str(fault)) from None


def told(attempt: Attempt | None, name: int) -> int | bytes:
    """What an option tells of a connection; ENOTCONN before it is known, EINVAL where ENO came to nothing.

    The session identifier of a connection that does not encrypt is not given: it would pass for one that does
    (profile.md §7). ``Attempt.security`` has it.
    """
    if attempt is None or attempt.security()["mode"] == "none":
        pending = attempt is not None and not attempt.flow.handshake.ready
        raise SocketError(errno.ENOTCONN if attempt is None or pending else errno.EINVAL)
    facts = attempt.flow.handshake.facts
    if facts.eno is None or facts.session_id is None:
        raise SocketError(errno.EINVAL)
    if name == TCP_ENO_ROLE:
        return 0 if facts.is_a else 1
    if name == TCP_ENO_PEER_GOPT:
        peer = parse(facts.eno[1 if facts.is_a else 0])
        return peer.b | (AWARE_BIT if peer.aware else 0)
    if name == TCP_ENO_TRANSCRIPT:
        return facts.eno[0] + facts.eno[1]
    if facts.cipher is None:
        raise SocketError(errno.EINVAL)
    return _identity(facts, name)


def _identity(facts: Facts, name: int) -> int | bytes:
    assert facts.eno is not None
    assert facts.session_id is not None
    session = bytes.fromhex(facts.session_id)
    if name == TCP_ENO_NEGTEP:
        agreed = negotiate(*facts.eno)
        assert isinstance(agreed, Agreed)
        return agreed.tep
    if name == TCP_ENO_SESSID:
        return session
    # Authentication signs a name, which tells the two ends apart: role, then session identifier.
    own = facts.is_a == (name == TCP_ENO_SELF_NAME)
    return bytes((0 if own else 1,)) + session


def _enabled(security: Security, on: bool) -> Security:
    if not on:
        return replace(security, exempt=True)
    if security.keyed:
        raise SocketError(errno.EINVAL)
    mode = security.protect if security.agrees else _MODE
    return replace(security, exempt=False, protect=mode)


def _flag(number: int) -> bool:
    if number not in (0, 1):
        raise SocketError(errno.EINVAL)
    return bool(number)
