"""Who is at the other end? Both sides sign the session identifier with Ed25519 keys, as SSH keeps them.

Keys that two hosts agree on keep everybody else out, but each of them knows only that it is the same host all the
time. A man in the middle agrees on keys with both of them. He has then two connections with two session
identifiers, and a signature of one is worth nothing on the other; so whoever checks the signature finds him.

    ssh-keygen -t ed25519 -N "" -f id_mine        the private key, and id_mine.pub to be given to the peer
    cat id_theirs.pub >> peers                     those who are let in, a line each, as in authorized_keys
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key

# What is signed is a name (draft-ietf-tcpinc-api): the role, 0 of who opened the connection and 1 of who took it,
# and the session identifier. So nobody can send our own signature back to us.
CONTEXT = b"edotun example, authentication 1\0"
ROLES = {"connect": 0, "accept": 1}
PUBLIC, SIGNATURE = 32, 64


class Refused(Exception):
    """The peer is not one of those who are let in, or someone stands between."""


def private_key(path: Path) -> Ed25519PrivateKey:
    """One's own key, a file that ssh-keygen made."""
    key = load_ssh_private_key(path.read_bytes(), None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path}: not an Ed25519 key")
    return key


def known_peers(path: Path) -> dict[bytes, str]:
    """Public keys with the names that stand behind them, from lines like those of authorized_keys."""
    peers = {}
    for line in path.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            key = load_ssh_public_key(line.encode())
            if isinstance(key, Ed25519PublicKey):
                peers[key.public_bytes_raw()] = " ".join(line.split()[2:])
    return peers


async def authenticate(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, own: Ed25519PrivateKey, peers: dict[bytes, str]
) -> str:
    """Exchange signatures as the first octets of a connection; the peer's name. Raises Refused."""
    session = bytes.fromhex(writer.get_extra_info("security")["session_id"])
    role = ROLES[writer.get_extra_info("report")["role"]]
    writer.write(own.public_key().public_bytes_raw() + own.sign(CONTEXT + bytes([role]) + session))
    try:
        public = await reader.readexactly(PUBLIC)
        signature = await reader.readexactly(SIGNATURE)
        name = peers[public]
        Ed25519PublicKey.from_public_bytes(public).verify(signature, CONTEXT + bytes([1 - role]) + session)
    except asyncio.IncompleteReadError:
        raise Refused("the peer has ended the connection instead of signing") from None
    except KeyError:
        raise Refused("the peer's key is not among those that are let in") from None
    except InvalidSignature:
        raise Refused("the signature is of another session: someone stands between") from None
    writer.transport.vouch()
    return name
