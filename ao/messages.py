"""The messages of key agreement (profile.md §4), each declared once.

The declarations are the authority for building and parsing: bounded, nothing left over. What they accept can still
be unacceptable; that is for ``ao.agreement`` to judge. Hellos and answers, which every handshake has, go by
``ao.fast`` where nothing is wrong with them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, Final

from construct import (
    Array,
    Bytes,
    Construct,
    ConstructError,
    Container,
    Int8ub,
    Int16ub,
    Int32ub,
    Prefixed,
    PrefixedArray,
    Struct,
    Terminated,
)
from construct import GreedyBytes as Rest

from .fast import read_answer, read_hello, write_answer, write_hello
from .suite import Suite

VERSION: Final = 1
MAX_OCTETS: Final = 4096
NO_TICKET: Final = 255
NO_GROUP: Final = 0


class Flag:
    """Permissions; the last hello's and the answer's, ANDed, hold for the connection."""

    NAT: Final = 0x01
    OPTIONS_OUTSIDE: Final = 0x02
    REPORTS: Final = 0x04
    REKEYING: Final = 0x08
    KNOWN: Final = 0x0F


class MessageKind(IntEnum):
    """Message kinds; 7, the report, is not a message of the agreement (``ao.report``)."""

    HELLO = 1
    ANSWER = 2
    RETRY = 3
    SECOND_HELLO = 4
    REKEY = 5
    REKEY_ANSWER = 6
    REPORT = 7
    REFUSE = 8


class RefuseReason(IntEnum):
    """Why one side ends an attempt."""

    VERSION = 1
    SUITE = 2
    GROUP = 3
    SHARE = 4
    POLICY = 5
    ENO = 6
    ISN = 7


class MalformedMessage(ValueError):
    """Octets that are no message of the kind that they claim to be."""


_SUITES = PrefixedArray(Int8ub, Array(2, Int8ub))
_SHARE = Prefixed(Int16ub, Rest)
_ENO = Prefixed(Int8ub, Rest)

_HELLO = Struct(
    "version" / Int8ub,
    "flags" / Int8ub,
    "random" / Bytes(32),
    "isn" / Int32ub,
    "eno" / _ENO,
    "suites" / _SUITES,
    "groups" / PrefixedArray(Int8ub, Int16ub),
    "group" / Int16ub,
    "share" / _SHARE,
    "tickets" / PrefixedArray(Int8ub, Bytes(16)),
    Terminated,
)

_ANSWER = Struct(
    "version" / Int8ub,
    "flags" / Int8ub,
    "random" / Bytes(32),
    "isn" / Int32ub,
    "eno" / _ENO,
    "suite" / Array(2, Int8ub),
    "group" / Int16ub,
    "share" / _SHARE,
    "ticket_index" / Int8ub,
    Terminated,
)

_RETRY = Struct("version" / Int8ub, "flags" / Int8ub, "eno" / _ENO, "group" / Int16ub, Terminated)

_REKEY = Struct(
    "version" / Int8ub,
    "generation" / Int8ub,
    "random" / Bytes(32),
    "group" / Int16ub,
    "share" / _SHARE,
    Terminated,
)

_REFUSE = Struct("version" / Int8ub, "reason" / Int8ub, Terminated)


def _build(declaration: Construct, **fields: Any) -> bytes:
    try:
        octets: bytes = declaration.build(fields)
    except ConstructError as error:
        raise ValueError(f"message cannot be encoded: {type(error).__name__}") from None
    if len(octets) > MAX_OCTETS:
        raise ValueError(f"message of {len(octets)} octets, more than {MAX_OCTETS}")
    return octets


@dataclass(frozen=True, slots=True)
class Hello:
    """A's first message, and with ``group`` and ``share`` replaced and no tickets its second hello.

    ``random`` 32 octets; ``isn`` S_A; ``eno`` A's whole TCP-ENO option of the SYN; ``suites`` and ``groups`` in
    order of preference; ``group`` 0 and ``share`` empty where none is sent; ``tickets`` 16 octets each.
    """

    flags: int
    random: bytes
    isn: int
    eno: bytes
    suites: tuple[Suite, ...]
    groups: tuple[int, ...]
    group: int
    share: bytes
    tickets: tuple[bytes, ...] = ()
    version: int = VERSION

    kind: ClassVar[MessageKind] = MessageKind.HELLO

    def encode(self) -> bytes:
        """Return the message's octets; raises ValueError for fields out of range."""
        octets = write_hello(
            self.version,
            self.flags,
            self.random,
            self.isn,
            self.eno,
            self.suites,
            self.groups,
            self.group,
            self.share,
            self.tickets,
        )
        if octets is not None and len(octets) <= MAX_OCTETS:
            return octets
        return _build(
            _HELLO,
            version=self.version,
            flags=self.flags,
            random=self.random,
            isn=self.isn,
            eno=self.eno,
            suites=self.suites,
            groups=self.groups,
            group=self.group,
            share=self.share,
            tickets=self.tickets,
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """B's message that settles suite and group; ``isn`` is S_B, ``eno`` B's option of the SYN-ACK.

    ``ticket_index`` counts from 0; 255 where no ticket was taken.
    """

    flags: int
    random: bytes
    isn: int
    eno: bytes
    suite: Suite
    group: int
    share: bytes
    ticket_index: int = NO_TICKET
    version: int = VERSION

    kind: ClassVar[MessageKind] = MessageKind.ANSWER

    def encode(self) -> bytes:
        """Return the message's octets; raises ValueError for fields out of range."""
        octets = write_answer(
            self.version,
            self.flags,
            self.random,
            self.isn,
            self.eno,
            self.suite,
            self.group,
            self.share,
            self.ticket_index,
        )
        if octets is not None and len(octets) <= MAX_OCTETS:
            return octets
        return _build(
            _ANSWER,
            version=self.version,
            flags=self.flags,
            random=self.random,
            isn=self.isn,
            eno=self.eno,
            suite=self.suite,
            group=self.group,
            share=self.share,
            ticket_index=self.ticket_index,
        )


@dataclass(frozen=True, slots=True)
class Retry:
    """B's request for a share of ``group``; ``eno`` is B's option of the SYN-ACK."""

    flags: int
    eno: bytes
    group: int
    version: int = VERSION

    kind: ClassVar[MessageKind] = MessageKind.RETRY

    def encode(self) -> bytes:
        """Return the message's octets; raises ValueError for fields out of range."""
        return _build(_RETRY, version=self.version, flags=self.flags, eno=self.eno, group=self.group)


@dataclass(frozen=True, slots=True)
class Rekey:
    """A rekey and its answer: ``generation`` (0-255) is the one meant, ``random`` 32 octets."""

    generation: int
    random: bytes
    group: int
    share: bytes
    version: int = VERSION

    kind: ClassVar[MessageKind] = MessageKind.REKEY

    def encode(self) -> bytes:
        """Return the message's octets; raises ValueError for fields out of range."""
        return _build(
            _REKEY,
            version=self.version,
            generation=self.generation,
            random=self.random,
            group=self.group,
            share=self.share,
        )


@dataclass(frozen=True, slots=True)
class Refuse:
    """The end of an attempt; ``reason`` is a RefuseReason, or a number that only the sender knows."""

    reason: int
    version: int = VERSION

    kind: ClassVar[MessageKind] = MessageKind.REFUSE

    def encode(self) -> bytes:
        """Return the message's octets; raises ValueError for fields out of range."""
        return _build(_REFUSE, version=self.version, reason=self.reason)


Message = Hello | Answer | Retry | Rekey | Refuse


def _hello(fields: Container) -> Hello:
    return Hello(
        fields.flags,
        fields.random,
        fields.isn,
        fields.eno,
        tuple(Suite(mac, cipher) for mac, cipher in fields.suites),
        tuple(fields.groups),
        fields.group,
        fields.share,
        tuple(fields.tickets),
        fields.version,
    )


def _answer(fields: Container) -> Answer:
    return Answer(
        fields.flags,
        fields.random,
        fields.isn,
        fields.eno,
        Suite(*fields.suite),
        fields.group,
        fields.share,
        fields.ticket_index,
        fields.version,
    )


def _retry(fields: Container) -> Retry:
    return Retry(fields.flags, fields.eno, fields.group, fields.version)


def _rekey(fields: Container) -> Rekey:
    return Rekey(fields.generation, fields.random, fields.group, fields.share, fields.version)


def _refuse(fields: Container) -> Refuse:
    return Refuse(fields.reason, fields.version)


_DECLARED: dict[int, tuple[Construct, Callable[[Container], Message]]] = {
    MessageKind.HELLO: (_HELLO, _hello),
    MessageKind.ANSWER: (_ANSWER, _answer),
    MessageKind.RETRY: (_RETRY, _retry),
    MessageKind.SECOND_HELLO: (_HELLO, _hello),
    MessageKind.REKEY: (_REKEY, _rekey),
    MessageKind.REKEY_ANSWER: (_REKEY, _rekey),
    MessageKind.REFUSE: (_REFUSE, _refuse),
}


def decode(kind: int, octets: bytes) -> Message:
    """Return the message of ``kind``; raises MalformedMessage, and nothing else, for what is none."""
    declared = _DECLARED.get(kind)
    if declared is None:
        raise MalformedMessage(f"message kind {kind} is not known")
    if len(octets) > MAX_OCTETS:
        raise MalformedMessage(f"message of {len(octets)} octets, more than {MAX_OCTETS}")
    if declared[0] is _HELLO:
        hello = read_hello(octets)
        if hello is not None:
            return Hello(*hello)
    elif declared[0] is _ANSWER:
        answer = read_answer(octets)
        if answer is not None:
            return Answer(*answer)
    declaration, make = declared
    try:
        return make(declaration.parse(octets))
    except ConstructError as error:
        raise MalformedMessage(f"message kind {kind}: {type(error).__name__}") from None
