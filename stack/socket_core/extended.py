"""The socket option for EDO, as a prototype for Linux has it (draft-ietf-tcpm-tcp-edo, N6: a switch for each)."""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import Final

from edo.codepoints import Dialect, FormChoice

from ..security import Security
from .errors import SocketError
from .values import Value, integer

# Values of TCP_EXT_DATA_OFFSET: off, Header_Length alone (the short form), Header_Length and Segment_Length.
_FORMS: Final = {1: FormChoice.SHORT, 2: FormChoice.LONG}


def with_edo(security: Security, value: Value, dialect: Dialect) -> Security:
    """``security`` with EDO off or strict, as the option's ``value`` says; EINVAL for one that is none.

    ``dialect`` is the stack's.
    """
    number = integer(value)
    if number not in (0, *_FORMS):
        raise SocketError(errno.EINVAL)
    try:
        if not number:
            return replace(security, edo="off")
        return replace(security, edo="strict", dialect=replace(security.dialect or dialect, form=_FORMS[number]))
    except ValueError as fault:
        # The protection cannot do without EDO, or with it.
        raise SocketError(errno.EINVAL, str(fault)) from None


def edo_asked(security: Security) -> int:
    """What the option reads as."""
    if security.edo in (None, "off"):
        return 0
    return 1 if security.dialect is not None and security.dialect.form is FormChoice.SHORT else 2
