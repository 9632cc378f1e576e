"""EDO's switch of a whole stack, and what a connection begins with (draft-ietf-tcpm-tcp-edo, N6)."""

from __future__ import annotations

import errno
from typing import Final

from ao.traffic_keys import SocketPair
from edo.codepoints import CodePoints, Dialect
from edo.negotiation import Edo, EdoPolicy

from .security import Security

POLICIES: Final = tuple(policy.value for policy in EdoPolicy)


class EdoSwitch:
    """``policy`` holds where a connection asks for nothing, ``dialect`` where it names none; both may be changed.

    Off by default: an application has to ask for EDO, or whoever runs the system. ValueError for a policy that is
    none.
    """

    __slots__ = ("_off", "dialect", "policy")

    def __init__(self, policy: str, dialect: Dialect | None, points: CodePoints) -> None:
        if policy not in POLICIES:
            raise ValueError(f"edo: {policy!r} is not one of {', '.join(POLICIES)}")
        self.policy = EdoPolicy(policy)
        self.dialect = dialect or Dialect(kind=points.edo, points=points)
        # Nothing changes it, so all connections without EDO share it.
        self._off = Edo(EdoPolicy.OFF, active=False, dialect=self.dialect)

    def answers(self, security: Security) -> bool:
        """Whether an offer of EDO is answered."""
        return security.edo_policy(self.policy) is not EdoPolicy.OFF

    def points(self, security: Security) -> CodePoints:
        """The numbers of the options of a connection."""
        return (security.dialect or self.dialect).points

    def checked(self, security: Security | None, pair: SocketPair | None = None) -> Security:
        """``security``, or none, with room for EDO beside its keys, those that match ``pair`` where it is given.

        Raises OSError (EMSGSIZE) where there is not.
        """
        security = security or Security()
        if self.answers(security):
            try:
                security.check_room(security.dialect or self.dialect, pair)
            except ValueError as fault:
                raise OSError(errno.EMSGSIZE, str(fault)) from None
        return security

    def begin(self, security: Security, *, active: bool, damaged: bool) -> Edo:
        """EDO of a connection that begins; ``damaged``: the last time that its peer was met, EDO did not survive.

        Where keys are to be agreed on it is tried all the same, since there is no other way.
        """
        policy = security.edo_policy(self.policy)
        if damaged and not security.agrees:
            policy = EdoPolicy.OFF
        if policy is EdoPolicy.OFF and security.dialect is None:
            return self._off
        return Edo(policy, active=active, dialect=security.dialect or self.dialect)
