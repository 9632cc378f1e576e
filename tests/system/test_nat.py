"""Agreed keys through a real NAT: addresses and ports are outside keys and MACs (profile.md §9)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from tun.netns import join, namespaces

pytestmark = pytest.mark.tun

EDOTUN = [sys.executable, "-m", "tools.cli.main"]
MASQUERADE = """
table ip nat {
    chain post {
        type nat hook postrouting priority 100
        oifname "toserver" masquerade
    }
}
"""
# As many firewalls do: what conntrack calls invalid goes nowhere. An OOB segment is that.
DROP_INVALID = """
table ip filter {
    chain forward {
        type filter hook forward priority 0
        ct state invalid drop
    }
}
"""
OCTETS = 3_000_000


@pytest.mark.parametrize("rules", [MASQUERADE, MASQUERADE + DROP_INVALID], ids=["nat", "nat and firewall"])
def test_a_connection_through_masquerade_is_protected(fresh_name: Callable[[str], str], rules: str) -> None:
    names = [fresh_name("nat") for _ in range(3)]
    with namespaces(*names) as (client, router, server):
        join(client, "out", router, "toclient")
        join(server, "out", router, "toserver")
        client.add_addresses("out", "10.90.0.1/24")
        router.add_addresses("toclient", "10.90.0.2/24")
        router.add_addresses("toserver", "10.91.0.2/24")
        server.add_addresses("out", "10.91.0.1/24")
        for namespace in (client, router, server):
            namespace.forward()
        client.add_route("10.92.0.0/24", via="10.90.0.2")
        router.add_route("10.92.0.0/24", via="10.91.0.1")
        router.add_route("10.89.0.0/24", via="10.90.0.1")
        server.add_route("10.89.0.0/24", via="10.91.0.2")
        router.run(["nft", "-f", "-"], input=rules, text=True, check=True)
        serve = [*EDOTUN, "serve", "echo", "--tun", "nat0", "--addr", "10.92.0.2/24", "--host", "10.92.0.1"]
        serve += ["--netns", server.name, "--protect", "ao-enc-dh", "--json"]
        with subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
            assert running.stderr is not None
            assert running.stderr.readline().startswith("listening on ")
            connect = [*EDOTUN, "connect", "10.92.0.2", "7", "--tun", "nat1", "--addr", "10.89.0.2/24"]
            connect += ["--host", "10.89.0.1", "--netns", client.name, "--protect", "ao-enc-dh"]
            connect += ["--bytes", str(OCTETS), "--expect-echo", "--json"]
            done = subprocess.run(connect, capture_output=True, text=True, timeout=60, check=False)
            running.terminate()
            out, _ = running.communicate(timeout=20)
    assert done.returncode == 0, done.stderr
    ours, theirs = json.loads(done.stdout), json.loads(out)
    assert ours["mode"] == theirs["mode"] == "ao-enc-dh"
    assert ours["session_id"] == theirs["session_id"]
    # The server saw the router's address, and no MAC failed for it.
    assert theirs["peer"].startswith("10.91.0.2:")
    assert ours["local"].startswith("10.89.0.2:")
    assert "ao_bad_mac" not in ours["drops"] | theirs["drops"]
    # The OOB segment keeps its inner source behind this NAT, or is dropped: the key travels in placement ``late``.
    assert ours["placement"] == "late"
