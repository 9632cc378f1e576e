"""Files of configured keys: TOML with one ``[[mkt]]`` table per master key tuple."""

from __future__ import annotations

import os
import re
import shlex
import stat
import tomllib
from collections.abc import Callable, Mapping
from datetime import datetime
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Any

from .identifier import KeyFault, Network
from .keylines import KeyLines
from .lifetime import Lifetime
from .md5 import NAME as MD5
from .md5 import Md5Conflict, Md5Key, Md5Table
from .mkt import Mkt, MktConflict, MktTable, Nat

_SECRETS = ("secret", "secret_hex", "secret_file")
_KEYS = (
    "name",
    "peer",
    "peer_port",
    "local",
    "local_port",
    "send_id",
    "recv_id",
    *_SECRETS,
    "mac",
    "mac_octets",
    "cover_options",
    "encrypt",
    "nat",
)
_MD5_KEYS = ("name", "peer", "peer_port", "local", "local_port", *_SECRETS, "mac")
_LIFETIMES = ("send_from", "send_until", "accept_from", "accept_until")
_DEFAULT_CIPHER = "aes-128-ctr"


class KeyFileError(ValueError):
    """A keys file that cannot be used; the text is ``FILE:LINE: what is wrong``, never with a secret in it."""


class _Fault(Exception):
    """What is wrong with the value of one key of one table; an empty key stands for the table itself."""

    def __init__(self, key: str, fault: str) -> None:
        super().__init__(f"{key}: {fault}" if key else fault)
        self.key = key


def load(
    path: str | os.PathLike[str], *, strict_permissions: bool = True, notice: Callable[[str], None] | None = None
) -> list[Mkt]:
    """Return the tuples of the keys file ``path``, in the file's order.

    A file that holds a secret must not be readable by group or others; without ``strict_permissions`` that is
    only told. ``notice`` is called with one line for that, and where the newline that ends a ``secret_file`` was
    left out. Raises KeyFileError, for a key of TCP-MD5 too.
    """
    return [key for key in _read_keys(path, strict_permissions, notice, md5=False) if isinstance(key, Mkt)]


def load_with_md5(
    path: str | os.PathLike[str], *, strict_permissions: bool = True, notice: Callable[[str], None] | None = None
) -> tuple[list[Mkt], list[Md5Key]]:
    """As ``load``, of a file that may hold keys of TCP-MD5 too (RFC 2385): with ``mac = "md5"`` and without ids."""
    keys = _read_keys(path, strict_permissions, notice, md5=True)
    return [key for key in keys if isinstance(key, Mkt)], [key for key in keys if isinstance(key, Md5Key)]


def _read_keys(
    path: str | os.PathLike[str], strict_permissions: bool, notice: Callable[[str], None] | None, *, md5: bool
) -> list[Mkt | Md5Key]:
    return _KeyFile(Path(path), strict_permissions, notice or (lambda _: None), md5).read()


class _KeyFile:
    def __init__(self, path: Path, strict_permissions: bool, notice: Callable[[str], None], md5: bool) -> None:
        self._path = path
        self._md5 = md5
        self._strict = strict_permissions
        self._notice = notice
        self._lines = KeyLines("")

    def _error(self, line: int, fault: str) -> KeyFileError:
        return KeyFileError(f"{self._path}:{line}: {fault}")

    def read(self) -> list[Mkt | Md5Key]:
        try:
            octets, mode = _read(self._path)
        except OSError as error:
            raise KeyFileError(f"{self._path}: cannot be read: {error.strerror}") from None
        try:
            text = octets.decode()
        except UnicodeDecodeError as error:
            raise self._error(octets.count(b"\n", 0, error.start) + 1, "not UTF-8 text") from None
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise self._syntax(text, str(error)) from None
        self._lines = KeyLines(text)
        for key in document:
            if key != "mkt":
                raise self._error(self._lines.top(key), f"{key}: not known here; keys stand in [[mkt]] tables")
        tables = document.get("mkt")
        if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
            raise self._error(self._lines.top("mkt"), "no [[mkt]] table")
        for index, table in enumerate(tables):
            for key in ("secret", "secret_hex"):
                if key in table:
                    self._permissions(self._path, mode, self._lines.key(index, key))
        keys = [self._key(index, table) for index, table in enumerate(tables)]
        self._conflicts(keys)
        return keys

    def _syntax(self, text: str, fault: str) -> KeyFileError:
        place = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", fault)
        line = int(place[1]) if place is not None and place[1] else text.rstrip("\n").count("\n") + 1
        return self._error(line, fault[: place.start()] if place is not None else fault)

    def _permissions(self, path: Path, mode: int, line: int) -> None:
        if mode & (stat.S_IRGRP | stat.S_IROTH):
            remedy = f"chmod 600 {shlex.quote(str(path))}"
            fault = f"{path} holds a secret and others can read it (mode {mode:04o}): {remedy}"
            if self._strict:
                raise self._error(line, fault)
            self._notice(f"{self._path}:{line}: {fault}")

    def _key(self, index: int, table: Mapping[str, Any]) -> Mkt | Md5Key:
        try:
            return self._make_md5(index, table) if table.get("mac") == MD5 else self._make(index, table)
        except (_Fault, KeyFault) as error:
            key = error.key if isinstance(error, _Fault) else error.field
            if key == "secret":
                key = next((name for name in _SECRETS if name in table), "")
            raise self._error(self._lines.key(index, key), str(error)) from None

    def _make(self, index: int, table: Mapping[str, Any]) -> Mkt:
        for key in table:
            if key not in _KEYS and key not in _LIFETIMES:
                raise _Fault(key, "not known in [[mkt]]")
        for key in ("send_id", "recv_id"):
            if key not in table:
                raise _Fault("", f"{key} is missing")
        send_id, recv_id = _integer(table, "send_id"), _integer(table, "recv_id")
        nat = _text(table, "nat", Nat.none.value)
        if nat not in Nat.__members__:
            raise _Fault("nat", f"{nat!r} is not one of {', '.join(Nat.__members__)}")
        return Mkt(
            name=_text(table, "name", f"{send_id}/{recv_id}"),
            send_id=send_id,
            recv_id=recv_id,
            secret=self._secret(index, table),
            peer=_network(table, "peer"),
            peer_port=_optional_integer(table, "peer_port"),
            local=_network(table, "local"),
            local_port=_optional_integer(table, "local_port"),
            mac=_text(table, "mac", "aes-128-cmac-96"),
            mac_octets=_optional_integer(table, "mac_octets"),
            cover_options=_boolean(table, "cover_options", True),
            encrypt=_encrypt(table),
            nat=Nat(nat),
            lifetime=_lifetime(table),
        )

    def _make_md5(self, index: int, table: Mapping[str, Any]) -> Md5Key:
        if not self._md5:
            raise _Fault("mac", "a key of TCP-MD5, which is not TCP-AO (mode md5 takes it)")
        for key in table:
            if key not in _MD5_KEYS:
                known = key in _KEYS or key in _LIFETIMES
                raise _Fault(key, "a key of TCP-MD5 has none" if known else "not known in [[mkt]]")
        return Md5Key(
            name=_text(table, "name", MD5),
            secret=self._secret(index, table),
            peer=_network(table, "peer"),
            peer_port=_optional_integer(table, "peer_port"),
            local=_network(table, "local"),
            local_port=_optional_integer(table, "local_port"),
        )

    def _secret(self, index: int, table: Mapping[str, Any]) -> bytes:
        given = [key for key in _SECRETS if key in table]
        if len(given) != 1:
            fault = f"{' and '.join(given)} together: one of them is enough" if given else "no secret"
            raise _Fault("", f"{fault} ({', '.join(_SECRETS)})")
        key = given[0]
        value = _text(table, key, "")
        if key == "secret":
            return value.encode()
        if key == "secret_hex":
            try:
                return bytes.fromhex(value)
            except ValueError:
                raise _Fault(key, "not an even number of hexadecimal digits") from None
        path = self._path.parent / value
        try:
            octets, mode = _read(path)
        except OSError as error:
            raise _Fault(key, f"{path} cannot be read: {error.strerror}") from None
        line = self._lines.key(index, key)
        self._permissions(path, mode, line)
        if octets.endswith(b"\n"):
            octets = octets.removesuffix(b"\n")
            self._notice(f"{self._path}:{line}: the newline that ends {path} is not part of the secret")
        return octets

    def _conflicts(self, keys: list[Mkt | Md5Key]) -> None:
        try:
            MktTable(key for key in keys if isinstance(key, Mkt))
            Md5Table(key for key in keys if isinstance(key, Md5Key))
        except MktConflict as conflict:
            one, other = _places(keys, conflict.one, conflict.other)
            first = self._lines.key(one, conflict.field)
            fault = f"{conflict.field}: {getattr(keys[other], conflict.field)} is that of line {first} for one peer"
            raise self._error(self._lines.key(other, conflict.field), fault) from None
        except Md5Conflict as conflict:
            one, other = _places(keys, conflict.one, conflict.other)
            fault = f"a key of TCP-MD5 for the same connections as that of line {self._lines.key(one, '')}"
            raise self._error(self._lines.key(other, ""), fault) from None


def _places(keys: list[Mkt | Md5Key], *clashing: Mkt | Md5Key) -> list[int]:
    """Where keys stand, in order; found by identity: two tables may say the same."""
    return sorted(next(index for index, key in enumerate(keys) if key is one) for one in clashing)


def _read(path: Path) -> tuple[bytes, int]:
    """Return a file's octets and permission bits, both of the file that was opened."""
    with path.open("rb") as file:
        return file.read(), stat.S_IMODE(os.fstat(file.fileno()).st_mode)


def _text(table: Mapping[str, Any], key: str, default: str) -> str:
    value = table.get(key, default)
    if not isinstance(value, str):
        raise _Fault(key, "not a string")
    return value


def _integer(table: Mapping[str, Any], key: str) -> int:
    value = table[key]
    if not isinstance(value, int) or isinstance(value, bool):
        raise _Fault(key, "not an integer")
    return value


def _optional_integer(table: Mapping[str, Any], key: str) -> int | None:
    return _integer(table, key) if key in table else None


def _boolean(table: Mapping[str, Any], key: str, default: bool) -> bool:
    value = table.get(key, default)
    if not isinstance(value, bool):
        raise _Fault(key, "neither true nor false")
    return value


def _encrypt(table: Mapping[str, Any]) -> str | None:
    value = table.get("encrypt", False)
    if isinstance(value, bool):
        return _DEFAULT_CIPHER if value else None
    if not isinstance(value, str):
        raise _Fault("encrypt", "neither true, false nor the name of a cipher")
    return value


def _lifetime(table: Mapping[str, Any]) -> Lifetime:
    ends = {}
    for key in _LIFETIMES:
        if key in table:
            value = table[key]
            if not isinstance(value, datetime):
                raise _Fault(key, "not a date with a time, such as 2027-01-01T00:00:00Z")
            if value.tzinfo is None:
                raise _Fault(key, "has no offset from UTC: end it with Z, or +HH:MM")
            ends[key] = value.timestamp()
    try:
        return Lifetime(**ends)
    except ValueError as error:
        raise _Fault(str(error), f"not after {str(error).replace('until', 'from')}") from None


def _network(table: Mapping[str, Any], key: str) -> Network | None:
    """Return an address or prefix; an IPv4-mapped address means the IPv4 address, which is what travels."""
    if key not in table:
        return None
    value = _text(table, key, "")
    try:
        if "%" in value:
            raise ValueError("an address without a zone is wanted")
        if "/" not in value:
            address = ip_address(value)
            mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
            return ip_network(mapped or address)
        return ip_network(value)
    except ValueError as error:
        raise _Fault(key, str(error)) from None
