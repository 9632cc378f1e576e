"""Usage: exit status 2 and one line that names the fault."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tools.cli import options, running
from tools.cli.main import app

SERVE = ["serve", "echo", "--addr", "10.9.0.2/24"]
CONNECT = ["connect", "10.9.0.1", "7", "--addr", "10.9.0.2/24"]


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["serve"], "SERVICE"),
        (["serve", "echo"], "--addr"),
        (["serve", "ecko", *SERVE[2:]], "'ecko' is not one of echo, sink, source, http[:DIR]"),
        (["serve", "echo:/tmp", *SERVE[2:]], "echo takes no folder"),
        (["serve", "http:/no/such/folder", *SERVE[2:]], "there is no folder /no/such/folder"),
        ([*SERVE, "--bytes", "5"], "--bytes: only source"),
        (["serve", "source", *SERVE[2:], "--bytes", "-1"], "--bytes: -1 is below 0"),
        ([*SERVE, "--port", "0"], "--port: 0 is not in 1-65535"),
        ([*SERVE, "--port", "65536"], "--port: 65536"),
        ([*SERVE, "--port", "x"], "--port"),
        ([*SERVE, "--no-such"], "--no-such"),
        ([*SERVE, "--addr", "10.9.0.3"], "--addr: '10.9.0.3' has no prefix length"),
        ([*SERVE, "--host", "10.9.0"], "--host: '10.9.0' is not"),
        ([*SERVE, "--mtu", "10"], "--mtu: 10 is not in 68-65535"),
        ([*SERVE, "--congestion", "vegas"], "--congestion: 'vegas' is not one of cubic, reno, bbr"),
        ([*SERVE, "--netns", "no-such"], "--netns: there is no namespace 'no-such'"),
        ([*SERVE, "--tun", "a/b"], "--tun: 'a/b'"),
        ([*SERVE, "--capture", "/no/such/x.pcapng"], "--capture: there is no folder"),
        (
            [*SERVE, "--protect", "tls"],
            "--protect: 'tls' is not a mode; available: none, md5, ao, ao-enc, ao-dh, ao-enc-dh",
        ),
        ([*SERVE, "--protect", "ao-enc"], "--keys: --protect ao-enc needs a keys file"),
        ([*SERVE, "--protect", "ao-enc-dh", "--order", "mine"], "--order: 'mine' is not one of peer, own"),
        (
            [*SERVE, "--protect", "ao-enc-dh", "--group", "x25520"],
            "--group: 'x25520' is not one of x25519, secp256r1",
        ),
        ([*SERVE, "--protect", "md5"], "--keys: --protect md5 needs a keys file"),
        ([*SERVE, "--protect", "ao"], "--keys: --protect ao needs a keys file"),
        ([*SERVE, "--keys", "x.toml"], "--keys: --protect none takes no keys file"),
        ([*SERVE, "--protect", "ao-enc-dh", "--keys", "x.toml"], "--keys: --protect ao-enc-dh takes no keys"),
        ([*SERVE, "--protect", "ao", "--keys", "/no/such.toml"], "/no/such.toml"),
        ([*SERVE, "--protect", "ao-enc-dh", "--edo", "off"], "--edo: ao-enc-dh needs extended options"),
        ([*SERVE, "--edo", "on"], "--edo: 'on' is not one of"),
        ([*SERVE, "--policy", "maybe"], "--policy: 'maybe' is not one of require, prefer, never"),
        ([*SERVE, "--syn-eos", "--edo", "off"], "--syn-eos: it brings EDO with it, so EDO cannot be off"),
        (
            [*SERVE, "--syn-eos", "--protect", "ao-enc-dh"],
            "--syn-eos: modes none, ao and ao-enc have it, not ao-enc-dh",
        ),
        ([*SERVE, "--accept-icmps"], "--accept-icmps: without protection no ICMP error is ignored"),
        ([*SERVE, "--confirm", "late"], "--confirm: 'late' is not one of early, wait"),
        ([*SERVE, "--placement", "first"], "--placement: 'first' is not one of auto, syn, late, compact"),
        ([*SERVE, "--placement", "syn,syn"], "--placement: 'syn,syn' names one twice"),
        ([*SERVE, "--placement", "syn,"], "--placement: 'syn,' has an empty name"),
        ([*SERVE, "--group", "p256"], "--group: 'p256' is not one of"),
        ([*SERVE, "--suite", "md5+rot13"], "--suite: MAC 'md5' is not one of"),
        ([*CONNECT[:2], "0", *CONNECT[3:]], "PORT: 0 is not in 1-65535"),
        ([*CONNECT, "--expect-echo"], "--expect-echo: needs --bytes"),
        ([*CONNECT, "--bytes", "-1"], "--bytes: -1 is below 0"),
        ([*CONNECT, "--timeout", "0"], "--timeout: 0 is not above 0"),
        ([*CONNECT, "--port", "-1"], "--port: -1 is not in 0-65535"),
        ([*CONNECT, "--sack-blocks", "32"], "--sack-blocks: 32 is not in 1-31"),
        ([*SERVE, "--edo", "on"], "--edo: 'on' is not one of off, strict, lenient"),
        ([*SERVE, "--edo", "strict", "--edo-kind", "238"], "--edo-kind: '238' is not one of exid, 79/80, 237"),
        ([*CONNECT, "--edo", "strict", "--edo-units", "bits"], "--edo-units: 'bits' is not one of words, octets"),
        ([*CONNECT, "--edo", "strict", "--edo-form", "tiny"], "--edo-form: 'tiny' is not one of auto, short, long"),
        ([*CONNECT, "--edo-form", "long"], "--edo-form: EDO is off"),
        ([*SERVE, "--edo", "off", "--edo-units", "octets"], "--edo-units: EDO is off"),
        ([*SERVE, "--method", "six-way"], "--method: 'six-way' is not one of four-way"),
        ([*SERVE, "--method", "syn-eos", "--edo", "off"], "--syn-eos: it brings EDO with it"),
        ([*SERVE, "--syn-eos", "--syn-option", "0204abcd"], "--syn-option: option kind 2 is the stack's own"),
        ([*SERVE, "--syn-option", "c804abcd"], "--syn-option: needs --method"),
        ([*SERVE, "--method", "four-way", "--syn-option", "c8zz"], "--syn-option: 'c8zz' is not hexadecimal"),
        ([*SERVE, "--method", "four-way", "--syn-option", "c805ab"], "--syn-option: not one whole option"),
        ([*SERVE, "--method", "four-way", "--protect", "ao-enc-dh"], "--method: four-way is not had with"),
        ([*SERVE, "--method", "four-way", "--edo", "off"], "--edo: four-way builds on EDO"),
        (["gateway", "/no/such.toml"], "/no/such.toml: No such file"),
        (["gateway"], "FILE.toml"),
        (["no-such-command"], "no-such-command"),
        ([], "command"),
    ],
)
def test_usage_errors(arguments: list[str], fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # What is lawful after all must not begin to serve without end.
    monkeypatch.setattr(running, "require_device", lambda: options.wrong("it would be served"))
    result = call(*arguments)
    assert fault.lower() in result.stderr.lower()
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("edotun: ")
    assert result.stdout == ""


def test_wrong_keys_are_told_with_their_line(tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text("[[mkt]]\nsend_id = 1\nrecv_id = 2\nsecret = 's'\nmac = 'rot13'\n")
    keys.chmod(0o600)
    result = call(*SERVE, "--protect", "ao", "--keys", str(keys))
    assert result.exit_code == 2
    assert f"{keys}:5: " in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_wrong_gateway_file_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "gw.toml"
    path.write_text("[tun]\naddr = ['10.9.0.2/24']\ncolour = 'red'\n")
    result = call("gateway", str(path))
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert f"{path}:3: unknown key 'colour'" in result.stderr


@pytest.mark.parametrize("command", ["serve", "connect", "gateway"])
def test_help_has_examples(command: str) -> None:
    result = call(command, "--help")
    assert result.exit_code == 0
    assert "xample" in result.stdout


def test_help_of_all() -> None:
    result = call("--help")
    assert result.exit_code == 0
    for command in ("serve", "connect", "gateway"):
        assert command in result.stdout


def test_a_call_that_does_nothing_loads_nothing_slow() -> None:
    program = "import sys, tools.cli.main; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "typer" in done.stdout.split()
    assert {"numpy", "pyroute2", "Crypto", "matplotlib"}.isdisjoint(done.stdout.split())
