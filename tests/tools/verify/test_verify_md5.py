"""``edotun verify`` and TCP-MD5: captures of Linux, right and wrong keys, and options that cannot be judged."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ao.md5 import Md5Signature
from tools.cli.main import app
from tun.capture_reader import read_capture

from .test_verify import CAPTURES, FACTS, KEY, PAIR, ends, keys, opening, pcap, run, table, verdicts

PASSWORD = FACTS["secret_ascii"]
OPTION = struct.Struct("!BB16s")


@pytest.mark.parametrize("name", FACTS["md5"]["captures"])
def test_every_segment_of_the_kernels_is_good(tmp_path: Path, name: str) -> None:
    """52 of 52, SYNs and FINs among them."""
    status, report = run(
        CAPTURES / f"{name}.pcap", keys(tmp_path, table(mac="md5", name="legacy", secret=PASSWORD))
    )
    assert (status, report["good"]) == (0, 26)
    assert {(row["option"], row["key"], row["key_id"]) for row in report["segments"]} == {("md5", "legacy", None)}


@pytest.mark.parametrize(
    "end", [{"peer": "10.99.0.2"}, {"peer": "10.99.0.3"}, {"peer": "10.99.0.3", "local_port": 7000}]
)
def test_the_keys_are_those_of_either_end(tmp_path: Path, end: dict[str, object]) -> None:
    file = keys(
        tmp_path, table(mac="md5", secret=PASSWORD, **end), table(mac="md5", secret="other", peer="10.0.0.0/8")
    )
    status, report = run(CAPTURES / "v4-md5.pcap", file)
    assert (status, report["good"]) == (0, 26)


@pytest.mark.parametrize(
    ("wrong", "verdict", "words"),
    [
        ({"secret": PASSWORD.encode().hex()}, "bad", "key k, the secret read as hexadecimal"),
        ({"secret": PASSWORD + "\n"}, "bad", "key k, the secret without white space around it"),
        ({"secret": PASSWORD, "peer": "192.0.2.1"}, "no_key", "key k, for other addresses or ports"),
        ({"secret": "another"}, "bad", None),
    ],
)
def test_it_says_what_would_have_matched(
    tmp_path: Path, wrong: dict[str, object], verdict: str, words: str | None
) -> None:
    status, report = run(CAPTURES / "v4-md5.pcap", keys(tmp_path, table(mac="md5", name="k", **wrong)))
    assert status == 1
    assert {(row["verdict"], row["would_match"]) for row in report["segments"]} == {(verdict, words)}


def test_without_a_key_of_tcp_md5_nothing_is_good(tmp_path: Path) -> None:
    status, report = run(CAPTURES / "v6-md5.pcap", keys(tmp_path, KEY))
    assert (status, report["no_key"], report["no_ao"]) == (1, 26, 0)


def test_a_changed_octet_is_bad_and_an_option_is_not_covered(tmp_path: Path) -> None:
    packets = [
        bytes(packet) for captured in read_capture(CAPTURES / "v4-md5.pcap") if (packet := captured.ip_packet())
    ]
    at = next(n for n, packet in enumerate(packets) if len(packet) > 1000)
    packets[at] = packets[at][:-1] + bytes((packets[at][-1] ^ 1,))
    # The SYN's MSS: RFC 2385 covers no option.
    assert b"\x02\x04\x05\xb4" in packets[0]
    packets[0] = packets[0].replace(b"\x02\x04\x05\xb4", b"\x02\x04\x05\xb5")
    file = keys(tmp_path, table(mac="md5", secret=PASSWORD))
    report = run(pcap(tmp_path / "a.pcap", *packets), file)[1]
    assert [n for n, row in enumerate(report["segments"]) if row["verdict"] != "good"] == [at]


def with_option(payload: bytes, *options: bytes) -> bytes:
    """A segment of the client's with options as they are; a digest of zeros among them is filled in."""
    joined = b"".join(options)
    joined += b"\0" * (-len(joined) % 4)
    header = bytearray(struct.pack("!HHIIBBHHH", 40000, 179, 101, 201, (20 + len(joined)) << 2, 16, 1000, 0, 0))
    digest = Md5Signature(b"secret", PAIR.local, PAIR.remote).tag(0, header + joined, payload)
    tcp = bytes(header) + joined.replace(bytes(16), digest) + payload
    start = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0) + PAIR.local + PAIR.remote
    check = 0xFFFF - int.from_bytes(start, "big") % 0xFFFF
    return start[:10] + check.to_bytes(2, "big") + start[12:] + tcp


def test_both_kinds_stand_in_one_capture_and_never_in_one_segment(tmp_path: Path) -> None:
    client, server = ends(100, 200)
    option = OPTION.pack(19, 18, bytes(16))
    packets = [
        *opening(client, server),
        with_option(b"legacy", option),
        with_option(b"twice", option, OPTION.pack(19, 18, b"x" * 16)),
        with_option(b"short", bytes((19, 10)) + bytes(8)),
        with_option(b"both", bytes((29, 4, 5, 6)), option),
    ]
    file = keys(tmp_path, KEY, table(mac="md5", secret="secret"))
    report = run(pcap(tmp_path / "a.pcap", *packets), file)[1]
    assert verdicts(report) == ["good"] * 4 + ["bad"] * 3
    reasons = [row["reason"] for row in report["segments"][4:]]
    assert reasons == [
        "TCP-MD5 stands in it twice",
        "its TCP-MD5 option has 10 octets instead of 18",
        "ao_md5_conflict",
    ]


def test_lines_name_the_option(tmp_path: Path) -> None:
    file = keys(tmp_path, table(mac="md5", name="legacy", secret=PASSWORD))
    shown = CliRunner().invoke(app, ["verify", str(CAPTURES / "v4-md5.pcap"), "--keys", str(file)]).stdout
    assert "> 10.99.0.2:7000 md5 good (key legacy)" in shown.splitlines()[0]
