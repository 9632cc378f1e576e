"""Keys as the control socket has them: the names of the keys file, times in seconds since 1970."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Mapping

from ao.lifetime import Lifetime
from ao.md5 import NAME, Md5Key
from ao.mkt import Mkt, Nat

_TIMES = ("send_from", "send_until", "accept_from", "accept_until")


def _ends(key: Mkt | Md5Key) -> dict[str, object]:
    return {
        "name": key.name,
        "peer": None if key.peer is None else str(key.peer),
        "peer_port": key.peer_port,
        "local": None if key.local is None else str(key.local),
        "local_port": key.local_port,
    }


def row_of(mkt: Mkt) -> dict[str, object]:
    """Everything of a key but its secret; a time without a bound is null."""
    times = {name: getattr(mkt.lifetime, name) for name in _TIMES}
    return {
        **_ends(mkt),
        "send_id": mkt.send_id,
        "recv_id": mkt.recv_id,
        "mac": mkt.mac,
        "mac_octets": mkt.option_mac_octets,
        "cover_options": mkt.cover_options,
        "encrypt": mkt.encrypt,
        "nat": mkt.nat.value,
        **{name: None if math.isinf(at) else at for name, at in times.items()},
    }


def row_of_md5(key: Md5Key) -> dict[str, object]:
    """The same of a key of TCP-MD5, which has no ids and is always in use."""
    return {**_ends(key), "send_id": None, "recv_id": None, "mac": NAME}


def order_of(mkt: Mkt) -> dict[str, object]:
    """The same with the secret, for the socket alone."""
    return {**row_of(mkt), "mac_octets": mkt.mac_octets, "secret_hex": mkt.secret.hex()}


def mkt_of(row: object) -> Mkt:
    """The key of a row with its secret; raises ValueError for one that cannot be, a line without the secret."""
    if not isinstance(row, Mapping):
        raise ValueError("a key is a JSON object")
    try:
        times = {name: float(row[name]) for name in _TIMES if row.get(name) is not None}
        return Mkt(
            name=str(row["name"]),
            send_id=int(row["send_id"]),
            recv_id=int(row["recv_id"]),
            secret=bytes.fromhex(str(row["secret_hex"])),
            peer=None if row.get("peer") is None else ipaddress.ip_network(str(row["peer"])),
            peer_port=row.get("peer_port"),
            local=None if row.get("local") is None else ipaddress.ip_network(str(row["local"])),
            local_port=row.get("local_port"),
            mac=str(row["mac"]),
            mac_octets=row.get("mac_octets"),
            cover_options=bool(row.get("cover_options", True)),
            encrypt=row.get("encrypt"),
            nat=Nat(row.get("nat") or "none"),
            lifetime=Lifetime(**times),
        )
    except KeyError as missing:
        raise ValueError(f"a key without {missing}") from None
    except TypeError:
        raise ValueError("a value of the key has a wrong type") from None
