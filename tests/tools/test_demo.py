"""The pieces of the demonstration: the search, the reading of captures, the judgement, the rules, the programs."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from tools.demo import memory, routed, ruleset
from tools.demo.clear import PIECE, STRIDE, ClearSearch
from tools.demo.frames import Frame, alterations, segment, streams
from tools.demo.outcome import Download, Outcome, judge
from tools.demo.table import handshake, show
from tools.namespaces import abandoned
from tools.programs import Program, ProgramError

CHANCE = random.Random(2)
FILE = CHANCE.randbytes(3000)


# --- the search -----------------------------------------------------------------------------------------------


def test_every_piece_is_found_wherever_it_begins_in_the_file_and_in_the_data() -> None:
    search = ClearSearch(FILE)
    before, after = CHANCE.randbytes(200), CHANCE.randbytes(200)
    for offset in [*range(2 * STRIDE), *range(len(FILE) - PIECE - STRIDE, len(FILE) - PIECE + 1)]:
        for shift in (0, 1, 7, 8, 131):
            data = before[:shift] + FILE[offset : offset + PIECE] + after
            found = search.search(data)
            assert found.runs == 1
            assert found.first is not None
            at, where, length = found.first
            # A neighbouring octet may be equal by chance: one more on either side at most, as a rule.
            assert at <= shift
            assert at + length >= shift + PIECE
            assert at - where == shift - offset


def test_a_piece_that_is_one_octet_short_is_not_found() -> None:
    search = ClearSearch(FILE)
    for offset in range(1, 2 * STRIDE):
        different = bytes((FILE[offset - 1] ^ 1,)), bytes((FILE[offset + PIECE - 1] ^ 1,))
        data = b"ab" + different[0] + FILE[offset : offset + PIECE - 1] + different[1] + b"cd"
        assert search.search(data).runs == 0


@given(st.integers(0, 2900), st.integers(0, 600), st.integers(0, 500), st.randoms(use_true_random=False))
def test_a_run_is_found_if_and_only_if_it_has_a_piece(
    offset: int, length: int, at: int, chance: random.Random
) -> None:
    run = FILE[offset : offset + length]
    left = bytes((FILE[offset - 1] ^ 0x55,)) if offset else b""
    right = bytes((FILE[offset + len(run)] ^ 0x55,)) if offset + len(run) < len(FILE) else b""
    found = ClearSearch(FILE).search(chance.randbytes(at) + left + run + right + chance.randbytes(100))
    assert found.runs == (len(run) >= PIECE)
    assert found.octets == (len(run) if len(run) >= PIECE else 0)


def test_long_runs_several_runs_and_the_whole_file_are_measured() -> None:
    big = random.Random(3).randbytes(100_000)
    search = ClearSearch(big)
    assert search.search(big).octets == len(big)
    data = bytearray(b"\x00" + big)
    data[50_000] ^= 0x10
    found = search.search(data)
    assert (found.runs, found.octets, found.searched) == (2, len(big) - 1, len(big) + 1)
    assert found.first == (1, 0, 49_999)


def test_a_file_that_repeats_itself_is_searched_too() -> None:
    search = ClearSearch(bytes(70) + b"x" + bytes(70))
    assert search.search(b"y" + bytes(PIECE - 1) + b"y").runs == 0
    assert search.search(b"y" + bytes(PIECE) + b"y").runs >= 1


def test_short_data_is_searched_and_a_file_without_a_piece_refused() -> None:
    for size in range(20):
        assert ClearSearch(FILE).search(FILE[:size]).runs == 0
    with pytest.raises(ValueError, match="no piece of 64"):
        ClearSearch(FILE[:63])


# --- captures -------------------------------------------------------------------------------------------------


def packet(payload: bytes = b"", *, seq: int = 1000, flags: str = "A", ttl: int = 64, six: bool = False) -> bytes:
    below = IPv6(src="fd00::1", dst="fd00::2", hlim=ttl) if six else IP(src="10.0.0.1", dst="10.0.0.2", ttl=ttl)
    return bytes(below / TCP(sport=80, dport=5000, seq=seq, ack=1, flags=flags, window=500) / Raw(payload))


def flipped(octets: bytes, at: int, *, repair: bool = True) -> bytes:
    """Flip the lowest bit of the octet ``at`` of a packet; have scapy write the checksum anew."""
    changed = bytearray(octets)
    changed[at] ^= 1
    if not repair:
        return bytes(changed)
    again = (IP if octets[0] >> 4 == 4 else IPv6)(bytes(changed))
    del again[TCP].chksum
    return bytes(again)


@pytest.mark.parametrize("six", [False, True])
def test_a_flipped_window_bit_is_told_from_forwarding(six: bool) -> None:
    header = 40 if six else 20
    plain, other = packet(b"x" * 1200, six=six), packet(b"y" * 1200, seq=2200, six=six)
    forwarded = packet(b"y" * 1200, seq=2200, ttl=63, six=six)
    frames = [
        Frame(0, True, plain),
        Frame(0, False, flipped(plain, header + 15)),
        Frame(1, True, other),
        Frame(1, False, forwarded),
    ]
    (change,), unpaired = alterations(frames)
    assert unpaired == 0
    assert (change.field, change.bits, change.payload, change.sequence) == ("window", 1, 1200, 1000)
    assert (change.before, change.after) == ("01f4", "01f5")
    assert change.checksum_right
    assert change.checksum_before != change.checksum_after


def test_a_change_without_its_checksum_and_one_of_more_bits_are_seen() -> None:
    plain = packet(b"x" * 100)
    (change,), _ = alterations([Frame(0, True, plain), Frame(0, False, flipped(plain, 35, repair=False))])
    assert not change.checksum_right
    twice = flipped(flipped(plain, 35), 60)
    (change,), _ = alterations([Frame(0, True, plain), Frame(0, False, twice)])
    assert (change.field, change.bits) == ("octets", 2)


def test_what_is_lost_or_made_up_on_the_way_is_counted() -> None:
    one, two = packet(b"x" * 10), packet(b"y" * 10, seq=5000)
    assert alterations([Frame(0, True, one)]) == ([], 1)
    assert alterations([Frame(0, True, one), Frame(0, False, two)]) == ([], 2)
    assert alterations([Frame(0, True, one), Frame(0, False, one), Frame(0, False, one)]) == ([], 1)


def test_streams_are_put_together_by_sequence_number() -> None:
    isn = 0xFFFFFFF0
    sent = [
        (0, b"", "S"),
        (21, b"world", "A"),
        (1, b"hello, all the ", "A"),
        (16, b"wide ", "A"),
        (21, b"world", "PA"),
    ]
    read = [
        segment(Frame(index, True, packet(data, seq=(isn + at) % 2**32, flags=flags)))
        for index, (at, data, flags) in enumerate(sent)
    ]
    assert streams([one for one in read if one is not None]) == [b"hello, all the wide world"]


def test_what_is_no_tcp_segment_is_passed_over() -> None:
    assert segment(Frame(0, True, bytes(IP(src="10.0.0.1", dst="10.0.0.2", proto=17) / Raw(bytes(40))))) is None
    assert segment(Frame(0, True, packet()[:30])) is None
    bad = bytearray(packet())
    bad[32] = 0x40
    assert segment(Frame(0, True, bytes(bad))) is None
    assert alterations([Frame(0, True, b"\x60" + bytes(39)), Frame(0, True, b"\x45" + bytes(19))]) == ([], 0)


# --- the whole, over the link in memory -----------------------------------------------------------------------

CONTENT, CONTROL = random.Random(4).randbytes(200_000), random.Random(5).randbytes(20_000)


def fetch(content: bytes, protect: str = "ao-enc-dh", *, alter: bool = False) -> Download:
    seen: list[int] = []
    done = memory.download(content, protect=protect, alter=alter, progress=seen.append)
    assert seen[-1] == len(content)
    assert seen == sorted(seen)
    return done


def verdict(control: Download, protected: Download, altered: Download) -> tuple[Outcome, set[str]]:
    port = memory.PORT
    outcome = judge("memory", port, port, CONTENT, CONTROL, control, protected, altered)
    return outcome, {check.name for check in outcome.checks if not check.held}


@pytest.fixture(scope="module")
def good() -> tuple[Download, Download, Download]:
    return fetch(CONTROL, "none"), fetch(CONTENT), fetch(CONTENT, alter=True)


def test_all_of_it_holds_and_goes_into_json(good: tuple[Download, Download, Download]) -> None:
    outcome, failed = verdict(*good)
    assert failed == set()
    assert outcome.held
    content = json.loads(json.dumps(outcome.to_json()))
    assert content["held"] is True
    assert content["world"] == "memory"
    assert content["connections"]["altered"]["client"]["drops"] == {"ao_bad_mac": 1}
    assert len(content["handshake"]) == len(outcome.rows)


def test_the_handshake_is_read_from_the_capture(good: tuple[Download, Download, Download]) -> None:
    outcome, _ = verdict(*good)
    syn, oob, syn_ack, ack = outcome.rows[:4]
    assert [row.what for row in (syn, oob, syn_ack, ack)] == ["SYN", "out-of-band", "SYN-ACK", "ack"]
    assert [row.outward for row in (syn, oob, syn_ack, ack)] == [True, True, False, True]
    assert [row.flags for row in (syn, oob, syn_ack, ack)] == ["SYN", "-", "SYN ACK", "ACK"]
    # profile.md: a SYN of 32 option octets in placement syn, and the NOP before MSS; an extended SYN-ACK has the
    # answer behind Data Offset.
    assert syn.data_offset == 56
    assert "ENO A0 ED 01" in syn.inside
    assert {"MSS 1460", "TS", "SACK ok", "SYN-EOS", "EDO ok"} < set(syn.inside)
    assert oob.inside == ("SYN-EOS",)
    assert oob.behind[0].startswith("KE hello ")
    assert syn_ack.behind[0].startswith("KE answer ")
    assert syn_ack.header_length is not None
    assert syn_ack.header_length > syn_ack.data_offset
    assert ack.inside[0] == "AO 0/0 96 bit"
    assert [row.authenticated for row in outcome.rows[:4]] == [False, False, False, True]
    assert all(row.authenticated for row in outcome.rows[4:])
    assert outcome.rows[-1].payload > 0
    assert show(outcome.rows, "title").row_count == len(outcome.rows)


def test_an_unprotected_download_does_not_pass(good: tuple[Download, Download, Download]) -> None:
    control, _, altered = good
    _, failed = verdict(control, fetch(CONTENT, "none"), altered)
    assert failed == {
        "both ends agreed on keys and name the same session",
        "every segment after the handshake bears a MAC",
        "no 64-octet piece of the file crossed in clear",
    }


def test_a_download_that_nobody_altered_does_not_pass(good: tuple[Download, Download, Download]) -> None:
    control, protected, _ = good
    _, failed = verdict(control, protected, fetch(CONTENT))
    assert failed == {
        "the router flipped one bit in one segment",
        "the receiver dropped it: its MAC was wrong",
        "the sender repaired it",
    }


def test_a_blind_search_a_wrong_hash_and_a_lossy_capture_do_not_pass(
    good: tuple[Download, Download, Download],
) -> None:
    _, protected, altered = good
    encrypted_control = Download(**{name: getattr(protected, name) for name in Download.__slots__})
    encrypted_control.received = "0"
    encrypted_control.lost = 1
    outcome, failed = verdict(encrypted_control, encrypted_control, altered)
    assert failed == {
        "the download arrived whole",
        "the capture is complete",
        "the same search finds a file that does cross in clear",
    }
    assert not outcome.held
    assert not Outcome("memory").held
    assert handshake([]) == []


# --- rules, files, programs -----------------------------------------------------------------------------------


def test_the_rules_alter_one_segment_of_a_connection_or_none() -> None:
    plain, altering = ruleset.ruleset(80, alter=False), ruleset.ruleset(80, alter=True)
    rule = "meta length > 1000 ct mark 0 tcp window set tcp window xor 1 ct mark set 1"
    assert rule in altering
    assert "tcp sport 80" in altering
    assert "window" not in plain
    assert plain.count("{") == plain.count("}")
    assert altering.count("{") == altering.count("}")


def test_counters_are_read_by_name() -> None:
    said = {
        "nftables": [
            {"metainfo": {"version": "1.0.6"}},
            {"counter": {"family": "inet", "name": "passed", "table": "edotun_demo", "packets": 12, "bytes": 900}},
            {"counter": {"family": "inet", "name": "altered", "table": "edotun_demo", "packets": 1, "bytes": 60}},
        ]
    }
    assert ruleset.read_counters(json.dumps(said)) == {"passed": 12, "altered": 1}


def test_the_two_gateways_meet() -> None:
    client = tomllib.loads(routed.gateway_file(client=True, namespace="one"))
    server = tomllib.loads(routed.gateway_file(client=False, namespace="two"))
    assert [one["connect"] for one in client["forward"]] == [one["listen"] for one in server["forward"]]
    assert [(one["protect"], one["policy"]) for one in client["forward"]] == [
        ("ao-enc-dh", "require"),
        ("none", "require"),
    ]
    assert [one["protect"] for one in server["forward"]] == ["ao-enc-dh", "none"]
    assert all(one["listen"].startswith("kernel:127.0.0.1:") for one in client["forward"])
    assert (client["tun"]["netns"], server["tun"]["netns"]) == ("one", "two")


def test_only_namespaces_of_processes_that_are_gone_are_abandoned(tmp_path: Path) -> None:
    folder, processes = tmp_path / "netns", tmp_path / "proc"
    assert abandoned("demo-", folder, processes) == []
    (processes / "12").mkdir(parents=True)
    folder.mkdir()
    for name in (
        "demo-12-client",
        "demo-13-client",
        "demo-13-router",
        "demo-x-client",
        "other-13-client",
        "demo-13",
    ):
        (folder / name).touch()
    assert abandoned("demo-", folder, processes) == ["demo-13-client", "demo-13-router"]


def test_a_program_is_heard_line_by_line_and_ended() -> None:
    says = "echo one; echo 'listening on here' >&2; echo two; trap '' TERM; while :; do read line; done"
    with Program("talker", ("sh", "-c", says + " < /dev/zero")) as talker:
        talker.ready(10)
        assert talker.line("out", lambda text: text == "two", 10) == "two"
        assert talker.line("out", lambda text: True, 10) == "one"
        talker.stop(0.1)
        assert talker.process.returncode == -9


def test_a_program_that_ends_or_is_silent_is_told_by_name() -> None:
    with (
        Program("failing", ("sh", "-c", "echo broken >&2; exit 3")) as failing,
        pytest.raises(ProgramError, match="failing: ended with status 3: broken"),
    ):
        failing.ready(10)
    with Program("silent", ("sleep", "60")) as silent:
        with pytest.raises(ProgramError, match="silent: is not heard of"):
            silent.line("out", lambda text: True, 0.0)
        with pytest.raises(ProgramError, match="silent: not done after"):
            silent.end(0.0)
    with Program("nothing", ("/nonexistent/program",)) as nothing:
        assert nothing.end(10) != 0


# --- the command ----------------------------------------------------------------------------------------------

COMMAND = (sys.executable, "-m", "tools.cli.main", "demo")
ROOT = Path(__file__).parents[2]


def test_the_command_prints_json_and_says_where_it_runs() -> None:
    command = (*COMMAND, "--memory", "--json", "--bytes", "100000")
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=os.environ, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["held"] is True
    assert "link in memory" in done.stderr


def test_a_wrong_size_is_a_usage_error() -> None:
    done = subprocess.run((*COMMAND, "--bytes", "10"), capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("edotun: --bytes:")
