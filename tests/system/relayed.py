"""Unmodified programs and a gateway, each in a namespace: what programs say goes kernel -> TUN -> stack -> gateway.

programs                          relay
net0 10.84.0.1, fd84::1 --------- net1 10.84.0.2, fd84::2
clients and servers               edotun0 10.85.0.1, fd85::1 | the stack: 10.85.0.2, fd85::2
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.programs import EDOTUN, Program
from tun.netns import Namespace, join, namespaces

PROGRAMS = {4: "10.84.0.1", 6: "fd84::1"}
RELAY = {4: "10.84.0.2", 6: "fd84::2"}
STACK = {4: "10.85.0.2", 6: "fd85::2"}
PATIENCE = 120.0
# The rules count what they drop, each way, between the TUN and the programs.
_LOSSES = """
table inet losses {{
    counter to_stack {{}}
    counter from_stack {{}}
    chain forward {{
        type filter hook forward priority filter
        oifname "edotun0" numgen random mod 1000 < {rate} counter name to_stack drop
        iifname "edotun0" numgen random mod 1000 < {rate} counter name from_stack drop
    }}
}}
"""


@dataclass(slots=True)
class Place:
    """The two namespaces, and a folder for files."""

    programs: Namespace
    relay: Namespace
    folder: Path

    def lose(self, rate: int) -> None:
        """Lose ``rate`` of 1000 packets, each way."""
        rules = _LOSSES.format(rate=rate)
        self.relay.run(["nft", "-f", "-"], input=rules, text=True, check=True)

    def lost(self) -> dict[str, int]:
        """Packets lost until now, each way."""
        listed = self.relay.run(["nft", "-j", "list", "counters"], capture_output=True, text=True, check=True)
        found = (item["counter"] for item in json.loads(listed.stdout)["nftables"] if "counter" in item)
        return {counter["name"]: counter["packets"] for counter in found}

    def doubled(self) -> int:
        """Segments that the programs' kernel has received twice until now, as it has told by D-SACK (RFC 2883)."""
        shown = self.programs.run(["nstat", "-asz", "-j"], capture_output=True, text=True, check=True)
        counters = json.loads(shown.stdout)["kernel"]
        return int(counters["TcpExtTCPDSACKOldSent"]) + int(counters["TcpExtTCPDSACKOfoSent"])

    def program(self, *command: str) -> Program:
        """Start a server among the programs; it is ended with the context."""
        return Program(command[0], command, self.programs.name)

    def run(self, *command: str, **options: Any) -> subprocess.CompletedProcess[Any]:
        """Run a client to its end; its status is 0."""
        options = {"capture_output": True, "timeout": PATIENCE} | options
        done = self.programs.run(list(command), **options)
        assert done.returncode == 0, (command, done.returncode, done.stdout, done.stderr)
        return done


@contextmanager
def place(fresh_name: Callable[[str], str], folder: Path) -> Iterator[Place]:
    """Make the two namespaces, joined and with their routes."""
    with namespaces(fresh_name("prg"), fresh_name("rly")) as (programs, relay):
        join(programs, "net0", relay, "net1")
        programs.add_addresses("net0", f"{PROGRAMS[4]}/24", f"{PROGRAMS[6]}/64")
        relay.add_addresses("net1", f"{RELAY[4]}/24", f"{RELAY[6]}/64")
        programs.add_route("10.85.0.0/24", via=RELAY[4])
        programs.add_route("fd85::/64", via=RELAY[6])
        relay.forward()
        # One packet is one segment: else a rule that loses one loses up to 64 KiB.
        programs.run(["ip", "link", "set", "net0", "gso_max_segs", "1"], check=True)
        yield Place(programs, relay, folder)


def bracketed(address: str) -> str:
    """Return an address as it stands before a port."""
    return f"[{address}]" if ":" in address else address


@dataclass(slots=True)
class Gateway:
    """A gateway that accepts connections."""

    program: Program

    def reports(self, count: int) -> list[dict[str, Any]]:
        """The lines of the next ``count`` connections that it has relayed."""
        return [json.loads(self.program.line("out", lambda _: True, PATIENCE)) for _ in range(count)]


@contextmanager
def gateway(place: Place, *forwards: tuple[str, str], congestion: str = "cubic") -> Iterator[Gateway]:
    """Run ``edotun gateway`` for ``forwards`` (listen, connect); its status at the end is 0."""
    text = (
        f'[tun]\naddr = ["{STACK[4]}/24", "{STACK[6]}/64"]\nhost = ["10.85.0.1", "fd85::1"]\n'
        f'congestion = "{congestion}"\n'
    )
    text += "".join(f'[[forward]]\nlisten = "{listen}"\nconnect = "{connect}"\n' for listen, connect in forwards)
    file = place.folder / "gateway.toml"
    file.write_text(text)
    with Program("gateway", [*EDOTUN, "gateway", str(file), "--json"], place.relay.name) as program:
        for _ in forwards:
            program.ready(PATIENCE)
        yield Gateway(program)
        program.process.terminate()
        assert program.end(PATIENCE) == 0, program.complaint


def unharmed(report: dict[str, Any]) -> bool:
    """Whether a connection ended without an error and lost nothing that its peer's kernel had sent in order.

    An ACK that the kernel's next segment has overtaken, each having left from another core, is taken for old by
    PAWS, as it must be (RFC 7323 §5.3 R1).
    """
    return report["error"] is None and report["drops"].keys() <= {"paws"}


def to_programs(version: int, port: int) -> tuple[str, str]:
    """A forward by which the stack accepts: the programs' kernel connects to it, it is relayed to their server."""
    return (
        f"stack:{bracketed(STACK[version])}:{port}",
        f"kernel:{bracketed(PROGRAMS[version])}:{port}",
    )


def from_programs(version: int, port: int, onward: int) -> tuple[str, str]:
    """A forward by which the stack connects to the programs' kernel, to a server at port ``onward``."""
    return (
        f"kernel:{bracketed(RELAY[version])}:{port}",
        f"stack:{bracketed(PROGRAMS[version])}:{onward}",
    )
