"""The gateway's file: ``[tun]`` and ``[[forward]]`` tables, read and checked; faults are told with their line."""

from __future__ import annotations

import ipaddress
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from stack.security import Security

from .link import Fault, Link, check_link
from .protect import check_security, listed
from .toml_lines import Lines, syntax_error

_TUN_KEYS: Final = {
    "name": str,
    "addr": list,
    "host": list,
    "netns": str,
    "mtu": int,
    "congestion": str,
    "sack_blocks": int,
    "offload": bool,
}
_FORWARD_KEYS: Final = {
    "name": str,
    "listen": str,
    "connect": str,
    "source": str,
    "protect": str,
    "policy": str,
    "placement": (str, list),
    "group": (str, list),
    "suite": (str, list),
    "order": str,
    "simopen": str,
    "confirm": str,
    "edo": str,
    "edo_kind": str,
    "edo_units": str,
    "edo_form": str,
    "keys": str,
    "accept_icmps": bool,
    "rekey": str,
    "syn_eos": bool,
    "resume": str,
    "strict_syn": bool,
}
_TYPES: Final = {str: "a string", list: "a list of strings", int: "a whole number", bool: "true or false"}


class GatewayFileError(ValueError):
    """What is wrong with a gateway's file: one line, ``FILE:LINE: what``."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``kernel:ADDR:PORT`` or ``stack:ADDR:PORT``."""

    kernel: bool
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Forward:
    """One ``[[forward]]``: connections to ``listen`` are relayed to ``connect``.

    ``source`` is the local (address, port) of the connecting side, port 0 for any; ``security`` that of the side
    which is the stack's.
    """

    name: str
    listen: Endpoint
    connect: Endpoint
    source: tuple[str, int] | None
    security: Security


@dataclass(frozen=True, slots=True)
class GatewayFile:
    """A whole file."""

    link: Link
    forwards: tuple[Forward, ...]


def load(
    path: Path,
    capture: Path | None = None,
    qlog: Path | None = None,
    keylog: Path | None = None,
    *,
    notice: Callable[[str], None] | None = None,
) -> GatewayFile:
    """Read and check ``path``; ``capture``, ``qlog`` and ``keylog`` are the command line's.

    ``notice`` gets what is to be said of keys files.
    Raises GatewayFileError; OSError where the file cannot be read; ``ao.keyfile.KeyFileError`` for a keys file.
    """
    text = path.read_bytes().decode("utf-8", errors="replace")
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line, what = syntax_error(error, text)
        raise GatewayFileError(f"{path}:{line}: {what}") from None
    return _Reader(path, Lines(text), notice).read(content, capture, qlog, keylog)


class _Reader:
    def __init__(self, path: Path, lines: Lines, notice: Callable[[str], None] | None) -> None:
        self._path = path
        self._lines = lines
        self._notice = notice

    def _error(self, what: str, table: str, number: int = 0, key: str = "") -> GatewayFileError:
        return GatewayFileError(f"{self._path}:{self._lines.of(table, number, key)}: {what}")

    def read(
        self, content: Mapping[str, Any], capture: Path | None, qlog: Path | None, keylog: Path | None
    ) -> GatewayFile:
        for name in content:
            if name not in ("tun", "forward"):
                raise self._error(f"unknown table or key {name!r} (known: tun, forward)", name)
        tun = content.get("tun")
        if not isinstance(tun, dict):
            raise self._error("there is no [tun] table", "tun")
        self._check_keys(tun, _TUN_KEYS, "tun", 0)
        if "addr" not in tun:
            raise self._error("[tun] has no addr", "tun")
        try:
            link = check_link(
                name=tun.get("name", "edotun0"),
                addresses=tun["addr"],
                hosts=tun.get("host", []),
                netns=tun.get("netns"),
                mtu=tun.get("mtu", 1500),
                capture=capture,
                qlog=qlog,
                congestion=tun.get("congestion", "cubic"),
                keylog=keylog,
                sack_blocks=tun.get("sack_blocks", 16),
                offload=tun.get("offload", True),
            )
        except Fault as fault:
            key = "name" if fault.option == "tun" else fault.option
            raise self._error(f"{key}: {fault}", "tun", 0, key) from None
        tables = content.get("forward")
        if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
            raise self._error("there is no [[forward]] table", "forward")
        own = {str(ipaddress.ip_interface(text).ip) for text in link.addresses}
        forwards: list[Forward] = []
        for number, table in enumerate(tables):
            forward = self._forward(table, number, own)
            for other in forwards:
                if other.listen == forward.listen:
                    raise self._error(f"{table['listen']} is listened on twice", "forward", number, "listen")
                if other.name == forward.name:
                    raise self._error(f"the name {forward.name!r} is used twice", "forward", number, "name")
            forwards.append(forward)
        return GatewayFile(link, tuple(forwards))

    def _check_keys(self, table: Mapping[str, Any], known: Mapping[str, Any], name: str, number: int) -> None:
        for key, value in table.items():
            if key not in known:
                raise self._error(f"unknown key {key!r} (known: {', '.join(known)})", name, number, key)
            kinds = known[key] if isinstance(known[key], tuple) else (known[key],)
            right = isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
            if right and isinstance(value, list):
                right = all(isinstance(item, str) for item in value)
            if not right:
                wanted = " or ".join(_TYPES[kind] for kind in kinds)
                raise self._error(f"{key} must be {wanted}", name, number, key)

    def _forward(self, table: Mapping[str, Any], number: int, own: set[str]) -> Forward:
        self._check_keys(table, _FORWARD_KEYS, "forward", number)
        ends: dict[str, Endpoint] = {}
        for key in ("listen", "connect"):
            if key not in table:
                raise self._error(f"[[forward]] has no {key}", "forward", number)
            try:
                ends[key] = _endpoint(table[key])
            except ValueError as error:
                raise self._error(f"{key}: {error}", "forward", number, key) from None
        listen, connect = ends["listen"], ends["connect"]
        if listen.kernel == connect.kernel:
            what = "one of listen and connect must be kernel:ADDR:PORT, the other stack:ADDR:PORT"
            raise self._error(what, "forward", number, "connect")
        if not listen.kernel and listen.address not in own:
            what = f"listen: {listen.address} is not one of the stack's addresses (addr)"
            raise self._error(what, "forward", number, "listen")
        source = None
        if "source" in table:
            source = self._source(table["source"], number, connect, own)
        keys = table.get("keys")
        try:
            security = check_security(
                protect=table.get("protect", "none"),
                policy=table.get("policy", "require"),
                edo=table.get("edo"),
                edo_kind=table.get("edo_kind"),
                edo_units=table.get("edo_units"),
                edo_form=table.get("edo_form"),
                keys=None if keys is None else self._path.parent / keys,
                placement=listed(table.get("placement")),
                group=listed(table.get("group")),
                suite=listed(table.get("suite")),
                order=table.get("order", "peer"),
                simopen=table.get("simopen", "tiebreak"),
                confirm=table.get("confirm"),
                accept_icmps=table.get("accept_icmps", False),
                rekey=table.get("rekey"),
                syn_eos=table.get("syn_eos", False),
                resume=table.get("resume", "plain"),
                strict_syn=table.get("strict_syn", False),
                notice=self._notice,
            )
        except Fault as fault:
            raise self._error(f"{fault.option}: {fault}", "forward", number, fault.option) from None
        return Forward(table.get("name", f"forward {number + 1}"), listen, connect, source, security)

    def _source(self, text: str, number: int, connect: Endpoint, own: set[str]) -> tuple[str, int]:
        try:
            source = _address_port(text, port_needed=False)
        except ValueError as error:
            raise self._error(f"source: {error}", "forward", number, "source") from None
        if ipaddress.ip_address(source[0]).version != ipaddress.ip_address(connect.address).version:
            raise self._error("source: not the IP version of connect", "forward", number, "source")
        if not connect.kernel and source[0] not in own:
            what = f"source: {source[0]} is not one of the stack's addresses (addr)"
            raise self._error(what, "forward", number, "source")
        return source


def _endpoint(text: str) -> Endpoint:
    kind, colon, rest = text.partition(":")
    if kind not in ("kernel", "stack") or not colon:
        raise ValueError(f"{text!r} is not kernel:ADDR:PORT or stack:ADDR:PORT")
    address, port = _address_port(rest, port_needed=True)
    return Endpoint(kind == "kernel", address, port)


def _address_port(text: str, *, port_needed: bool) -> tuple[str, int]:
    """Read ADDR:PORT (ADDR alone where no port is needed), an IPv6 address in brackets."""
    what = "ADDR:PORT" if port_needed else "ADDR or ADDR:PORT"
    if text.startswith("["):
        address, bracket, rest = text[1:].partition("]")
        colon, port = rest[:1], rest[1:]
        if not bracket or colon not in ("", ":"):
            raise ValueError(f"{text!r} is not {what}")
    else:
        address, colon, port = text.partition(":")
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        raise ValueError(f"{address!r} is not an IPv4 address, or an IPv6 address in brackets") from None
    if (ip.version == 6) != text.startswith("["):
        raise ValueError(f"{text!r}: an IPv6 address, and no other, stands in brackets")
    if not colon and not port_needed:
        return str(ip), 0
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65_535):
        raise ValueError(f"{port!r} is not a port (1-65535)")
    return str(ip), int(port)
