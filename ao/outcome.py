"""Outcomes: what a key-exchange message led to, for whoever carries messages (profile.md §4)."""

from __future__ import annotations

from enum import StrEnum

from .messages import MessageKind, RefuseReason
from .reasons import AoDrop


class NotAgreed(RuntimeError):
    """Keys were asked for before both messages were there, or after they had been wiped."""


class OutcomeKind(StrEnum):
    """What a message led to.

    answer: B has an answer to send and can make keys; keys: A has keys; retry: B asks for another share, resp. A
    has made it; repeated: the message that led to one of these, again, with the same reply; refuse: this side ends
    the attempt and sends ``reply``; refused: the peer ended it; ignored: nothing; malformed: counted, nothing else.
    """

    answer = "answer"
    keys = "keys"
    retry = "retry"
    refuse = "refuse"
    refused = "refused"
    repeated = "repeated"
    ignored = "ignored"
    malformed = "malformed"


class Outcome:
    """What a message led to, with the message to send back, if any.

    ``reason`` is why the attempt ended, None where a refusal gave a reason that is not known; ``drop`` the reason
    under which a message without effect is to be counted, None where it is not.
    """

    __slots__ = ("drop", "kind", "reason", "reply", "reply_kind")

    def __init__(
        self,
        kind: OutcomeKind,
        *,
        reply: bytes | None = None,
        reply_kind: MessageKind | None = None,
        reason: RefuseReason | None = None,
        drop: AoDrop | None = None,
    ) -> None:
        self.kind = kind
        self.reply = reply
        self.reply_kind = reply_kind
        self.reason = reason
        self.drop = drop
