"""docs/guides/experiments.md: its three worked examples run, over EDO and over paths that do them harm."""

from __future__ import annotations

import json
import random
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

from edo.experiments import Experiment
from stack.attempt import Attempt
from stack.checksum import checksum, pseudo_header_sum
from stack.experimental import ExperimentalFlow
from stack.security import Security
from tests.stack.wire import Wire, transfer
from tests.tools.decode.support import capture, report
from tools.cli.main import app
from tools.experiments import ExperimentFileError, load, load_all

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples" / "experiments"
UP = random.Random(1).randbytes(200_000)


def example(name: str) -> tuple[Experiment, dict[str, Any]]:
    """An example's experiment, and the names of its file."""
    (one,) = load(EXAMPLES / f"{name}.py")
    assert one.receive is not None
    return one, one.receive.__globals__


def carried(one: Experiment, wire: Wire, **security: Any) -> tuple[Attempt, Attempt]:
    """Both ends of a connection that carried 200,000 octets up, with the experiment."""
    attempt, listener = wire.open(Security(experiments=(one,), **({"edo": "strict"} | security)))
    client, server = transfer(wire, attempt, listener, UP, b"down")
    assert bytes(server.received) == UP
    return client.attempt, server.attempt


def flow(attempt: Attempt) -> ExperimentalFlow:
    assert isinstance(attempt.flow, ExperimentalFlow)
    return attempt.flow


@pytest.mark.parametrize("security", [{}, {"edo": "off"}, {"protect": "ao-enc-dh"}])
def test_echo_numbers_come_back(security: dict[str, Any]) -> None:
    one, _ = example("echo")
    client, server = carried(one, Wire(), **security)
    ours, theirs = (flow(end).experiments.view("echo").state for end in (client, server))
    assert theirs["heard"] == flow(client).experiments.counts["echo"]["sent"] > 100
    assert 0 < ours["back"] <= ours["sent"]
    assert theirs["back"] <= theirs["sent"]


def test_echo_tells_of_lost_segments() -> None:
    """Every tenth packet of the client with data is lost: so many numbers never arrive."""
    one, _ = example("echo")
    lost = 0

    def tap(packet: bytes, from_client: bool, now: float) -> list[tuple[float, bytes]]:
        nonlocal lost
        if from_client and len(packet) > 500 and b"\xe0\xc0" in packet:
            tap.seen += 1  # type: ignore[attr-defined]
            if tap.seen % 10 == 0:  # type: ignore[attr-defined]
                lost += 1
                return []
        return [(0.0, packet)]

    tap.seen = 0  # type: ignore[attr-defined]
    client, server = carried(one, Wire(tap=tap))
    counts = flow(client).experiments.counts["echo"], flow(server).experiments.counts["echo"]
    assert lost > 10
    # What arrives twice lies outside the window, and is not heard.
    assert counts[0]["sent"] - counts[1]["received"] >= lost


def test_hops_write_when_they_were_passed() -> None:
    """Two hops on the way, a millisecond apart, each with the next place; the checksum mended, as a router does."""
    one, names = example("hops")
    assert one.most_octets == 64

    def tap(packet: bytes, from_client: bool, now: float) -> list[tuple[float, bytes]]:
        at = packet.find(bytes((254, 64)) + (0x4045).to_bytes(2))
        if at < 0:
            return [(0.0, packet)]
        changed = bytearray(packet)
        for hop in (1, 2):
            place = at + 4 + 4 + 8 * changed[at + 7]
            changed[place : place + 8] = round((now + hop / 1000) * 1e9).to_bytes(8)
            changed[at + 7] += 1
        changed[36:38] = bytes(2)
        tcp = bytes(changed[20:])
        summed = checksum(tcp, initial=pseudo_header_sum(packet[12:16], packet[16:20], len(tcp)))
        changed[36:38] = summed.to_bytes(2)
        return [(0.0, bytes(changed))]

    carried(one, Wire(tap=tap, latency=0.01))
    assert len(names["delays"]) > 100
    for first, second, last in names["delays"]:
        assert (round(first, -3), round(second, -3), round(last, -3)) == (1_000_000, 1_000_000, 8_000_000)


def test_telemetry_of_a_thousand_octets_crosses_beside_data() -> None:
    one, names = example("telemetry")
    assert one.most == 1000
    wire = Wire(latency=0.5)
    client, _ = carried(one, wire)
    sent = flow(client).experiments.counts["telemetry"]["sent"]
    assert sent >= 4
    assert len([one for one in names["received"] if one["role"] == "connect"]) == sent
    assert [one["number"] for one in names["received"] if one["role"] == "connect"] == list(range(1, sent + 1))
    large = [packet for _, _, packet in wire.sent if b"\x7e\x1e" in packet]
    assert all(1030 < len(packet) <= 1500 for packet in large)


def test_telemetry_stays_at_home_without_edo() -> None:
    one, names = example("telemetry")
    client, _ = carried(one, Wire(latency=0.5), edo="off")
    assert names["received"] == []
    assert flow(client).experiments.counts["telemetry"]["no_room"] > 5


def test_the_examples_together_in_the_simulator() -> None:
    arguments = ["sim", "--rate", "10", "--rtt", "20", "--seconds", "2", "--json"]
    for name in ("echo", "hops", "telemetry"):
        arguments += ["--experiment", str(EXAMPLES / f"{name}.py")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    row = json.loads(result.stdout)
    assert set(row["experiments"]) == {"echo", "hops", "telemetry"}
    for counts in row["experiments"].values():
        assert counts["received"] >= 0.8 * counts["sent"] > 0
        assert "failed" not in counts


def test_decode_knows_the_options(tmp_path: Path) -> None:
    wire = Wire()
    carried(example("echo")[0], wire)
    path = str(capture(tmp_path / "x.pcapng", [packet for _, _, packet in wire.sent]))
    told = report(path, "--experiment", str(EXAMPLES / "echo.py"))["segments"]
    numbers = [one["experiments"][0]["fields"]["number"] for one in told if one["experiments"]]
    assert len(numbers) > 100
    assert all(option["name"] != "echo" for one in report(path)["segments"] for option in one["options"])
    wire = Wire()
    carried(example("telemetry")[0], wire)
    path = str(capture(tmp_path / "y.pcapng", [packet for _, _, packet in wire.sent]))
    told = report(path, "--experiment", str(EXAMPLES / "telemetry.py"))["segments"]
    whole = [found["fields"] for one in told for found in one["experiments"]]
    assert whole
    assert all(bytes.fromhex(fields["report"]).startswith(b'{"number"') for fields in whole)
    assert all(one["faults"] == [] for one in told)


def test_options_knows_them() -> None:
    files = ["--experiment", str(EXAMPLES / "telemetry.py"), "--experiment", str(EXAMPLES / "hops.py")]
    result = CliRunner().invoke(app, ["options", "--want", "mss,telemetry,hops", *files, "--json"])
    assert result.exit_code == 0, result.output
    wanted = json.loads(result.stdout)["wanted"]
    assert sum(one["octets"] for one in wanted["data"]) == 1030 + 64
    assert [one["name"] for one in wanted["syn"]] == ["mss"]


# --- files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("x = 1\n", "x.py: it declares no experiment (edotun.experiment)"),
        ("x = (\n", "x.py:1: "),
        ("\nraise KeyError('a\\nb')\n", "x.py:2: KeyError: "),
        (
            "import edotun\nedotun.experiment('a', None, exid=1, most=1)\n",
            "x.py:2: ValueError: experiment a: fields",
        ),
        ("import no_such_module\n", "x.py:1: ModuleNotFoundError"),
    ],
)
def test_a_file_that_is_wrong_is_one_line_and_status_2(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "x.py"
    path.write_text(text)
    with pytest.raises(ExperimentFileError) as error:
        load(path)
    assert fault in str(error.value)
    assert "\n" not in str(error.value)
    device = ["--addr", "10.9.0.2/24", "--experiment", str(path)]
    for command in (["serve", "echo", *device], ["connect", "10.9.0.1", "7", *device], ["sim", *device[2:]]):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 2
        assert result.stderr.startswith("edotun: --experiment: ")
        assert result.stderr.count("\n") == 1


def test_two_files_with_one_number_are_refused() -> None:
    with pytest.raises(ExperimentFileError, match="another has its name or number"):
        load_all([EXAMPLES / "echo.py", EXAMPLES / "echo.py"])
    with pytest.raises(ExperimentFileError, match="No such file"):
        load(EXAMPLES / "none.py")


def test_the_guide_shows_what_runs() -> None:
    """Its ten lines are a whole file, and every example has its section."""
    text = (ROOT / "docs" / "guides" / "experiments.md").read_text()
    for path in EXAMPLES.glob("*.py"):
        assert f"examples/experiments/{path.name}" in text
    block = re.search(r"```py\n(.*?)```", text, re.DOTALL)
    assert block is not None
    assert len([line for line in block[1].splitlines() if line.strip()]) <= 14
    module = ModuleType("guide")
    sys.modules["guide"] = module
    exec(block[1], module.__dict__)
    one = next(value for value in vars(module).values() if isinstance(value, Experiment))
    client, server = carried(one, Wire())
    assert flow(server).experiments.counts[one.name]["received"] > 100
    assert flow(client).experiments.counts[one.name]["failed"] == 0
