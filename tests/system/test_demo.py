"""The whole demonstration in namespaces, and what it leaves behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.tun

COMMAND = (sys.executable, "-m", "tools.cli.main", "demo", "--json")
ROOT = Path(__file__).parents[2]
NAMESPACES = Path("/run/netns")


def left_by(process: int) -> list[str]:
    return [path.name for path in NAMESPACES.glob(f"edotun-demo-{process}-*")]


def test_all_of_it_holds_in_namespaces() -> None:
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as demo:
        out, err = demo.communicate()
    assert demo.returncode == 0, out + err
    content = json.loads(out)
    assert content["world"] == "namespaces"
    assert content["held"] is True
    assert all(check["held"] for check in content["checks"])
    assert content["seconds"] < 60
    client, server = content["connections"]["protected"]["client"], content["connections"]["protected"]["server"]
    assert client["mode"] == server["mode"] == "ao-enc-dh"
    assert client["session_id"] == server["session_id"]
    # The file and the HTTP server's header.
    assert client["octets_in"] == server["octets_out"] > 20_000_000
    assert content["connections"]["altered"]["client"]["drops"]["ao_bad_mac"] == 1
    assert left_by(demo.pid) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing_behind(number: signal.Signals) -> None:
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as demo:
        while demo.poll() is None and len(left_by(demo.pid)) < 3:
            pass
        processes = f"/run/netns/edotun-demo-{demo.pid}-client"
        demo.send_signal(number)
        out, _ = demo.communicate()
    assert demo.returncode == 130
    assert out == b""
    assert left_by(demo.pid) == []
    commands = (path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists())
    assert not any(processes.encode() in command for command in commands)
