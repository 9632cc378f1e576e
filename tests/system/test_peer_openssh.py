"""OpenSSH through a gateway: sshd with keys and a configuration of its own, scp both ways, new keys on the way."""

from __future__ import annotations

import contextlib
import hashlib
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.programs import Program

from .relayed import PATIENCE, RELAY, STACK, Place, bracketed, from_programs, gateway, place, to_programs, unharmed

pytestmark = [pytest.mark.tun, pytest.mark.programs("sshd", "ssh", "scp", "ssh-keygen", "nft", "ip")]

PORT, NEAR = 2222, 2223
OCTETS = 4_000_000
# Where sshd wants a folder to be, empty, whenever somebody connects. It stays, as Debian's service leaves it:
# another test's sshd may need it still.
SEPARATION = Path("/run/sshd")
SERVER = """
Port {port}
PidFile none
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
AuthenticationMethods publickey
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
Subsystem sftp internal-sftp
"""
CLIENT = """
Host *
    User root
    IdentityFile {folder}/user
    IdentitiesOnly yes
    BatchMode yes
    StrictHostKeyChecking yes
    UserKnownHostsFile {folder}/known
    GlobalKnownHostsFile none
    HostKeyAlias server
    Compression no
    RekeyLimit 1M
"""


@pytest.fixture
def sshd(fresh_name: Callable[[str], str], tmp_path: Path) -> Iterator[Place]:
    """An sshd among the programs, and in the folder what a client needs of it."""
    for name in ("host", "user"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)]
        subprocess.run(command, check=True, timeout=30)
    (tmp_path / "known").write_text(f"server {(tmp_path / 'host.pub').read_text()}")
    (tmp_path / "server").write_text(SERVER.format(folder=tmp_path, port=PORT))
    (tmp_path / "client").write_text(CLIENT.format(folder=tmp_path))
    SEPARATION.mkdir(mode=0o755, exist_ok=True)
    with contextlib.ExitStack() as stack:
        one = stack.enter_context(place(fresh_name, tmp_path))
        command = ["/usr/sbin/sshd", "-D", "-e", "-f", str(tmp_path / "server")]
        server = stack.enter_context(Program("sshd", command, one.programs.name))
        server.line("err", lambda text: "listening on :: port" in text, PATIENCE)
        yield one


@pytest.mark.parametrize(("version", "opens", "lost"), [(6, "stack", 0), (4, "kernel", 10)])
def test_scp_there_and_back(sshd: Place, version: int, opens: str, lost: int) -> None:
    octets = random.Random(version).randbytes(OCTETS)
    (sshd.folder / "sent").write_bytes(octets)
    forward = to_programs(version, PORT) if opens == "kernel" else from_programs(version, NEAR, PORT)
    address, port = (STACK[version], PORT) if opens == "kernel" else (RELAY[version], NEAR)
    options = ["-F", str(sshd.folder / "client")]
    if lost:
        sshd.lose(lost)
    with gateway(sshd, forward) as relay:
        there = f"{bracketed(address)}:{sshd.folder / 'there'}"
        sshd.run("scp", *options, "-P", str(port), str(sshd.folder / "sent"), there)
        sshd.run("scp", *options, "-P", str(port), there, str(sshd.folder / "back"))
        remote = f"sha256sum {sshd.folder / 'there'}; exit 7"
        asked = sshd.programs.run(
            ["ssh", *options, "-p", str(port), address, remote], capture_output=True, timeout=60
        )
        reports = relay.reports(3)
    digest = hashlib.sha256(octets).hexdigest()
    assert (asked.returncode, asked.stdout.decode().split()[0]) == (7, digest)
    for name in ("there", "back"):
        assert hashlib.sha256((sshd.folder / name).read_bytes()).hexdigest() == digest
    assert all(map(unharmed, reports))
    assert sum(report["octets_in"] for report in reports) > OCTETS
    assert sum(report["octets_out"] for report in reports) > OCTETS
    again = sum(report["retransmissions"] for report in reports)
    if lost:
        assert again >= sshd.lost()["from_stack"] / 4 > 0
    else:
        assert again < OCTETS / 1448 / 100
