"""Key agreement as messages in and messages out: the roles A and B (profile.md §4).

Nothing here knows an option, a segment or a timer: how a message travelled changes no key. Each role is a table
from (state, message kind) to what is done. The first complete message of a kind stands: the same octets again get
the same reply, other octets change nothing.
"""

from __future__ import annotations

from .agreement_a import AgreementA
from .agreement_b import AgreementB
from .outcome import NotAgreed, Outcome, OutcomeKind
from .suite import Suite

__all__ = ["AgreementA", "AgreementB", "NotAgreed", "Outcome", "OutcomeKind", "Suite"]
