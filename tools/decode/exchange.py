"""The key-exchange messages of a connection, put together from what its segments carry (profile.md §4)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from ao import macs
from ao.cipher import CIPHERS, NO_CIPHER
from ao.messages import MalformedMessage, Message, MessageKind, RefuseReason, decode
from ao.report import HAVE, HAVE_CONFIRMED, Report
from ao.suite import Suite
from edo.messages import REPORT, WHOLE, Inbox, Took
from edo.options import Fragment

from .texts import eno_text, flags_text, message_name

# Of A and of B, whoever may send the others (profile.md §4).
_OF_A: Final = frozenset({MessageKind.HELLO, MessageKind.SECOND_HELLO})
_OF_B: Final = frozenset({MessageKind.ANSWER, MessageKind.RETRY})
_OF_EITHER: Final = frozenset({MessageKind.REKEY, MessageKind.REKEY_ANSWER, REPORT, MessageKind.REFUSE})
_ANEW: Final = frozenset({MessageKind.REKEY, MessageKind.REKEY_ANSWER})
# TLS's registry of supported groups, those of profile.md §6.
_GROUPS: Final[Mapping[int, str]] = {
    0: "none",
    23: "secp256r1",
    29: "x25519",
    30: "x448",
    256: "ffdhe2048",
    257: "ffdhe3072",
    4588: "X25519MLKEM768",
}
_FLAGS: Final = ((0x01, "NAT"), (0x02, "options outside the MAC"), (0x04, "reports"), (0x08, "rekeying"))


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of the fragments of one message in one segment.

    ``packets`` are the numbers of the segments from which the message comes; ``octets`` the whole message and
    ``fields`` its fields in words once it is whole; ``fault`` what is wrong with it.
    """

    kind: int
    name: str
    result: str
    packets: tuple[int, ...]
    octets: bytes | None = None
    fields: tuple[tuple[str, str], ...] = ()
    fault: str | None = None


class Exchange:
    """The messages of both directions."""

    __slots__ = ("_from", "_inboxes")

    def __init__(self) -> None:
        self._inboxes = {True: Inbox(), False: Inbox()}
        self._from: dict[tuple[bool, int], list[int]] = {}

    def take(self, number: int, fragments: Sequence[Fragment], *, forward: bool) -> list[Taken]:
        """Take what segment ``number`` has of messages; ``forward`` where it is from the active opener."""
        allowed = (_OF_A if forward else _OF_B) | _OF_EITHER
        inbox = self._inboxes[forward]
        took = inbox.take(fragments, allowed)
        if took is None:
            return [self._refused(number, fragments, allowed)]
        taken = []
        for kind, result in took:
            if result is Took.DIFFERS and kind in _ANEW:
                # Once per generation: the next one's takes its place.
                inbox.forget(kind)
                self._from.pop((forward, kind), None)
                again = inbox.take([one for one in fragments if one.message == kind], allowed)
                result = again[0][1] if again else Took.MALFORMED
            taken.append(self._taken(number, kind, result, forward, inbox))
        return taken

    def _refused(self, number: int, fragments: Sequence[Fragment], allowed: frozenset[int]) -> Taken:
        wrong = next((one.message for one in fragments if one.message not in allowed), None)
        if wrong is None:
            return Taken(
                fragments[0].message,
                message_name(fragments[0].message),
                Took.MALFORMED.value,
                (number,),
                fault="its fragments do not go together",
            )
        known = wrong in _OF_A | _OF_B
        fault = "a message that this end may not send" if known else f"message kind {wrong} is not known"
        return Taken(wrong, message_name(wrong), Took.MALFORMED.value, (number,), fault=fault)

    def _taken(self, number: int, kind: int, result: Took, forward: bool, inbox: Inbox) -> Taken:
        sources = self._from.setdefault((forward, kind), [])
        if kind in WHOLE:
            sources.clear()
        if result in (Took.MORE, Took.COMPLETE):
            sources.append(number)
        octets = inbox.message(kind)
        name = message_name(kind)
        if result is not Took.COMPLETE or octets is None:
            return Taken(kind, name, result.value, tuple(sources), octets)
        try:
            message = Report.decode(octets) if kind == REPORT else decode(kind, octets)
        except MalformedMessage as error:
            return Taken(kind, name, result.value, tuple(sources), octets, fault=str(error))
        return Taken(kind, name, result.value, tuple(sources), octets, told(message))


def told(message: Message | Report) -> tuple[tuple[str, str], ...]:
    """A message's fields in words, in the order in which they are declared."""
    if isinstance(message, Report):
        return _report(message)
    return tuple(
        (one.name.replace("_", " "), _text(one.name, getattr(message, one.name))) for one in fields(message)
    )


def _report(report: Report) -> tuple[tuple[str, str], ...]:
    """What one side says that it saw of the other's SYN or SYN-ACK (profile.md §8)."""
    known = ((HAVE, "I have your report"), (HAVE_CONFIRMED, "I have your answer to mine"))
    words = [text for bit, text in known if report.flags & bit]
    return (
        ("flags", ", ".join(words) or "none"),
        ("source", f"{ipaddress.ip_address(report.source)}, port {report.port}"),
        ("TCP flags", flags_text(report.tcp_flags)),
        ("ECN, TTL, window", f"{report.ecn}, {report.ttl}, {report.window}"),
        ("options", "not kept" if report.options is None else report.options.hex(" ") or "none"),
    )


def _text(name: str, value: Any) -> str:
    if name == "eno":
        return f"{value.hex(' ')}: {eno_text(value[2:])}" if len(value) >= 2 else value.hex()
    if name == "flags":
        return ", ".join(word for bit, word in _FLAGS if value & bit) or "none"
    if name == "suite":
        return _suite(value)
    if name == "suites":
        return ", ".join(_suite(one) for one in value)
    if name == "group":
        return _group(value)
    if name == "groups":
        return ", ".join(_group(one) for one in value)
    if name == "tickets":
        return ", ".join(one.hex() for one in value) or "none"
    if name == "ticket_index":
        return "none" if value == 255 else str(value)
    if name == "reason":
        known = value in set(RefuseReason)
        return f"{value} ({RefuseReason(value).name.lower()})" if known else str(value)
    if isinstance(value, bytes):
        return f"{value.hex()} ({len(value)} octets)"
    return str(value)


def _group(code: int) -> str:
    return _GROUPS.get(code, f"group {code}")


def _suite(suite: Suite) -> str:
    mac = macs.by_number(suite.mac)
    cipher = CIPHERS.get(suite.cipher)
    second = "none" if suite.cipher == NO_CIPHER else f"cipher {suite.cipher}" if cipher is None else cipher.name
    return f"{f'MAC {suite.mac}' if mac is None else mac.name}+{second}"
