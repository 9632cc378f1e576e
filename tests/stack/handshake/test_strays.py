"""Segments that no row of profile.md §5's table takes: dropped silently, counted, and nothing else happens.

At each step of each handshake both ends get what somebody beside the path might send, who knows addresses and
ports; and then the handshake goes on.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from edo.layout import lay_out
from edo.messages import cut
from edo.options import Options
from edo.plan import Form
from stack.batch import Batch
from stack.host import Stack
from stack.run import ACK, FIN, PSH, RST, SYN, URG, Run
from stack.sealer import Sealer
from stack.states import State
from tests.stack.handshake.test_agreed import flags_of
from tests.stack.handshake.test_faults_matrix import CASES, World
from tests.stack.wire import Tap, Wire

NONE = Options()
ENO_SYN, ENO_SYN_ACK = b"\x45\x05\xa0\xed\x01", b"\x45\x06\x01\xa0\xed\x01"


def strays(sealer: Sealer, source: random.Random) -> Iterator[bytes]:
    """One segment of each kind, with numbers that are nobody's."""

    def made(
        flags: int, options: Options | None = None, *, payload: bytes = b"", ao: int = 0, ke: int = 0
    ) -> bytes:
        options = options or Options()
        riders = cut(ke, source.randbytes(90)) if ke else ()
        plan = lay_out(
            options,
            ao_octets=ao,
            extension=Form.LONG if ke else None,
            behind=bool(ke),
            riders=riders,
            syn=bool(flags & SYN),
        )
        pieces = [memoryview(payload)] if payload else []
        seq, ack = source.getrandbits(32), source.getrandbits(32)
        out: list[bytes] = []
        sealer.seal(Run(seq, ack, flags, 500, options, pieces, len(payload)), plan, 2000, out)
        return out[0]

    yield made(SYN, Options(mss=1460, eno=ENO_SYN, edo_supported=True))
    yield made(SYN, Options(mss=1460))
    yield made(SYN, Options(mss=1400), ao=36)
    yield made(SYN | ACK, Options(mss=1460, eno=ENO_SYN_ACK, edo_supported=True))
    yield made(SYN | ACK, Options(mss=1400), ao=36)
    yield made(RST)
    yield made(RST | ACK)
    yield made(ACK)
    yield made(ACK, Options(eno=b"\x45\x02"))
    yield made(ACK | PSH, payload=b"forged")
    yield made(ACK | FIN)
    yield made(ACK | URG | PSH, payload=b"forged")
    yield made(ACK, ao=16)
    yield made(ACK | PSH, ao=16, payload=b"forged")
    yield made(0, Options(syn_eos=True), payload=b"\x01" * 8)
    for kind in (1, 2, 3, 4, 5, 6, 7, 8):
        yield made(ACK, Options(eno=b"\x45\x02"), ke=kind)


def harass(stack: Stack, source: random.Random) -> None:
    """Everything to each connection of a stack, but for what its state takes whatever the numbers are."""
    for key, flow in list(stack.flows.items()):
        local, port, remote, remote_port = key
        sealer = Sealer(remote, remote_port, local, port)
        for packet in strays(sealer, source):
            # A SYN crosses ours with any number (RFC 9293 §3.5).
            if flow.connection.state is not State.SYN_SENT or flags_of(packet) != SYN:
                stack.receive(Batch([packet]), stack.now)


def harassing(wire: Wire, step: int) -> Tap:
    seen = 0

    def tap(packet: bytes, _whose: bool, _now: float) -> list[tuple[float, bytes]]:
        nonlocal seen
        if seen == step:
            for stack in (wire.client, wire.server):
                harass(stack, random.Random(step))
        seen += 1
        return [(0.0, packet)]

    return tap


@pytest.mark.parametrize(("placement", "group"), CASES, ids=[f"{p}-{g}" for p, g in CASES])
def test_strays_at_every_step(placement: str, group: str) -> None:
    for step in range(8):
        world = World(placement, group)
        world.wire.tap = harassing(world.wire, step)
        world.works()
