"""The profile's own vectors: messages, key schedule, keys of both directions, and whole segments."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from ao.agreement import AgreementA, AgreementB, OutcomeKind
from ao.auth import SegmentMac
from ao.cipher import CIPHERS
from ao.groups import GROUPS
from ao.keys import Key, agreed_key
from ao.macs import by_number
from ao.messages import Answer, Hello, MessageKind, Retry, decode
from ao.rekey import Rekeying
from ao.schedule import Schedule, encryption_key, transcript
from ao.suite import Suite
from ao.traffic_keys import SocketPair, context
from tests.ao.support import load, scripted

CASES: list[dict[str, Any]] = load("profile_vectors.json")["cases"]


def available(case: dict[str, Any]) -> bool:
    """Whether the group that is used, the MAC, the cipher and the placement exist here."""
    mac, cipher = case["b"]["suite"]
    return (
        case["placement"] == "messages"
        and "retry" not in case
        and case["b"]["group"] in GROUPS
        and by_number(mac) is not None
        and (cipher == 0 or cipher in CIPHERS)
    )


WHOLE = [case for case in CASES if available(case)]
FIELDS = ("T", "prk", "ao", "enc", "chain", "session")


def name(case: dict[str, Any]) -> str:
    return str(case["name"])


class Side:
    """One side of a case, its address parsed."""

    def __init__(self, case: dict[str, Any], role: str) -> None:
        side = case[role]
        self.isn: int = side["isn"]
        self.flags: int = side["flags"]
        self.port: int = side["port"]
        self.eno = bytes.fromhex(side["eno"])
        self.address = address(side["addr"])
        self.random = scripted(bytes.fromhex(side["random"]), bytes.fromhex(side["private"]))


def address(text: str) -> bytes:
    from ipaddress import ip_address

    return ip_address(text).packed


class Run:
    """A whole agreement of a case, played through both roles."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.a, self.b = Side(case, "a"), Side(case, "b")
        suites = [Suite(*suite) for suite in case["a"]["suites"]]
        groups = case["a"]["groups"]
        self.suite = Suite(*case["b"]["suite"])
        self.agreement_a = AgreementA(
            isn=self.a.isn,
            eno=self.a.eno,
            suites=suites,
            groups=groups,
            flags=self.a.flags,
            random=self.a.random,
        )
        self.agreement_b = AgreementB(
            suites=[self.suite], groups=[case["b"]["group"]], flags=self.b.flags, random=self.b.random
        )
        hello = self.agreement_a.hello
        self.outcome_b = self.agreement_b.take_hello(
            hello, isn=self.b.isn, eno=self.b.eno, peer_isn=self.a.isn, peer_eno=self.a.eno
        )
        assert self.outcome_b.reply is not None
        self.outcome_a = self.agreement_a.take(
            MessageKind.ANSWER, self.outcome_b.reply, peer_isn=self.b.isn, peer_eno=self.b.eno
        )
        self.pair = SocketPair(self.a.address, self.a.port, self.b.address, self.b.port)

    def keys(self) -> tuple[Key, Key]:
        """A's and B's key, each from its own schedule and view."""
        a, b = self.agreement_a, self.agreement_b
        assert a.suite is not None
        assert b.suite is not None
        return (
            agreed_key(a.schedule(), a.suite, a.flags, self.pair, self.a.isn, self.b.isn),
            agreed_key(b.schedule(), b.suite, b.flags, self.pair.reverse, self.b.isn, self.a.isn),
        )


def test_how_many_there_are() -> None:
    """26 cases; 17 are whole within x25519; rekeying and tickets come after them."""
    assert len(CASES) == 26
    assert [case["name"] for case in WHOLE] == [
        "x25519 v4",
        "x25519 v6",
        "addresses bound",
        "addresses bound v6",
        "loose",
        "loose v6 bound",
        "loose one side",
        "sha1 aes256",
        "sha256 chacha",
        "kmac aes128",
        "no cipher",
        "wrap",
        "far chacha",
        "far aes",
        "app-aware",
        "resumption",
        "resumption fresh",
    ]


@pytest.mark.parametrize("case", [case for case in CASES if case["placement"] == "messages"], ids=name)
def test_messages_of_every_group_and_suite(case: dict[str, Any]) -> None:
    """Building and parsing know no group: all 25 cases with messages, with those of rekeying and tickets."""
    expect = case["expect"]
    messages = [(MessageKind.HELLO, expect["hello"]), (MessageKind.ANSWER, expect["answer"])]
    messages += [(MessageKind.RETRY, expect["retry"])] if "retry" in expect else []
    messages += [(MessageKind.SECOND_HELLO, expect["hello2"])] if "hello2" in expect else []
    for rekey in expect.get("rekeys", ()):
        messages += [(MessageKind.REKEY, rekey["rekey"]), (MessageKind.REKEY_ANSWER, rekey["answer"])]
    if "resumed" in expect:
        messages += [(MessageKind.HELLO, expect["resumed"]["hello"])]
        messages += [(MessageKind.ANSWER, expect["resumed"]["answer"])]
    for kind, octets in messages:
        assert decode(kind, bytes.fromhex(octets)).encode().hex() == octets
    hello, answer = (decode(kind, bytes.fromhex(octets)) for kind, octets in messages[:2])
    assert isinstance(hello, Hello)
    assert isinstance(answer, Answer)
    assert (hello.isn, hello.flags, hello.eno.hex()) == (case["a"]["isn"], case["a"]["flags"], case["a"]["eno"])
    assert [list(suite) for suite in hello.suites] == case["a"]["suites"]
    assert list(hello.groups) == case["a"]["groups"]
    assert [list(answer.suite), answer.group, answer.isn] == [
        case["b"]["suite"],
        case["b"]["group"],
        case["b"]["isn"],
    ]
    if "retry" in expect:
        retry = decode(MessageKind.RETRY, bytes.fromhex(expect["retry"]))
        assert isinstance(retry, Retry)
        assert retry.group == case["b"]["group"]


@pytest.mark.parametrize("case", WHOLE, ids=name)
def test_agreement(case: dict[str, Any]) -> None:
    run = Run(case)
    expect = case["expect"]
    assert run.agreement_a.hello.hex() == expect["hello"]
    assert run.agreement_b.answer is not None
    assert run.agreement_b.answer.hex() == expect["answer"]
    assert (run.outcome_a.kind, run.outcome_b.kind) == (OutcomeKind.keys, OutcomeKind.answer)
    for agreement in (run.agreement_a, run.agreement_b):
        schedule = agreement.schedule()
        for field in FIELDS[1:]:
            assert getattr(schedule, field).hex() == expect[field], field
        assert agreement.flags == case["a"]["flags"] & case["b"]["flags"]
        assert agreement.suite == tuple(case["b"]["suite"])
        assert agreement.group == case["b"]["group"]


@pytest.mark.parametrize("case", CASES, ids=name)
def test_schedule_from_prk(case: dict[str, Any]) -> None:
    """What follows from prk is the same in all 26 cases, whatever the group."""
    expect = case["expect"]
    first_octet = 0x00 if case["placement"] == "compact" else 0xA0
    schedule = Schedule(bytes.fromhex(expect["prk"]), first_octet)
    for field in FIELDS[2:]:
        assert getattr(schedule, field).hex() == expect[field], field


@pytest.mark.parametrize("case", CASES, ids=name)
def test_transcript(case: dict[str, Any]) -> None:
    expect = case["expect"]
    if case["placement"] == "compact":
        # Entries F3 and F4 are whole 36-octet options; they are taken from the transcript itself.
        octets = bytes.fromhex(expect["T"])[17:]
        entries = [(octets[0], octets[3:39]), (octets[39], octets[42:])]
        assert [code for code, _ in entries] == [0xF3, 0xF4]
    else:
        order = [(1, "hello"), (3, "retry"), (4, "hello2"), (2, "answer")]
        entries = [(kind, bytes.fromhex(expect[key])) for kind, key in order if key in expect]
    assert transcript(entries).hex() == expect["T"]


@pytest.mark.parametrize("case", CASES, ids=name)
def test_keys_of_both_directions(case: dict[str, Any]) -> None:
    """mac_key, cipher_key and salt, wherever the MAC, resp. the cipher, exists here."""
    expect = case["expect"]
    mac, cipher_id = case["b"]["suite"]
    zero = bool(case["a"]["flags"] & case["b"]["flags"] & 1)
    for direction, source, destination in (("a_to_b", "a", "b"), ("b_to_a", "b", "a")):
        octets = context(
            address(case[source]["addr"]),
            case[source]["port"],
            address(case[destination]["addr"]),
            case[destination]["port"],
            case[source]["isn"],
            case[destination]["isn"],
            zero_source=zero,
            zero_destination=zero,
        )
        algorithm = by_number(mac)
        if algorithm is not None:
            key = algorithm.traffic_key(bytes.fromhex(expect["ao"]), octets)
            assert key.hex() == expect[direction]["mac_key"]
        if cipher_id:
            # ChaCha20 of ao-enc.md §5 has 32 + 12 octets; its key follows from the same E-KDF.
            cipher = CIPHERS.get(cipher_id)
            lengths = (cipher.key_octets, cipher.salt_octets) if cipher else (32, 12)
            key, salt = encryption_key(bytes.fromhex(expect["enc"]), cipher_id, octets, *lengths)
            assert (key.hex(), salt.hex()) == (expect[direction]["cipher_key"], expect[direction]["salt"])


class Parts:
    """An expected segment taken apart, its stream numbers from the case."""

    def __init__(self, case: dict[str, Any], index: int) -> None:
        given = case["segments"][index]
        self.tcp = bytes.fromhex(case["expect"]["segments"][index])
        self.from_a: bool = given["sender"] == "a"
        isn = case[given["sender"]]["isn"]
        self.number: int = isn + given["position"]
        self.data_offset = (self.tcp[12] >> 4) * 4
        self.ao_octets = self.tcp[21]
        extension = 20 + self.ao_octets
        self.keep: tuple[tuple[int, int], ...] = ((20, self.ao_octets),)
        self.header_end = self.data_offset
        if given["edo"] == "short":
            # edo.md: kind 254, length 6, ExID 0ED0, Header_Length in words.
            assert self.tcp[extension : extension + 4].hex() == "fe060ed0"
            self.keep += ((extension, 6),)
            self.header_end = 4 * struct.unpack_from("!H", self.tcp, extension + 4)[0]
        self.payload = bytes.fromhex(given["payload"])


SEGMENTS = [
    pytest.param(case, index, id=f"{case['name']} {index}")
    for case in WHOLE
    for index in range(len(case["segments"]))
]


@pytest.mark.parametrize(("case", "index"), SEGMENTS)
def test_segments(case: dict[str, Any], index: int) -> None:
    """The sender's key makes the expected MAC and ciphertext, the receiver's verifies and decrypts them."""
    run = Run(case)
    key_a, key_b = run.keys()
    parts = Parts(case, index)
    sender, receiver = (key_a, key_b) if parts.from_a else (key_b, key_a)
    tcp, start = parts.tcp, 24
    stop = start + sender.mac_octets
    assert (sender.send_id, sender.recv_id, tcp[22], tcp[23]) == (0, 0, 0, 0)
    assert parts.ao_octets == sender.mac_octets + 4
    assert parts.number & 0xFFFFFFFF == struct.unpack_from("!I", tcp, 4)[0]
    assert sender.cover_options == (not case["a"]["flags"] & case["b"]["flags"] & 2)

    payload = parts.payload
    if sender.encrypt is not None:
        payload = sender.encrypt.apply(parts.number, payload)
        assert sender.encrypt.apply(parts.number, tcp[parts.header_end :]) == parts.payload
    assert payload == tcp[parts.header_end :]

    header = bytearray(tcp[: parts.data_offset])
    header[16:18] = bytes(2)
    header[start:stop] = bytes(sender.mac_octets)
    keep = () if sender.cover_options else parts.keep
    rest = tcp[parts.data_offset : parts.header_end] + payload
    assert sender.sign.tag(parts.number >> 32, header, rest, keep) == tcp[start:stop]

    verify = receiver.check.verify
    assert verify(parts.number >> 32, memoryview(tcp), parts.data_offset, 20, keep)
    assert not verify((parts.number >> 32) ^ 1, memoryview(tcp), parts.data_offset, 20, keep)
    assert not sender.check.verify(parts.number >> 32, memoryview(tcp), parts.data_offset, 20, keep)
    if receiver.decrypt is not None:
        assert receiver.decrypt.apply(parts.number, tcp[parts.header_end :]) == parts.payload
    for position in (4, 12, 13, start, stop - 1, len(tcp) - 1):
        flipped = bytearray(tcp)
        flipped[position] ^= 0x40
        assert not verify(parts.number >> 32, memoryview(flipped), parts.data_offset, 20, keep), position


@pytest.mark.parametrize("case", WHOLE, ids=name)
def test_nat_flag_decides_whether_ports_and_addresses_count(case: dict[str, Any]) -> None:
    run = Run(case)
    parts = Parts(case, 0)
    assert parts.from_a
    behind = SocketPair(run.pair.local[:-1] + b"\xfe", 1, run.pair.remote, run.pair.remote_port)
    b = run.agreement_b
    assert b.suite is not None
    key = agreed_key(b.schedule(), b.suite, b.flags, behind.reverse, run.b.isn, run.a.isn)
    tcp = bytearray(parts.tcp)
    tcp[0:2] = b"\x00\x01"
    keep = () if key.cover_options else parts.keep
    good = key.check.verify(parts.number >> 32, memoryview(tcp), parts.data_offset, 20, keep)
    assert good == bool(b.flags & 1)


@pytest.mark.parametrize(
    "case", [case for case in CASES if case not in WHOLE and by_number(case["b"]["suite"][0])], ids=name
)
def test_segments_of_groups_that_are_not_here(case: dict[str, Any]) -> None:
    """From the expected prk on, the segments do not depend on the group or the placement either."""
    schedule = Schedule(bytes.fromhex(case["expect"]["prk"]))
    sides = {role: (address(case[role]["addr"]), case[role]["port"]) for role in "ab"}
    pair = SocketPair(*sides["a"], *sides["b"])
    flags = case["a"]["flags"] & case["b"]["flags"]
    suite = Suite(*case["b"]["suite"])
    key = agreed_key(schedule, suite, flags, pair, case["a"]["isn"], case["b"]["isn"])
    for index in range(len(case["segments"])):
        parts = Parts(case, index)
        direction: SegmentMac = key.sign if parts.from_a else key.check
        cipher = key.encrypt if parts.from_a else key.decrypt
        assert direction.verify(parts.number >> 32, memoryview(parts.tcp), parts.data_offset, 20)
        assert cipher is not None
        assert cipher.apply(parts.number, parts.tcp[parts.header_end :]) == parts.payload


@pytest.mark.parametrize("case", [case for case in CASES if "rekey" in case], ids=name)
def test_transcripts_of_rekeys(case: dict[str, Any]) -> None:
    label = b"TCP-AO-ENC rekey 1" + bytes.fromhex(case["expect"]["session"])
    for step in case["expect"]["rekeys"]:
        entries = [(5, bytes.fromhex(step["rekey"])), (6, bytes.fromhex(step["answer"]))]
        assert transcript(entries, label).hex() == step["T"]


REKEYED = [
    pytest.param(case, id=case["name"])
    for case in CASES
    if all(step["group"] in GROUPS for step in case.get("rekey", [{"group": -1}]))
]


@pytest.mark.parametrize("case", REKEYED)
def test_rekeys(case: dict[str, Any]) -> None:
    """Both sides' messages and keys of each generation, from the first schedule on."""
    expect = case["expect"]
    sources: dict[str, list[bytes]] = {"a": [], "b": []}
    for step in case["rekey"]:
        initiator, other = step["initiator"], "ba"["ab".index(step["initiator"])]
        sources[initiator] += [bytes.fromhex(step["random_i"]), bytes.fromhex(step["private_i"])]
        sources[other] += [bytes.fromhex(step["random_r"]), bytes.fromhex(step["private_r"])]
    first = Schedule(bytes.fromhex(expect["prk"]))
    sides = {
        role: Rekeying(first, case["rekey"][0]["group"], is_a=role == "a", random=scripted(*sources[role]))
        for role in "ab"
    }
    for number, (step, wanted) in enumerate(zip(case["rekey"], expect["rekeys"], strict=True)):
        one, other = sides[step["initiator"]], sides["ba"["ab".index(step["initiator"])]]
        rekey = one.start()
        assert rekey.hex() == wanted["rekey"]
        answered = other.take(MessageKind.REKEY, rekey, number, number)
        assert answered.reply is not None
        assert answered.reply.hex() == wanted["answer"]
        assert one.take(MessageKind.REKEY_ANSWER, answered.reply, number, number).kind is OutcomeKind.keys
        for side in sides.values():
            side.confirmed()
            schedule = side.schedule()
            for field in FIELDS[1:-1]:
                assert getattr(schedule, field).hex() == wanted[field], field
            assert schedule.session.hex() == expect["session"]
            assert side.newest & 0xFF == step["generation"]
