"""A connection under configured keys that stands, an attacker beside it, and a look at every state variable."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import replace

from ao.mkt import Mkt, MktTable
from edo.options import Options
from edo.plan import Plan
from stack import ao_counters
from stack.attempt import Attempt
from stack.batch import Batch
from stack.ports import Carrier
from stack.run import ACK, Run
from stack.sealer import Sealer
from stack.security import Security
from tests.forms import slots_of
from tests.stack.wire import SERVER, Wire

PORT = 80
AO = 29
CLIENT_ID, SERVER_ID = 61, 84
# What tells of time, of segments that were dropped or of answers, and no more.
_NO_STATE = {"drops", "now", "heard_at", "_last", "challenges", "challenge_from"}


def security(send: int, recv: int, **fields: object) -> Security:
    """Mode ``ao`` with a key for any peer, and a second one, of the next ids, for which nobody asks."""
    keys = [Mkt("key", send, recv, b"testvector", **fields)]  # type: ignore[arg-type]
    keys.append(Mkt("other", send + 1, recv + 1, b"another", **fields))  # type: ignore[arg-type]
    return Security("ao", keys=MktTable(keys))


class Standing:
    """Client and server of an established connection that has carried octets both ways; the server is attacked.

    ``fields`` are of both ends' key, ``version`` is IP's, 4 or 6; ``before``: an earlier one on the same wire,
    whose listener serves again; ``port`` is the client's, 0 for any; ``accept_icmps`` is the server's.
    """

    def __init__(
        self,
        *,
        version: int = 4,
        before: Standing | None = None,
        port: int = 0,
        accept_icmps: bool = False,
        **fields: object,
    ) -> None:
        self.wire = wire = before.wire if before else Wire()
        self.version = version
        if before is not None:
            self.listener = before.listener
        else:
            ask = replace(security(SERVER_ID, CLIENT_ID, **fields), accept_icmps=accept_icmps)
            self.listener = wire.server.listen(PORT, security=ask)
        ask = security(CLIENT_ID, SERVER_ID, **fields)
        remote = SERVER[version == 6]
        self.client = wire.client.connect((remote, PORT), security=ask, now=wire.now, local_port=port)
        assert wire.run(10.0, lambda: self.listener.waiting > 0)
        accepted = self.listener.accept()
        assert accepted is not None
        self.server: Attempt = accepted
        self.flow: Carrier = self.server.flow
        self.goes_on()

    # --- what is there -----------------------------------------------------------------------------------

    def goes_on(self) -> None:
        """Octets arrive in both directions, nothing else does, and both ends fall silent."""
        for sender, receiver, octets in (
            (self.client, self.server, b"from the client " * 200),
            (self.server, self.client, b"from the server " * 100),
        ):
            sender.write(octets)
            self.wire.run(30.0)
            assert receiver.read() == octets
            assert not receiver.read()

    @property
    def counted(self) -> dict[str, int]:
        """The counters of the server's end, as Linux names them."""
        return ao_counters.of_connection(self.flow)

    def since(self, before: dict[str, int]) -> dict[str, int]:
        """Which of the counters have grown since, and by how much."""
        return {name: n - before[name] for name, n in self.counted.items() if n != before[name]}

    def state(self) -> dict[str, object]:
        """Every state variable of the server's connection, the ids of the keys in use and of those last heard."""
        found = dict(scalars(self.flow.connection))
        found["keys"] = self.flow.protection.key_ids
        ring = self.flow.protection.ring
        found["heard"] = (ring.heard, ring.heard_rnext)
        return found

    # --- the attacker ------------------------------------------------------------------------------------

    @property
    def ends(self) -> tuple[bytes, int, bytes, int]:
        """Addresses and ports as the client's segments have them."""
        local, local_port, remote, remote_port = self.flow.key
        return remote, remote_port, local, local_port

    def forge(
        self, flags: int = ACK, *, seq: int = 0, ack: int = 0, options: bytes = b"", payload: bytes = b""
    ) -> bytes:
        """A packet of the client's that it never sent: ``seq`` and ``ack`` from what the server expects."""
        connection = self.flow.connection
        out: list[bytes] = []
        run = Run(
            connection.rcv_nxt + seq,
            connection.snd_nxt + ack,
            flags,
            500,
            Options(),
            [memoryview(payload)] if payload else (),
            len(payload),
        )
        options += b"\x01" * (-len(options) % 4)
        Sealer(*self.ends).seal(run, Plan(options, 20 + len(options)), 65535, out)
        return out[0]

    def signed_but_kept(self) -> bytes:
        """The client's next segment, a good one that never arrives."""
        taken: list[bytes] = []
        tap, self.wire.tap = self.wire.tap, lambda packet, *_: taken.append(packet) or []
        self.client.write(b"the next octets")
        self.wire.flush()
        self.wire.tap = tap
        (packet,) = taken
        return packet

    def attack(self, packets: Iterable[bytes]) -> list[bytes]:
        """Let the server have these packets; what it answers."""
        self.wire.server.receive(Batch(list(packets)), self.wire.now)
        return [bytes(packet) for packet in self.wire.server.take_output(self.wire.now).packets]


def option(
    mac: bytes = bytes(12), key_id: int = CLIENT_ID, rnext: int = SERVER_ID, length: int | None = None
) -> bytes:
    """A TCP-AO option as an attacker can make it."""
    return bytes((AO, len(mac) + 4 if length is None else length, key_id, rnext)) + mac


def client_packets(wire: Wire) -> list[bytes]:
    """What the client has sent so far."""
    return [packet for _, from_client, packet in wire.sent if from_client]


def header_at(packet: bytes) -> int:
    """Where the TCP header begins."""
    return 20 if packet[0] >> 4 == 4 else 40


def header_octets(packet: bytes) -> int:
    """Octets of the TCP header by Data Offset."""
    return (packet[header_at(packet) + 12] >> 4) << 2


def scalars(thing: object, depth: int = 2, name: str = "") -> Iterator[tuple[str, object]]:
    """(name, value) of what plain values a slotted object holds, and those that it holds do."""
    for slot in slots_of(type(thing)):
        if slot in _NO_STATE or not hasattr(thing, slot):
            continue
        value = getattr(thing, slot)
        if value is None or isinstance(value, int | float | bytes | str | enum.Enum):
            yield f"{name}{slot}", value
        elif depth and slots_of(type(value)) and slot != "config":
            yield from scalars(value, depth - 1, f"{name}{slot}.")
