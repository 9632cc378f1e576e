"""A box that has keys of MACs changes headers, both ends accept it, and it can neither read nor forge unseen."""

from __future__ import annotations

import json
import random
from ipaddress import ip_network
from pathlib import Path

import pytest

from ao.boxkeys import BoxKey
from ao.keylog import KeyLogError, LoggedKeys
from ao.mkt import Mkt, MktTable
from ao.schedule import Schedule
from ao.traffic_keys import SocketPair
from stack.box import Direction
from stack.security import Security
from tests.stack.handshake.test_agreed import flags_of, has_option, in_clear, resummed
from tests.stack.wire import End, Wire, transfer
from tools.boxes.box_keys import AgreedBoxKeys, BoxKeysError, ConfiguredBoxKeys
from tools.boxes.cooperating import Cooperating
from tools.boxes.registry import BoxError, make
from tun.errors import TunError
from tun.keylog import BoxKeyLog

AO = 29
WINDOW = 20_000
UP, DOWN = b"what only the ends may know " * 4000, b"and what they answer " * 4000


class World:
    """A wire with the box on it; the client's stack, or the server's, writes the file of its keys."""

    def __init__(
        self, path: Path, *, end: str = "client", box: Cooperating | None = None, **changes: object
    ) -> None:
        self.wire = Wire(tap=self._tap)
        self.log = BoxKeyLog(path)
        (self.wire.client if end == "client" else self.wire.server).keylog = self.log
        self.box = box or Cooperating(AgreedBoxKeys(path), **changes)  # type: ignore[arg-type]
        self.passed: list[tuple[bool, bytes]] = []

    def _tap(self, packet: bytes, from_client: bool, now: float) -> list[tuple[float, bytes]]:
        direction = Direction.FORWARD if from_client else Direction.BACKWARD
        out = [bytes(one) for _, _, one in self.box.process([packet], direction, now)]
        self.passed += [(from_client, one) for one in out]
        return [(0.0, one) for one in out]

    def talk(self, client: Security, server: Security, version: int = 4) -> tuple[End, End]:
        """Everything crosses both ways; the two ends."""
        attempt, listener = self.wire.open(client, server, version=version)
        ends = transfer(self.wire, attempt, listener, UP, DOWN)
        assert (bytes(ends[1].received), bytes(ends[0].received)) == (UP, DOWN)
        return ends


def windows(packets: list[bytes], shift: int = 8) -> set[int]:
    """The windows that stand in protected segments, octets."""
    start = 20 if packets[0][0] >> 4 == 4 else 40
    return {
        int.from_bytes(packet[start + 14 : start + 16]) << shift
        for packet in packets
        if has_option(packet, AO) and not flags_of(packet) & 6
    }


def agreed(mode: str = "ao-enc-dh", **fields: object) -> Security:
    return Security(mode, **fields)  # type: ignore[arg-type]


# --- agreed keys -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["client", "server"])
@pytest.mark.parametrize(
    "security",
    [
        agreed(),
        agreed(placements=("late",)),
        agreed(placements=("compact",)),
        agreed("ao-dh"),
        agreed(nat=False),
        agreed(cover_options=False),
        agreed(suites=("hmac-sha-1-96+aes-128-ctr",)),
        agreed(suites=("kmac256-128+chacha20",)),
    ],
    ids=["syn", "late", "compact", "ao-dh", "nat off", "options outside", "hmac-sha-1", "kmac"],
)
def test_the_window_is_held_and_both_ends_accept_it(tmp_path: Path, security: Security, end: str) -> None:
    world = World(tmp_path / "keys", end=end, window=WINDOW)
    ends = world.talk(security, security)
    for report in (one.attempt.report() for one in ends):
        assert report["drops"] == {}
        assert report["mode"] == security.protect
    assert world.box.counts["signed"] > 20
    shift = 8 if security.placements != ("compact",) else 0
    asked = windows([packet for _, _, packet in world.wire.sent], shift)
    got = windows([packet for _, packet in world.passed], shift)
    assert max(asked) > WINDOW
    late = 1 if end == "server" else 0  # the server makes its keys when the client's first segment is there
    assert sorted(got)[: len(got) - late][-1] <= WINDOW


@pytest.mark.parametrize("version", [4, 6])
def test_a_rewritten_mss_shows_as_a_difference_of_the_path(tmp_path: Path, version: int) -> None:
    world = World(tmp_path / "keys", mss=1000)
    ends = world.talk(agreed(), agreed(), version)
    size = {4: "1460", 6: "1440"}[version]
    clamped = {"of": "MSS", "what": "clamped", "sent": size, "seen": "1000"}
    for end in ends:
        report = end.attempt.report()
        assert report["path"] == [clamped]
        assert report["drops"] == {}
    start = 20 if version == 4 else 40
    assert max(len(packet) for _, packet in world.passed if has_option(packet, AO)) <= start + 20 + 1000


def test_strict_syn_lets_it_be(tmp_path: Path) -> None:
    """What MSS and window are is no matter of a tampered handshake (profile.md §8)."""
    strict = agreed(strict_syn=True)
    client, _ = World(tmp_path / "keys", mss=1000, window=WINDOW).talk(strict, strict)
    differences = client.attempt.report()["path"]
    assert [row["of"] for row in differences] == ["window", "MSS"]  # type: ignore[attr-defined]


def test_rekeying_goes_on_through_the_box(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    world = World(path, window=WINDOW)
    attempt, listener = world.wire.open(agreed(), agreed())
    world.wire.run(3.0, lambda: listener.waiting > 0)
    world.wire.run(1.0)
    accepted = listener.accept()
    assert accepted is not None
    for generation in range(1, 4):
        attempt.rekey() if generation % 2 else accepted.rekey()
        world.wire.flush()
        world.wire.run(5.0)
        before = world.box.counts["signed"]
        attempt.write(UP)
        got = bytearray()

        def step(got: bytearray = got) -> bool:
            got += accepted.read()
            world.wire.flush()
            return len(got) == len(UP)

        assert world.wire.run(60.0, step)
        assert bytes(got) == UP
        assert world.box.counts["signed"] > before
        assert {BoxKey.parse(line).key_id for line in path.read_text().splitlines()} == set(range(generation + 1))
    for end in (attempt, accepted):
        assert end.report()["drops"] == {}
    assert world.box.counts["foreign"] == 0


class Later:
    """A box that sees everything, and changes nothing before it is ``on``."""

    def __init__(self, inner: Cooperating) -> None:
        self.inner = inner
        self.on = False

    def process(self, packets: list[bytes], direction: Direction, now: float) -> object:
        out = self.inner.process(list(packets), direction, now)
        return out if self.on else [(now, direction, packet) for packet in packets]


def test_without_keys_every_rewritten_segment_is_dropped(tmp_path: Path) -> None:
    inner = Cooperating(None, window=WINDOW, insist=True)
    later = Later(inner)
    world = World(tmp_path / "keys", box=later)  # type: ignore[arg-type]
    attempt, listener = world.wire.open(agreed(), agreed())
    world.wire.run(3.0, lambda: listener.waiting > 0)
    world.wire.run(1.0)
    accepted = listener.accept()
    assert accepted is not None
    inner.counts.clear()
    later.on = True
    attempt.write(UP[:1000])
    world.wire.flush()
    world.wire.run(4.0)
    assert inner.counts["changed"] > 2
    assert accepted.readable == 0
    assert accepted.report()["drops"] == {"ao_bad_mac": inner.counts["changed"]}


def test_a_box_that_does_not_insist_passes_what_it_has_no_keys_for(tmp_path: Path) -> None:
    world = World(tmp_path / "keys", box=Cooperating(None, window=WINDOW))
    ends = world.talk(agreed(), agreed())
    for end in ends:
        assert end.attempt.report()["drops"] == {}
    assert world.box.counts["signed"] == 0
    assert world.box.counts["foreign"] > 100


def test_a_forged_segment_is_not_laundered(tmp_path: Path) -> None:
    """What was changed before the box gets no good MAC from it."""
    world = World(tmp_path / "keys", window=WINDOW)
    inner = world.box
    forged = 0

    class Before:
        counts = inner.counts

        def process(self, packets: list[bytes], direction: Direction, now: float) -> object:
            nonlocal forged
            more = []
            for packet in packets:
                if has_option(packet, AO) and len(packet) > 1000 and forged < 5:
                    forged += 1
                    more.append(resummed(packet, 300, packet[320] ^ 1))
            return inner.process([*more, *packets], direction, now)  # type: ignore[list-item]

    world.box = Before()  # type: ignore[assignment]
    client, server = world.talk(agreed(), agreed())
    drops = [end.attempt.report()["drops"] for end in (client, server)]
    assert forged == 5
    assert sum(one.get("ao_bad_mac", 0) for one in drops) == 5  # type: ignore[attr-defined]


def test_a_translator_between_does_no_harm(tmp_path: Path) -> None:
    """The file has the ends as the client saw them; the box stands behind the translation (profile.md §9)."""
    world = World(tmp_path / "keys", window=WINDOW)
    inner = world.box
    port = bytearray()

    class Translated:
        counts = inner.counts

        def process(self, packets: list[bytes], direction: Direction, now: float) -> object:
            (packet,) = packets
            if direction is Direction.FORWARD:
                if not port:
                    port[:] = packet[20:22]
                return inner.process([resummed(resummed(packet, 0, 9), 1, 9)], direction, now)
            out = inner.process(packets, direction, now)
            return [(at, way, resummed(resummed(bytes(one), 2, port[0]), 3, port[1])) for at, way, one in out]

    world.box = Translated()  # type: ignore[assignment]
    client, server = world.talk(agreed(placements=("late",)), agreed())
    assert inner.counts["signed"] > 20
    assert inner.counts["foreign"] == 0
    for end in (client, server):
        assert end.attempt.report()["drops"] == {}


# --- what the file holds ------------------------------------------------------------------------------------


def test_the_file_has_keys_of_macs_and_none_that_opens_the_payload(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    world = World(path, window=WINDOW)
    logged: list[LoggedKeys] = []
    world.wire.server.keylog = logged.append
    client, _ = world.talk(agreed(), agreed())
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    (keys,) = logged
    schedule = Schedule(keys.prk)
    for secret in (keys.prk, schedule.ao, schedule.enc, schedule.chain):
        assert secret.hex() not in text
    # The keystream under each key of the file, whatever cipher and salt it were taken for, is not the payload's.
    pair = SocketPair(*keys.a, *keys.b)
    key = keys.key(keys.a, keys.b)
    rows = [BoxKey.parse(line) for line in text.splitlines()]
    assert [(row.source, row.destination) for row in rows] == [(keys.a, keys.b), (keys.b, keys.a)]
    assert all(
        set(json.loads(line))
        == {"from", "to", "isn_from", "isn_to", "key_id", "mac", "nat", "cover_options", "key"}
        for line in text.splitlines()
    )
    header = bytes(20) + bytes((AO, 16, 0, 0)) + bytes(12)
    for row, by_end in zip(rows, (key.sign, key.check), strict=True):
        mac = row.signer(row.source[0], row.destination[0])
        assert mac.tag(0, header, b"x") == by_end.tag(0, header, b"x"), "it is the end's traffic key"
    assert pair.local == keys.a[0]
    assert not in_clear(world.wire)
    assert client.attempt.report()["cipher"] == "aes-128-ctr"


def test_a_key_in_a_representation_is_no_secret_told(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    World(path).talk(agreed(), agreed())
    row = BoxKey.parse(path.read_text().splitlines()[0])
    assert row.key.hex() not in repr(row)
    assert BoxKey.parse(row.line()) == row


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"key": "00"}, "'key' has 1 octets, not 16"),
        ({"key": None}, "'key' is no hex"),
        ({"mac": "md5"}, "'mac' is 'md5', which is not known"),
        ({"mac": "hmac(sha256)"}, "'mac' is 'hmac(sha256)', which is not known"),
        ({"nat": 1}, "'nat' is neither true nor false"),
        ({"key_id": 256}, "'key_id' is not in 0-255"),
        ({"to": "[fd00::1]:80"}, "'from' and 'to' are of two families"),
    ],
)
def test_a_line_that_is_none_is_told_without_its_secrets(change: dict[str, object], fault: str) -> None:
    row = {
        "from": "10.0.0.1:1000",
        "to": "10.0.0.2:80",
        "isn_from": 1,
        "isn_to": 2,
        "key_id": 0,
        "mac": "aes-128-cmac-96",
        "nat": True,
        "cover_options": True,
        "key": "5a" * 16,
    }
    assert BoxKey.parse(json.dumps(row)).key == b"\x5a" * 16
    with pytest.raises(KeyLogError) as raised:
        BoxKey.parse(json.dumps(row | change))
    assert str(raised.value) == fault


def test_a_file_that_others_may_read_gives_no_keys(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("")
    path.chmod(0o640)
    with pytest.raises(BoxKeysError, match="others than its owner"):
        AgreedBoxKeys(path)


def test_what_becomes_of_the_file_later_stops_no_packet(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    keys = AgreedBoxKeys(path)
    path.write_text("no line\n{}\n")
    path.chmod(0o600)
    ends = ((b"\x0a\0\0\1", 1), (b"\x0a\0\0\2", 2))
    assert list(keys.other(*ends, {}, 0)) == []
    assert keys.faults == 2
    path.chmod(0o644)
    assert list(keys.other(*ends, {}, 0)) == []
    assert keys.faults == 3


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(TunError, match="cannot write box keys"):
        BoxKeyLog(tmp_path / "there" / "is none")


# --- configured keys ----------------------------------------------------------------------------------------


def configured(send: int, recv: int, **fields: object) -> Mkt:
    return Mkt("k", send, recv, b"a secret of the box too", peer=ip_network("10.0.0.0/8"), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields", [{}, {"nat": "both"}, {"cover_options": False}, {"mac": "hmac-sha-1-96"}], ids=str
)
@pytest.mark.parametrize("owner", ["client", "server"])
@pytest.mark.parametrize("edo", [None, "strict"])
def test_with_the_keys_of_mode_ao_syns_are_signed_anew_too(
    tmp_path: Path, fields: dict[str, object], owner: str, edo: str | None
) -> None:
    one, two = configured(1, 2, **fields), configured(2, 1, **fields)
    box = Cooperating(ConfiguredBoxKeys([one if owner == "client" else two]), window=WINDOW, mss=1000)
    world = World(tmp_path / "keys", box=box)
    ends = world.talk(Security("ao", keys=MktTable([one]), edo=edo), Security("ao", keys=MktTable([two]), edo=edo))
    for end in ends:
        assert end.attempt.report()["drops"] == {}
    assert box.counts["signed"] > 50
    assert box.counts["foreign"] == box.counts["changed"] == 0
    assert windows([packet for _, packet in world.passed]) <= set(range(WINDOW + 1))
    assert max(len(packet) for _, packet in world.passed) <= 1040


def test_keys_that_encrypt_are_not_for_boxes() -> None:
    with pytest.raises(BoxKeysError, match="'k' encrypts"):
        ConfiguredBoxKeys([configured(1, 2, encrypt="aes-128-ctr")])


def test_a_value_out_of_range_is_told() -> None:
    with pytest.raises(ValueError, match="a window of -1 octets"):
        Cooperating(None, window=-1)
    with pytest.raises(ValueError, match="an MSS of 0 octets"):
        Cooperating(None, mss=0)


def test_it_is_made_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "mkt.toml"
    path.write_text('[[mkt]]\nsend_id = 1\nrecv_id = 2\nsecret = "a secret of the box too"\n')
    path.chmod(0o600)
    made = make(f"cooperating:mkt={path},window={WINDOW}", random.Random(1))
    world = World(tmp_path / "keys", box=made)  # type: ignore[arg-type]
    ends = world.talk(
        Security("ao", keys=MktTable([configured(1, 2)])), Security("ao", keys=MktTable([configured(2, 1)]))
    )
    for end in ends:
        assert end.attempt.report()["drops"] == {}
    assert made.counters()["signed"] > 50
    with pytest.raises(BoxError, match="keys and mkt: only one of them"):
        make(f"cooperating:mkt={path},keys={path}", random.Random(1))
    with pytest.raises(BoxError, match="cannot be read"):
        make(f"cooperating:mkt={path}.none", random.Random(1))


def test_a_damaged_segment_is_not_made_right(tmp_path: Path) -> None:
    wire = Wire()
    wire.open(Security(), Security())
    wire.run(1.0)
    syn = bytearray(wire.sent[0][2])
    syn[-1] ^= 1
    ((_, _, passed),) = Cooperating(None, mss=500).process([bytes(syn)], Direction.FORWARD, 0.0)
    assert passed == bytes(syn)
