"""Real boxes between two stacks, made of network namespaces, and what each method makes of each box.

client ------------------- box k ------------------- server
ends0 10.(100+k).i.2       in 10.200.k.2             ends0 10.(150+k).i.2
c(k) 10.200.k.1            out 10.201.k.2            s(k) 10.201.k.1

Method i has addresses of its own on both sides, since a stack remembers of its peers what did not work. All boxes
and all methods run at the same time.

``python -m tests.system.middleboxes`` (root, with a TUN) writes docs/middleboxes.md anew.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ao.mkt import Mkt, MktTable, Nat
from edo.codepoints import Dialect, FormChoice
from stack.config import TcpConfig
from stack.security import PLACEMENTS, Security
from stack.syn_space import METHODS, SynSpace
from stack.syneos import SynEos
from tools.lab.real_boxes import BOXES, place
from tools.network import report_of
from tun.interface import Interface
from tun.netns import Namespace, namespaces

DOCUMENT: Final = Path(__file__).parent.parent.parent / "docs" / "middleboxes.md"
OCTETS: Final = random.Random(11).randbytes(20_000)
# The initial RTO, seconds, and repetitions of SYNs and of data, so that what has to fail does so soon.
RTO: Final = 0.3
SYN_RETRIES: Final = 3
DATA_RETRIES: Final = 4
# So long a connection may take before it is called a hang, seconds.
# Repetitions of data take 8 s on an idle machine and follow the measured round trips, which grow with its load.
PATIENCE: Final = 60.0
_STAGGER: Final = 0.01
_FIRST_PORT: Final = 7000


@dataclass(frozen=True, slots=True)
class Method:
    """Two ends that want the same; ``wanted`` says of the client's report whether it was had."""

    name: str
    client: Security
    server: Security
    wanted: Callable[[dict[str, Any]], bool]


@dataclass(frozen=True, slots=True)
class Outcome:
    """``kind``: works, without (the connection stands, the method is not in use), or fails; why, after how long."""

    kind: str
    text: str
    seconds: float

    def __str__(self) -> str:
        return self.kind if not self.text else f"{self.kind}: {self.text}"


def _keyed(**fields: Any) -> Security:
    """Keys that are the same for all."""
    settings = {name: fields.pop(name) for name in ("edo", "syn_eos") if name in fields}
    key = Mkt("key", 1, 1, b"between the boxes", mac="hmac-sha256-128", **fields)
    return Security("ao", keys=MktTable([key]), **settings)


def _edo_is_on(report: dict[str, Any]) -> bool:
    return bool(report["edo"] == "confirmed")


def _confirmed(report: dict[str, Any]) -> bool:
    return bool(report["syn_eos"] == "confirmed")


def _methods() -> tuple[Method, ...]:
    # Neither fits a SYN beside TCP's own and EDO Supported.
    ours, theirs = bytes((200, 22)) + bytes(20), bytes((203, 22)) + bytes(20)
    strict = Security(edo="strict")
    short = Security(edo="strict", dialect=Dialect(form=FormChoice.SHORT))
    beside = Security(syn_eos=SynEos((ours,)), edo="strict")
    methods = [
        Method("plain", Security(), Security(), lambda report: True),
        Method("EDO, long form", strict, strict, _edo_is_on),
        Method("EDO, short form", short, short, _edo_is_on),
        Method("SYN-EOS", beside, Security(syn_eos=SynEos()), _confirmed),
    ]
    for name in METHODS:
        client, server = (Security(syn_space=SynSpace(name, (option,))) for option in (ours, theirs))
        methods.append(Method(name, client, server, lambda report, name=name: bool(report["method"] == name)))  # type: ignore[misc]
    for name, security in (
        ("ao", _keyed()),
        ("ao, nat both", _keyed(nat=Nat.both)),
        ("ao, options not covered", _keyed(cover_options=False)),
    ):
        methods.append(Method(name, security, security, lambda report: bool(report["mode"] == "ao")))
    security = _keyed(edo="strict", syn_eos=SynEos())
    methods.append(Method("ao with SYN-EOS", security, security, _confirmed))
    for placement in PLACEMENTS:
        for policy in ("require", "prefer"):
            security = Security("ao-enc-dh", policy=policy, placements=(placement,))
            name = f"ao-enc-dh, {placement}, {policy}"
            methods.append(Method(name, security, security, lambda report: bool(report["mode"] == "ao-enc-dh")))
    return tuple(methods)


CHOICES: Final = _methods()


# --- the network ---


def _client_address(box: int, method: int) -> str:
    return f"10.{100 + box}.{method}.2"


def _server_address(box: int, method: int) -> str:
    return f"10.{150 + box}.{method}.2"


def _ip(namespace: Namespace, lines: Sequence[str]) -> None:
    """Have iproute2 do several things in one go."""
    text = "\n".join(lines)
    namespace.run(["ip", "-batch", "-"], input=text, text=True, check=True, stdout=subprocess.DEVNULL)


def _wire(client: Namespace, between: Sequence[Namespace], server: Namespace) -> None:
    """Join client and server by way of each of the namespaces between them."""
    numbered = tuple(enumerate(between))
    for end, letter, inner, net in ((client, "c", "in", 200), (server, "s", "out", 201)):
        made = []
        for number, middle in numbered:
            made.append(f"link add {letter}{number} type veth peer name {inner} netns {middle.name}")
            made.append(f"addr add 10.{net}.{number}.1/24 dev {letter}{number}")
            made.append(f"link set {letter}{number} up")
        _ip(end, made)
        end.forward()
    for number, middle in numbered:
        lines = []
        for inner, net, behind in (("in", 200, 100), ("out", 201, 150)):
            lines.append(f"addr add 10.{net}.{number}.2/24 dev {inner}")
            lines.append(f"link set {inner} up")
            lines.append(f"route add 10.{behind + number}.0.0/16 via 10.{net}.{number}.1")
        _ip(middle, lines)
        middle.forward()
    _ip(client, [f"route add 10.{150 + number}.0.0/16 via 10.200.{number}.2" for number, _ in numbered])
    back = [number for number, box in enumerate(BOXES) if not box.private]
    _ip(server, [f"route add 10.{100 + number}.0.0/16 via 10.201.{number}.2" for number in back])


def _interface(namespace: Namespace, address: Callable[[int, int], str]) -> Interface:
    """A stack that has an address for each method at each box."""
    boxes = range(len(BOXES))
    addresses = [address(box, method) for box in boxes for method in range(len(CHOICES))]
    hosts = [address(box, 0).rsplit(".", 2)[0] + ".255.1" for box in boxes]
    return Interface(
        tun="ends0",
        netns=namespace.name,
        addr=[f"{one}/16" for one in addresses],
        host=hosts,
        config=TcpConfig(nagle=False, rto_initial=RTO, syn_retries=SYN_RETRIES, data_retries=DATA_RETRIES),
    )


# --- one connection ---


class _Echo:
    """Sends back what comes; asyncio holds the tasks of a server by weak references only."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_echo(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while octets := await reader.read(65536):
            writer.write(octets)
            await writer.drain()
        writer.write_eof()
    except OSError:
        pass
    finally:
        writer.close()


async def _cell(client: Interface, box: int, method: int) -> Outcome:
    """What becomes of a connection that sends octets and wants them back, all and unchanged."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE):
            return await _transfer(client, box, method, began)
    except TimeoutError as error:
        if error.errno is None:
            return Outcome("hangs", "", time.monotonic() - began)
        return Outcome("fails", str(error.strerror), time.monotonic() - began)
    except OSError as error:
        return Outcome("fails", str(error.strerror), time.monotonic() - began)


async def _transfer(client: Interface, box: int, method: int, began: float) -> Outcome:
    reader, writer = await client.open_connection(
        _server_address(box, method),
        _FIRST_PORT + method,
        security=CHOICES[method].client,
        local_address=_client_address(box, method),
    )
    try:
        writer.write(OCTETS)
        writer.write_eof()
        echo = await reader.read(-1)
        report = report_of(writer)
    finally:
        writer.close()
    seconds = time.monotonic() - began
    if echo != OCTETS:
        return Outcome("wrong data", f"{len(echo)} octets", seconds)
    if not CHOICES[method].wanted(report):
        return Outcome("without", str(report["fallback"] or ""), seconds)
    placement = report["placement"]
    return Outcome("works", "" if placement is None else f"placement {placement}", seconds)


# --- all of them ---


async def _all(stack: ExitStack, fresh_name: Callable[[str], str]) -> dict[tuple[int, int], Outcome]:
    middles = [fresh_name("mid") for _ in BOXES]
    client, server, *between = stack.enter_context(namespaces(fresh_name("cli"), fresh_name("srv"), *middles))
    _wire(client, between, server)
    for box, middle in zip(BOXES, between, strict=True):
        place(box, middle, stack)
    echo = _Echo()
    async with _interface(server, _server_address) as ends, _interface(client, _client_address) as one:
        for method, choice in enumerate(CHOICES):
            await ends.start_server(echo.connected, _FIRST_PORT + method, security=choice.server)
        tasks = {}
        for box in range(len(BOXES)):
            for method in range(len(CHOICES)):
                tasks[box, method] = asyncio.create_task(_cell(one, box, method))
                await asyncio.sleep(_STAGGER)
        return dict(zip(tasks, await asyncio.gather(*tasks.values()), strict=True))


def outcomes(fresh_name: Callable[[str], str]) -> dict[tuple[int, int], Outcome]:
    """What becomes of each method at each box, by their numbers in ``BOXES`` and ``CHOICES``."""
    with ExitStack() as stack:
        return asyncio.run(_all(stack, fresh_name))


# --- the document ---

_HEAD = """# Middleboxes

What each way of finding option space, and each protection, makes of boxes that stand in the way: two stacks on TUN
devices in namespaces of their own, and between them a namespace whose kernel does what the box does. A connection
sends 20,000 octets and has them sent back. *Without*: the connection stands, both ways and unchanged, and what was
asked for is not in use. `tests/system/test_middleboxes.py` holds the outcomes; this page is written by
`python -m tests.system.middleboxes` (root). None of the connections hangs, and none delivers a wrong octet.
`edotun lab paths --real` runs a choice of it one by one, beside boxes of ours ([guide](guides/boxes.md)).

| box | what it does |
|---|---|
"""
_TIMES = """
## What does not simply work

Times are from the call of connect to the last octet or the error, at an initial RTO of {rto} s, with {syns}
repetitions of a SYN and {data} of data. They grow with the RTO, 1 s by default, and the repetitions, 7 and 15. A
server's wait for an out-of-band segment is a quarter of the RTO, at most 0.2 s.

| box | method | outcome | seconds |
|---|---|---|---|
"""


def document(found: dict[tuple[int, int], Outcome]) -> str:
    """The page that tells of ``found``."""
    text = _HEAD + "".join(f"| {box.name} | {box.what} |\n" for box in BOXES)
    text += "\n## Outcomes\n\n| method | " + " | ".join(box.name for box in BOXES) + " |\n"
    text += "|---" * (len(BOXES) + 1) + "|\n"
    for method, choice in enumerate(CHOICES):
        cells = (found[box, method] for box in range(len(BOXES)))
        text += f"| {choice.name} | " + " | ".join(_brief(cell) for cell in cells) + " |\n"
    text += _TIMES.format(rto=RTO, syns=SYN_RETRIES, data=DATA_RETRIES)
    for number, box in enumerate(BOXES):
        for method, choice in enumerate(CHOICES):
            cell = found[number, method]
            if cell.kind != "works":
                text += f"| {box.name} | {choice.name} | {cell} | {cell.seconds:.1f} |\n"
    return text


def _brief(cell: Outcome) -> str:
    """An outcome in a word or two: of what works the placement, if it has one."""
    return cell.text.removeprefix("placement ") or "works" if cell.kind == "works" else cell.kind


def untimed(text: str) -> str:
    """The page without the times that were measured."""
    return re.sub(r"\| \d+\.\d \|$", "| |", text, flags=re.MULTILINE)


def main() -> None:
    """Measure, and write the page."""
    names = (f"mb{os.getpid()}n{number}" for number in range(100))
    DOCUMENT.write_text(document(outcomes(lambda _: next(names))))


if __name__ == "__main__":
    main()
