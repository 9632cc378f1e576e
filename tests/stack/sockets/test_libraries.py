"""Python's own libraries over the stack's sockets: HTTP, servers, TLS, and descriptors that carry octets."""

from __future__ import annotations

import errno
import gc
import http.client
import http.server
import os
import socket
import socketserver
from pathlib import Path
from typing import Any

import pytest

from stack.sockets import Socket
from tests.tun.certificate import NAME, contexts
from tun.threaded import BlockingLoopback

from .threads import HOST, Call, connect, until


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers a POST with what came, reversed."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))[::-1]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class HttpServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """An HTTP server over a listening socket that is given."""

    daemon_threads = True

    def __init__(self, listener: Socket) -> None:
        super().__init__((HOST, 0), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener  # type: ignore[assignment]
        self.server_address = listener.getsockname()


def test_http(loopback: BlockingLoopback) -> None:
    """socketserver selects and accepts, its handlers use files; http.client keeps the connection."""
    with HttpServer(loopback.create_server((HOST, 0))) as server:
        serving = Call(server.serve_forever, 0.01)
        client = http.client.HTTPConnection(HOST, server.server_address[1], timeout=60)
        client._create_connection = loopback.create_connection  # type: ignore[attr-defined]
        for size in (5, 300_000):
            body = os.urandom(size)
            client.request("POST", "/", body)
            answer = client.getresponse()
            assert (answer.status, answer.read()) == (200, body[::-1])
        client.close()
        server.shutdown()
        assert serving.result is None


def test_tls_wraps_a_socket(loopback: BlockingLoopback, tmp_path: Path) -> None:
    server_side, client_side = contexts(tmp_path)
    octets = os.urandom(200_000)
    one, other = connect(loopback)

    def serve() -> None:
        with server_side.wrap_socket(other, server_side=True) as tls:  # type: ignore[arg-type]
            got = b""
            while len(got) < len(octets):
                got += tls.recv(1 << 16)
            tls.sendall(got[::-1])

    serving = Call(serve)
    one.settimeout(60)
    with client_side.wrap_socket(one, server_hostname=NAME) as tls:  # type: ignore[arg-type]
        assert one.fileno() == -1
        assert tls.gettimeout() == 60
        assert tls.version() is not None
        tls.sendall(octets)
        got = b""
        while data := tls.recv(1 << 16):
            got += data
        assert got == octets[::-1]
    assert serving.result is None
    with loopback.runner.lock:
        stack = loopback.stack
    until(lambda: not any(flow.connection.state.name == "ESTABLISHED" for flow in stack.flows.copy().values()))


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_tls_without_a_connection_fails_and_takes_no_descriptor_of_others(
    loopback: BlockingLoopback, tmp_path: Path
) -> None:
    _, client_side = contexts(tmp_path)
    made = loopback.socket()
    with pytest.raises(OSError, match="not connected"):
        client_side.wrap_socket(made, server_hostname=NAME)  # type: ignore[arg-type]
    # What ssl has made of the descriptor is forgotten, and closes it.
    gc.collect()
    first, second = socket.socketpair()
    with first, second:
        made.close()
        first.sendall(b"x")
        assert second.recv(1) == b"x"


@pytest.mark.parametrize("asked", [False, True])
def test_a_descriptor_carries_the_connection(loopback: BlockingLoopback, asked: bool) -> None:
    one, other = connect(loopback)
    other.sendall(b"early")
    number = one.fileno() if asked else None
    descriptor = one.detach()
    assert number in (None, descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        one.recv(1)
    with pytest.raises(OSError, match="Bad file descriptor"):
        one.detach()
    with socket.socket(fileno=descriptor) as carried:
        assert carried.recv(5, socket.MSG_WAITALL) == b"early"
        carried.sendall(b"out")
        assert other.recv(9) == b"out"
        # Each direction ends for itself.
        carried.shutdown(socket.SHUT_WR)
        assert other.recv(9) == b""
        other.sendall(b"late")
        other.shutdown(socket.SHUT_WR)
        assert carried.recv(4, socket.MSG_WAITALL) == b"late"
        assert carried.recv(9) == b""
    other.close()


def test_closing_the_descriptor_closes_the_connection(loopback: BlockingLoopback) -> None:
    one, other = connect(loopback)
    os.close(one.detach())
    assert other.recv(9) == b""
    # Nobody is there to read: what is sent now is reset.
    with pytest.raises(ConnectionError):
        other.sendall(bytes(10_000_000))
    other.close()


def test_a_reset_ends_the_descriptor(loopback: BlockingLoopback) -> None:
    one, other = connect(loopback)
    with socket.socket(fileno=one.detach()) as carried:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        other.close()
        assert carried.recv(1) == b""
        with pytest.raises(BrokenPipeError):
            carried.sendall(b"x")


def test_only_what_is_connected_is_detached(loopback: BlockingLoopback) -> None:
    with loopback.socket() as made, pytest.raises(OSError, match="not connected") as caught:
        made.detach()
    assert caught.value.errno == errno.ENOTCONN
