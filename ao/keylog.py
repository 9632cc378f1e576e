"""A line of a key log: what opens one generation of a connection's segments to who reads a capture of them.

The file is written only where a user names one (profile.md §7).
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from .cipher import CIPHERS, CIPHERS_BY_NAME, NO_CIPHER
from .ends import endpoint
from .keys import Key, agreed_key
from .macs import MACS, by_number
from .schedule import Schedule
from .suite import Suite
from .traffic_keys import SocketPair

End = tuple[bytes, int]
_PRK_OCTETS: Final = 32
_FIELDS: Final = ("a", "b", "isn_a", "isn_b", "generation", "suite", "flags", "prk")


class KeyLogError(ValueError):
    """A line that is none; the message says why, in one line and without its secrets."""


def read_row(text: str, fields: Iterable[str]) -> dict[str, Any]:
    """The object that a line is, which has ``fields``; raises KeyLogError."""
    try:
        row = json.loads(text)
    except ValueError:
        raise KeyLogError("it is no JSON") from None
    if not isinstance(row, dict):
        raise KeyLogError("it is no JSON object")
    missing = [name for name in fields if name not in row]
    if missing:
        raise KeyLogError(f"it has no {missing[0]!r}")
    return row


def read_secret(row: dict[str, Any], name: str, octets: int) -> bytes:
    """A secret of ``octets`` octets in hexadecimal; raises KeyLogError."""
    try:
        secret = bytes.fromhex(row[name])
    except (TypeError, ValueError):
        raise KeyLogError(f"{name!r} is no hex") from None
    if len(secret) != octets:
        raise KeyLogError(f"{name!r} has {len(secret)} octets, not {octets}")
    return secret


@dataclass(frozen=True, slots=True)
class LoggedKeys:
    """The keys of one ``generation`` (0, 1, ...) of a connection between ``a``, the active opener, and ``b``.

    Ends are (address of 4 or 16 octets, port), as the side that wrote the line saw them; ISNs have 32 bits. ``prk``
    is the secret that all keys come from, 32 octets; ``flags`` those that both sides permit (profile.md §4).
    """

    a: End
    b: End
    isn_a: int
    isn_b: int
    generation: int
    suite: Suite
    flags: int
    prk: bytes = field(repr=False)

    def line(self) -> str:
        """The line, without its end."""
        row = {
            "a": endpoint(*self.a),
            "b": endpoint(*self.b),
            "isn_a": self.isn_a,
            "isn_b": self.isn_b,
            "generation": self.generation,
            "suite": suite_text(self.suite),
            "flags": self.flags,
            "prk": self.prk.hex(),
        }
        return json.dumps(row)

    @classmethod
    def parse(cls, text: str) -> LoggedKeys:
        """Read a line; raises KeyLogError."""
        row = read_row(text, _FIELDS)
        return cls(
            read_end(row, "a"),
            read_end(row, "b"),
            read_number(row, "isn_a", 1 << 32),
            read_number(row, "isn_b", 1 << 32),
            read_number(row, "generation", 1 << 40),
            _suite(row["suite"]),
            read_number(row, "flags", 256),
            read_secret(row, "prk", _PRK_OCTETS),
        )

    def key(self, a: End, b: End) -> Key:
        """The key as ``a`` has it; the ends are those of the capture, which a NAT may have made others."""
        pair = SocketPair(a[0], a[1], b[0], b[1])
        generation = self.generation & 0xFF
        return agreed_key(Schedule(self.prk), self.suite, self.flags, pair, self.isn_a, self.isn_b, generation)


def suite_text(suite: Suite) -> str:
    """MAC and cipher by name, as the command line has them."""
    mac = by_number(suite.mac)
    name = str(suite.mac) if mac is None else mac.name
    return name if suite.cipher == NO_CIPHER else f"{name}+{CIPHERS[suite.cipher].name}"


def _suite(text: object) -> Suite:
    mac, _, cipher = str(text).partition("+")
    number = MACS[mac].number if mac in MACS else None
    if number is None or (cipher and cipher not in CIPHERS_BY_NAME):
        raise KeyLogError(f"'suite' is {str(text)[:60]!r}, which is not known")
    return Suite(number, CIPHERS_BY_NAME[cipher].number if cipher else NO_CIPHER)


def read_number(row: dict[str, Any], name: str, limit: int) -> int:
    """A number below ``limit``; raises KeyLogError."""
    value = row[name]
    if type(value) is not int or not 0 <= value < limit:
        raise KeyLogError(f"{name!r} is not in 0-{limit - 1}")
    return value


def read_end(row: dict[str, Any], name: str) -> End:
    """An end, ADDR:PORT; raises KeyLogError."""
    address, _, port = str(row[name]).rpartition(":")
    try:
        number = int(port)
        if not 0 <= number < 1 << 16:
            raise ValueError
        return ipaddress.ip_address(address.removeprefix("[").removesuffix("]")).packed, number
    except ValueError:
        raise KeyLogError(f"{name!r} is {str(row[name])[:60]!r}, not ADDR:PORT") from None
