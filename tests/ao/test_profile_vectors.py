"""The profile's own vectors: messages, key schedule, keys of both directions, and whole segments."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey

from ao.agreement import AgreementA, AgreementB, Outcome, OutcomeKind
from ao.cipher import CIPHERS
from ao.compact import CompactAgreement, is_offer
from ao.groups import GROUPS
from ao.groups.x25519_mlkem768 import X25519MlKem768
from ao.keys import Key, agreed_key
from ao.macs import by_number
from ao.messages import Answer, Hello, MessageKind, Retry, decode
from ao.outcome import NotAgreed
from ao.rekey import Rekeying
from ao.schedule import Schedule, encryption_key, transcript
from ao.sessions import Session
from ao.suite import Suite
from ao.traffic_keys import SocketPair, context
from tests.ao.support import load, scripted

HYBRID = 4588
GIVEN: list[dict[str, Any]] = load("profile_vectors.json")["cases"]
# Those of the model in tests/vectors, which has more suites and forms.
CASES: list[dict[str, Any]] = GIVEN + load("profile_vectors_model.json")["cases"]

WHOLE = [case for case in CASES if case["placement"] == "messages"]
FIELDS = ("T", "prk", "ao", "enc", "chain", "session")


def name(case: dict[str, Any]) -> str:
    return str(case["name"])


class Side:
    """One side of a case, its address parsed, and its randomness in the order in which it is asked for."""

    def __init__(self, case: dict[str, Any], role: str) -> None:
        side = case[role]
        self.isn: int = side["isn"]
        self.flags: int = side["flags"]
        self.port: int = side["port"]
        self.eno = bytes.fromhex(side["eno"])
        self.address = address(side["addr"])
        pieces = [bytes.fromhex(side["random"]), *self.private(side["group"], side["private"], role)]
        if role == "a" and "a2" in case:
            pieces += self.private(case["a2"]["group"], case["a2"]["private"], role)
        self.random = scripted(*pieces)

    @staticmethod
    def private(group: int, octets: str, role: str) -> list[bytes]:
        private = bytes.fromhex(octets)
        if group == HYBRID:
            # ML-KEM's seed, resp. the ciphertext that the library would have made, stands before the curve's key.
            return [private[:64], private[64:]] if role == "a" else [private[1088:]]
        # An exponent may be written shorter than it is drawn.
        return [private.rjust({257: 36}.get(group, 0), b"\0")]


def encapsulating(a: str, b: str) -> X25519MlKem768:
    """The hybrid group with the ciphertext of b's private octets, and the secret that a's seed finds in it."""
    ciphertext = bytes.fromhex(b)[:1088]
    secret = MLKEM768PrivateKey.from_seed_bytes(bytes.fromhex(a)[:64]).decapsulate(ciphertext)
    return X25519MlKem768(lambda _key: (secret, ciphertext))


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
            sessions=[Session(bytes.fromhex(ticket), b"", groups[0]) for ticket in case["a"]["tickets"]],
            random=self.a.random,
        )
        self.agreement_b = AgreementB(
            suites=[self.suite], groups=[case["b"]["group"]], flags=self.b.flags, random=self.b.random
        )
        with pytest.MonkeyPatch.context() as patch:
            if case["b"]["group"] == HYBRID:
                patch.setitem(GROUPS, HYBRID, encapsulating(case["a"]["private"], case["b"]["private"]))
            self.outcome_b = self.b_takes(*self.agreement_a.sending)
        if self.outcome_b.kind is OutcomeKind.retry:
            assert self.outcome_b.reply is not None
            assert self.a_takes(MessageKind.RETRY, self.outcome_b.reply).kind is OutcomeKind.retry
            self.outcome_b = self.b_takes(*self.agreement_a.sending)
        assert self.outcome_b.reply is not None
        self.outcome_a = self.a_takes(MessageKind.ANSWER, self.outcome_b.reply)
        self.pair = SocketPair(self.a.address, self.a.port, self.b.address, self.b.port)

    def b_takes(self, kind: int, octets: bytes) -> Outcome:
        a, b = self.a, self.b
        return self.agreement_b.take(kind, octets, isn=b.isn, eno=b.eno, peer_isn=a.isn, peer_eno=a.eno)

    def a_takes(self, kind: int, octets: bytes) -> Outcome:
        return self.agreement_a.take(kind, octets, peer_isn=self.b.isn, peer_eno=self.b.eno)

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
    """26 cases, of which one has no messages; each is reproduced whole."""
    assert len(GIVEN) == 26
    assert [case["name"] for case in GIVEN if case not in WHOLE] == ["compact"]


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
    if "retry" in expect:
        assert run.agreement_a.sending == (MessageKind.SECOND_HELLO, bytes.fromhex(expect["hello2"]))
        assert (
            run.agreement_b.take(
                MessageKind.HELLO,
                run.agreement_a.hello,
                isn=run.b.isn,
                eno=run.b.eno,
                peer_isn=run.a.isn,
                peer_eno=run.a.eno,
            ).kind
            is OutcomeKind.ignored
        )
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


def test_compact_agreements_are_wiped_with_their_share() -> None:
    """With it and the two options, which anybody has seen, there would be the keys again."""
    source = scripted(bytes(range(32)), bytes(range(1, 33)))
    a, b = (CompactAgreement(is_a=is_a, suite=Suite(1, 1), flags=1, random=source) for is_a in (True, False))
    a.take(b.option)
    a.schedule()
    a.wipe()
    a.take(b.option)
    with pytest.raises(NotAgreed):
        a.schedule()


@pytest.mark.parametrize("case", [case for case in CASES if case["placement"] == "compact"], ids=name)
def test_compact(case: dict[str, Any]) -> None:
    """The cases without messages: shares in the options, and everything from there on."""
    expect, suite = case["expect"], Suite(*case["b"]["suite"])
    a, b = (
        CompactAgreement(
            is_a=role == "a",
            suite=suite,
            flags=case["a"]["flags"] & case["b"]["flags"],
            random=scripted(bytes.fromhex(case[role]["private"])),
        )
        for role in "ab"
    )
    octets = bytes.fromhex(expect["T"])[17:]
    assert (a.option, b.option) == (octets[3:39], octets[42:])
    assert is_offer(a.option)
    a.take(b.option)
    b.take(a.option)
    sides = {role: (address(case[role]["addr"]), case[role]["port"], case[role]["isn"]) for role in "ab"}
    for agreement, here, there in ((a, "a", "b"), (b, "b", "a")):
        schedule = agreement.schedule()
        for field in FIELDS[1:]:
            assert getattr(schedule, field).hex() == expect[field], field
        pair = SocketPair(*sides[here][:2], *sides[there][:2])
        key = agreed_key(schedule, suite, agreement.flags, pair, sides[here][2], sides[there][2])
        for index in range(len(case["segments"])):
            parts = Parts(case, index)
            mine = parts.from_a == (here == "a")
            direction, cipher = (key.sign, key.encrypt) if mine else (key.check, key.decrypt)
            keep = () if key.cover_options else parts.keep
            assert direction.verify(parts.number >> 32, memoryview(parts.tcp), parts.data_offset, 20, keep)
            assert cipher is not None
            assert cipher.apply(parts.number, parts.tcp[parts.header_end :]) == parts.payload


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


@pytest.mark.parametrize("case", [case for case in CASES if "rekey" in case], ids=name)
def test_transcripts_of_rekeys(case: dict[str, Any]) -> None:
    label = b"TCP-AO-ENC rekey 1" + bytes.fromhex(case["expect"]["session"])
    for step in case["expect"]["rekeys"]:
        entries = [(5, bytes.fromhex(step["rekey"])), (6, bytes.fromhex(step["answer"]))]
        assert transcript(entries, label).hex() == step["T"]


@pytest.mark.parametrize("case", [case for case in CASES if "rekey" in case], ids=name)
def test_rekeys(case: dict[str, Any]) -> None:
    """Both sides' messages and keys of each generation, from the first schedule on."""
    expect = case["expect"]
    sources: dict[str, list[bytes]] = {"a": [], "b": []}
    for step in case["rekey"]:
        initiator, other = step["initiator"], "ba"["ab".index(step["initiator"])]
        for role, side in ((initiator, "i"), (other, "r")):
            private = Side.private(step["group"], step[f"private_{side}"], "a" if side == "i" else "b")
            sources[role] += [bytes.fromhex(step[f"random_{side}"]), *private]
    first = Schedule(bytes.fromhex(expect["prk"]))
    sides = {
        role: Rekeying(first, case["rekey"][0]["group"], is_a=role == "a", random=scripted(*sources[role]))
        for role in "ab"
    }
    for number, (step, wanted) in enumerate(zip(case["rekey"], expect["rekeys"], strict=True)):
        one, other = sides[step["initiator"]], sides["ba"["ab".index(step["initiator"])]]
        rekey = one.start()
        assert rekey.hex() == wanted["rekey"]
        with pytest.MonkeyPatch.context() as patch:
            if step["group"] == HYBRID:
                patch.setitem(GROUPS, HYBRID, encapsulating(step["private_i"], step["private_r"]))
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


@pytest.mark.parametrize("case", [case for case in CASES if "ticket" in case["expect"]], ids=name)
def test_tickets(case: dict[str, Any]) -> None:
    expect = case["expect"]
    session = Session.of(bytes.fromhex(expect["chain"]), case["b"]["group"])
    assert (session.resume.hex(), session.ticket.hex()) == (expect["resume"], expect["ticket"])
    assert session.resume.hex() not in repr(session)


@pytest.mark.parametrize("case", [case for case in CASES if "resume" in case], ids=name)
def test_resumption(case: dict[str, Any]) -> None:
    """The second connection: messages, keys of both directions, and the ticket of a third."""
    given, expect = case["resume"], case["expect"]["resumed"]
    a, b = Side(case, "a"), Side(case, "b")
    a.isn, a.port, b.isn = given["a"]["isn"], given["a"]["port"], given["b"]["isn"]
    fresh = "private" in given["a"]
    sources = {
        role: scripted(*(bytes.fromhex(given[role][key]) for key in ("random", "private") if key in given[role]))
        for role in "ab"
    }
    group = case["a"]["group"]
    known = Session.of(bytes.fromhex(case["expect"]["chain"]), group)
    other = Session(bytes.fromhex(given["a"]["extra_ticket_before"]), b"", group)
    one = AgreementA(
        isn=a.isn,
        eno=a.eno,
        suites=[Suite(*suite) for suite in case["a"]["suites"]],
        groups=case["a"]["groups"],
        flags=a.flags,
        sessions=[other, known],
        fresh=fresh,
        random=sources["a"],
    )
    two = AgreementB(
        suites=[Suite(*case["b"]["suite"])],
        groups=[case["b"]["group"]],
        flags=b.flags,
        find={known.ticket: known}.get,
        random=sources["b"],
    )
    assert one.hello.hex() == expect["hello"]
    answered = two.take(MessageKind.HELLO, one.hello, isn=b.isn, eno=b.eno, peer_isn=a.isn, peer_eno=a.eno)
    assert answered.reply is not None
    assert answered.reply.hex() == expect["answer"]
    assert one.take(MessageKind.ANSWER, answered.reply, peer_isn=b.isn, peer_eno=b.eno).kind is OutcomeKind.keys
    assert transcript([(1, one.hello), (2, answered.reply)]).hex() == expect["T"]
    for side in (one, two):
        assert (side.resumed, side.group) == (known, group)
        schedule = side.schedule()
        for field in FIELDS[1:]:
            assert getattr(schedule, field).hex() == expect[field], field
        assert Session.of(schedule.chain, group).ticket.hex() == expect["ticket"]
    zero = bool(a.flags & b.flags & 1)
    for direction, (sender, receiver) in (("a_to_b", (a, b)), ("b_to_a", (b, a))):
        ends = (sender.address, sender.port, receiver.address, receiver.port, sender.isn, receiver.isn)
        octets = context(*ends, zero_source=zero, zero_destination=zero)
        mac, cipher = by_number(case["b"]["suite"][0]), CIPHERS[case["b"]["suite"][1]]
        assert mac is not None
        assert mac.traffic_key(one.schedule().ao, octets).hex() == expect[direction]["mac_key"]
        key, salt = encryption_key(one.schedule().enc, cipher.number, octets, cipher.key_octets, cipher.salt_octets)
        assert (key.hex(), salt.hex()) == (expect[direction]["cipher_key"], expect[direction]["salt"])
