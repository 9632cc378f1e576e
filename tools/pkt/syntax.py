"""What a script says, as typed values: the parser makes them, the interpreter runs them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from .faults import Place

# --- times ---------------------------------------------------------------------------------------------------


class When(Enum):
    """How an event's time is meant."""

    ABSOLUTE = "absolute"
    RELATIVE = "relative"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Time:
    """Time of an event in seconds: from the script's start, or after the event before; ``until`` ends a range."""

    when: When
    seconds: float = 0.0
    until: float | None = None

    def __str__(self) -> str:
        if self.when is When.ANY:
            return "*"
        sign = "+" if self.when is When.RELATIVE else ""
        text = f"{sign}{self.seconds:.9g}"
        return text if self.until is None else f"{text}~{sign}{self.until:.9g}"


# --- expressions of system calls -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Anything:
    """``...``: whatever it is."""

    def __str__(self) -> str:
        return "..."


@dataclass(frozen=True, slots=True)
class Integer:
    """A number, or a constant by its name, or several joined by ``|``; ``text`` as it was written."""

    value: int
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Name:
    """A constant that has another number on each system, or none that is known: resolved when it is used."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return "|".join(self.names)


@dataclass(frozen=True, slots=True)
class Text:
    """A string; ``open`` if ``...`` follows it."""

    value: str
    open: bool = False

    def __str__(self) -> str:
        return f'"{self.value}"{"..." if self.open else ""}'


@dataclass(frozen=True, slots=True)
class Items:
    """``[a, b]``."""

    items: tuple[Expression, ...]

    def __str__(self) -> str:
        return f"[{', '.join(map(str, self.items))}]"


@dataclass(frozen=True, slots=True)
class Struct:
    """``{a=b, c(d)=e}`` or ``{a, b}``: named fields, the arguments of names in parentheses, and plain members."""

    fields: tuple[tuple[str, Expression], ...] = ()
    counts: tuple[tuple[str, Expression], ...] = ()
    members: tuple[Expression, ...] = ()

    def get(self, name: str) -> Expression | None:
        """The value of a field, None if there is none of that name."""
        return next((value for key, value in self.fields if key == name), None)

    def __str__(self) -> str:
        counts = {name: f"({count})" for name, count in self.counts}
        named = [f"{name}{counts.get(name, '')}={value}" for name, value in self.fields]
        return f"{{{', '.join([*named, *map(str, self.members)])}}}"


@dataclass(frozen=True, slots=True)
class Apply:
    """``htons(8080)``, ``inet_addr("192.0.2.1")``."""

    function: str
    argument: Expression

    def __str__(self) -> str:
        return f"{self.function}({self.argument})"


Expression = Anything | Integer | Name | Text | Items | Struct | Apply


# --- packets -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Opt:
    """A TCP option: its word in scripts, the numbers behind it, octets where they are given in hexadecimal.

    The number of ``md5`` is 1 for a valid digest, 0 for another. ``any_value`` is ``TS val ...``; ``plain_echo`` is
    ``ecr N!``, a number that is not translated.
    """

    word: str
    numbers: tuple[int, ...] = ()
    octets: bytes | None = None
    any_value: bool = False
    plain_echo: bool = False

    def __str__(self) -> str:
        if self.word == "TS":
            value = "..." if self.any_value else str(self.numbers[0])
            return f"TS val {value} ecr {self.numbers[1]}{'!' if self.plain_echo else ''}"
        if self.word == "sack":
            pairs = zip(self.numbers[::2], self.numbers[1::2], strict=True)
            return "sack " + " ".join(f"{left}:{right}" for left, right in pairs)
        if self.word == "kind":
            return f"kind {self.numbers[0]} {(self.octets or b'').hex() or '-'}"
        if self.word == "exp":
            return f"exp 0x{self.numbers[0]:04x}{' ' + self.octets.hex() if self.octets else ''}"
        if self.word == "ao":
            return f"ao {self.numbers[0]} {self.numbers[1]} {(self.octets or b'').hex()}"
        if self.word == "md5" and self.numbers:
            return f"md5 {'valid' if self.numbers[0] else 'invalid'}"
        parts = [self.word, *map(str, self.numbers)]
        if self.octets:
            parts.append(self.octets.hex())
        return " ".join(parts)


def show_options(options: tuple[Opt, ...]) -> str:
    """The list as it is written in scripts, repetitions joined."""
    parts: list[str] = []
    index = 0
    while index < len(options):
        same = index
        while same < len(options) and options[same] == options[index]:
            same += 1
        count = same - index
        text = str(options[index])
        parts.extend([f"{count}*{text}"] if count > 3 and " " not in text else [text] * count)
        index = same
    return f"<{','.join(parts)}>"


class Ecn(Enum):
    """ECN field of the IP header; ECT01 is any of the two."""

    NONE = "noecn"
    ECT1 = "ect1"
    ECT0 = "ect0"
    CE = "ce"
    ECT01 = "ect01"


@dataclass(frozen=True, slots=True)
class IpInfo:
    """What a script says of the IP header; None: nothing."""

    ecn: Ecn | None = None
    tos: int | None = None
    ttl: int | None = None
    flow_label: int | None = None

    def __str__(self) -> str:
        parts = []
        if self.ecn is not None:
            parts.append(self.ecn.value)
        if self.tos is not None:
            parts.append(f"tos 0x{self.tos:02x}")
        if self.flow_label is not None:
            parts.append(f"flowlabel 0x{self.flow_label:x}")
        if self.ttl is not None:
            parts.append(f"ttl {self.ttl}")
        return f"[{','.join(parts)}] " if parts else ""


@dataclass(frozen=True, slots=True)
class TcpSpec:
    """A TCP segment as scripts write it; numbers are the script's. ``options`` None: ``<...>``, whatever it has.

    ``seq`` None: any number; ``plain_seq``: it is that of the wire, not the script's. ``window`` None: not looked
    at. ``flags`` are the octet's eight bits and AE as bit 8; ``ace`` is written as a number.
    """

    inbound: bool
    flags: int
    seq: int | None
    length: int
    ack: int | None = None
    window: int | None = None
    urgent: int | None = None
    options: tuple[Opt, ...] | None = ()
    ports: tuple[int, int] | None = None
    ip: IpInfo = field(default_factory=IpInfo)
    ace: bool = False
    plain_seq: bool = False


@dataclass(frozen=True, slots=True)
class IcmpSpec:
    """An ICMP message about a segment: its words, the next hop's MTU, the quoted stream numbers."""

    inbound: bool
    type: str
    code: str | None
    mtu: int | None
    seq: int | None
    length: int
    ip: IpInfo = field(default_factory=IpInfo)


# --- events --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CallSpec:
    """A system call: ``end`` (seconds, of the same kind as the event's time) where it is written to block."""

    name: str
    arguments: tuple[Expression, ...]
    result: Expression
    error: str | None = None
    end: float | None = None


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """A line for a shell."""

    text: str


@dataclass(frozen=True, slots=True)
class CodeSpec:
    """Python between ``%{`` and ``}%``."""

    text: str


Action = TcpSpec | IcmpSpec | CallSpec | CommandSpec | CodeSpec


@dataclass(frozen=True, slots=True)
class Event:
    """One event; ``source`` is its text."""

    place: Place
    time: Time
    action: Action
    source: str


@dataclass(frozen=True, slots=True)
class OptionLine:
    """``--name=value`` of the first lines; None for one without a value."""

    place: Place
    name: str
    value: str | None


@dataclass(frozen=True, slots=True)
class Script:
    """A whole script: option lines, the command before the events, the events, the command behind them."""

    file: str
    options: tuple[OptionLine, ...]
    init: tuple[Place, CommandSpec] | None
    events: tuple[Event, ...]
    cleanup: tuple[Place, CommandSpec] | None
