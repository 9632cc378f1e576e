"""The demonstration in namespaces: an HTTP server, two gateways, a router, and curl."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

from ..programs import EDOTUN, PYTHON, Program, ProgramError
from . import ruleset, topology
from .capture import Capture
from .outcome import MODE, Download

# The stacks' ports: the protected service and, as a control of the search, the unprotected one.
PORT: Final = 80
CONTROL_PORT: Final = 81
_HTTP_PORT: Final = 8000
_GATEWAY_PORTS: Final = {PORT: 8080, CONTROL_PORT: 8081}
_PROTECTION: Final = {PORT: (MODE, "require"), CONTROL_PORT: ("none", "require")}
_PATIENCE: Final = 60.0
_LINE_PATIENCE: Final = 10.0

Progress = Callable[[int], None]


def gateway_file(*, client: bool, namespace: str) -> str:
    """Return the file of the gateway in ``namespace``: ``client``'s connects by its stack, the other accepts."""
    stack, host = (
        (topology.CLIENT_STACK, topology.CLIENT_HOST) if client else (topology.SERVER_STACK, topology.SERVER_HOST)
    )
    lines = ["[tun]", f'addr = ["{stack}/24"]', f'host = ["{host}"]', f'netns = "{namespace}"']
    for port, (protect, policy) in _PROTECTION.items():
        inner = f"stack:{topology.SERVER_STACK}:{port}"
        outer = f"kernel:127.0.0.1:{_GATEWAY_PORTS[port] if client else _HTTP_PORT}"
        listen, connect = (outer, inner) if client else (inner, outer)
        lines += ["", "[[forward]]", f'listen = "{listen}"', f'connect = "{connect}"']
        lines += [f'protect = "{protect}"', f'policy = "{policy}"']
    return "\n".join(lines) + "\n"


class Routed:
    """The running network; made by ``routed``."""

    def __init__(
        self,
        net: topology.Topology,
        folder: Path,
        capture: Capture,
        client: Program,
        server: Program,
    ) -> None:
        self._net = net
        self._folder = folder
        self._capture = capture
        self._client = client
        self._server = server

    def download(self, name: str, port: int, *, alter: bool = False, progress: Progress) -> Download:
        """Have curl download ``name`` by the service at the stack's ``port``; raises ProgramError.

        ``alter`` makes the router flip one bit of one segment. ``progress`` gets the octets received so far.
        """
        source = self._folder / name
        received = self._folder / "received"
        received.unlink(missing_ok=True)
        ruleset.apply(self._net.router, ruleset.ruleset(port, alter=alter))
        url = f"http://127.0.0.1:{_GATEWAY_PORTS[port]}/{name}"
        command = ("curl", "--silent", "--show-error", "--fail", "--output", str(received), url)
        began = time.monotonic()
        with Program("curl", command, self._net.client.name) as curl:
            while curl.process.poll() is None and time.monotonic() - began < _PATIENCE:
                time.sleep(0.02)
                progress(received.stat().st_size if received.exists() else 0)
            seconds = time.monotonic() - began
            if curl.end(0.1):
                raise ProgramError(f"curl: status {curl.process.returncode}: {curl.complaint}")
        octets = received.stat().st_size
        progress(octets)
        client = self._line(self._client, port)
        server = self._line(self._server, port)
        frames = self._capture.take()
        altered = ruleset.counters(self._net.router).get("altered", 0) if alter else None
        sent, got = (_sha256(path) for path in (source, received))
        return Download(octets, sent, got, seconds, client, server, frames, self._capture.lost, altered)

    @staticmethod
    def _line(gateway: Program, port: int) -> Mapping[str, object]:
        """The gateway's line of the connection that has just ended."""
        protect = _PROTECTION[port][0]

        def wanted(text: str) -> bool:
            return text.startswith("{") and json.loads(text).get("requested") == protect

        line: dict[str, Any] = json.loads(gateway.line("out", wanted, _LINE_PATIENCE))
        return line


@contextmanager
def routed(folder: Path, files: Mapping[str, bytes]) -> Iterator[Routed]:
    """Make the network and start every program; all of it is gone at the end of the context.

    ``files`` are what the HTTP server has; ``folder`` is for them and must be readable by it. Raises ProgramError,
    ``tun.errors.TunError``.
    """
    served = folder / "served"
    served.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
        (served / name).symlink_to(folder / name)
    with ExitStack() as stack:
        net = stack.enter_context(topology.topology())
        http_command = (*PYTHON, "-m", "http.server", str(_HTTP_PORT), "--bind", "127.0.0.1")
        stack.enter_context(Program("http.server", (*http_command, "--directory", str(served)), net.server.name))
        gateways = []
        for role, namespace in (("client", net.client), ("server", net.server)):
            file = folder / f"{role}.toml"
            file.write_text(gateway_file(client=role == "client", namespace=namespace.name))
            command = (*EDOTUN, "gateway", str(file), "--json")
            gateways.append(stack.enter_context(Program(f"gateway of the {role}", command, namespace.name)))
        capture = stack.enter_context(Capture(net.router))
        for gateway in gateways:
            for _ in _PROTECTION:
                gateway.ready()
        _answers(net)
        yield Routed(net, folder, capture, gateways[0], gateways[1])


def _answers(net: topology.Topology) -> None:
    """Wait until the HTTP server answers; raises ProgramError."""
    program = f"import socket; socket.create_connection(('127.0.0.1', {_HTTP_PORT}), 1).close()"
    deadline = time.monotonic() + _LINE_PATIENCE
    while net.server.run((sys.executable, "-c", program), capture_output=True).returncode:
        if time.monotonic() > deadline:
            raise ProgramError("http.server: does not answer")
        time.sleep(0.05)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
