"""Options of users on connections: where they stand, that they are heard, and that nothing of theirs does harm."""

from __future__ import annotations

import logging
import random
from typing import Any

import pytest
from construct import Array, Int8ub, Int32ub, Struct

from edo.experiments import Experiment, experiment
from edo.walk import walk
from stack.attempt import Attempt
from stack.experimental import ExperimentalFlow
from stack.experiments import View
from stack.security import Security
from stack.syneos import SynEos
from tests.edo.support import spans_of
from tests.stack.wire import Wire, transfer
from tests.tools.decode.support import packet

UP = random.Random(1).randbytes(40_000)
DOWN = random.Random(2).randbytes(30_000)


def counting(octets: int = 4, **settings: Any) -> tuple[Experiment, list[tuple[str, int]]]:
    """An option that numbers its segments, and what was heard of it as (role of who heard it, number)."""
    heard: list[tuple[str, int]] = []

    def send(view: View) -> dict[str, object]:
        view.state["number"] = view.state.get("number", 0) + 1
        return {"number": view.state["number"], "more": [0] * (octets - 4)}

    def receive(view: View, fields: dict[str, Any]) -> None:
        heard.append((view.role, fields["number"]))

    fields = Struct("number" / Int32ub, "more" / Array(octets - 4, Int8ub))
    settings = {"exid": 0xE001, "most": octets, "send": send, "receive": receive} | settings
    return experiment("counting", fields, **settings), heard


def counts(attempt: Attempt) -> dict[str, int]:
    assert isinstance(attempt.flow, ExperimentalFlow)
    return attempt.flow.experiments.counts["counting"]


def both(declared: Experiment, **security: Any) -> tuple[Security, Security]:
    """What the two sides ask for, the option among it."""
    asked = Security(experiments=(declared,), **security)
    return asked, asked


def crossed(wire: Wire, asked: tuple[Security, Security]) -> tuple[Attempt, Attempt]:
    """A connection over which data goes both ways; nothing is lost of it."""
    attempt, listener = wire.open(*asked)
    client, server = transfer(wire, attempt, listener, UP, DOWN)
    assert bytes(server.received) == UP
    assert bytes(client.received) == DOWN
    assert client.closed is not None
    assert client.closed.error is None
    return client.attempt, server.attempt


def places(wire: Wire, exid: int = 0xE001) -> list[tuple[bool, int, int, int]]:
    """Of each packet with the option: whether it is a SYN, Data Offset, where the option stands, octets of TCP."""
    found = []
    for _, _, sent in wire.sent:
        tcp = memoryview(sent)[20:]
        data_offset = (tcp[12] >> 4) * 4
        at = bytes(tcp).find(bytes((254,)), 20)
        spans = spans_of(tcp, data_offset)
        inside = [offset for _, found_exid, offset, _ in spans if found_exid == exid]
        if inside:
            found.append((bool(tcp[13] & 2), data_offset, inside[0], len(tcp)))
            continue
        end = next((int.from_bytes(tcp[o + 4 : o + 6]) * 4 for k, e, o, n in spans if e == 0x0ED0 and n > 4), 0)
        behind = walk(tcp, data_offset, end) if end > data_offset else []
        for _, found_exid, at, _ in behind or []:
            if found_exid == exid:
                found.append((bool(tcp[13] & 2), data_offset, at, len(tcp)))
                break
    return found


# --- where they stand -----------------------------------------------------------------------------------------


def test_inside_data_offset_where_edo_is_off() -> None:
    one, heard = counting()
    wire = Wire()
    client, server = crossed(wire, both(one))
    stand = places(wire)
    assert len(stand) > 50
    assert all(at < data_offset for _, data_offset, at, _ in stand)
    assert {role for role, _ in heard} == {"connect", "accept"}
    assert counts(client)["sent"] == counts(server)["received"]


def test_behind_the_extension_where_edo_is_on() -> None:
    one, heard = counting(60)
    wire = Wire()
    crossed(wire, both(one, edo="strict"))
    stand = places(wire)
    assert len(stand) > 30
    assert all(at >= data_offset for _, data_offset, at, _ in stand)
    assert len(heard) >= len(stand) - 2


def test_not_at_all_where_it_does_not_fit_and_edo_is_off() -> None:
    one, heard = counting(60)
    wire = Wire()
    client, _ = crossed(wire, both(one))
    assert places(wire) == []
    assert heard == []
    assert counts(client)["no_room"] > 10
    assert wire.client.counters["experiment_no_room"] == counts(client)["no_room"]


def test_segments_stay_within_the_mtu_and_every_octet_arrives() -> None:
    """A thousand octets in each segment of data: what is left of the segment is the stream's."""
    one, _ = counting(1000)
    wire = Wire()
    _, server = crossed(wire, both(one, edo="strict"))
    assert max(len(sent) for _, _, sent in wire.sent) <= 1500
    assert counts(server)["received"] > 50


def test_room_for_what_goes_with_every_segment_is_kept() -> None:
    """A full segment is what the connection takes for one; without ``every`` its octets need two."""
    for every in (False, True):
        one, _ = counting(60, every=every)
        wire = Wire()
        client, _ = crossed(wire, both(one, edo="strict"))
        largest = max(size - at - 64 for _, _, at, size in places(wire))
        assert largest == 1500 - 20 - 20 - 12 - 8 - 64
        assert client.flow.connection.segment_size == largest + (0 if every else 64)


@pytest.mark.parametrize("protect", ["ao-enc-dh"])
def test_under_agreed_keys_they_are_signed_and_heard(protect: str) -> None:
    one, _ = counting(100)
    wire = Wire()
    _, server = crossed(wire, both(one, protect=protect))
    assert counts(server)["received"] > 20
    assert server.security()["mode"] == protect


# --- SYNs -----------------------------------------------------------------------------------------------------


def test_in_a_syn_it_stands_only_if_nothing_has_to_yield() -> None:
    """MSS, window scale, SACK-permitted and timestamps take 19 of 40 octets, EDO Supported 4."""
    for octets, stands in ((9, True), (13, True), (14, False), (200, False)):
        one, heard = counting(octets, on=("syn",))
        wire = Wire()
        client, _ = crossed(wire, both(one, edo="strict"))
        syns = [stand for stand in places(wire) if stand[0]]
        assert bool(syns) == stands, octets
        assert sorted(heard) == ([("accept", 1), ("connect", 1)] if stands else []), octets
        assert client.flow.connection.timestamps


def test_by_syn_eos_it_goes_out_of_band_and_its_answer_behind_the_extension() -> None:
    one, heard = counting(60, on=("syn",))
    wire = Wire()
    client, _ = crossed(wire, both(one, syn_eos=SynEos()))
    assert client.security()["syn_eos"] == "confirmed"
    assert sorted(heard) == [("accept", 1), ("connect", 1)]


def test_what_an_out_of_band_segment_cannot_hold_does_not_hinder_the_connection() -> None:
    one, heard = counting(1024, on=("syn",))
    wire = Wire()
    client, _ = crossed(wire, both(one, syn_eos=SynEos()))
    assert heard == []
    assert counts(client)["no_room"] >= 1


# --- peers and attackers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("edo", [None, "strict"])
def test_a_peer_that_does_not_know_it_passes_it_over(edo: str | None) -> None:
    one, _ = counting()
    wire = Wire()
    client, server = crossed(wire, (Security(edo=edo, experiments=(one,)), Security(edo=edo)))
    assert counts(client)["sent"] > 15
    assert server.report()["experiments"] is None
    assert client.report()["experiments"] == {"counting": dict(counts(client))}


def test_a_segment_outside_the_window_reaches_no_callback() -> None:
    one, heard = counting(send=None)
    wire = Wire()
    attempt, listener = wire.open(*both(one))
    attempt.write(UP)
    wire.run(5.0)
    server = listener.accept()
    assert server is not None
    connection = server.flow.connection
    sample = next(sent for _, from_client, sent in reversed(wire.sent) if from_client)
    for shift, hears in ((0, True), (1 << 30, False), (-(1 << 20), False)):
        wire.put(_with_option(sample, one, (connection.rcv_nxt + shift) % (1 << 32)), True)
        wire.run(0.1)
        assert bool(heard) == hears
        heard.clear()


def _with_option(sample: bytes, one: Experiment, seq: int) -> bytes:
    """A pure ACK of the connection with the option; its checksum right."""
    tcp = bytearray(sample[20:])
    data_offset = (tcp[12] >> 4) * 4
    fixed = tcp[:20]
    fixed[4:8] = seq.to_bytes(4)
    options = bytes(tcp[20:data_offset]) + one.build({"number": 5, "more": []})[0]
    fixed[12] = (20 + len(options)) // 4 << 4
    fixed[13] = 0x10
    fixed[16:18] = bytes(2)
    return packet(bytes(fixed) + options, sample[12:16], sample[16:20])


def test_octets_that_are_no_option_of_it_are_counted_and_passed_over() -> None:
    one, heard = counting(on=("ack", "data"))
    other = experiment("counting", Struct("x" / Int8ub), exid=0xE001, most=1, send=lambda _: {"x": 1})
    wire = Wire()
    _, server = crossed(wire, (Security(experiments=(other,)), Security(experiments=(one,))))
    assert heard == []
    assert counts(server)["malformed"] > 20
    assert wire.server.counters["experiment_malformed"] == counts(server)["malformed"]


# --- what callbacks raise -------------------------------------------------------------------------------------


class Abrupt(BaseException):
    """Not even an Exception."""


@pytest.mark.parametrize("error", [ValueError("first\nsecond"), Abrupt("x"), SystemExit(3)])
@pytest.mark.parametrize("where", ["send", "receive"])
def test_what_a_callback_raises_is_counted_and_told_once(
    error: BaseException, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise error

    one, _ = counting(**{where: fail})
    wire = Wire()
    with caplog.at_level(logging.WARNING, "edotun.experiment"):
        client, server = crossed(wire, both(one))
    failed = counts(client)["failed"] + counts(server)["failed"]
    assert failed > 50
    assert wire.client.counters["experiment_failed"] + wire.server.counters["experiment_failed"] == failed
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith(f"edotun: experiment counting: {where}: raised {type(error).__name__}")
    assert "\n" not in message


@pytest.mark.parametrize(
    "given", [5, "x", {"number": 1}, {"number": "x", "more": []}, {"number": 1, "more": [0] * 90}]
)
def test_what_send_gives_and_is_no_option_is_a_failure(given: object) -> None:
    one, heard = counting(send=lambda _: given)
    wire = Wire()
    client, _ = crossed(wire, both(one))
    assert counts(client)["failed"] > 10
    assert heard == []


def test_an_interrupt_of_the_program_is_not_swallowed() -> None:
    def interrupt(_: View) -> None:
        raise KeyboardInterrupt

    one, _ = counting(send=interrupt)
    wire = Wire()
    with pytest.raises(KeyboardInterrupt):
        crossed(wire, both(one))


def test_a_connection_without_experiments_is_an_ordinary_flow() -> None:
    """Nobody pays for what nobody uses."""
    wire = Wire()
    client, _ = wire.open()
    assert not isinstance(client.flow, ExperimentalFlow)
