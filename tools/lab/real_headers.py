"""The header-protection matrix on real packets: two stacks on TUNs, the attacker between their kernels.

client: real0 10.0.0.1 (the stack), 10.101.0.1; path0 10.200.0.1
server: real0 10.0.0.2 (the stack), 10.151.0.1; path1 10.201.0.1
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

from stack.box import Box, Direction
from stack.security import Security
from stack.simulator import Delay, RateLimit
from tun.device import Tun
from tun.interface import Interface
from tun.netns import Namespace

from ..namespaces import own_namespaces
from ..path import Path
from .conversation import CLIENT, CLIENT_PORT, PORT, SERVER, Acceptor, Program, Spoken, Talk, Text, spoken

_NEAR: Final = ("10.101.0.1", "10.151.0.1")
_BETWEEN: Final = ("10.200.0.1/24", "10.201.0.1/24")
# Seconds.
_PATIENCE: Final = 12.0
_LOOK: Final = 0.01
_QUEUE: Final = 1 << 24


def converse_really(talk: Talk, client: Security, server: Security, boxes: Sequence[Box] = ()) -> Spoken:
    """Have both speak over TUNs and kernels, through ``boxes`` and a path as long and slow as the simulated one.

    Needs root and a TUN. Raises OSError where namespaces or devices cannot be had.
    """
    with own_namespaces("edolab", ("client", "server")) as (here, there):
        here.forward()
        there.forward()
        return asyncio.run(_speak(here, there, talk, (client, server), boxes))


async def _speak(
    client: Namespace, server: Namespace, talk: Talk, securities: tuple[Security, Security], boxes: Sequence[Box]
) -> Spoken:
    lines = [RateLimit(talk.rate / 8, _QUEUE, only=direction) for direction in Direction]
    near, far = Delay(talk.rtt / 4), Delay(talk.rtt / 4)
    with ExitStack() as stack:
        ours = stack.enter_context(Tun("path0", [f"{SERVER}/32"], [_BETWEEN[0]], netns=client.name))
        theirs = stack.enter_context(Tun("path1", [f"{CLIENT}/32"], [_BETWEEN[1]], netns=server.name))
        stack.enter_context(Path(ours, theirs, [lines[0], near, *boxes, far, lines[1]]))
        async with _end(server, SERVER, 1, talk) as there, _end(client, CLIENT, 0, talk) as here:
            acceptor = Acceptor(there.driver, there.stack.listen(PORT, security=securities[1]), talk)
            begun = here.driver.now()
            dialled = here.stack.connect((SERVER, PORT), security=securities[0], now=begun, local_port=CLIENT_PORT)
            program = Program(here.driver, dialled, Text(talk.up), Text(talk.down))
            while not (done := acceptor.over(program)) and here.driver.now() - begun < _PATIENCE:
                await asyncio.sleep(_LOOK)
            ends = [one.closed_at for one in (program, *acceptor.programs) if one.closed_at is not None]
            seconds = max(ends) - begun if done else _PATIENCE
            return spoken(seconds, done, program, acceptor, here.stack.drops + there.stack.drops)


def _end(namespace: Namespace, address: str, side: int, talk: Talk) -> Interface:
    host = [f"{_NEAR[side]}/32"]
    return Interface(tun="real0", netns=namespace.name, addr=[f"{address}/24"], host=host, config=talk.config)
