"""Handshakes of TLS 1.3 by Python's ssl: in memory alone, and over the kernel's TCP."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Final

from tun.netns import Namespace

from .certificate import NAME, Certificate
from .figures import Rate, Wire
from .relay import Relay

KERNEL: Final = "kernel's TCP"
_PATIENCE: Final = 30.0
_CHUNK: Final = 1 << 14
# By the names of OpenSSL; what it does not have is left out.
_GROUPS: Final = {"x25519": "X25519", "secp256r1": "prime256v1", "X25519MLKEM768": "X25519MLKEM768"}


def _step(do_handshake: Callable[[], None]) -> bool:
    """Go on with a handshake; whether it is done."""
    try:
        do_handshake()
    except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
        return False
    return True


def _read(end: ssl.SSLObject | ssl.SSLSocket) -> None:
    """Take what the server sends behind the handshake: tickets."""
    with suppress(ssl.SSLWantReadError):
        end.read(_CHUNK)


@dataclass(frozen=True, slots=True)
class InMemory:
    """Without TCP: records are handed from one end to the other."""

    name: str
    contexts: tuple[ssl.SSLContext, ssl.SSLContext]
    resumes: bool = False
    base: str = ""

    def rate(self, seconds: float) -> Rate:
        """Make handshakes one after the other; where it resumes, each by a ticket of the one before."""
        session = self._one(None)[1]
        count, spent = 0, 0.0
        while not count or spent < seconds:
            took, session = self._one(session if self.resumes else None)
            spent += took
            count += 1
        return Rate(count, spent)

    def _one(self, session: ssl.SSLSession | None) -> tuple[float, ssl.SSLSession | None]:
        began = time.process_time()
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = self.contexts[0].wrap_bio(down, up, server_hostname=NAME, session=session)
        server = self.contexts[1].wrap_bio(up, down, server_side=True)
        while not _step(client.do_handshake):
            _step(server.do_handshake)
        if not _step(server.do_handshake):
            raise RuntimeError(f"{self.name}: the server has not finished")
        _read(client)
        spent = time.process_time() - began
        if bool(client.session_reused) is not (session is not None):
            raise RuntimeError(f"{self.name}: session_reused is {client.session_reused}")
        return spent, client.session

    def wire(self) -> None:
        """It meets none."""


@dataclass(frozen=True, slots=True)
class OverKernel:
    """Over the kernel's TCP in ``namespace``; plain TCP without ``contexts``. ``relay`` has the wire."""

    name: str
    namespace: Namespace
    relay: Relay
    contexts: tuple[ssl.SSLContext, ssl.SSLContext] | None
    base: str = KERNEL

    def rate(self, seconds: float) -> Rate:
        """Make handshakes one after the other over the namespace's loopback; the kernel's own work counts too."""
        with closing(self.namespace.call(_listener)) as listener:
            count, spent = 0, 0.0
            while not count or spent < seconds:
                one = self.namespace.call(_socket)
                began = time.process_time()
                one.connect(listener.getsockname())
                other, _ = listener.accept()
                ends = self._wrapped(one, other)
                spent += time.process_time() - began
                count += 1
                for end in ends:
                    end.close()
        return Rate(count, spent)

    def _wrapped(self, one: socket.socket, other: socket.socket) -> tuple[socket.socket, socket.socket]:
        if self.contexts is None:
            return one, other
        for end in (one, other):
            # What a handshake sends is there as soon as it is sent: this is loopback.
            end.setblocking(False)
        client = self.contexts[0].wrap_socket(one, server_hostname=NAME, do_handshake_on_connect=False)
        server = self.contexts[1].wrap_socket(other, server_side=True, do_handshake_on_connect=False)
        done = [False, False]
        end_at = time.monotonic() + _PATIENCE
        while not all(done) and time.monotonic() < end_at:
            for number, end in enumerate((client, server)):
                done[number] = done[number] or _step(end.do_handshake)
        if not all(done):
            raise RuntimeError(f"{self.name}: no handshake within {_PATIENCE:g} s")
        _read(client)
        return client, server

    def wire(self) -> Wire:
        """Count what one sends through the relay with nothing behind it, and the round trips before an octet."""
        return self.relay.measure(self.contexts, NAME)


def _socket() -> socket.socket:
    one = socket.socket()
    one.settimeout(_PATIENCE)
    return one


def _listener() -> socket.socket:
    one = _socket()
    one.bind(("127.0.0.1", 0))
    one.listen()
    return one


def in_memory() -> tuple[list[InMemory], list[str]]:
    """All of TLS alone that are measured, and the groups that OpenSSL does not have."""
    certificate = Certificate()
    found, missing = [], []
    for name, group in _GROUPS.items():
        try:
            contexts = certificate.contexts(group)
        except ValueError:
            missing.append(name)
            continue
        found.append(InMemory(f"TLS 1.3 in memory, {name}", contexts))
    found.append(
        InMemory("TLS 1.3 in memory, x25519, resumed", certificate.contexts(_GROUPS["x25519"]), resumes=True)
    )
    return found, missing


def over_kernel(namespace: Namespace, relay: Relay) -> list[OverKernel]:
    """All over the kernel's TCP."""
    certificate = Certificate()
    found = [OverKernel(KERNEL, namespace, relay, None)]
    for name, group in _GROUPS.items():
        try:
            contexts = certificate.contexts(group)
        except ValueError:
            continue
        found.append(OverKernel(f"TLS 1.3 over the kernel's TCP, {name}", namespace, relay, contexts))
    return found
