"""TCP-ENO's options on sockets (draft-ietf-tcpinc-api-06), and what Security has for the same."""

from __future__ import annotations

import errno

import pytest

from stack.security import Security
from stack.socket_core import SocketCore, SocketError
from stack.socket_core import numbers as n
from stack.socket_core.core import SocketCore as Core

from .bench import Bench, accepted, fails

TCP = n.IPPROTO_TCP
ROLES = {"A": 0, "B": 1}


def pair(client: Security, server: Security, bench: Bench | None = None) -> tuple[SocketCore, SocketCore, Bench]:
    bench = bench or Bench()
    listener = Core(bench.wire.server, family=bench.family, security=server)
    listener.bind("", 8080)
    listener.listen(5)
    core = Core(bench.wire.client, family=bench.family, security=client)
    core.connect(bench.host, 8080, bench.now)
    bench.run(2.0)
    assert core.connect(bench.host, 8080, bench.now) is None
    return core, accepted(listener.accept(bench.now)), bench


def get(core: SocketCore, name: int, bench: Bench) -> int | bytes:
    return core.getsockopt(TCP, name, bench.now)


BOTH = Security("ao-enc-dh")


def test_both_ends_have_one_session_and_each_its_own_name() -> None:
    client, server, bench = pair(BOTH, BOTH)
    session = get(client, n.TCP_ENO_SESSID, bench)
    assert isinstance(session, bytes)
    assert session == get(server, n.TCP_ENO_SESSID, bench)
    assert session.hex() == client.security()["session_id"]
    # B's TEP octet: 0x20 with data (RFC 8547 §4.5).
    assert get(client, n.TCP_ENO_NEGTEP, bench) == get(server, n.TCP_ENO_NEGTEP, bench) == 0xA0
    assert session[0] == 0xA0
    assert [get(core, n.TCP_ENO_ROLE, bench) for core in (client, server)] == [ROLES["A"], ROLES["B"]]
    assert get(client, n.TCP_ENO_SELF_NAME, bench) == b"\0" + session == get(server, n.TCP_ENO_PEER_NAME, bench)
    assert get(server, n.TCP_ENO_SELF_NAME, bench) == b"\1" + session == get(client, n.TCP_ENO_PEER_NAME, bench)
    # A's option, then B's (RFC 8547 §4.8).
    transcript = bytes.fromhex("4505a0ed01450601a0ed01")
    assert get(client, n.TCP_ENO_TRANSCRIPT, bench) == get(server, n.TCP_ENO_TRANSCRIPT, bench) == transcript


def test_options_may_ask_for_it_and_for_its_absence() -> None:
    bench = Bench()
    core = bench.client()
    assert get(core, n.TCP_ENO_ENABLED, bench) == -1
    assert get(core, n.TCP_ENO_TEPS, bench) == b""
    core.setsockopt(TCP, n.TCP_ENO_ENABLED, 1)
    assert core.protection.protect == "ao-enc-dh"
    assert get(core, n.TCP_ENO_TEPS, bench) == b"\x20"
    assert get(core, n.TCP_ENO_TEP_MANDATORY, bench) == 1
    core.setsockopt(TCP, n.TCP_ENO_TEP_MANDATORY, 0)
    assert core.protection.policy == "prefer"
    core.setsockopt(TCP, n.TCP_ENO_TEPS, b"")
    assert get(core, n.TCP_ENO_ENABLED, bench) == 0
    assert core.protection.exempt
    core.setsockopt(TCP, n.TCP_ENO_ENABLED, -1)
    assert not core.protection.exempt
    core.setsockopt(TCP, n.TCP_ENO_SELF_GOPT, 2)
    assert (get(core, n.TCP_ENO_SELF_GOPT, bench), core.protection.application_aware) == (2, True)
    core.setsockopt(TCP, n.TCP_ENO_AA_MANDATORY, 1)
    core.setsockopt(TCP, n.TCP_ENO_SELF_GOPT, 0)
    assert get(core, n.TCP_ENO_AA_MANDATORY, bench) == 0
    for name, value in (
        (n.TCP_ENO_ENABLED, 2),
        (n.TCP_ENO_TEPS, b"\x21"),
        (n.TCP_ENO_TEPS, 5),
        (n.TCP_ENO_SELF_GOPT, 4),
        (n.TCP_ENO_SELF_GOPT, 32),
        (n.TCP_ENO_AA_MANDATORY, -1),
        (n.TCP_ENO_TEP_MANDATORY, 2),
    ):
        fails(errno.EINVAL, core.setsockopt, TCP, name, value)
    for name in (n.TCP_ENO_SESSID, n.TCP_ENO_ROLE, n.TCP_ENO_TRANSCRIPT):
        fails(errno.ENOPROTOOPT, core.setsockopt, TCP, name, 1)
        fails(errno.ENOTCONN, core.getsockopt, TCP, name, bench.now)
    listener = bench.listener()
    assert get(listener, n.TCP_ENO_SELF_GOPT, bench) == 1
    plain = bench.client()
    fails(errno.EINVAL, plain.setsockopt, TCP, n.TCP_ENO_TEP_MANDATORY, 1)


def test_what_is_set_comes_too_late_once_the_syn_is_out() -> None:
    client, _, _ = pair(BOTH, BOTH)
    fails(errno.EISCONN, client.setsockopt, TCP, n.TCP_ENO_ENABLED, 0)


def test_nothing_passes_for_encrypted_that_is_not() -> None:
    """RFC 8547's names are of encryption: under ``ao-dh`` the identifier is read by our own call only."""
    client, server, bench = pair(Security("ao-dh"), Security("ao-dh"))
    for core in (client, server):
        for name in (n.TCP_ENO_SESSID, n.TCP_ENO_NEGTEP, n.TCP_ENO_SELF_NAME, n.TCP_ENO_PEER_NAME):
            fails(errno.EINVAL, core.getsockopt, TCP, name, bench.now)
        assert core.security()["session_id"]
    assert get(client, n.TCP_ENO_ROLE, bench) == 0
    client, _, bench = pair(Security("ao-enc-dh", policy="prefer"), Security())
    fails(errno.EINVAL, client.getsockopt, TCP, n.TCP_ENO_SESSID, bench.now)
    assert client.security()["mode"] == "none"


def test_to_insist_on_a_tep_where_it_is_plain_ends_it() -> None:
    client, _, bench = pair(Security("ao-enc-dh", policy="prefer"), Security())
    client.setsockopt(TCP, n.TCP_ENO_TEP_MANDATORY, 1)
    with pytest.raises(SocketError):
        client.send(b"in clear", 0, bench.now)


@pytest.mark.parametrize("aware", [(False, False), (True, False), (False, True), (True, True)])
def test_applications_tell_each_other_that_they_use_it(aware: tuple[bool, bool]) -> None:
    """RFC 8547 §4.2; the bits are in the transcript, so no path can change them unseen."""
    client, server, bench = pair(*(Security("ao-enc-dh", application_aware=bit) for bit in aware))
    assert client.security()["peer_aware"] is aware[1]
    assert server.security()["peer_aware"] is aware[0]
    assert get(client, n.TCP_ENO_PEER_GOPT, bench) == 1 | (2 if aware[1] else 0)
    assert get(server, n.TCP_ENO_PEER_GOPT, bench) == (2 if aware[0] else 0)


@pytest.mark.parametrize("demanding", ["client", "server"])
def test_awareness_may_be_demanded(demanding: str) -> None:
    strict = Security("ao-enc-dh", policy="prefer", application_aware=True, demand_aware=True)
    lax = Security("ao-enc-dh", policy="prefer")
    client, _, _ = pair(strict, lax) if demanding == "client" else pair(lax, strict)
    assert client.security()["mode"] == "none"
    client, _, _ = pair(strict, strict)
    assert client.security()["mode"] == "ao-enc-dh"


@pytest.mark.parametrize("exempt", ["client", "server"])
def test_an_application_that_encrypts_itself_is_left_alone(exempt: str) -> None:
    """No ENO and no TCP-AO on the wire, whatever the mode is otherwise."""
    alone = Security("ao-enc-dh", exempt=True)
    lax = Security("ao-enc-dh", policy="prefer")
    client, server, bench = pair(alone, lax) if exempt == "client" else pair(lax, alone)
    assert client.security()["mode"] == server.security()["mode"] == "none"
    assert client.send(b"a record of TLS", 0, bench.now) == 15
    bench.run()
    assert server.recv(100, 0, bench.now) == b"a record of TLS"
    sent = [packet for _, from_client, packet in bench.wire.sent if from_client is (exempt == "client")]
    assert not any(b"\xa0\xed\x01" in packet for packet in sent)
