from pathlib import Path

import pytest

from ao.keyfile import KeyFileError
from edo.codepoints import Dialect, EdoKind, FormChoice, Units
from tools.gateway_file import Endpoint, Forward, GatewayFileError, load

GOOD = """\
[tun]
name = "gw0"
addr = ["10.9.0.2/24", "fd09::2/64"]
host = ["10.9.0.1"]
mtu = 1400

[[forward]]
name = "web"
listen = "kernel:127.0.0.1:8080"
connect = "stack:10.8.0.2:80"
source = "10.9.0.2:4000"
protect = "ao-enc-dh"
policy = "prefer"
placement = ["late", "syn"]
group = "x25519"
suite = "aes-128-cmac-96+aes-128-ctr"
confirm = "wait"

[[forward]]
listen = "stack:[fd09::2]:80"
connect = "kernel:[::1]:8000"
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "gw.toml"
    path.write_text(text)
    return path


def test_a_good_file(tmp_path: Path) -> None:
    content = load(write(tmp_path, GOOD), tmp_path / "x.pcapng")
    assert content.link.name == "gw0"
    assert content.link.addresses == ("10.9.0.2/24", "fd09::2/64")
    assert (content.link.hosts, content.link.mtu, content.link.netns) == (("10.9.0.1",), 1400, None)
    assert content.link.capture == tmp_path / "x.pcapng"
    web, back = content.forwards
    assert web.listen == Endpoint(True, "127.0.0.1", 8080)
    assert web.connect == Endpoint(False, "10.8.0.2", 80)
    assert web.source == ("10.9.0.2", 4000)
    assert not web.security.accept_icmps
    assert (web.security.protect, web.security.policy, web.security.confirm) == ("ao-enc-dh", "prefer", "wait")
    assert web.security.placements == ("late", "syn")
    assert back == Forward(
        "forward 2", Endpoint(False, "fd09::2", 80), Endpoint(True, "::1", 8000), None, back.security
    )
    assert back.security.protect == "none"


def test_how_edo_is_written_and_how_many_sack_blocks(tmp_path: Path) -> None:
    text = changed("mtu = 1400", "sack_blocks = 31").replace(
        'confirm = "wait"\n', 'confirm = "wait"\nedo_kind = "79/80"\nedo_units = "octets"\nedo_form = "long"\n'
    )
    content = load(write(tmp_path, text))
    assert content.link.sack_blocks == 31
    assert content.forwards[0].security.dialect == Dialect(EdoKind.NATIVE_79_80, Units.OCTETS, FormChoice.LONG)
    assert content.forwards[1].security.dialect is None
    assert load(write(tmp_path, GOOD)).link.sack_blocks == 16
    for line, fault in (("edo_kind = '238'", "edo_kind: '238' is not one of"), ("edo_form = 'long'", "EDO is off")):
        with pytest.raises(GatewayFileError, match=fault):
            load(write(tmp_path, GOOD + line + "\n"))


def test_the_congestion_control_is_cubic_unless_the_file_says_otherwise(tmp_path: Path) -> None:
    assert load(write(tmp_path, GOOD)).link.congestion == "cubic"
    assert load(write(tmp_path, changed("mtu = 1400", 'congestion = "bbr"'))).link.congestion == "bbr"


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        (changed('name = "gw0"', 'colour = "red"'), 2, "unknown key 'colour'"),
        (changed('name = "web"', 'nmae = "web"'), 8, "unknown key 'nmae'"),
        (GOOD + "\n[extra]\n", 23, "unknown table or key 'extra'"),
        (changed("mtu = 1400", "mtu = 1400\nmtu = 2"), 6, "overwrite"),
        (changed("mtu = 1400", "mtu = 1200"), 5, "mtu: 1200 is not in 1280-65535"),
        (changed("mtu = 1400", 'mtu = "1400"'), 5, "mtu must be a whole number"),
        (changed("mtu = 1400", 'congestion = "vegas"'), 5, "congestion: 'vegas' is not one of cubic, reno, bbr"),
        (changed("mtu = 1400", "mtu = true"), 5, "mtu must be a whole number"),
        (changed('host = ["10.9.0.1"]', 'host = "10.9.0.1"'), 4, "host must be a list of strings"),
        (changed('host = ["10.9.0.1"]', 'host = ["10.9.0"]'), 4, "host: '10.9.0' is not"),
        (changed('name = "gw0"', 'name = "a/b"'), 2, "name: 'a/b' is not a device name"),
        (changed('addr = ["10.9.0.2/24", "fd09::2/64"]\n', ""), 1, r"\[tun\] has no addr"),
        (changed('listen = "kernel:127.0.0.1:8080"\n', ""), 7, "has no listen"),
        (changed('connect = "kernel:[::1]:8000"\n', ""), 19, "has no connect"),
        (changed("kernel:127.0.0.1:8080", "kernel:127.0.0.1"), 9, "'' is not a port"),
        (changed("kernel:127.0.0.1:8080", "kernel:127.0.0.1:65536"), 9, "'65536' is not a port"),
        (changed("kernel:127.0.0.1:8080", "kernel:localhost:80"), 9, "'localhost' is not an IPv4 address"),
        (changed("kernel:127.0.0.1:8080", "127.0.0.1:8080"), 9, "not kernel:ADDR:PORT or stack:ADDR:PORT"),
        (changed("stack:10.8.0.2:80", "kernel:10.8.0.2:80"), 10, "the other stack"),
        (changed("stack:[fd09::2]:80", "stack:[fd09::3]:80"), 20, "not one of the stack's addresses"),
        (changed("stack:[fd09::2]:80", "stack:[10.9.0.2]:80"), 20, "stands in brackets"),
        (changed("stack:[fd09::2]:80", "stack:fd09::2:80"), 20, "is not an IPv4 address"),
        (changed("10.9.0.2:4000", "10.9.0.7"), 11, "source: 10.9.0.7 is not one of the stack's"),
        (changed('"10.9.0.2:4000"', '"[fd09::2]"'), 11, "not the IP version"),
        (changed('"ao-enc-dh"', '"ao-dh"'), 16, "suite: .* names a cipher"),
        (changed('"ao-enc-dh"', '"ao-enc"'), 7, "keys: .* needs a keys file"),
        (changed('confirm = "wait"', 'order = "mine"'), 17, "order: 'mine' is not one of peer, own"),
        (changed('"ao-enc-dh"', '"md5"'), 7, "keys: .* needs a keys file"),
        (changed('"ao-enc-dh"', '"ao"'), 7, "keys: .* needs a keys file"),
        (changed('"ao-enc-dh"', '"aoo"'), 12, "protect: 'aoo' is not a mode"),
        (changed('"prefer"', '"maybe"'), 13, "policy: 'maybe' is not one of"),
        (changed('["late", "syn"]', '["late", 1]'), 14, "placement must be"),
        (changed('["late", "syn"]', '"late,never"'), 14, "placement: 'never' is not one of"),
        (changed('"x25519"', '"x25520"'), 15, "group: 'x25520' is not one of"),
        (changed("+aes-128-ctr", "+rot13"), 16, "suite: cipher 'rot13'"),
        (changed('confirm = "wait"', 'accept_icmps = "yes"'), 17, "accept_icmps must be true or false"),
        (changed('confirm = "wait"', 'confirm = "wait"\nedo = "off"'), 18, "edo: .* cannot be off"),
        (changed("stack:[fd09::2]:80", "stack:10.9.0.2:80\"\nname = \"web"), 21, "'web' is used twice"),
        ("[tun]\naddr = ['10.0.0.2/24']\n", 1, r"no \[\[forward\]\]"),
        ("forward = 1\n", 1, r"no \[tun\]"),
        ("[tun]\nname = ", 2, "value"),
    ],
)  # fmt: skip
def test_errors_name_file_and_line(tmp_path: Path, text: str, line: int, what: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(GatewayFileError, match=what) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert "\n" not in str(caught.value)


def test_two_forwards_on_one_port(tmp_path: Path) -> None:
    text = changed("stack:[fd09::2]:80", "kernel:127.0.0.1:8080").replace("kernel:[::1]:8000", "stack:[fd08::2]:1")
    with pytest.raises(GatewayFileError, match=r":20: .*listened on twice"):
        load(write(tmp_path, text))


def keyed(tmp_path: Path, keys: str, mode: int = 0o600) -> Path:
    (tmp_path / "keys.toml").write_text(keys)
    (tmp_path / "keys.toml").chmod(mode)
    return write(tmp_path, changed('"ao-enc-dh"', '"ao"\nkeys = "keys.toml"'))


def test_icmp_is_believed_where_the_file_says_so(tmp_path: Path) -> None:
    path = write(tmp_path, changed('confirm = "wait"', "accept_icmps = true"))
    assert load(path).forwards[0].security.accept_icmps


def test_syn_eos_where_the_file_says_so(tmp_path: Path) -> None:
    path = write(tmp_path, changed('"ao-enc-dh"', '"none"\nsyn_eos = true'))
    assert load(path).forwards[0].security.syn_eos is not None


def test_keys_beside_the_file(tmp_path: Path) -> None:
    content = load(keyed(tmp_path, '[[mkt]]\nsend_id = 1\nrecv_id = 2\nsecret = "s"\n'))
    keys = content.forwards[0].security.keys
    assert keys is not None
    assert [(mkt.send_id, mkt.recv_id) for mkt in keys] == [(1, 2)]


def test_wrong_keys_name_their_own_file(tmp_path: Path) -> None:
    path = keyed(tmp_path, '[[mkt]]\nsend_id = 1\nrecv_id = 256\nsecret = "s"\n')
    with pytest.raises(KeyFileError, match=r"keys.toml:3: "):
        load(path)


def test_keys_that_others_can_read_are_refused(tmp_path: Path) -> None:
    path = keyed(tmp_path, '[[mkt]]\nsend_id = 1\nrecv_id = 2\nsecret = "s"\n', 0o644)
    with pytest.raises(KeyFileError, match="chmod 600"):
        load(path)


def test_keys_that_encrypt_are_not_for_ao(tmp_path: Path) -> None:
    path = keyed(tmp_path, '[[mkt]]\nsend_id = 1\nrecv_id = 2\nsecret = "s"\nencrypt = true\n')
    with pytest.raises(GatewayFileError, match=r":13: keys: .* encrypts"):
        load(path)
