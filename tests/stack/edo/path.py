"""Two stacks with boxes between them, and packets read by what EDO says of them."""

from __future__ import annotations

from dataclasses import dataclass

from edo.codepoints import DEFAULT, Dialect
from edo.extended import find_extension
from edo.walk import walk
from stack.box import Box, BoxChain, Direction
from stack.checksum import ones_complement_sum, pseudo_header_sum
from stack.config import TcpConfig
from stack.security import Security
from tests.stack.wire import Wire

FIN, SYN, RST, ACK = 1, 2, 4, 16
STRICT, LENIENT = Security(edo="strict"), Security(edo="lenient")


class Path(Wire):
    """A wire with boxes, the client's end first; what leaves together arrives at them together."""

    def __init__(self, *boxes: Box, seed: int = 1, config: TcpConfig | None = None) -> None:
        super().__init__(seed, config=config)
        self.chain = BoxChain(boxes)

    def flush(self) -> None:
        """Hand the boxes what the stacks have to send."""
        for stack, direction in ((self.client, Direction.FORWARD), (self.server, Direction.BACKWARD)):
            while packets := [bytes(packet) for packet in stack.take_output(self.now).packets]:
                from_client = direction is Direction.FORWARD
                self.sent += [(self.now, from_client, packet) for packet in packets]
                for when, towards, packet in self.chain.process(list(packets), direction, self.now):
                    self.put(bytes(packet), towards is Direction.FORWARD, when - self.now)


@dataclass(frozen=True)
class Header:
    """A TCP segment: octets of its header by Data Offset and by the Extension (None: there is none)."""

    flags: int
    data_offset: int
    header_length: int | None
    segment_length: int | None
    kinds: tuple[tuple[int, int], ...]
    behind: tuple[tuple[int, int], ...]
    tcp: bytes

    @property
    def payload(self) -> bytes:
        """What follows the true header."""
        return self.tcp[self.header_length or self.data_offset :]


def header(packet: bytes, dialect: Dialect = DEFAULT) -> Header:
    """Read a packet, and see that its checksum is right."""
    version = packet[0] >> 4
    at, addresses = (20, (packet[12:16], packet[16:20])) if version == 4 else (40, (packet[8:24], packet[24:40]))
    tcp = memoryview(packet)[at:]
    assert not (ones_complement_sum(tcp) + pseudo_header_sum(*addresses, len(tcp))) % 0xFFFF
    data_offset = tcp[12] >> 4 << 2
    spans = walk(tcp, 20, data_offset)
    assert spans is not None
    found = find_extension(tcp, spans, data_offset, dialect)
    end = data_offset if found is None else found[1]
    behind = walk(tcp, data_offset, end)
    assert behind is not None
    return Header(
        tcp[13],
        data_offset,
        None if found is None else found[1],
        None if found is None or found[2] < 0 else found[2],
        tuple((kind, exid) for kind, exid, _, _ in spans),
        tuple((kind, exid) for kind, exid, _, _ in behind),
        bytes(tcp),
    )


def headers(wire: Wire, *, from_client: bool | None = None, dialect: Dialect = DEFAULT) -> list[Header]:
    """Everything that was sent, or that one end sent."""
    return [header(packet, dialect) for _, sender, packet in wire.sent if from_client in (None, sender)]
