"""What a profile is: a table of settings of the stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edo.codepoints import DEFAULT, Dialect
from stack.config import TcpConfig
from stack.fastopen_cookies import Tag
from stack.socket_core.profile import OWN
from stack.socket_core.profile import Profile as SocketHabits


@dataclass(frozen=True, slots=True)
class Profile:
    """How a script's system behaves: ``config`` of TCP, ``sockets``, ``dialect`` (order of options, EDO's form).

    ``echoes``: a timestamp's echo is looked at. ``latest_socket``: segments of connections of earlier sockets than
    the latest are not. ``ipv6_mtu``: of the link where a script does not say.
    ``definitions`` are words that stand for others where the system's scripts are run.
    ``listening_edo`` and ``dialling_edo`` are EDO policies (off, strict, lenient) of what a script opens;
    ``defined`` are the names that hold in ``#ifdef``. ``versions`` are what other versions of the system do
    otherwise: a script holds if it holds for one of them. ``fast_open_tag`` makes the cookies of Fast Open,
    ``fast_open_key`` (16 octets, or none) is the first key.
    """

    name: str
    config: TcpConfig = field(default_factory=TcpConfig)
    sockets: SocketHabits = OWN
    dialect: Dialect = DEFAULT
    listening_edo: str = "off"
    dialling_edo: str = "off"
    echoes: bool = True
    latest_socket: bool = False
    ipv6_mtu: int = 1500
    definitions: Mapping[str, str] = field(default_factory=dict)
    defined: frozenset[str] = frozenset()
    versions: tuple[Mapping[str, object], ...] = ()
    fast_open_tag: Tag | None = None
    fast_open_key: bytes = b""
