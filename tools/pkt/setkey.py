"""Keys of TCP-MD5 as FreeBSD's setkey(8) takes them: one for each direction, by addresses; read, never executed."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

from ao.identifier import Network
from ao.md5 import Md5Key, Md5Table
from edo.codepoints import Dialect
from stack.ip import address_octets, address_text
from stack.security import Security

from .faults import Place, Refused

# Where statements stand: behind ``setkey -c`` as a here-document, or on their way to it through a pipe.
_PROGRAM: Final = r"(?:/sbin/)?setkey\s+-c"
_WRITTEN = re.compile(
    rf"{_PROGRAM}\s*<<-?\s*['\"]?(?P<end>\w+)['\"]?[ \t]*\n(?P<here>.*?)\n\s*(?P=end)[ \t]*(?:\n|$)"
    rf"|(?:echo|printf)\s+(?:'(?P<single>[^']*)'|\"(?P<double>(?:[^\"\\]|\\.)*)\")\s*\|\s*{_PROGRAM}(?=\s*(?:[;&\n]|$))"
    r"|(?P<flush>(?:/sbin/)?setkey\s+-FP?)(?=\s*(?:[;&\n]|$))",
    re.DOTALL,
)
_ADDRESS_FLAGS: Final = re.compile(r"-[46n]+")


@dataclass(frozen=True, slots=True)
class SetKey:
    """The key for segments from ``source`` to ``destination`` becomes ``secret``, None: there is none any more.

    Without addresses all keys are forgotten.
    """

    place: Place
    source: bytes = b""
    destination: bytes = b""
    secret: bytes | None = None


def find(text: str) -> re.Match[str] | None:
    """The first call of setkey in lines for a shell."""
    return _WRITTEN.search(text)


def read(found: re.Match[str], place: Place) -> list[SetKey]:
    """What a call of setkey does; raises Refused for what is not about TCP-MD5."""
    if found["flush"] is not None:
        return [SetKey(place)]
    text = found["here"] if found["here"] is not None else found["single"]
    if text is None:
        text = re.sub(r"\\(.)", r"\1", found["double"])
    meanings = []
    for statement in re.sub(r"#.*", "", text).split(";"):
        try:
            words = shlex.split(statement)
        except ValueError as error:
            raise Refused(place, f"a statement of setkey cannot be read: {error}") from None
        if words and words[0] != "spdflush":
            meanings.append(_statement(words, place))
    return meanings


def _statement(words: list[str], place: Place) -> SetKey:
    command, *rest = words
    if command == "flush":
        return SetKey(place)
    rest = [word for word in rest if _ADDRESS_FLAGS.fullmatch(word) is None]
    if command not in ("add", "delete", "deleteall") or len(rest) < 3 or rest[2] != "tcp":
        raise Refused(place, f"not understood: setkey with {' '.join(words[:4])!r}")
    try:
        source, destination = address_octets(rest[0]), address_octets(rest[1])
    except ValueError as error:
        raise Refused(place, f"setkey: {error}") from None
    if command != "add":
        return SetKey(place, source, destination)
    if len(rest) < 7 or rest[-3:-1] != ["-A", "tcp-md5"]:
        raise Refused(place, "not supported: a key of setkey that is not one of TCP-MD5")
    key = rest[-1]
    try:
        secret = bytes.fromhex(key[2:]) if key.startswith("0x") else key.encode()
    except ValueError:
        raise Refused(place, "setkey: a key that is not in hexadecimal") from None
    return SetKey(place, source, destination, secret)


class Associations:
    """The keys that stand, by the addresses of a direction."""

    def __init__(self) -> None:
        self._secrets: dict[tuple[bytes, bytes], bytes] = {}

    def obey(self, order: SetKey) -> None:
        """Take a key, or forget one or all."""
        if not order.source:
            self._secrets.clear()
        elif order.secret is None:
            self._secrets.pop((order.source, order.destination), None)
        else:
            self._secrets[order.source, order.destination] = order.secret

    def security(self, local: bytes, remote: bytes, dialect: Dialect, place: Place) -> Security:
        """What TCP_MD5SIG asks for: TCP-MD5 between two addresses; Refused where both have not one key."""
        secret = self._secrets.get((local, remote))
        if secret is None or self._secrets.get((remote, local)) != secret:
            raise Refused(place, "TCP_MD5SIG needs the same key for both directions: setkey")
        key = Md5Key("setkey", secret, peer=_network(remote), local=_network(local))
        return Security("md5", md5_keys=Md5Table([key]), dialect=dialect)


def _network(address: bytes) -> Network:
    return ip_network(address_text(address))
