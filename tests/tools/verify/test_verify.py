"""``edotun verify`` on captures of two Linux kernels and on ones made here, with right and with wrong keys."""

from __future__ import annotations

import ipaddress
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ao.keys import configured_key, syn_send
from ao.mkt import Mkt
from ao.traffic_keys import SocketPair
from tools.cli.main import app
from tun.capture_reader import read_capture

CAPTURES = Path(__file__).parents[2] / "data" / "captures"
FACTS: dict[str, Any] = json.loads((CAPTURES / "captures.json").read_text())
# Between two Linux 6.12 kernels; the names that captures.json gives the kernel's algorithms.
MACS = {"hmac(sha1)": "hmac-sha-1-96", "cmac(aes128)": "aes-128-cmac-96", "hmac(sha256)": "linux-hmac-sha256"}


def keys(folder: Path, *tables: str) -> Path:
    path = folder / "keys.toml"
    path.write_text("".join(f"[[mkt]]\n{table}\n" for table in tables))
    path.chmod(0o600)
    return path


def table(**values: object) -> str:
    return "\n".join(f"{name} = {json.dumps(value)}" for name, value in values.items())


def right(name: str, **changes: object) -> list[str]:
    """The keys of one capture, as its client has them."""
    facts = FACTS["captures"][name]
    if "keys" in facts:
        return [
            table(
                send_id=key["client_send"],
                recv_id=key["server_send"],
                secret=key["secret_ascii"],
                mac=MACS[key["mac"]],
            )
            for key in facts["keys"]
        ]
    ids = FACTS["client_key_ids"]
    values: dict[str, object] = {
        "send_id": ids["send"],
        "recv_id": ids["receive"],
        "secret": FACTS["secret_ascii"],
        "mac": MACS[facts.get("mac", "hmac(sha1)")],
        "mac_octets": facts.get("mac_octets", 12),
        "cover_options": facts.get("options_in_mac", True),
    }
    if name == "v4-wrongkey":
        values["secret"] = "wrong"
    values.update(changes)
    return [table(**{name: value for name, value in values.items() if value is not None})]


def run(capture: Path, keys_file: Path, *more: str) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(app, ["verify", str(capture), "--keys", str(keys_file), "--json", *more])
    return result.exit_code, json.loads(result.stdout) if result.exit_code != 2 else {"fault": result.stderr}


def test_every_segment_of_the_kernels_is_good(tmp_path: Path) -> None:
    """446 of 446."""
    good = 0
    for name in FACTS["captures"]:
        status, report = run(CAPTURES / f"{name}.pcap", keys(tmp_path, *right(name)))
        assert status == 0, name
        assert report["bad"] == report["no_key"] == report["no_ao"] == 0
        good += report["good"]
    assert good == 446


def test_keys_of_tcp_md5_may_stand_in_the_file(tmp_path: Path) -> None:
    legacy = table(mac="md5", secret="a password")
    status, report = run(CAPTURES / "v4-sha1.pcap", keys(tmp_path, legacy, *right("v4-sha1")))
    assert (status, report["bad"], report["no_key"]) == (0, 0, 0)


def test_the_servers_keys_serve_as_well(tmp_path: Path) -> None:
    ids = FACTS["server_key_ids"]
    file = keys(tmp_path, *right("v6-cmac", send_id=ids["send"], recv_id=ids["receive"]))
    assert run(CAPTURES / "v6-cmac.pcap", file)[1]["good"] == 26


@pytest.mark.parametrize(
    ("name", "wrong", "words"),
    [
        ("v4-sha1-noopts", {"cover_options": True}, "options are not covered"),
        ("v4-sha1", {"cover_options": False}, "options are covered"),
        ("v4-sha1", {"mac": "aes-128-cmac-96"}, "MAC hmac-sha-1-96"),
        ("v4-sha256", {"mac_octets": 12}, "a MAC of 16 octets"),
        ("v4-sha256", {"mac": "hmac-sha256-128", "mac_octets": None}, "MAC linux-hmac-sha256 of 16 octets"),
        ("v4-sha1", {"send_id": 61, "recv_id": 84, "local": "10.99.0.3"}, "key ids swapped"),
        ("v4-sha1", {"send_id": 7, "recv_id": 8}, "KeyID 84 instead of 7"),
        ("v4-sha1", {"secret": b"testvector".hex()}, "the secret read as hexadecimal"),
        ("v4-sha1", {"secret": "testvector\n"}, "the secret without white space around it"),
        ("v4-sha1", {"nat": "local"}, "addresses and ports count as they are"),
        ("v4-sha1", {"peer": "192.0.2.1"}, "for other addresses or ports"),
        ("v6-cmac-noopts", {"cover_options": True, "mac": "hmac-sha-1-96"}, "not covered, MAC aes-128-cmac-96"),
    ],
)
def test_it_says_what_would_have_matched(tmp_path: Path, name: str, wrong: dict[str, object], words: str) -> None:
    status, report = run(CAPTURES / f"{name}.pcap", keys(tmp_path, *right(name, **wrong)))
    assert status == 1
    # Where only the cover of options is wrong, a segment without other options has the same MAC either way.
    assert report["good"] == (24 if set(wrong) == {"cover_options"} else 0)
    assert words in report["segments"][0]["would_match"]
    assert all(row["would_match"] for row in report["segments"] if row["verdict"] != "good")


def test_a_wrong_secret_has_no_answer(tmp_path: Path) -> None:
    status, report = run(CAPTURES / "v4-sha1.pcap", keys(tmp_path, *right("v4-sha1", secret="another")))
    assert status == 1
    assert {(row["verdict"], row["would_match"]) for row in report["segments"]} == {("bad", None)}


def test_unknown_key_ids_are_told_from_bad_macs(tmp_path: Path) -> None:
    """All of this capture is under the second key."""
    status, report = run(CAPTURES / "v4-rotate.pcap", keys(tmp_path, right("v4-rotate")[0]))
    assert status == 1
    assert report["no_key"] == 127
    assert run(CAPTURES / "v4-rotate.pcap", keys(tmp_path, right("v4-rotate")[1]))[1]["good"] == 127


# --- captures made here ----------------------------------------------------------------------------------------

CLIENT, SERVER = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))
PAIR = SocketPair(CLIENT, 40000, SERVER, 179)
MKT = Mkt("k", 5, 6, b"secret", mac="hmac-sha-1-96")
SYN, ACK = 0x02, 0x10


@dataclass
class Side:
    """One end of a conversation that signs what it sends."""

    pair: SocketPair
    isn: int
    peer_isn: int
    mkt: Mkt = MKT

    def segment(self, flags: int, number: int, payload: bytes = b"", *, ao: bool = True) -> bytes:
        """An IPv4 packet; ``number`` is the 64-bit stream number of its first octet."""
        key = configured_key(self.mkt, self.pair, self.isn, self.peer_isn)
        sign = syn_send(self.mkt, self.pair, self.isn) if flags & (SYN | ACK) == SYN else key.sign
        option = bytes((29, 16, self.mkt.send_id, self.mkt.recv_id)) + bytes(12) if ao else b""
        header = struct.pack(
            "!HHIIBBHHH",
            self.pair.local_port,
            self.pair.remote_port,
            number & 0xFFFFFFFF,
            (self.peer_isn + 1) & 0xFFFFFFFF if flags & ACK else 0,
            (20 + len(option)) << 2,
            flags,
            1000,
            0,
            0,
        )
        if ao:
            option = option[:4] + sign.tag(number >> 32, header + option, payload)
        tcp = header + option + payload
        total = 20 + len(tcp)
        start = struct.pack("!BBHHHBBH", 0x45, 0, total, 0, 0x4000, 64, 6, 0) + self.pair.local + self.pair.remote
        check = 0xFFFF - int.from_bytes(start, "big") % 0xFFFF
        return start[:10] + check.to_bytes(2, "big") + start[12:] + tcp


def pcap(path: Path, *packets: bytes) -> Path:
    """A file with link type RAW, a packet a second."""
    records = [struct.pack("<IIII", at, 0, len(packet), len(packet)) + packet for at, packet in enumerate(packets)]
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101) + b"".join(records))
    return path


def ends(client_isn: int, server_isn: int, mkt: Mkt = MKT, server: Mkt | None = None) -> tuple[Side, Side]:
    mirrored = server or Mkt("k", mkt.recv_id, mkt.send_id, mkt.secret, mac=mkt.mac)
    return Side(PAIR, client_isn, server_isn, mkt), Side(PAIR.reverse, server_isn, client_isn, mirrored)


def opening(client: Side, server: Side) -> list[bytes]:
    return [
        client.segment(SYN, client.isn),
        server.segment(SYN | ACK, server.isn),
        client.segment(ACK, client.isn + 1),
    ]


KEY = table(send_id=5, recv_id=6, secret="secret", mac="hmac-sha-1-96")


def verdicts(report: dict[str, Any]) -> list[str]:
    return [row["verdict"] for row in report["segments"]]


def test_numbers_are_extended_past_a_wrap(tmp_path: Path) -> None:
    client, server = ends(0xFFFFFFF0, 7)
    packets = opening(client, server)
    for at in (0xFFFFFFF1, 0x1_0000_0001, 0x1_0000_0101, 0xFFFFFFF9):
        packets.append(client.segment(ACK, at, b"x" * 8))
    status, report = run(pcap(tmp_path / "a.pcap", *packets), keys(tmp_path, KEY))
    assert (status, report["good"]) == (0, 7)


def test_a_key_may_change_on_the_way(tmp_path: Path) -> None:
    client, server = ends(100, 200)
    later = Side(PAIR, 100, 200, Mkt("l", 15, 16, b"later"))
    packets = [*opening(client, server), later.segment(ACK, 101, b"under the new key"), client.segment(ACK, 118)]
    table_of_later = table(name="later", send_id=15, recv_id=16, secret="later")
    _, report = run(pcap(tmp_path / "a.pcap", *packets), keys(tmp_path, KEY, table_of_later))
    assert [row["key"] for row in report["segments"]] == ["5/6", "5/6", "5/6", "later", "5/6"]
    assert set(verdicts(report)) == {"good"}


def test_who_forgot_to_extend_is_found_out(tmp_path: Path) -> None:
    client, server = ends(0xFFFFFFF0, 7)
    packets = [*opening(client, server), client.segment(ACK, 0x1_0000_0001 & 0xFFFFFFFF, b"x" * 8)]
    _, report = run(pcap(tmp_path / "a.pcap", *packets), keys(tmp_path, KEY))
    assert "SNE 0" in report["segments"][3]["would_match"]


def test_another_incarnation_has_other_isns_and_a_forged_syn_begins_none(tmp_path: Path) -> None:
    first, second = ends(100, 200), ends(5000, 6000)
    forged = Side(PAIR, 999, 0, Mkt("k", 5, 6, b"guess", mac="hmac-sha-1-96")).segment(SYN, 999)
    packets = [*opening(*first), forged, first[0].segment(ACK, 101, b"still"), *opening(*second)]
    _, report = run(pcap(tmp_path / "a.pcap", *packets), keys(tmp_path, KEY))
    assert verdicts(report) == ["good"] * 3 + ["bad"] + ["good"] * 4


def test_isns_that_are_not_in_the_capture_are_given(tmp_path: Path) -> None:
    client, server = ends(100, 200)
    capture = pcap(tmp_path / "a.pcap", client.segment(ACK, 101, b"one"), server.segment(ACK, 201, b"two"))
    status, report = run(capture, keys(tmp_path, KEY))
    assert status == 1
    assert "--isn" in report["segments"][0]["reason"]
    isns = ("--isn", "10.0.0.1:40000=100", "--isn", "10.0.0.2:179=0xc8")
    assert run(capture, keys(tmp_path, KEY), *isns)[1]["good"] == 2
    assert run(capture, keys(tmp_path, KEY), "--isn", "10.0.0.1=5")[0] == 2


def test_a_segment_without_the_option_is_counted_apart(tmp_path: Path) -> None:
    client, server = ends(100, 200)
    packets = [*opening(client, server), server.segment(ACK | 0x04, 201, ao=False)]
    status, report = run(pcap(tmp_path / "a.pcap", *packets), keys(tmp_path, KEY))
    assert status == 1
    assert (report["good"], report["no_ao"]) == (3, 1)


def test_the_syns_key_on_a_syn_ack_is_found_out(tmp_path: Path) -> None:
    client, _ = ends(100, 200)
    wrong = Side(PAIR.reverse, 200, 100, Mkt("k", 6, 5, b"secret", mac="hmac-sha-1-96"))
    key = configured_key(wrong.mkt, wrong.pair, 200, 0)
    packet = bytearray(wrong.segment(SYN | ACK, 200))
    header = bytes(packet[20:44]) + bytes(12)
    packet[44:56] = key.sign.tag(0, header, b"")
    _, report = run(pcap(tmp_path / "a.pcap", client.segment(SYN, 100), bytes(packet)), keys(tmp_path, KEY))
    assert "the SYN's traffic key" in report["segments"][1]["would_match"]


def test_traffic_keys_are_printed_when_asked_for(tmp_path: Path) -> None:
    capture = CAPTURES / "v4-sha1.pcap"
    file = keys(tmp_path, *right("v4-sha1"))
    derived = run(capture, file, "--traffic-keys")[1]["traffic_keys"]
    assert {(row["direction"].split(":")[0], row["segments"]) for row in derived} == {
        ("10.99.0.3", "SYN"),
        ("10.99.0.3", "other"),
        ("10.99.0.2", "other"),
    }
    assert {len(row["traffic_key"]) for row in derived} == {40}
    assert "traffic_keys" not in run(capture, file)[1]
    plain = CliRunner().invoke(app, ["verify", str(capture), "--keys", str(file), "--quiet"]).stdout
    assert plain == "26 good, 0 bad, 0 no key, 0 no ao\n"


def test_rows_name_everything(tmp_path: Path) -> None:
    first = run(CAPTURES / "v6-sha1.pcap", keys(tmp_path, *right("v6-sha1")))[1]["segments"][0]
    when = next(iter(read_capture(CAPTURES / "v6-sha1.pcap"))).when / 1e9
    assert first["time"] == pytest.approx(when)
    assert (first["n"], first["src"], first["dst"], first["dport"]) == (1, "fd99::3", "fd99::2", 7000)
    assert (first["key_id"], first["rnext"], first["verdict"]) == (84, 61, "good")
    assert ipaddress.ip_address(first["src"]).version == 6


def test_what_cannot_be_read_is_status_2(tmp_path: Path) -> None:
    file = keys(tmp_path, KEY)
    broken = tmp_path / "broken.pcap"
    broken.write_bytes((CAPTURES / "v4-sha1.pcap").read_bytes()[:100])
    assert run(broken, file)[0] == 2
    assert run(tmp_path / "none.pcap", file)[0] == 2
    assert run(CAPTURES / "v4-sha1.pcap", tmp_path / "none.toml")[0] == 2
    assert run(CAPTURES / "v4-sha1.pcap", keys(tmp_path, "send_id = 1"))[0] == 2


def test_keys_that_others_can_read_are_warned_of(tmp_path: Path) -> None:
    file = keys(tmp_path, *right("v4-sha1"))
    file.chmod(0o644)
    result = CliRunner().invoke(app, ["verify", str(CAPTURES / "v4-sha1.pcap"), "--keys", str(file), "--quiet"])
    assert result.exit_code == 0
    assert "chmod 600" in result.stderr
    assert "testvector" not in result.output + result.stderr
