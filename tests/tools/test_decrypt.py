"""Key logs, and captures that they turn into ones with the plaintext."""

from __future__ import annotations

import asyncio
import json
import stat
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from scapy.all import IP, TCP, IPv6, Raw, rdpcap
from typer.testing import CliRunner

from ao.keylog import KeyLogError, LoggedKeys
from ao.mkt import Mkt, MktTable
from ao.suite import Suite
from stack.run import RST
from stack.security import Security
from stack.simulator import Loss
from tools.cli.main import app
from tools.decode.source import Packet, from_capture
from tools.decrypt.keybook import KeyBook, read_keylog
from tools.decrypt.opening import Fate, Opener
from tun.loopback import ADDRESSES, Loopback

HOST, HOST6 = (address.partition("/")[0] for address in ADDRESSES)
OCTETS = Random(5).randbytes(150_000)
KEYS = """
[[mkt]]
name = "both"
send_id = 5
recv_id = 5
secret = "a secret of both ends"
encrypt = true
"""


def transfer(
    folder: Path, security: Security, host: str = HOST, loss: float = 0.0, *, rekey: bool = False
) -> tuple[Path, Path]:
    """Send OCTETS to an echo and back; the capture and the key log that came of it.

    ``rekey``: half of them go under keys that are agreed on after the first half.
    """
    capture, keylog = folder / "sent.pcapng", folder / "keys.jsonl"

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def main() -> None:
        boxes = [Loss(loss, Random(3))] if loss else []
        async with Loopback(capture=capture, keylog=keylog, boxes=boxes) as loopback, asyncio.timeout(60):
            await loopback.start_server(echo, 7, security=security)
            reader, writer = await loopback.open_connection(host, 7, security=security)
            half = len(OCTETS) // 2
            for part in range(0, half, 1000):
                writer.write(OCTETS[part : part + 1000])
                await reader.readexactly(min(1000, half - part))
                if rekey and part == 0:
                    writer.transport.rekey()  # type: ignore[attr-defined]
            if rekey:
                assert keylog.read_text().count('"generation": 1') == 2, "both ends have made it"
            writer.write(OCTETS[half:])
            writer.write_eof()
            assert await reader.read(-1) == OCTETS[half:]
            writer.close()
            await writer.wait_closed()

    asyncio.run(main())
    return capture, keylog


def streams(capture: Path) -> list[bytes]:
    """What each end sent, as scapy finds it behind Data Offset."""
    pieces: dict[tuple[int, int], dict[int, bytes]] = {}
    isns: dict[tuple[int, int], int] = {}
    for packet in rdpcap(str(capture)):
        tcp = packet[TCP]
        way = (tcp.sport, tcp.dport)
        if tcp.flags.S:
            isns[way] = tcp.seq
            continue
        # Who looks on as TCP does: what lies below the window was acknowledged long ago.
        new = (tcp.seq - isns.get(way, 0) - 1) % (1 << 32) < 1 << 31
        if tcp.flags.A and not tcp.flags.R and packet.haslayer(Raw) and new:
            pieces.setdefault(way, {})[tcp.seq] = bytes(packet[Raw].load)
    found = []
    for way, parts in pieces.items():
        stream = bytearray()
        for seq in sorted(parts, key=lambda seq: (seq - isns[way]) % (1 << 32)):
            at = (seq - isns[way] - 1) % (1 << 32)
            assert at <= len(stream), "a hole"
            stream[at : at + len(parts[seq])] = parts[seq]
        found.append(bytes(stream))
    return found


def run(*arguments: object) -> tuple[int, dict[str, object]]:
    found = CliRunner().invoke(app, ["decrypt", *map(str, arguments), "--json"])
    return found.exit_code, json.loads(found.stdout)


@pytest.mark.parametrize("host", [HOST, HOST6])
def test_a_capture_becomes_one_with_the_plaintext(host: str, tmp_path: Path) -> None:
    capture, keylog = transfer(tmp_path, Security("ao-enc-dh"), host, loss=0.01, rekey=True)
    out = tmp_path / "plain.pcapng"
    assert OCTETS[1000:1064] not in capture.read_bytes()
    status, report = run(capture, "--keylog", keylog, "-w", out)
    assert status == 0
    assert report["no_key"] == report["bad_mac"] == 0
    assert {entry.generation for entry in read_keylog(keylog)} == {0, 1}
    keys = report["keys"]
    assert isinstance(keys, dict)
    assert set(keys) == {"generation 0", "generation 1"}
    assert min(keys.values()) > 4
    assert streams(out) == [OCTETS, OCTETS]
    layer = IPv6 if ":" in host else IP
    for packet in rdpcap(str(out)):
        given = packet[TCP].chksum
        del packet[TCP].chksum
        assert layer(bytes(packet))[TCP].chksum % 0xFFFF == given % 0xFFFF


def test_headers_may_stay_as_they_were(tmp_path: Path) -> None:
    capture, keylog = transfer(tmp_path, Security("ao-enc-dh"))
    out = tmp_path / "plain.pcapng"
    assert run(capture, "--keylog", keylog, "-w", out, "--as-sent")[0] == 0
    before = [packet for packet in from_capture(capture) if isinstance(packet, Packet)]
    after = [packet for packet in from_capture(out) if isinstance(packet, Packet)]
    changed = 0
    for one, other in zip(before, after, strict=True):
        assert bytes(one.segment.tcp[:16]) == bytes(other.segment.tcp[:16])
        assert len(one.segment.tcp) == len(other.segment.tcp)
        changed += bytes(one.segment.tcp[20:]) != bytes(other.segment.tcp[20:])
    assert changed > 100
    assert b"".join(bytes(packet.segment.tcp) for packet in after).count(OCTETS[1000:1064]) >= 2


def test_a_capture_that_begins_in_the_middle(tmp_path: Path) -> None:
    capture, keylog = transfer(tmp_path, Security("ao-enc-dh"))
    packets = [packet for packet in from_capture(capture) if isinstance(packet, Packet)][40:]
    # A last ACK that comes twice meets no connection the second time, whose reset is clear (RFC 9293 §3.10.7.1).
    packets = [packet for packet in packets if not packet.segment.flags & RST]
    opened = list(Opener(KeyBook(read_keylog(keylog))).open(packets))
    assert {one.fate for one in opened} == {Fate.DECRYPTED, Fate.AUTHENTIC}


def test_addresses_that_a_nat_made_others(tmp_path: Path) -> None:
    """The keys do not depend on them; which line is meant is found by the numbers of the SYNs."""
    capture, keylog = transfer(tmp_path, Security("ao-enc-dh"))
    entries = [replace(entry, a=(b"\x0a\1\1\1", 999)) for entry in read_keylog(keylog)]
    packets = [packet for packet in from_capture(capture) if isinstance(packet, Packet)]
    assert {one.fate for one in Opener(KeyBook(entries)).open(packets)} >= {Fate.DECRYPTED}
    bound = [replace(entry, flags=entry.flags & ~1) for entry in entries]
    assert Fate.DECRYPTED not in {one.fate for one in Opener(KeyBook(bound)).open(packets)}


def test_configured_keys_open_too(tmp_path: Path) -> None:
    mkt = Mkt(name="both", send_id=5, recv_id=5, secret=b"a secret of both ends", encrypt="aes-128-ctr")
    capture, keylog = transfer(tmp_path, Security("ao-enc", keys=MktTable([mkt])))
    assert keylog.read_text() == "", "there is nothing that was agreed on"
    keys, out = tmp_path / "keys.toml", tmp_path / "plain.pcapng"
    keys.write_text(KEYS)
    keys.chmod(0o600)
    status, report = run(capture, "--keys", keys, "-w", out)
    assert (status, report["bad_mac"]) == (0, 0)
    assert streams(out) == [OCTETS, OCTETS]


def test_what_does_not_verify_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    capture, keylog = transfer(tmp_path, Security("ao-enc-dh"))
    lines = [replace(entry, prk=bytes(32)).line() for entry in read_keylog(keylog)]
    other, out = tmp_path / "other.jsonl", tmp_path / "plain.pcapng"
    other.write_text("\n".join(lines))
    status, report = run(capture, "--keylog", other, "-w", out)
    assert status == 1
    bad = report["bad_mac"]
    assert isinstance(bad, int)
    assert bad > 100
    before = [bytes(packet.segment.tcp) for packet in from_capture(capture) if isinstance(packet, Packet)]
    after = [bytes(packet.segment.tcp) for packet in from_capture(out) if isinstance(packet, Packet)]
    assert before == after
    other.write_text("")
    status, report = run(capture, "--keylog", other, "-w", out)
    assert (status, report["no_key"]) == (1, bad)


ENTRY = LoggedKeys((b"\1\2\3\4", 5), (b"\6\7\10\11", 80), 1, 1 << 31, 300, Suite(4, 3), 13, bytes(range(32)))


def test_a_line_reads_back() -> None:
    row = json.loads(ENTRY.line())
    assert row["a"] == "1.2.3.4:5"
    assert row["suite"] == "kmac256-128+chacha20"
    assert LoggedKeys.parse(ENTRY.line()) == ENTRY
    without = replace(ENTRY, suite=Suite(2, 0), a=(bytes(15) + b"\1", 9))
    assert LoggedKeys.parse(without.line()) == without
    assert json.loads(without.line())["a"] == "[::1]:9"


def test_secrets_stay_out_of_what_is_shown(tmp_path: Path) -> None:
    assert "0001020304" not in repr(ENTRY)
    assert "prk" not in repr(ENTRY)
    _, keylog = transfer(tmp_path, Security("ao-enc-dh"))
    assert stat.S_IMODE(keylog.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"prk": "00"}, "'prk' has 1 octets, not 32"),
        ({"prk": 5}, "'prk' is no hex"),
        ({"suite": "rot13"}, "'suite' is 'rot13', which is not known"),
        ({"suite": "linux-hmac-sha256"}, "which is not known"),
        ({"a": "here"}, "'a' is 'here', not ADDR:PORT"),
        ({"b": "1.2.3.4:70000"}, "not ADDR:PORT"),
        ({"isn_a": -1}, "'isn_a' is not in 0-4294967295"),
        ({"generation": True}, "'generation' is not in"),
    ],
)
def test_a_line_that_is_wrong_is_named(change: dict[str, object], fault: str) -> None:
    text = json.dumps(json.loads(ENTRY.line()) | change)
    with pytest.raises(KeyLogError, match=fault):
        LoggedKeys.parse(text)


def test_usage(tmp_path: Path) -> None:
    capture = tmp_path / "a.pcap"
    capture.write_bytes(b"no capture")
    out = tmp_path / "out.pcapng"
    log = tmp_path / "keys.jsonl"
    log.write_text(ENTRY.line() + "\n{}\n")
    for arguments, fault in (
        ([capture, "-w", out], "nothing to decrypt with"),
        ([capture, "-w", out, "--keylog", log], "keys.jsonl:2: it has no 'a'"),
        ([capture, "-w", out, "--keylog", tmp_path / "none"], "No such file"),
    ):
        found = CliRunner().invoke(app, ["decrypt", *map(str, arguments)])
        assert found.exit_code == 2
        assert fault in found.stderr
        assert len(found.stderr.strip().splitlines()) == 1
    log.write_text(ENTRY.line())
    found = CliRunner().invoke(app, ["decrypt", str(capture), "-w", str(out), "--keylog", str(log)])
    assert found.exit_code == 2
    assert not out.exists()
