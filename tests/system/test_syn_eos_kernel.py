"""SYN-EOS to Linux, which knows nothing of it: the out-of-band segment is no data, unless it has ACK."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable

import pytest

from stack.ip import address_octets
from stack.security import Security
from stack.syneos import SynEos
from tun.interface import Interface
from tun.netns import Namespace

pytestmark = pytest.mark.tun

KERNEL, STACK = "10.83.0.1", "10.83.0.2"
EXPERIMENT = bytes((200, 60)) + bytes(range(58))
TEXT = b"what the application says" * 100


def received(server: socket.socket) -> bytes:
    """All octets of the next connection, which is closed."""
    octets = b""
    with server, server.accept()[0] as connection:
        connection.settimeout(10.0)
        with contextlib.suppress(ConnectionResetError):
            while more := connection.recv(65536):
                octets += more
    return octets


async def says(namespace: Namespace, security: Security, port: int, *, known: bool = False) -> dict[str, object]:
    async with Interface(tun="eos0", netns=namespace.name, addr=[f"{STACK}/24"], host=[KERNEL]) as interface:
        if known:
            interface.stack.peers.syn_eos_confirmed(address_octets(KERNEL), interface.driver.now())
        _, writer = await interface.open_connection(KERNEL, port, security=security)
        writer.write(TEXT)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        report: dict[str, object] = writer.get_extra_info("report")
        return report


def heard(namespace: Namespace, security: Security, *, known: bool = False) -> tuple[bytes, dict[str, object]]:
    """What Linux hands to its application, and how the connection stood for us."""
    server = namespace.call(lambda: socket.create_server(("0.0.0.0", 0)))
    octets: list[bytes] = []
    thread = threading.Thread(target=lambda: octets.append(received(server)))
    thread.start()
    report = asyncio.run(says(namespace, security, server.getsockname()[1], known=known))
    thread.join(15.0)
    return octets[0], report


@pytest.mark.parametrize("delay", [0.0, 0.05], ids=["behind the SYN", "later"])
def test_the_oob_is_no_data_for_linux(fresh_name: Callable[[str], str], delay: float) -> None:
    """SYN-EOS X3: Linux drops what has neither SYN nor ACK, in SYN-RECEIVED too."""
    with Namespace(fresh_name("eos")) as namespace:
        octets, report = heard(namespace, Security(syn_eos=SynEos((EXPERIMENT,), delay=delay)))
    assert octets == TEXT
    assert (report["syn_eos"], report["retransmissions"]) == ("not confirmed", 0)


def test_an_oob_with_ack_is_data_for_linux(fresh_name: Callable[[str], str]) -> None:
    """SYN-EOS L3, Traps: hence it goes only to a server that has confirmed SYN-EOS before."""
    with Namespace(fresh_name("eos")) as namespace:
        octets, report = heard(namespace, Security(syn_eos=SynEos((EXPERIMENT,))), known=True)
    # The payload's first octet has the SYN's number, the rest is in the window.
    assert octets == EXPERIMENT[1:]
    assert report["error"] is not None
