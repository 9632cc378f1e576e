"""Keys files: what they give, and errors that name file, line and fault."""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ao.keyfile import KeyFileError, load, load_with_md5
from ao.md5 import Md5Key
from ao.mkt import Mkt, Nat

IDS = "send_id = 1\nrecv_id = 2\n"
SECRET = 'secret = "do not tell"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.toml"
    path.touch(0o600)
    return path


def test_everything(file: Path) -> None:
    (file.parent / "raw").write_bytes(b"\x00binary\n\n")
    (file.parent / "raw").chmod(0o600)
    file.write_text(
        """
# keys of two peers
[[mkt]]
name = "first"
peer = "192.0.2.0/24"
peer_port = 179
local = "192.0.2.1"
local_port = 50000
send_id = 61
recv_id = 84
secret = "tëst"
mac = "hmac-sha-1-96"
mac_octets = 12
cover_options = false
encrypt = true
nat = "local"

[[mkt]]
send_id = 0
recv_id = 255
secret_hex = "00 ff"
encrypt = "aes-256-ctr"
peer = "fd00::1"

[[mkt]]
send_id = 3
recv_id = 3
secret_file = "raw"
peer = "::ffff:10.0.0.1"
encrypt = false
"""
    )
    told: list[str] = []
    assert load(file, notice=told.append) == [
        Mkt(
            "first",
            61,
            84,
            "tëst".encode(),
            peer=ip_network("192.0.2.0/24"),
            peer_port=179,
            local=ip_network("192.0.2.1"),
            local_port=50000,
            mac="hmac-sha-1-96",
            mac_octets=12,
            cover_options=False,
            encrypt="aes-128-ctr",
            nat=Nat.local,
        ),
        Mkt("0/255", 0, 255, b"\x00\xff", peer=ip_network("fd00::1"), encrypt="aes-256-ctr"),
        Mkt("3/3", 3, 3, b"\x00binary\n", peer=ip_network("10.0.0.1")),
    ]
    assert told == [f"{file}:28: the newline that ends {file.parent / 'raw'} is not part of the secret"]


FAULTS = [
    ("", 1, "no [[mkt]] table"),
    ("mkt = 3\n", 1, "no [[mkt]] table"),
    ("\nmkt = [1]\n", 2, "no [[mkt]] table"),
    ("[mkt]\n" + IDS, 1, "no [[mkt]] table"),
    ("\n[other]\nx = 1\n", 2, "other: not known here; keys stand in [[mkt]] tables"),
    ("[[mkt]]\n" + IDS + SECRET + "sendid = 3\n", 5, "sendid: not known in [[mkt]]"),
    ("[[mkt]]\n" + IDS + SECRET + "[mkt.deep]\n", 1, "deep: not known in [[mkt]]"),
    (
        "[[mkt]]\n" + IDS + SECRET + "accept_from = 2026-01-01\n",
        5,
        "accept_from: not a date with a time, such as 2027-01-01T00:00:00Z",
    ),
    (
        "[[mkt]]\n" + IDS + SECRET + "send_until = 2026-01-01T00:00:00\n",
        5,
        "send_until: has no offset from UTC: end it with Z, or +HH:MM",
    ),
    (
        "[[mkt]]\n" + IDS + SECRET + "send_from = 2026-01-02T00:00:00Z\nsend_until = 2026-01-01T00:00:00Z\n",
        6,
        "send_until: not after send_from",
    ),
    ("\n[[mkt]]\nsend_id = 1\n" + SECRET, 2, "recv_id is missing"),
    ("[[mkt]]\nrecv_id = 1\n" + SECRET, 1, "send_id is missing"),
    ("[[mkt]]\n" + IDS, 1, "no secret (secret, secret_hex, secret_file)"),
    (
        "[[mkt]]\n" + IDS + SECRET + 'secret_hex = "00"\n',
        1,
        "secret and secret_hex together: one of them is enough",
    ),
    ("[[mkt]]\nsend_id = true\nrecv_id = 2\n" + SECRET, 2, "send_id: not an integer"),
    ('[[mkt]]\nsend_id = 1\nrecv_id = "2"\n' + SECRET, 3, "recv_id: not an integer"),
    ("[[mkt]]\nsend_id = 1\nrecv_id = 256\n" + SECRET, 3, "recv_id: 256 is not in 0-255"),
    ("[[mkt]]\n" + IDS + 'secret = ""\n', 4, "secret: the key is empty"),
    ("[[mkt]]\n" + IDS + "secret = 12\n", 4, "secret: not a string"),
    ("[[mkt]]\n" + IDS + 'secret_hex = "abc"\n', 4, "secret_hex: not an even number of hexadecimal digits"),
    ("[[mkt]]\n" + IDS + 'secret_file = "gone"\n', 4, "gone cannot be read: No such file or directory"),
    ("[[mkt]]\n" + IDS + SECRET + 'peer = "10.0.0.1/8"\n', 5, "peer: 10.0.0.1/8 has host bits set"),
    (
        "[[mkt]]\n" + IDS + SECRET + 'peer = "10.0.0"\n',
        5,
        "peer: '10.0.0' does not appear to be an IPv4 or IPv6 address",
    ),
    ("[[mkt]]\n" + IDS + SECRET + 'peer = "fe80::1%eth0"\n', 5, "peer: an address without a zone is wanted"),
    ("[[mkt]]\n" + IDS + SECRET + "peer = 10\n", 5, "peer: not a string"),
    ("[[mkt]]\n" + IDS + SECRET + 'peer = "10.0.0.1"\nlocal = "fd00::1"\n', 6, "local: the address family"),
    ("[[mkt]]\n" + IDS + SECRET + "peer_port = 0\n", 5, "peer_port: 0 is not in 1-65535"),
    ("[[mkt]]\n" + IDS + SECRET + "peer_port = 1.5\n", 5, "peer_port: not an integer"),
    ("[[mkt]]\n" + IDS + SECRET + 'mac = "md5"\n', 5, "mac: a key of TCP-MD5, which is not TCP-AO"),
    ("[[mkt]]\n" + IDS + SECRET + 'mac = "md4"\n', 5, "mac: 'md4' is not one of aes-128-cmac-96, hmac-sha-1-96"),
    (
        "[[mkt]]\n" + IDS + SECRET + "mac_octets = 17\n",
        5,
        "mac_octets: 17 is not in 8-16, as aes-128-cmac-96 has it",
    ),
    ("[[mkt]]\n" + IDS + SECRET + "cover_options = 1\n", 5, "cover_options: neither true nor false"),
    ("[[mkt]]\n" + IDS + SECRET + 'encrypt = "des"\n', 5, "encrypt: 'des' is not one of aes-128-ctr, aes-256-ctr"),
    ("[[mkt]]\n" + IDS + SECRET + "encrypt = 1\n", 5, "encrypt: neither true, false nor the name of a cipher"),
    ("[[mkt]]\n" + IDS + SECRET + 'nat = "maybe"\n', 5, "nat: 'maybe' is not one of none, local, remote, both"),
    (
        "[[mkt]]\n" + IDS + SECRET + 'encrypt = true\nnat = "both"\n',
        6,
        "nat: 'both' with encryption needs one peer",
    ),
    (
        "[[mkt]]\n" + IDS + SECRET + "[[mkt]]\nrecv_id = 2\nsend_id = 9\n" + SECRET,
        6,
        "recv_id: 2 is that of line 3",
    ),
    ("[[mkt]]\n" + IDS + SECRET + "[[mkt]]\n" + IDS + SECRET, 7, "recv_id: 2 is that of line 3 for one peer"),
    ("[[mkt]]\nsend_id = 1\nsend_id = 2\n", 3, "Cannot overwrite a value"),
    ("[[mkt]]\nsend_id =\n", 2, "Invalid value"),
    ("[[mkt]]\n\nsecret = '", 3, "Expected"),
]


@pytest.mark.parametrize(("text", "line", "fault"), FAULTS, ids=[case[2] for case in FAULTS])
def test_faults(file: Path, text: str, line: int, fault: str) -> None:
    file.write_text(text)
    with pytest.raises(KeyFileError) as caught:
        load(file)
    message = str(caught.value)
    assert message.startswith(f"{file}:{line}: "), message
    assert fault in message
    assert "\n" not in message
    assert "do not tell" not in message


MD5 = '[[mkt]]\nmac = "md5"\nsecret = "do not tell"\n'


def test_keys_of_md5_beside_those_of_ao(file: Path) -> None:
    file.write_text(MD5 + 'peer = "10.0.0.0/8"\nlocal_port = 179\n[[mkt]]\n' + IDS + SECRET)
    mkts, md5 = load_with_md5(file)
    assert [(mkt.send_id, mkt.recv_id) for mkt in mkts] == [(1, 2)]
    assert md5 == [Md5Key("md5", b"do not tell", peer=ip_network("10.0.0.0/8"), local_port=179)]


@pytest.mark.parametrize(
    ("text", "line", "fault"),
    [
        (MD5 + "send_id = 1\n", 4, "send_id: a key of TCP-MD5 has none"),
        (MD5 + "send_until = 2027-01-01T00:00:00Z\n", 4, "send_until: a key of TCP-MD5 has none"),
        (MD5 + "colour = 1\n", 4, "colour: not known in [[mkt]]"),
        (MD5 + "peer_port = 0\n", 4, "peer_port: 0 is not in 1-65535"),
        ('[[mkt]]\nmac = "md5"\nsecret = ""\n', 3, "secret: the key is empty"),
        ('[[mkt]]\nmac = "md5"\n', 1, "no secret"),
        (MD5 + MD5, 4, "a key of TCP-MD5 for the same connections as that of line 1"),
    ],
)
def test_faults_of_keys_of_md5(file: Path, text: str, line: int, fault: str) -> None:
    file.write_text(text)
    with pytest.raises(KeyFileError, match=re.escape(fault)) as caught:
        load_with_md5(file)
    assert str(caught.value).startswith(f"{file}:{line}: ")
    assert "do not tell" not in str(caught.value)


def test_lines_of_later_tables_behind_strings_and_lists(file: Path) -> None:
    """The n-th [[mkt]] is counted as TOML does, not where its letters stand."""
    text = (
        "# [[mkt]]\n"
        '[["mkt"]]\n'
        + IDS
        + 'name = """\n[[mkt]]\nsend_id = 1\n\\"""x"""  # [[mkt]] " \n'
        + "secret = '''\n[[mkt]]\n''\n'''\n"
        "[[ mkt ]]  # the second\n"
        'send_id = 3\nrecv_id = 4\n"secret" = "a # b [[mkt]] \\" c"\n'
        "peer = [\n  # ] [[mkt]]\n  '[[mkt]]',\n]\n"
    )
    file.write_text(text)
    line = text[: text.index("peer = [")].count("\n") + 1
    with pytest.raises(KeyFileError, match=re.escape(f"{file}:{line}: peer: not a string")):
        load(file)


def test_tables_written_inline(file: Path) -> None:
    file.write_text(
        '\nmkt = [{send_id = 1, recv_id = 2, secret = "x"}, {send_id = 1, recv_id = 3, secret = "x"}]\n'
    )
    with pytest.raises(KeyFileError, match=re.escape(f"{file}:2: send_id: 1 is that of line 2 for one peer")):
        load(file)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
@pytest.mark.parametrize("key", ["secret", "secret_hex"])
def test_permissions(file: Path, mode: int, key: str) -> None:
    file.write_text("[[mkt]]\n" + IDS + f'{key} = "00"\n')
    file.chmod(mode)
    fault = f"{file}:4: {file} holds a secret and others can read it (mode {mode:04o}): chmod 600 {file}"
    with pytest.raises(KeyFileError) as caught:
        load(file)
    assert str(caught.value) == fault
    told: list[str] = []
    assert len(load(file, strict_permissions=False, notice=told.append)) == 1
    assert told == [fault]
    file.chmod(0o400)
    assert len(load(file)) == 1


def test_permissions_of_a_secret_file(file: Path) -> None:
    secret = file.parent / "the secret"
    secret.write_bytes(b"x")
    secret.chmod(0o644)
    file.write_text("[[mkt]]\n" + IDS + 'secret_file = "the secret"\n')
    file.chmod(0o644)  # it holds none itself
    with pytest.raises(KeyFileError, match=re.escape(f"{file}:4: {secret} holds a secret")) as caught:
        load(file)
    assert str(caught.value).endswith(f"chmod 600 '{secret}'")
    secret.chmod(0o600)
    assert load(file)[0].secret == b"x"


def test_files_that_are_none(file: Path) -> None:
    with pytest.raises(KeyFileError, match=r"gone: cannot be read: No such file or directory$"):
        load(file.parent / "gone")
    with pytest.raises(KeyFileError, match=r"cannot be read: Is a directory$"):
        load(file.parent)
    file.write_bytes(b"# text\n\xff\n")
    with pytest.raises(KeyFileError, match=re.escape(f"{file}:2: not UTF-8 text")):
        load(file)


GOOD = "[[mkt]]\n" + IDS + SECRET + 'peer = "10.0.0.0/8"\nencrypt = true\nmac_octets = 12\nnat = "local"\n'


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(GOOD)), st.text(max_size=3)), min_size=1, max_size=4))
def test_any_text_gives_tuples_or_one_line(file: Path, changes: list[tuple[int, str]]) -> None:
    text = GOOD * 2
    for place, piece in changes:
        text = text[:place] + piece + text[place + 1 :]
    file.write_text(text, encoding="utf-8", errors="surrogatepass")
    fault = None
    try:
        load(file)
    except KeyFileError as error:
        fault = str(error)
    assert fault is None or re.match(rf"{re.escape(str(file))}:\d+: \S", fault)
    assert "do not tell" not in (fault or "")


def test_lifetimes_are_moments_of_any_zone(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(
        "[[mkt]]\n"
        + IDS
        + SECRET
        + "send_from = 2027-01-01T01:00:00+01:00\nsend_until = 2027-01-01T00:00:01Z\n"
        + "accept_from = 2026-12-31T00:00:00Z\n"
    )
    path.chmod(0o600)
    lifetime = load(path)[0].lifetime
    # 2027-01-01T00:00:00Z by date(1).
    assert (lifetime.send_from, lifetime.send_until) == (1_798_761_600.0, 1_798_761_601.0)
    assert lifetime.accept_from == 1_798_761_600.0 - 86_400
    assert lifetime.accept_until == float("inf")
