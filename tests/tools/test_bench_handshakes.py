"""The benchmark of handshakes: what is counted is right, whatever the time it takes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ao.groups import GROUPS_BY_NAME
from stack.security import Security
from tools.bench import document
from tools.bench.handshakes import run, table
from tools.bench.handshakes.certificate import Certificate
from tools.bench.handshakes.figures import RTT, Kind, Rate, Wire
from tools.bench.handshakes.ours import Failed, Hosts, kinds
from tools.bench.handshakes.tls import in_memory

KINDS = {kind.name: kind for kind in kinds()}


def test_every_group_and_placement_is_measured() -> None:
    names = " ".join(KINDS)
    assert "X25519MLKEM768" in GROUPS_BY_NAME
    for part in (
        "syn, x25519",
        "late, x25519",
        "compact, x25519",
        "secp256r1",
        "x448",
        "ffdhe3072",
        "X25519MLKEM768",
    ):
        assert part in names
    assert names.count("resumed") == 2


@pytest.mark.parametrize("name", KINDS)
def test_one_handshake_of_each_kind(name: str) -> None:
    """One is made, the placement and group that it was to have are reported by both ends, and its wire is seen."""
    kind = KINDS[name]
    rate = kind.rate(0.0)
    assert rate.handshakes == 1
    assert rate.seconds > 0
    wire = kind.wire()
    assert wire.round_trips == (2 if ", late," in name else 1)
    # SYN, SYN-ACK, ACK; a hello beside the SYN or behind it; protected ACKs both ways.
    protected = name not in ("none", "ao")
    assert wire.packets_up == (2 if not protected or "compact" in name else 4)
    assert wire.packets_down == (1 if not protected else 3 if ", late," in name else 2)


def test_octets_on_the_wire() -> None:
    """SYN and SYN-ACK of 60 octets (MSS, window scale, SACK, timestamps), an ACK of 52; TCP-AO adds 16 to each."""
    assert KINDS["none"].wire() == Wire(2, 1, 112, 60, 1)
    assert KINDS["ao"].wire() == Wire(2, 1, 144, 76, 1)
    x25519, p256 = (KINDS[f"ao-enc-dh, syn, {group}"].wire() for group in ("x25519", "secp256r1"))
    # Shares of 32 and 65 octets (profile.md §6), behind a header of whole words.
    for small, large in ((x25519.octets_up, p256.octets_up), (x25519.octets_down, p256.octets_down)):
        assert 33 - 3 <= large - small <= 33 + 3
    resumed = KINDS["ao-enc-dh, syn, x25519, resumed"].wire()
    assert resumed.octets_up < x25519.octets_up
    assert resumed.octets_down < x25519.octets_down


def test_another_handshake_than_was_to_be_measured_is_an_error() -> None:
    kind = KINDS["ao-enc-dh, syn, x25519"]
    with pytest.raises(Failed, match="placement is 'syn', not 'late'"):
        replace(kind, expects=(("placement", "late"),)).rate(0.0)
    with pytest.raises(Failed, match="resumed is False, not True"):
        replace(KINDS["ao-enc-dh, syn, x25519, resumed"], security=kind.security).wire()


def test_tls_is_resumed_where_it_says_so() -> None:
    alone, missing = in_memory()
    assert len(alone) + len(missing) == 4
    for kind in alone:
        assert kind.rate(0.0).handshakes == 1
        assert kind.wire() is None
    assert [kind.resumes for kind in alone].count(True) == 1


def test_a_group_that_openssl_does_not_have_is_named() -> None:
    with pytest.raises(ValueError, match="OpenSSL has no group nonsense"):
        Certificate().contexts("nonsense")


class Fixed:
    """A kind with figures that are known."""

    def __init__(self, name: str, base: str, rates: list[float], round_trips: list[int]) -> None:
        self.name = name
        self.base = base
        self._rates = iter(rates)
        self._round_trips = iter(round_trips)

    def rate(self, seconds: float) -> Rate:
        return Rate(int(next(self._rates) * seconds), seconds)

    def wire(self) -> Wire | None:
        return Wire(1, 2, 30, 40, next(self._round_trips))


def report() -> tuple[run.Report, list[str]]:
    seen: list[str] = []
    measured: list[Kind] = [
        Fixed("none", "none", [100, 400, 200], [1, 1, 1]),
        Fixed("keys", "none", [50, 40, 100], [3, 2, 4]),
    ]
    return run.run(measured, 2.0, 3, seen.append, ["X25519MLKEM768"]), seen


def test_rounds_alternate_and_rows_have_median_spread_and_what_is_added() -> None:
    found, seen = report()
    assert seen == ["none", "keys"] * 3
    plain, keys = found.rows
    assert (keys.rate.median, keys.rate.minimum, keys.rate.maximum) == (50.0, 40.0, 100.0)
    assert plain.added is None
    # A round trip more, and 20 ms of CPU instead of 5; the least round trips of all rounds hold.
    assert keys.wire is not None
    assert keys.wire.round_trips == 2
    assert keys.added == pytest.approx(RTT + 1 / 50 - 1 / 200)


def test_json_and_document(tmp_path: Path) -> None:
    found, _ = report()
    content = json.loads(json.dumps(found.to_json()))
    assert content["conditions"]["not_in_this_openssl"] == ["X25519MLKEM768"]
    row = content["rows"][1]
    assert (row["kind"], row["cpu_milliseconds"], row["added_milliseconds"]) == ("keys", 20.0, 65.0)
    wire = {"packets_up": 1, "packets_down": 2, "octets_up": 30, "octets_down": 40, "round_trips": 2}
    assert row["wire"] == wire
    file = tmp_path / "performance.md"
    file.write_text(f"{document.BEGIN}\ngoodput\n{document.END}\n{table.MARK}\nold\n{document.END}\nafter\n")
    document.put(file, table.MARK, table.markdown(found))
    text = file.read_text()
    assert text.startswith(f"{document.BEGIN}\ngoodput\n{document.END}\n")
    assert "| keys | 50 | 40 | 100 | 2 | 65.0 | 1 + 2 | 30 | 40 |" in text
    assert "without X25519MLKEM768" in text
    assert "old" not in text
    assert text.endswith("after\n")


def test_the_performance_document_has_a_place() -> None:
    document.around(Path(__file__).parents[2] / "docs" / "performance.md", table.MARK)


def test_a_connection_that_fails_is_an_error() -> None:
    """A server without keys, a client that requires them."""
    hosts = Hosts(Security())
    with pytest.raises(Failed, match="the connection failed"):
        hosts.opened(hosts.connect(Security("ao-enc-dh")))
