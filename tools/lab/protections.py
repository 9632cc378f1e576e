"""Protections by name: what both ends ask for; by ``edotun.protection`` a file adds one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Final

from ao.md5 import Md5Key, Md5Table
from ao.mkt import Mkt, MktTable, Nat
from stack.security import Security

from ..registry import Registry

Ends = tuple[Security, Security]


@dataclass(frozen=True, slots=True)
class Protection:
    """A protection: ``make`` returns what client and server ask for, new for each run.

    ``secret``: nobody on the path may read what is sent, so that finding it there is a leak. ``about`` says what
    it is.
    """

    name: str
    about: str
    secret: bool
    make: Callable[[], Ends]


PROTECTIONS: Final[Registry[Protection]] = Registry("protection")
"""All protections that attacks are tried on."""

Maker = Callable[[], Security | Ends]


def protection(name: str, *, secret: bool = False, about: str = "") -> Callable[[Maker], Maker]:
    """Register what it decorates, a function that returns a Security for both ends or one for each.

    ``about`` defaults to the first line of the docstring. Raises ValueError for a name that is taken.
    """

    def register(make: Maker) -> Maker:
        def both() -> Ends:
            asked = make()
            return asked if isinstance(asked, tuple) else (asked, asked)

        told = about or (make.__doc__ or name).strip().partition("\n")[0]
        PROTECTIONS.add(name, Protection(name, told, secret, both))
        return make

    return register


_CLIENT, _SERVER = ip_network("10.0.0.1/32"), ip_network("10.0.0.2/32")
_SECRET: Final = b"a key that both ends have"


def configured(
    mode: str, *, client_nat: Nat = Nat.none, server_nat: Nat = Nat.none, cover_options: bool = True
) -> Ends:
    """Mode ``ao`` or ``ao-enc`` with one key at both ends."""
    cipher = "aes-128-ctr" if mode == "ao-enc" else None
    client = Mkt("key", 61, 84, _SECRET, peer=_SERVER, nat=client_nat, cover_options=cover_options, encrypt=cipher)
    # Behind a NAT the client has an address that the server cannot know.
    peer = None if server_nat is not Nat.none else _CLIENT
    server = Mkt("key", 84, 61, _SECRET, peer=peer, nat=server_nat, cover_options=cover_options, encrypt=cipher)
    return Security(mode, keys=MktTable([client])), Security(mode, keys=MktTable([server]))


@protection("none")
def none() -> Security:
    """TCP as everybody has it."""
    return Security()


@protection("md5")
def md5() -> Ends:
    """TCP-MD5 (RFC 2385): a digest over pseudo-header, fixed header and payload, and over no option."""
    client, server = (Md5Table([Md5Key("key", _SECRET, peer=peer)]) for peer in (_SERVER, _CLIENT))
    return Security("md5", md5_keys=client), Security("md5", md5_keys=server)


@protection("ao")
def ao() -> Ends:
    """TCP-AO (RFC 5925) under a configured key, options covered."""
    return configured("ao")


@protection("ao-bare")
def ao_bare() -> Ends:
    """TCP-AO under a configured key with options other than its own outside the MAC (RFC 5925 §5.1)."""
    return configured("ao", cover_options=False)


@protection("ao-nat")
def ao_nat() -> Ends:
    """TCP-AO under a configured key whose MAC spares the client's address and port (RFC 6978)."""
    return configured("ao", client_nat=Nat.local, server_nat=Nat.remote)


@protection("ao-dh")
def ao_dh() -> Security:
    """Keys agreed on within the connection; header and payload authenticated, nothing encrypted."""
    return Security("ao-dh")


@protection("ao-enc", secret=True)
def ao_enc() -> Ends:
    """Under a configured key header and payload are authenticated and the payload encrypted."""
    return configured("ao-enc")


@protection("ao-enc-dh", secret=True)
def ao_enc_dh() -> Security:
    """Keys agreed on within the connection; header and payload authenticated, the payload encrypted."""
    return Security("ao-enc-dh")


@protection("ao-enc-dh-prefer", secret=True)
def ao_enc_dh_prefer() -> Security:
    """The same where it can be had, and plain TCP where not (policy ``prefer``)."""
    return Security("ao-enc-dh", policy="prefer")
