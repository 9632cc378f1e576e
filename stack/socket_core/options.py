"""Socket options that are values: what each may be, what it reads as, and which setting of TCP it makes."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ..config import TcpConfig
from ..congestion.registry import CONTROLLERS
from .errors import SocketError
from .fast_open import NAMES as FAST_OPEN
from .fast_open import FastOpenOptions
from .numbers import (
    IP_BIND_ADDRESS_NO_PORT,
    IP_LOCAL_PORT_RANGE,
    IP_TOS,
    IP_TTL,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPPROTO_TCP,
    IPV6_TCLASS,
    IPV6_UNICAST_HOPS,
    IPV6_V6ONLY,
    SO_DEBUG,
    SO_KEEPALIVE,
    SO_LINGER,
    SO_OOBINLINE,
    SO_PROTOCOL,
    SO_RCVBUF,
    SO_RCVLOWAT,
    SO_REUSEADDR,
    SO_SNDBUF,
    SO_SNDLOWAT,
    SO_TYPE,
    SOCK_STREAM,
    SOL_SOCKET,
    TCP_CONGESTION,
    TCP_CORK,
    TCP_DEFER_ACCEPT,
    TCP_INQ,
    TCP_KEEPCNT,
    TCP_KEEPIDLE,
    TCP_KEEPINIT,
    TCP_KEEPINTVL,
    TCP_LINGER2,
    TCP_MAXSEG,
    TCP_NODELAY,
    TCP_NOOPT,
    TCP_NOTSENT_LOWAT,
    TCP_QUICKACK,
    TCP_SYNCNT,
    TCP_USER_TIMEOUT,
    TCP_WINDOW_CLAMP,
)
from .profile import Profile
from .values import Value, bounded, integer

_LINGER: Final = struct.Struct("ii")
# Bounds as Linux has them.
_LEAST_MSS: Final = 88
_MOST_MSS: Final = 32767
_MOST_KEEP: Final = 32767
_MOST_COUNT: Final = 127
_MOST_LINGER2: Final = 120
_NAME_OCTETS: Final = 16


@dataclass(slots=True)
class Settings:
    """The options of one socket. ``tcp`` holds those that are settings of TCP, by ``TcpConfig``'s names.

    Buffer sizes in octets as they were asked for (0: not), ``linger`` in seconds (-1: off), ``user_mss`` in octets
    (0: none), ``notsent_lowat`` in octets (0: none), ``inq`` 1 where recvmsg tells what is left,
    ``port_later``: bind to port 0 takes an address alone, ``linger2`` and ``defer_accept`` in seconds. ``debug`` is
    kept and has no effect.
    """

    profile: Profile
    base: TcpConfig
    tcp: dict[str, Any] = field(default_factory=dict)
    receive_buffer: int = 0
    send_buffer: int = 0
    window_clamp: int = 0
    debug: bool = False
    reuse_address: bool = False
    linger: int = -1
    receive_lowat: int = 1
    cork: bool = False
    inq: int = 0
    port_later: bool = False
    quick_ack: bool = False
    defer_accept: int = 0
    linger2: int = 0
    notsent_lowat: int = 0
    tos: int = 0
    v6only: bool = False
    fast_open: FastOpenOptions = field(default=FastOpenOptions())

    def copy(self) -> Settings:
        """The settings that an accepted socket inherits."""
        return replace(self, tcp=dict(self.tcp))

    @property
    def asked(self) -> bool:
        """Whether TCP is to be told anything but what the stack has."""
        own = self.tcp or self.receive_buffer or self.send_buffer or self.window_clamp
        return bool(own) or self.fast_open.asked

    def config(self) -> TcpConfig:
        """What TCP is to be told."""
        changes = dict(self.tcp)
        if self.receive_buffer:
            changes["receive_buffer"] = self.receive_buffer
            if self.profile.scale_by_buffer:
                changes["window_scale"] = -1
        if self.window_clamp:
            asked = changes.get("receive_buffer", self.base.most_receive_buffer)
            changes["receive_buffer"] = min(asked, self.window_clamp)
        if self.send_buffer:
            changes["send_buffer"] = self.send_buffer * (
                self.profile.buffer_factor if self.profile.whole_send_buffer else 1
            )
        if self.fast_open.asked:
            switch = self.profile.fast_open_switch
            changes["fast_open"] = self.fast_open.applied(self.base.fast_open, switch=switch)
        return replace(self.base, **changes) if changes else self.base

    def set(self, level: int, name: int, value: Value) -> None:
        """Take one option; SocketError: ENOPROTOOPT not known or not to be set, EINVAL the value is none of its."""
        setter = _SETTERS.get((level, name))
        if setter is None:
            raise SocketError(errno.ENOPROTOOPT)
        setter(self, value)

    def get(self, level: int, name: int) -> Value:
        """What one option reads as; SocketError ENOPROTOOPT where there is no such option."""
        getter = _GETTERS.get((level, name))
        if getter is None:
            raise SocketError(errno.ENOPROTOOPT)
        return getter(self)

    def buffer(self, name: str) -> int:
        """What SO_RCVBUF ("receive_buffer") or SO_SNDBUF ("send_buffer") reads as, octets."""
        asked: int = getattr(self, name) or getattr(self.base, f"first_{name}")
        return self.reads_as(asked)

    def reads_as(self, octets: int) -> int:
        """What a buffer of ``octets`` reads as in this profile."""
        return max(octets * self.profile.buffer_factor, self.profile.least_buffer)


def _switch(name: str) -> Callable[[Settings, Value], None]:
    def setter(settings: Settings, value: Value) -> None:
        setattr(settings, name, bool(integer(value)))

    return setter


def _attribute(name: str, least: int, most: int) -> Callable[[Settings, Value], None]:
    def setter(settings: Settings, value: Value) -> None:
        setattr(settings, name, bounded(value, least, most))

    return setter


def _tcp(name: str, least: int, most: int, *, divisor: float = 0.0) -> Callable[[Settings, Value], None]:
    """An option that is a setting of TCP: a number, or with ``divisor`` a time in fractions of a second."""

    def setter(settings: Settings, value: Value) -> None:
        number = bounded(value, least, most)
        settings.tcp[name] = number / divisor if divisor else number

    return setter


def _read(name: str) -> Callable[[Settings], Value]:
    return lambda settings: int(getattr(settings, name))


def _read_tcp(name: str, factor: float = 1) -> Callable[[Settings], Value]:
    return lambda settings: round(settings.tcp.get(name, getattr(settings.base, name)) * factor)


def _set_buffer(name: str) -> Callable[[Settings, Value], None]:
    def setter(settings: Settings, value: Value) -> None:
        profile = settings.profile
        number = integer(value) & 0xFFFFFFFF
        most = profile.largest_buffer // profile.buffer_factor
        setattr(settings, name, max(min(number, most), profile.least_buffer // profile.buffer_factor))

    return setter


def _read_buffer(name: str) -> Callable[[Settings], Value]:
    return lambda settings: settings.buffer(name)


def _set_linger(settings: Settings, value: Value) -> None:
    if isinstance(value, int) or len(value) < _LINGER.size:
        raise SocketError(errno.EINVAL)
    on, seconds = _LINGER.unpack_from(value)
    settings.linger = max(seconds, 0) if on else -1


def _read_linger(settings: Settings) -> Value:
    return _LINGER.pack(settings.linger >= 0, max(settings.linger, 0))


def _set_lowat(settings: Settings, value: Value) -> None:
    number = integer(value)
    # A negative one means as much as there can be (Linux).
    settings.receive_lowat = max(number, 1) if number >= 0 else 0x7FFFFFFF


def _set_oob_inline(settings: Settings, value: Value) -> None:
    """Urgent data is in line, always (RFC 6093 §5)."""
    if not integer(value):
        raise SocketError(errno.EOPNOTSUPP)


def _set_nodelay(settings: Settings, value: Value) -> None:
    settings.tcp["nagle"] = not integer(value)


def _read_nodelay(settings: Settings) -> Value:
    return int(not settings.tcp.get("nagle", settings.base.nagle))


def _set_no_options(settings: Settings, value: Value) -> None:
    settings.tcp["no_options"] = bool(integer(value))


def _set_keepalive(settings: Settings, value: Value) -> None:
    settings.tcp["keepalive"] = bool(integer(value))


def _set_mss(settings: Settings, value: Value) -> None:
    number = integer(value)
    if number and not _LEAST_MSS <= number <= _MOST_MSS:
        raise SocketError(errno.EINVAL)
    settings.tcp["mss"] = number


def _set_quick_ack(settings: Settings, value: Value) -> None:
    settings.quick_ack = bool(integer(value) & 1)
    if settings.quick_ack:
        settings.tcp["delayed_ack"] = 0.0
    else:
        settings.tcp.pop("delayed_ack", None)


def _set_linger2(settings: Settings, value: Value) -> None:
    number = integer(value)
    settings.linger2 = -1 if number < 0 else min(number, _MOST_LINGER2)
    settings.tcp["fin_wait_2"] = float(max(settings.linger2, 0))


def _read_linger2(settings: Settings) -> Value:
    base = settings.base
    return settings.linger2 or round(base.fin_wait_2 or 2 * base.msl)


def _set_defer_accept(settings: Settings, value: Value) -> None:
    settings.defer_accept = max(integer(value), 0)


def _set_clamp(settings: Settings, value: Value) -> None:
    number = integer(value)
    if number < 0:
        raise SocketError(errno.EINVAL)
    settings.window_clamp = max(number, settings.profile.least_buffer // 2) if number else 0


def _set_notsent_lowat(settings: Settings, value: Value) -> None:
    # A negative one means as much as there can be (Linux).
    settings.notsent_lowat = integer(value) & 0xFFFFFFFF


def _set_port_range(settings: Settings, value: Value) -> None:
    """The first port in the lower 16 bits and the last in the upper; 0 for what the stack has."""
    number = integer(value) & 0xFFFFFFFF
    first, last = number & 0xFFFF, number >> 16
    if first and last and first > last:
        raise SocketError(errno.EINVAL)
    least, most = settings.base.local_ports
    settings.tcp["local_ports"] = (first or least, last or most)
    if not number:
        del settings.tcp["local_ports"]


def _read_port_range(settings: Settings) -> Value:
    ports: tuple[int, int] = settings.tcp.get("local_ports", (0, 0))
    return ports[1] << 16 | ports[0]


def _set_congestion(settings: Settings, value: Value) -> None:
    if isinstance(value, int):
        raise SocketError(errno.EINVAL)
    name = value.split(b"\0", 1)[0].decode("ascii", "replace")
    if name not in CONTROLLERS:
        raise SocketError(errno.ENOENT)
    settings.tcp["congestion"] = name


def _read_congestion(settings: Settings) -> Value:
    name: str = settings.tcp.get("congestion", settings.base.congestion)
    return name.encode().ljust(_NAME_OCTETS, b"\0")


def _set_user_timeout(settings: Settings, value: Value) -> None:
    settings.tcp["user_timeout"] = bounded(value, 0, 0x7FFFFFFF) / 1000.0


def _set_tos(settings: Settings, value: Value) -> None:
    """The octet's ECN bits belong to TCP (RFC 3168 §5), the rest is the DSCP (RFC 2474 §3)."""
    number = integer(value)
    if not -1 <= number <= 0xFF:
        raise SocketError(errno.EINVAL)
    settings.tos = max(number, 0) & 0xFC
    settings.tcp["dscp"] = settings.tos >> 2


def _set_ttl(settings: Settings, value: Value) -> None:
    number = integer(value)
    if number == -1:
        settings.tcp.pop("ttl", None)
    elif not 1 <= number <= 255:
        raise SocketError(errno.EINVAL)
    else:
        settings.tcp["ttl"] = number


def _set_fast_open(name: int) -> Callable[[Settings, Value], None]:
    def setter(settings: Settings, value: Value) -> None:
        settings.fast_open = settings.fast_open.having(name, value)

    return setter


def _read_fast_open(name: int) -> Callable[[Settings], Value]:
    return lambda settings: settings.fast_open.read(name)


_SETTERS: Final[dict[tuple[int, int], Callable[[Settings, Value], None]]] = {
    (SOL_SOCKET, SO_DEBUG): _switch("debug"),
    (SOL_SOCKET, SO_REUSEADDR): _switch("reuse_address"),
    (SOL_SOCKET, SO_KEEPALIVE): _set_keepalive,
    (SOL_SOCKET, SO_OOBINLINE): _set_oob_inline,
    (SOL_SOCKET, SO_RCVBUF): _set_buffer("receive_buffer"),
    (SOL_SOCKET, SO_SNDBUF): _set_buffer("send_buffer"),
    (SOL_SOCKET, SO_LINGER): _set_linger,
    (SOL_SOCKET, SO_RCVLOWAT): _set_lowat,
    (IPPROTO_IP, IP_TOS): _set_tos,
    (IPPROTO_IP, IP_TTL): _set_ttl,
    (IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT): _switch("port_later"),
    (IPPROTO_IP, IP_LOCAL_PORT_RANGE): _set_port_range,
    (IPPROTO_IPV6, IPV6_TCLASS): _set_tos,
    (IPPROTO_IPV6, IPV6_UNICAST_HOPS): _set_ttl,
    (IPPROTO_IPV6, IPV6_V6ONLY): _switch("v6only"),
    (IPPROTO_TCP, TCP_NODELAY): _set_nodelay,
    (IPPROTO_TCP, TCP_MAXSEG): _set_mss,
    (IPPROTO_TCP, TCP_CORK): _switch("cork"),
    (IPPROTO_TCP, TCP_INQ): _attribute("inq", 0, 1),
    (IPPROTO_TCP, TCP_KEEPIDLE): _tcp("keepalive_idle", 1, _MOST_KEEP, divisor=1.0),
    (IPPROTO_TCP, TCP_KEEPINTVL): _tcp("keepalive_interval", 1, _MOST_KEEP, divisor=1.0),
    (IPPROTO_TCP, TCP_KEEPINIT): _tcp("open_timeout", 1, _MOST_KEEP, divisor=1.0),
    (IPPROTO_TCP, TCP_NOOPT): _set_no_options,
    (IPPROTO_TCP, TCP_KEEPCNT): _tcp("keepalive_probes", 1, _MOST_COUNT),
    (IPPROTO_TCP, TCP_SYNCNT): _tcp("syn_retries", 1, _MOST_COUNT),
    (IPPROTO_TCP, TCP_LINGER2): _set_linger2,
    (IPPROTO_TCP, TCP_DEFER_ACCEPT): _set_defer_accept,
    (IPPROTO_TCP, TCP_WINDOW_CLAMP): _set_clamp,
    (IPPROTO_TCP, TCP_QUICKACK): _set_quick_ack,
    (IPPROTO_TCP, TCP_CONGESTION): _set_congestion,
    (IPPROTO_TCP, TCP_USER_TIMEOUT): _set_user_timeout,
    **{(IPPROTO_TCP, name): _set_fast_open(name) for name in FAST_OPEN},
    (IPPROTO_TCP, TCP_NOTSENT_LOWAT): _set_notsent_lowat,
}

_GETTERS: Final[dict[tuple[int, int], Callable[[Settings], Value]]] = {
    (SOL_SOCKET, SO_DEBUG): _read("debug"),
    (SOL_SOCKET, SO_REUSEADDR): _read("reuse_address"),
    (SOL_SOCKET, SO_KEEPALIVE): _read_tcp("keepalive"),
    (SOL_SOCKET, SO_OOBINLINE): lambda _: 1,
    (SOL_SOCKET, SO_RCVBUF): _read_buffer("receive_buffer"),
    (SOL_SOCKET, SO_SNDBUF): _read_buffer("send_buffer"),
    (SOL_SOCKET, SO_LINGER): _read_linger,
    (SOL_SOCKET, SO_RCVLOWAT): _read("receive_lowat"),
    (SOL_SOCKET, SO_SNDLOWAT): lambda _: 1,
    (SOL_SOCKET, SO_TYPE): lambda _: SOCK_STREAM,
    (SOL_SOCKET, SO_PROTOCOL): lambda _: IPPROTO_TCP,
    (IPPROTO_IP, IP_TOS): _read("tos"),
    (IPPROTO_IP, IP_TTL): _read_tcp("ttl"),
    (IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT): _read("port_later"),
    (IPPROTO_IP, IP_LOCAL_PORT_RANGE): _read_port_range,
    (IPPROTO_IPV6, IPV6_TCLASS): _read("tos"),
    (IPPROTO_IPV6, IPV6_UNICAST_HOPS): _read_tcp("ttl"),
    (IPPROTO_IPV6, IPV6_V6ONLY): _read("v6only"),
    (IPPROTO_TCP, TCP_NODELAY): _read_nodelay,
    (IPPROTO_TCP, TCP_MAXSEG): _read_tcp("mss"),
    (IPPROTO_TCP, TCP_CORK): _read("cork"),
    (IPPROTO_TCP, TCP_INQ): _read("inq"),
    (IPPROTO_TCP, TCP_KEEPIDLE): _read_tcp("keepalive_idle"),
    (IPPROTO_TCP, TCP_KEEPINTVL): _read_tcp("keepalive_interval"),
    (IPPROTO_TCP, TCP_KEEPINIT): _read_tcp("open_timeout"),
    (IPPROTO_TCP, TCP_NOOPT): _read_tcp("no_options"),
    (IPPROTO_TCP, TCP_KEEPCNT): _read_tcp("keepalive_probes"),
    (IPPROTO_TCP, TCP_SYNCNT): _read_tcp("syn_retries"),
    (IPPROTO_TCP, TCP_LINGER2): _read_linger2,
    (IPPROTO_TCP, TCP_DEFER_ACCEPT): _read("defer_accept"),
    (IPPROTO_TCP, TCP_WINDOW_CLAMP): _read("window_clamp"),
    (IPPROTO_TCP, TCP_QUICKACK): _read("quick_ack"),
    (IPPROTO_TCP, TCP_CONGESTION): _read_congestion,
    (IPPROTO_TCP, TCP_USER_TIMEOUT): _read_tcp("user_timeout", 1000),
    **{(IPPROTO_TCP, name): _read_fast_open(name) for name in FAST_OPEN},
    (IPPROTO_TCP, TCP_NOTSENT_LOWAT): _read("notsent_lowat"),
}
