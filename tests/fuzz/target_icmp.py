"""ICMP of both families: echo, errors about connections that are there and that are not, quotes of any kind."""

from __future__ import annotations

import random

from stack.batch import Batch
from stack.checksum import checksum, pseudo_header_sum
from stack.host import Stack
from stack.icmp import IcmpDrop, IcmpError, take
from stack.ip import ICMP, ICMPV6, Ip, IpTemplate, address_octets, parse
from stack.states import State
from tests.fuzz.choices import Choices

_OWN = ("10.0.0.2", "fd00::2")
_PEER = ("10.0.0.1", "fd00::1")
_ROUTER = (address_octets("10.9.9.9"), address_octets("fd00::9"))
_MOST_STEPS = 24


def run(data: bytes) -> None:
    """Messages to a stack that is opening a connection: it answers echoes, and nothing else that comes here."""
    choices = Choices(data)
    six = choices.flag()
    stack = Stack(_OWN, random=random.Random(3).randbytes)
    attempt = stack.connect((_PEER[six], 80), now=1.0)
    connection = attempt.flow.connection
    (syn,) = (bytes(packet) for packet in stack.take_output(1.0).packets)
    now = 1.0
    for _ in range(_MOST_STEPS):
        if not choices.left:
            break
        packet = message(choices, six, syn)
        judged = parse(packet)
        taken = take(judged, packet) if isinstance(judged, Ip) and judged.protocol in (ICMP, ICMPV6) else None
        assert taken is None or isinstance(taken, bytes | IcmpError | IcmpDrop)
        before = (connection.state, connection.snd_una, connection.snd_nxt, connection.path_mtu_octets)
        stack.receive(Batch([packet]), now)
        out = stack.take_output(now).packets
        if isinstance(taken, bytes):
            assert [bytes(answer) for answer in out] == [taken]
            assert len(taken) <= len(packet)
        after = (connection.state, connection.snd_una, connection.snd_nxt, connection.path_mtu_octets)
        if not isinstance(taken, IcmpError):
            assert after == before
        # An error ends the attempt to open or does not (RFC 9293 §3.9.2.2), and no path is wider for it.
        assert after[0] in (before[0], State.CLOSED)
        assert after[1:3] == before[1:3] or after[0] is State.CLOSED
        assert after[3] <= before[3]
        now += choices.one_of((0.0, 0.0, 0.3, 2.0))
        stack.advance(now)
        stack.take_output(now)


def message(choices: Choices, six: bool, syn: bytes) -> bytes:
    """An ICMP message with a good checksum (mostly), about ``syn`` (mostly)."""
    how = choices.octet()
    kind = choices.octet() if how & 1 else choices.one_of((1, 2, 3, 4, 128, 129) if six else (3, 8, 11, 12, 0, 4))
    code = choices.below(16)
    rest = choices.number(4)
    if how & 2:
        rest = choices.one_of((0, 20, 48, 68, 296, 576, 1279, 1280, 1400, 1500, 9000, 65535))
    quote = bytearray(syn)
    if how & 4:
        quote = bytearray(choices.octets(96))
    elif how & 8:
        for _ in range(choices.below(4) + 1):
            quote[choices.octet() % len(quote)] = choices.octet()
    if how & 16:
        del quote[choices.octet() % (len(quote) + 1) :]
    body = bytearray(bytes((kind, code, 0, 0)) + rest.to_bytes(4) + quote)
    source, destination = _ROUTER[six], address_octets(_OWN[six])
    initial = pseudo_header_sum(source, destination, len(body), ICMPV6) if six else 0
    if not how & 32:
        body[2:4] = checksum(body, initial=initial).to_bytes(2)
    protocol = ICMPV6 if six != bool(how & 64) else ICMP
    return IpTemplate(source, destination, protocol=protocol).header(len(body)) + bytes(body)


def seeds() -> list[bytes]:
    """Each kind of error, of both versions, with the SYN as it went."""
    return [bytes((six, 2, kind, code, 0, 0, 0, 0, 5, 0)) for six in (0, 1) for kind in range(6) for code in (0, 4)]
