"""Methods of finding option space between two commands, and with the kernel's TCP for an old peer."""

from __future__ import annotations

import json
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from stack.syn_space import METHODS
from tests.system.test_commands import FAR, connect, started
from tun.netns import Namespace

pytestmark = pytest.mark.tun

# Fits no SYN beside TCP's own options, and one segment of any method has room for it.
OPTION = "c818" + 22 * "5a"
OCTETS = 300_000


@pytest.fixture
def namespace(fresh_name: Callable[[str], str]) -> Iterator[Namespace]:
    with Namespace(fresh_name("mt")) as one:
        one.forward()
        yield one


@pytest.mark.parametrize("method", ["inner-space", "seg-u"])
def test_an_echo_between_two_stacks_by_each_method(namespace: Namespace, method: str) -> None:
    asked = ["--method", method, "--syn-option", OPTION]
    with started("serve", "echo", *FAR, "--netns", namespace.name, "--json", *asked) as serve:
        done = connect(namespace, "10.80.0.2", "7", "--bytes", str(OCTETS), "--expect-echo", "--json", *asked)
        serve.send_signal(signal.SIGINT)
        assert serve.stdout is not None
        far = json.loads(serve.stdout.read())
    assert done.returncode == 0, done.stderr
    near = json.loads(done.stdout)
    for line in (near, far):
        assert (line["method"], line["error"]) == (method, None)
        assert line["peer_options"] == [OPTION]
        assert (line["octets_in"], line["octets_out"]) == (OCTETS, OCTETS)


@pytest.mark.parametrize("method", METHODS)
def test_the_kernels_tcp_is_an_old_peer(namespace: Namespace, method: str) -> None:
    """An ordinary connection, and not an octet of an option in what an application there reads."""
    server = namespace.call(lambda: socket.create_server(("0.0.0.0", 7), backlog=8))

    def serve() -> None:
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(peer,), daemon=True).start()

    def echo(peer: socket.socket) -> None:
        with peer:
            try:
                while octets := peer.recv(65536):
                    peer.sendall(octets)
            except OSError:
                return

    with server:
        threading.Thread(target=serve, daemon=True).start()
        asked = ["--method", method, "--syn-option", OPTION]
        done = connect(namespace, "10.79.0.1", "7", "--bytes", str(OCTETS), "--expect-echo", "--json", *asked)
        server.shutdown(socket.SHUT_RDWR)
    assert done.returncode == 0, done.stdout + done.stderr
    line = json.loads(done.stdout)
    assert (line["method"], line["error"], line["peer_options"]) == (None, None, [])
    assert line["fallback"]
    assert line["octets_in"] == OCTETS
