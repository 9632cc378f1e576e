"""For the tests of SYN-EOS: who asks for it, packets taken apart, and a server that gets segments made by hand."""

from __future__ import annotations

import random
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

from ao.keys import syn_receive
from ao.mkt import Mkt, MktTable
from ao.traffic_keys import SocketPair
from edo.options import Options
from edo.plan import Plan
from edo.walk import walk
from stack.attempt import Attempt
from stack.batch import Batch
from stack.config import TcpConfig
from stack.host import Stack
from stack.listener import Listener
from stack.run import ACK, RST, SYN, Run
from stack.sealer import Sealer
from stack.security import Security
from stack.syneos import SynEos
from tests.stack.handshake.test_agreed import flags_of, out_of_band, resummed
from tests.stack.wire import Tap, Wire, transfer

# An option of an experiment: no SYN has room for it beside the usual ones.
EXPERIMENT = bytes((200, 60)) + bytes(range(58))
WANTS = Security(syn_eos=SynEos(options=(EXPERIMENT,)))
TAKES = Security(syn_eos=SynEos())
MARK = bytes.fromhex("fe045e05")
SUPPORTED = bytes.fromhex("fe040ed0")
UP = random.Random(5).randbytes(60_000)
DOWN = random.Random(6).randbytes(80_000)
CLIENT = bytes((10, 0, 0, 1))
SERVER = bytes((10, 0, 0, 2))
ISN = 0x11223344


def keyed(octets: int = 16, **fields: Any) -> Security:
    """The same keys on both sides, MACs of ``octets``: 16 leave timestamps no room in a SYN with EDO Supported.

    ``cipher`` names what encrypts.
    """
    cipher = fields.pop("cipher", None)
    peer = ip_network("10.0.0.0/24")
    mac = "linux-hmac-sha256"
    key = Mkt("key", 1, 1, b"testvector", peer=peer, mac=mac, mac_octets=octets, encrypt=cipher)
    return Security(
        "ao" if cipher is None else "ao-enc",
        keys=MktTable([key]),
        **({"syn_eos": SynEos(), "edo": "strict"} | fields),
    )


def inside(packet: bytes) -> list[bytes]:
    """The options inside Data Offset of a packet over IPv4, each whole."""
    return _options(packet, 20, end_of(packet))


def end_of(packet: bytes) -> int:
    """Data Offset, octets from the start of TCP's header."""
    return (packet[32] >> 4) << 2


def behind(packet: bytes) -> list[bytes]:
    """The options that follow Data Offset to the packet's end."""
    return _options(packet, end_of(packet), len(packet) - 20)


def _options(packet: bytes, start: int, end: int) -> list[bytes]:
    tcp = memoryview(packet)[20:]
    spans = walk(tcp, start, end)
    assert spans is not None
    return [bytes(tcp[offset : offset + octets]) for _, _, offset, octets in spans]


def kinds(options: list[bytes]) -> list[int]:
    return [option[0] for option in options]


def number(packet: bytes, at: int) -> int:
    """SEQ at 4, ACK at 8."""
    return int.from_bytes(packet[20 + at : 24 + at])


def sent(wire: Wire, wanted: Callable[[bytes], bool], *, client: bool = True) -> list[bytes]:
    """The packets of a side that are ``wanted``."""
    return [packet for _, whose, packet in wire.sent if whose is client and wanted(packet)]


def syn(packet: bytes) -> bool:
    return flags_of(packet) & (SYN | ACK) == SYN


def syn_ack(packet: bytes) -> bool:
    return flags_of(packet) & (SYN | ACK) == SYN | ACK


def reset(packet: bytes) -> bool:
    return bool(flags_of(packet) & RST)


def retried(packet: bytes) -> bool:
    """An OOB with ACK."""
    return flags_of(packet) == ACK and MARK in inside(packet)


def only(packets: list[bytes]) -> bytes:
    (packet,) = packets
    return packet


def crossed(
    client: Security, server: Security, tap: Tap | None = None, **more: Any
) -> tuple[Wire, Attempt, Attempt]:
    """A connection that carries data both ways, whole, and both its ends."""
    wire = Wire(**more) if tap is None else Wire(tap=tap, **more)
    return (wire, *carried(wire, *wire.open(client, server)))


def carried(wire: Wire, attempt: Attempt, listener: Listener) -> tuple[Attempt, Attempt]:
    ends = transfer(wire, attempt, listener, UP, DOWN)
    assert bytes(ends[1].received) == UP
    assert bytes(ends[0].received) == DOWN
    assert all(end.closed is not None and end.closed.error is None for end in ends)
    return ends[0].attempt, ends[1].attempt


def losing(wanted: Callable[[bytes], bool]) -> Tap:
    """Lose what is ``wanted``, of either side."""

    def tap(packet: bytes, _from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        return [] if wanted(packet) else [(0.0, packet)]

    return tap


def made(
    seq: int, flags: int, options: bytes = b"", payload: bytes = b"", *, ack: int = 0, port: int = 4000
) -> bytes:
    """A packet of the client's address to port 80 of the server, its options and payload as given."""
    assert len(options) % 4 == 0
    out: list[bytes] = []
    run = Run(seq, ack, flags, 65535, Options(), [memoryview(payload)] if payload else (), len(payload))
    Sealer(CLIENT, port, SERVER, 80).seal(run, Plan(options, 20 + len(options)), max(len(payload), 1), out)
    return out[0]


def marked_syn(options: bytes = b"", **more: Any) -> bytes:
    return made(ISN, SYN, options + MARK, **more)


def oob(payload: bytes, options: bytes = b"", **more: Any) -> bytes:
    return made(ISN, 0, options + MARK, payload, **more)


class Host:
    """A stack that listens on port 80 and gets packets; time stands still but for ``wait``."""

    def __init__(self, security: Security = TAKES, config: TcpConfig | None = None, **more: Any) -> None:
        self.stack = Stack(("10.0.0.2",), random=random.Random(7).randbytes, config=config, **more)
        self.listener = self.stack.listen(80, security=security, backlog=64)
        self.now = 50.0

    def gets(self, *packets: bytes) -> list[bytes]:
        """What it sends when it gets ``packets``."""
        self.stack.receive(Batch(list(packets)), self.now)
        return [bytes(packet) for packet in self.stack.take_output(self.now).packets]

    def wait(self, seconds: float) -> list[bytes]:
        """What it sends in the next ``seconds``."""
        end = self.now + seconds
        out: list[bytes] = []
        while (deadline := self.stack.next_deadline) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.stack.advance(self.now)
            out += [bytes(packet) for packet in self.stack.take_output(self.now).packets]
        self.now = end
        return out

    def acknowledges(self, answer: bytes, *, seq: int = ISN + 1, options: bytes = b"", text: bytes = b"") -> bytes:
        """The packet that ends the handshake which the SYN-ACK ``answer`` began."""
        return made(seq, ACK, options, text, ack=number(answer, 4) + 1)

    def accepted(self) -> Attempt:
        attempt = self.listener.accept()
        assert attempt is not None
        return attempt


def signed(security: Security, packet: bytes) -> bytes:
    """A SYN or OOB of which TCP-AO comes first, with its MAC."""
    assert security.keys is not None
    pair = SocketPair(SERVER, 80, CLIENT, int.from_bytes(packet[20:22]))
    (mkt,) = security.keys
    header, payload = packet[20 : 20 + end_of(packet)], packet[20 + end_of(packet) :]
    blank = bytearray(header)
    blank[16:18] = bytes(2)
    tag = syn_receive(mkt, pair, number(packet, 4)).tag(0, bytes(blank), payload)
    return resummed(packet[:44] + tag + packet[44 + len(tag) :], 13, packet[33])


def beside(wire: Wire) -> list[bytes]:
    """The OOBs that the client sent."""
    return sent(wire, out_of_band)
