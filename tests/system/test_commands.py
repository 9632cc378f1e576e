"""The commands as programs: lines, signals and exit statuses, with two stacks joined by the kernel's forwarding."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.pattern import pattern
from tun.netns import Namespace

pytestmark = pytest.mark.tun

EDOTUN = [sys.executable, "-m", "tools.cli.main"]
NEAR = ["--tun", "cm0", "--addr", "10.79.0.2/24", "--host", "10.79.0.1"]
FAR = ["--tun", "cm1", "--addr", "10.80.0.2/24", "--host", "10.80.0.1"]
BOUND = 60.0


@pytest.fixture
def namespace(fresh_name: Callable[[str], str]) -> Iterator[Namespace]:
    with Namespace(fresh_name("cm")) as one:
        one.forward()
        yield one


@contextlib.contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command that says ``listening on``; ended by SIGTERM, with status 0."""
    pipe = subprocess.PIPE
    with subprocess.Popen([*EDOTUN, *arguments], stdout=pipe, stderr=pipe, text=True) as program:
        try:
            assert program.stderr is not None
            line = program.stderr.readline()
            assert line.startswith("listening on "), line
            yield program
        finally:
            program.send_signal(signal.SIGTERM)
            try:
                assert program.wait(BOUND) == 0
            finally:
                program.kill()


def connect(namespace: Namespace, *arguments: str, text: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [*EDOTUN, "connect", *arguments, *NEAR, "--netns", namespace.name]
    return subprocess.run(command, input=text, capture_output=True, timeout=BOUND, check=False)


@pytest.mark.parametrize("mode", ["none", "md5", "ao", "ao-enc-dh"])
def test_an_echo_between_two_stacks(namespace: Namespace, tmp_path: Path, mode: str) -> None:
    protect = ["--protect", mode]
    if mode in ("md5", "ao"):
        keys = tmp_path / "keys.toml"
        ids = 'mac = "md5"' if mode == "md5" else "send_id = 3\nrecv_id = 3"
        keys.write_text(f'[[mkt]]\n{ids}\nsecret = "not so secret"\n')
        keys.chmod(0o600)
        protect += ["--keys", str(keys)]
    with started("serve", "echo", *FAR, "--netns", namespace.name, "--json", *protect) as serve:
        done = connect(namespace, "10.80.0.2", "7", "--bytes", "300000", "--expect-echo", "--json", *protect)
        serve.send_signal(signal.SIGINT)
        assert serve.stdout is not None
        far = json.loads(serve.stdout.read())
    assert done.returncode == 0, done.stderr
    near = json.loads(done.stdout)
    for line, role in ((near, "connect"), (far, "accept")):
        assert (line["role"], line["mode"], line["error"]) == (role, mode, None)
        assert (line["octets_in"], line["octets_out"]) == (300_000, 300_000)
        assert (line["session_id"] is not None) == (mode == "ao-enc-dh")
    assert near["session_id"] == far["session_id"]
    assert (near["peer"], near["local"]) == ("10.80.0.2:7", far["peer"])


def test_standard_input_and_output(namespace: Namespace) -> None:
    with started("serve", "echo", *FAR, "--netns", namespace.name):
        done = connect(namespace, "10.80.0.2", "7", "--json", text=pattern(0, 400_000))
    assert done.returncode == 0
    assert done.stdout == pattern(0, 400_000)
    assert json.loads(done.stderr)["octets_in"] == 400_000


def test_a_failed_connection_is_status_1(namespace: Namespace) -> None:
    done = connect(namespace, "10.79.0.1", "9", "--bytes", "1", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"] == "connection refused"


def test_an_echo_that_falls_short_is_status_1(namespace: Namespace) -> None:
    with started("serve", "sink", *FAR, "--netns", namespace.name):
        done = connect(namespace, "10.80.0.2", "9", "--bytes", "1000", "--expect-echo", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"] == "the echo ended after 0 of 1000 octets"


def test_interrupted_is_status_130(namespace: Namespace) -> None:
    with started("serve", "source", *FAR, "--netns", namespace.name):
        command = [*EDOTUN, "connect", "10.80.0.2", "19", *NEAR, "--netns", namespace.name, "--json"]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as program:
            assert program.stdout is not None
            assert program.stdout.read(100_000) == pattern(0, 100_000)
            program.send_signal(signal.SIGINT)
            _, error = program.communicate(timeout=BOUND)
    assert program.returncode == 130
    assert json.loads(error)["error"] == "interrupted"


def test_a_device_that_cannot_be_had_is_one_line(namespace: Namespace) -> None:
    with started("serve", "echo", *FAR, "--netns", namespace.name):
        command = [*EDOTUN, "serve", "echo", *FAR, "--netns", namespace.name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=BOUND, check=False)
    assert done.returncode == 1
    assert done.stderr == "edotun: device cm1 is in use by another process\n"


class OneShot(threading.Thread):
    """A kernel server for one connection: it reads to the end and answers, or resets."""

    def __init__(self, reset: bool) -> None:
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.reset = reset
        self.got = b""

    def run(self) -> None:
        with self.socket, self.socket.accept()[0] as connection:
            while data := connection.recv(1 << 16):
                self.got += data
            if self.reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                connection.sendall(self.got[::-1])


@pytest.mark.parametrize("reset", [False, True], ids=["answered", "reset"])
def test_two_gateways_carry_octets_half_close_and_reset(namespace: Namespace, tmp_path: Path, reset: bool) -> None:
    server = OneShot(reset)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    for name, device, listen, onward in (
        ("near", NEAR, f"kernel:127.0.0.1:{port}", "stack:10.80.0.2:80"),
        ("far", FAR, "stack:10.80.0.2:80", f"kernel:127.0.0.1:{server.port}"),
    ):
        (tmp_path / f"{name}.toml").write_text(
            f'[tun]\nname = "{device[1]}"\naddr = ["{device[3]}"]\nhost = ["{device[5]}"]\n'
            f'netns = "{namespace.name}"\n[[forward]]\nname = "{name}"\nlisten = "{listen}"\n'
            f'connect = "{onward}"\nprotect = "ao-enc-dh"\n'
        )
    server.start()
    question = pattern(0, 500_000)
    with (
        started("gateway", str(tmp_path / "far.toml"), "--json") as far,
        started("gateway", str(tmp_path / "near.toml"), "--json") as near,
        socket.create_connection(("127.0.0.1", port), timeout=BOUND) as client,
    ):
        client.sendall(question)
        client.shutdown(socket.SHUT_WR)
        if reset:
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        else:
            assert b"".join(iter(lambda: client.recv(1 << 16), b"")) == question[::-1]
        assert near.stdout is not None
        assert far.stdout is not None
        lines = [json.loads(program.stdout.readline()) for program in (near, far)]
    assert server.got == question
    for line, name in zip(lines, ("near", "far"), strict=True):
        assert (line["forward"], line["mode"]) == (name, "ao-enc-dh")
        assert (line["error"] is not None) == reset


def test_keys_of_a_running_command_are_changed_from_outside(namespace: Namespace, tmp_path: Path) -> None:
    keys, more, path = tmp_path / "keys.toml", tmp_path / "more.toml", tmp_path / "c.sock"
    keys.write_text('[[mkt]]\nname = "old"\nsend_id = 3\nrecv_id = 3\nsecret = "not so secret"\n')
    more.write_text('[[mkt]]\nname = "new"\nsend_id = 4\nrecv_id = 4\nsecret = "another"\n')
    for file in (keys, more):
        file.chmod(0o600)

    def change(*arguments: str) -> str:
        command = [*EDOTUN, "keys", *arguments, "--control", str(path)]
        return subprocess.run(command, capture_output=True, timeout=BOUND, check=True, text=True).stdout

    protect = ["--protect", "ao", "--keys"]
    serving = [*FAR, "--netns", namespace.name, "--control", str(path), *protect, str(keys)]
    with started("serve", "echo", *serving):
        change("add", str(more))
        # Who has the new key alone gets in, and once it is gone, no more.
        connecting = ["10.80.0.2", "7", "--bytes", "1000", "--expect-echo", *protect, str(more)]
        assert connect(namespace, *connecting).returncode == 0
        assert change("remove", "new") == "removed new\n"
        assert [key["name"] for key in json.loads(change("list", "--json"))["keys"]] == ["old"]


def test_agreed_keys_change_while_octets_cross(namespace: Namespace) -> None:
    protect = ["--protect", "ao-enc-dh", "--rekey", "octets=100000"]
    with started("serve", "echo", *FAR, "--netns", namespace.name, "--json", *protect) as serve:
        done = connect(namespace, "10.80.0.2", "7", "--bytes", "2000000", "--expect-echo", "--json", *protect)
        serve.send_signal(signal.SIGINT)
        assert serve.stdout is not None
        far = json.loads(serve.stdout.read())
    assert done.returncode == 0, done.stderr
    near = json.loads(done.stdout)
    for line in (near, far):
        assert (line["mode"], line["path"], line["resumed"]) == ("ao-enc-dh", [], False)
        assert line["generation"] >= 3, line


def test_agreed_keys_change_on_request(namespace: Namespace, tmp_path: Path) -> None:
    control = ["--control", str(tmp_path / "control")]
    protect = ["--protect", "ao-enc-dh"]
    command = [*EDOTUN, "connect", "10.80.0.2", "7", *NEAR, "--netns", namespace.name, *protect, "--json"]
    pipe = subprocess.PIPE
    with (
        started("serve", "echo", *FAR, "--netns", namespace.name, *control, *protect),
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as client,
    ):
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(b"before\n")
        client.stdin.flush()
        assert client.stdout.readline() == b"before\n"
        asked = subprocess.run(
            [*EDOTUN, "keys", "rekey", *control, "--wait", "20", "--json"],
            capture_output=True,
            timeout=BOUND,
            check=True,
        )
        assert json.loads(asked.stdout)["renewed"] == 1
        out, err = client.communicate(b"after\n", timeout=BOUND)
    assert out == b"after\n"
    assert json.loads(err.splitlines()[-1])["generation"] == 1
