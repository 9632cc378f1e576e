"""A link between two kernels that takes its time and counts: two TUNs, and packets carried between them."""

from __future__ import annotations

import heapq
import os
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Final

from tun.device import Tun
from tun.netns import Namespace

from .figures import RTT, Wire

_CLIENT, _SERVER = "10.93.0.1", "10.93.0.2"
_DEVICE: Final = "relay0"
_PATIENCE: Final = 30.0
# How long nothing was sent before a connection is taken to have said all, seconds.
_SILENCE: Final = 8 * RTT


class Relay:
    """The link; it runs in a thread of its own between ``start`` and ``stop``."""

    def __init__(self, client: Tun, server: Tun, namespaces: tuple[Namespace, Namespace]) -> None:
        self._tuns = (client, server)
        self._namespaces = namespaces
        self._flying: list[tuple[float, int, int, bytes]] = []
        self._count = 0
        self._wire: Wire | None = None
        self._last = 0.0
        self._bell = os.eventfd(0, os.EFD_NONBLOCK)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to carry."""
        self._thread.start()

    def stop(self) -> None:
        """Carry no more."""
        os.eventfd_write(self._bell, 1)
        self._thread.join()
        os.close(self._bell)

    def _run(self) -> None:
        waits = select.poll()
        for descriptor in (self._bell, *(tun.fileno() for tun in self._tuns)):
            waits.register(descriptor, select.POLLIN)
        while True:
            now = time.monotonic()
            due = self._flying[0][0] - now if self._flying else None
            ready = dict(waits.poll(None if due is None else max(due, 0.0) * 1000))
            if self._bell in ready:
                return
            now = time.monotonic()
            for number, tun in enumerate(self._tuns):
                for packet in tun.read_batch().packets if tun.fileno() in ready else ():
                    self._count += 1
                    heapq.heappush(self._flying, (now + RTT / 2, self._count, 1 - number, bytes(packet)))
                    self._last = now
                    if self._wire is not None:
                        self._wire.count(len(packet), up=number == 0)
            while self._flying and self._flying[0][0] <= now:
                _, _, number, packet = heapq.heappop(self._flying)
                self._tuns[number].write([packet])

    def measure(self, contexts: tuple[ssl.SSLContext, ssl.SSLContext] | None, name: str) -> Wire:
        """Count a handshake with nothing behind it, and the round trips before an octet that waits for it."""
        wire = Wire()
        for writes in (False, True):
            with ExitStack() as ends:
                listener = ends.enter_context(closing(self._namespaces[1].call(_listener)))
                one = ends.enter_context(closing(self._namespaces[0].call(_socket)))
                taken: list[float] = []
                server = threading.Thread(target=_serve, args=(listener, contexts, taken), daemon=True)
                server.start()
                if not writes:
                    self._wire = wire
                began = time.monotonic()
                one.connect(listener.getsockname())
                client = one
                if contexts is not None:
                    client = ends.enter_context(closing(contexts[0].wrap_socket(one, server_hostname=name)))
                if writes:
                    client.sendall(b"!")
                else:
                    self._silence(client)
                    self._wire = None
                    client.sendall(b"!")
                server.join(_PATIENCE)
                if not taken:
                    raise OSError("a handshake over the kernel's TCP came to nothing")
                if writes:
                    # Down: a busy machine adds to it, and nothing takes away.
                    wire.round_trips = int((taken[0] - began - RTT / 2) / RTT)
        return wire

    def _silence(self, client: socket.socket) -> None:
        """Wait until nothing was sent for a while; what the server sends behind its handshake is read."""
        client.settimeout(_SILENCE)
        while time.monotonic() < self._last + _SILENCE:
            with suppress(TimeoutError):
                client.recv(1)
        client.settimeout(_PATIENCE)


def _serve(
    listener: socket.socket, contexts: tuple[ssl.SSLContext, ssl.SSLContext] | None, taken: list[float]
) -> None:
    """Take a connection and its first octet; ``taken`` gets the time of it."""
    try:
        one, _ = listener.accept()
        with closing(one):
            one.settimeout(_PATIENCE)
            server = one if contexts is None else contexts[1].wrap_socket(one, server_side=True)
            with closing(server):
                if server.recv(1):
                    taken.append(time.monotonic())
    except OSError:
        # The client's end says what is wrong.
        return


def _socket() -> socket.socket:
    one = socket.socket()
    one.settimeout(_PATIENCE)
    # Nagle's algorithm would hold the first octet behind the handshake back for a round trip.
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one


def _listener() -> socket.socket:
    one = _socket()
    one.bind((_SERVER, 0))
    one.listen()
    return one


@contextmanager
def relay(client: Namespace, server: Namespace) -> Iterator[Relay]:
    """Join two namespaces by such a link. Raises TunError."""
    with (
        Tun(_DEVICE, [f"{_SERVER}/24"], [_CLIENT], netns=client.name, offload=False) as one,
        Tun(_DEVICE, [f"{_CLIENT}/24"], [_SERVER], netns=server.name, offload=False) as other,
    ):
        link = Relay(one, other, (client, server))
        link.start()
        try:
            yield link
        finally:
            link.stop()
