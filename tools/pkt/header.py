"""The option lines that begin a script."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from stack.socket_core.numbers import AF_INET, AF_INET6

from .faults import Refused
from .profiles import PROFILES
from .syntax import OptionLine

_V4: Final = ("192.168.0.1", "192.0.2.1")
_V6: Final = ("fd3d:a0b:17d6::1", "fd3d:fa7b:d17d::1")
_DEFINE = re.compile(r"^\s*--define=([A-Za-z_][A-Za-z0-9_]*)=(`[^`]*`|\"[^\"]*\"|\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Header:
    """What the option lines say. Sizes in octets, ``tolerance`` in seconds, ``tick`` seconds (0: not looked at).

    ``strict``: an expected segment is one segment, however long it is. ``md5_secret``: what makes ``md5 valid``.
    """

    family: int = AF_INET
    mapped: bool = False
    local: str = ""
    remote: str = ""
    tolerance: float = 0.004
    tick: float = 0.0
    mtu: int = 0
    mss: int = 0
    bind_port: int = 8080
    connect_port: int = 8080
    profile: str | None = None
    edo_pad: int | None = None
    md5_secret: bytes = b""
    strict: bool = False

    @property
    def version(self) -> int:
        """IP version on the wire."""
        return 4 if self.family == AF_INET or self.mapped else 6

    @property
    def ends(self) -> tuple[str, str]:
        """Our address and the peer's."""
        local, remote = _V4 if self.version == 4 else _V6
        return self.local or local, self.remote or remote


_Taker = Callable[[Header, str], Header]


def _ip_version(header: Header, value: str) -> Header:
    family = {"ipv4": AF_INET, "ipv4-mapped-ipv6": AF_INET6, "ipv6": AF_INET6}.get(value)
    if family is None:
        raise ValueError("ipv4, ipv4-mapped-ipv6 or ipv6")
    return replace(header, family=family, mapped=value == "ipv4-mapped-ipv6")


def _profile(header: Header, value: str) -> Header:
    if value not in PROFILES:
        raise ValueError(f"one of {', '.join(PROFILES)}")
    return replace(header, profile=value)


def _set(field: str) -> _Taker:
    # Addresses may have the length of a prefix behind them.
    def take(header: Header, value: str) -> Header:
        changes: dict[str, Any] = {field: value.partition("/")[0]}
        return replace(header, **changes)

    return take


def _number(field: str, scale: float = 1.0) -> _Taker:
    def take(header: Header, value: str) -> Header:
        number = int(value, 0)
        if number < 0:
            raise ValueError("a number of 0 or more")
        changes: dict[str, Any] = {field: number * scale if scale != 1.0 else number}
        return replace(header, **changes)

    return take


def _strict(header: Header, _value: str) -> Header:
    return replace(header, strict=True)


def _secret(header: Header, value: str) -> Header:
    if not value:
        raise ValueError("a secret of 1 octet or more")
    return replace(header, md5_secret=value.encode())


def _percent(header: Header, value: str) -> Header:
    """Virtual time is exact: a share of an interval adds nothing to the tolerance."""
    float(value)
    return header


def _nothing(header: Header, _value: str) -> Header:
    return header


_OPTIONS: Final[dict[str, _Taker]] = {
    "ip_version": _ip_version,
    "local_ip": _set("local"),
    "local_ipv4": _set("local"),
    "local_ipv6": _set("local"),
    "remote_ip": _set("remote"),
    "remote_ipv4": _set("remote"),
    "remote_ipv6": _set("remote"),
    "tolerance_usecs": _number("tolerance", 1e-6),
    "tcp_ts_tick_usecs": _number("tick", 1e-6),
    "mtu": _number("mtu"),
    "mss": _number("mss"),
    "bind_port": _number("bind_port"),
    "connect_port": _number("connect_port"),
    "profile": _profile,
    "edo_pad": _number("edo_pad"),
    "tolerance_percent": _percent,
    "strict_segments": _strict,
    "tcp_md5_secret": _secret,
    # Where the script runs, and how much it says: nothing here depends on it.
    "define": _nothing,
    "tcp_ts_ecr_scaled": _nothing,
    "gateway_ip": _nothing,
    "netmask_ip": _nothing,
    "speed": _nothing,
    "verbose": _nothing,
    "debug": _nothing,
    "non_fatal": _nothing,
    "dry_run": _nothing,
    "wire_client_dev": _nothing,
    "wire_server_dev": _nothing,
    "send_omit_free": _nothing,
    "prefix_local_addr": _nothing,
    "wire_client": _nothing,
    "wire_server": _nothing,
    "wire_server_ip": _nothing,
    "wire_server_port": _nothing,
    "is_anyip": _nothing,
    "tun_dev": _nothing,
    "persistent_tun_dev": _nothing,
    "no_cleanup": _nothing,
    "code_command": _nothing,
    "code_format": _nothing,
    "code_sockopt": _nothing,
}
_REFUSED: Final = {
    "udp_encapsulation": "encapsulation in UDP",
    "udp_src_port": "encapsulation in UDP",
    "udp_dst_port": "encapsulation in UDP",
}


def read_header(options: tuple[OptionLine, ...]) -> Header:
    """What the option lines say; raises Refused."""
    header = Header()
    for option in options:
        taker = _OPTIONS.get(option.name)
        if option.name in _REFUSED:
            raise Refused(option.place, f"not supported: {_REFUSED[option.name]}")
        if taker is None:
            raise Refused(option.place, f"unknown option --{option.name}")
        try:
            header = taker(header, (option.value or "").strip('"'))
        except ValueError as error:
            raise Refused(option.place, f"--{option.name}={option.value}: {error}") from None
    return header


def with_definitions(text: str, given: Mapping[str, str]) -> str:
    """The script with what its ``--define=NAME=VALUE`` lines define, and ``given``, put in place of the names."""
    defined = {**given, **dict(_DEFINE.findall(text))}
    if not defined:
        return text
    names = re.compile(r"(?<![A-Za-z0-9_=])(" + "|".join(map(re.escape, defined)) + r")(?![A-Za-z0-9_])")
    head, body = _split(text)
    return head + names.sub(lambda found: defined[found.group()], body)


def _split(text: str) -> tuple[str, str]:
    """The option lines with what stands between them, and the rest."""
    last = 0
    for found in re.finditer(r"^\s*--\S+.*$", text, re.MULTILINE):
        last = found.end()
    return text[:last], text[last:]
