"""What stands beside a SYN and behind Data Offset: OOB, SYN-ACK, pieces of messages, whole messages."""

from __future__ import annotations

from ao.messages import MalformedMessage, MessageKind, Refuse, decode
from edo.codepoints import DEFAULT, POINTS
from edo.fast import read_options
from edo.messages import MOST_IN_MESSAGE, MOST_SEGMENTS, WHOLE, Inbox, Took, cut, encode
from edo.options import Fragment
from edo.syneos import MOST_JOINED, is_oob, join, oob_payload, option, read_oob, read_syn_ack
from edo.walk import walk
from tests.fuzz.choices import Choices

_KINDS = frozenset({MessageKind.HELLO, MessageKind.ANSWER, MessageKind.RETRY, MessageKind.REFUSE})
_MOST_STEPS = 40


def run(data: bytes) -> None:
    """One of the three readers, chosen by the first octet."""
    choices = Choices(data)
    (_segment, _pieces, _message)[choices.below(3)](choices)


def _segment(choices: Choices) -> None:
    """An OOB beside a SYN, or a SYN-ACK with options behind Data Offset."""
    flags = choices.one_of((0x00, 0x02, 0x12, 0x10, 0x04, 0x01))
    inside = choices.octets(40)
    inside += b"\x01" * (-len(inside) % 4)
    offset = 20 + len(inside)
    tcp = memoryview(bytes(12) + bytes((offset << 2, flags)) + bytes(6) + inside + choices.rest())
    spans = walk(tcp, 20, offset)
    if spans is None:
        return
    options = read_options(tcp, spans)
    assert not is_oob(flags, options) or (options.syn_eos and not flags & 0x16)
    payload = read_oob(tcp, offset, spans)
    if payload is not None:
        assert len(tcp) - offset + sum(span[3] for span in spans) <= MOST_JOINED
        single = [span[:2] for span in payload if span[1] != POINTS.ke_exid]
        assert len({span[:2] for span in spans} | set(single)) == len({span[:2] for span in spans}) + len(single)
        assert not {(POINTS.ao, -1), (POINTS.md5, -1)} & set(single)
        more = read_options(tcp, payload)
        joined = join(options, more)
        if joined is not None:
            assert [piece.octets for piece in joined.ke] == [piece.octets for piece in options.ke + more.ke]
            for name in ("mss", "wscale", "ts_val", "eno"):
                mine, theirs = getattr(options, name), getattr(more, name)
                assert mine is None or theirs is None
                assert getattr(joined, name) in (mine, theirs)
    behind = read_syn_ack(tcp, offset, spans, options, DEFAULT)
    if behind is not None:
        assert options.syn_eos
        assert all(offset <= at and at + length <= len(tcp) for _, _, at, length in behind)


def _pieces(choices: Choices) -> None:
    """Fragments segment by segment; a message that is whole once stays as it is, and what is held is bounded."""
    inbox = Inbox()
    whole: dict[int, bytes] = {}
    message = bytes(range(256)) * 2
    for _ in range(_MOST_STEPS):
        if not choices.left:
            break
        fragments = [_fragment(choices, message) for _ in range(choices.below(4))]
        took = inbox.take(fragments, _KINDS)
        for kind, result in took or ():
            assert kind in _KINDS
            assert result is not Took.MALFORMED
            now = inbox.message(kind)
            assert (now is None) == (result is Took.MORE)
            if now is not None and kind not in WHOLE:
                assert whole.setdefault(kind, now) == now
    for assembler in inbox._assemblers.values():
        assert assembler._segments <= MOST_SEGMENTS
        assert len(assembler._held) <= MOST_IN_MESSAGE


def _fragment(choices: Choices, message: bytes) -> Fragment:
    """A piece of the message, or of one that contradicts it."""
    kind = choices.one_of((1, 1, 1, 2, 8, 3, 7, 0))
    total = choices.one_of((len(message), len(message), 3, 300, 0, 1, MOST_IN_MESSAGE, MOST_IN_MESSAGE + 1, 65535))
    start = choices.number(2) % (total + 2)
    octets = message[start % 256 :][: choices.octet()]
    if choices.below(8) == 7:
        octets = choices.octets(32)
    fragment = Fragment(kind, total, start, octets)
    if 1 <= len(octets) <= 246:
        # Over the wire and back.
        wire = memoryview(encode(fragment))
        (again,) = read_options(wire, [(wire[0], POINTS.ke_exid, 0, len(wire))]).ke
        assert (again.message, again.total, again.offset, again.octets) == (kind, total, start, octets)
    return fragment


def _message(choices: Choices) -> None:
    """A whole message: parsed to what would be built again, or malformed; nothing else."""
    kind = choices.octet() % 10
    octets = choices.rest()
    try:
        message = decode(kind, octets)
    except MalformedMessage:
        return
    assert message.encode() == octets


def seeds() -> list[bytes]:
    """A SYN with OOB, pieces of a message in order, and a refusal."""
    oob = oob_payload(cut(MessageKind.HELLO, bytes(range(200))))
    return [
        bytes((0, 0, 4)) + option() + oob,
        bytes((1,))
        + b"".join(bytes((1, 0, 0, 0, at, 200, 0)) for at in (0, 200))
        + bytes((1, 0, 0, 1, 0x90, 200, 0)),
        bytes((2, MessageKind.REFUSE)) + Refuse(1).encode(),
    ]
