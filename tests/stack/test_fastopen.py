"""Fast Open between two stacks and against a peer played by hand (RFC 7413)."""

from __future__ import annotations

import errno
import random
from dataclasses import replace

import pytest
from scapy.layers.inet import IP, TCP
from scapy.packet import Packet

from edo.fast import read_options
from edo.options import Options
from edo.walk import walk
from stack.attempt import Attempt
from stack.config import FastOpen, TcpConfig
from stack.events import Closed
from stack.fastopen_cookies import FastOpenCookies, Found
from stack.handshake.fast_open import text_room
from stack.listener import Listener
from stack.peers import FastOpenCookie, Peers
from stack.run import ACK, SYN
from stack.security import Security
from stack.states import State
from tests.conformance.peer import ISN, Peer, icmp
from tests.stack.wire import SERVER, Wire

ON = TcpConfig(fast_open=FastOpen(pending=4))
GET = b"GET / HTTP/1.0\r\n\r\n"


def options_of(packet: bytes) -> Options:
    """The options of a packet over IPv4."""
    tcp = memoryview(packet)[20:]
    spans = walk(tcp, 20, tcp[12] >> 4 << 2)
    assert spans is not None
    return read_options(tcp, spans)


def text_of(packet: bytes) -> bytes:
    tcp = packet[20:]
    return tcp[tcp[12] >> 4 << 2 :]


def syns(wire: Wire, *, client: bool) -> list[bytes]:
    """The SYNs, or the SYN-ACKs, that were sent."""
    flags = SYN if client else SYN | ACK
    return [packet for _, of, packet in wire.sent if of is client and packet[33] & (SYN | ACK) == flags]


def accepted(wire: Wire, listener: Listener) -> Attempt:
    """The next connection that the server accepts."""
    while (attempt := listener.accept()) is None:
        assert wire.run(20.0, lambda: bool(listener.waiting))
    return attempt


def opened(wire: Wire, listener: Listener, text: bytes = GET) -> tuple[Attempt, Attempt]:
    """A client that asks for Fast Open, and what the server accepted."""
    wire.sent.clear()
    attempt = wire.client.connect((SERVER[0], listener.port), now=wire.now, fast_open=text)
    return attempt, accepted(wire, listener)


def settled(wire: Wire, *attempts: Attempt) -> None:
    assert wire.run(20.0, lambda: all(a.flow.connection.state is State.ESTABLISHED for a in attempts))


def warm(config: TcpConfig = ON, **more: object) -> tuple[Wire, Listener]:
    """Two stacks of which the client has a cookie of the server."""
    wire = Wire(config=config, **more)  # type: ignore[arg-type]
    listener = wire.server.listen(80)
    first = opened(wire, listener)
    settled(wire, *first)
    for attempt in first:
        attempt.abort()
    wire.run(5.0)
    return wire, listener


def test_a_request_is_answered_by_a_cookie_and_its_text_follows_the_handshake() -> None:
    # RFC 7413 §4.2.1.
    wire = Wire(config=ON)
    listener = wire.server.listen(80)
    client, server = opened(wire, listener)
    settled(wire, client, server)
    wire.run(1.0)
    (syn,), (answer,) = syns(wire, client=True), syns(wire, client=False)
    assert options_of(syn).fast_open == b""
    assert text_of(syn) == b""
    cookie = options_of(answer).fast_open
    assert cookie is not None
    assert len(cookie) == 8
    assert server.read() == GET
    assert not client.flow.connection.fast_opened


def test_text_in_the_syn_is_read_and_answered_before_the_handshake_ends() -> None:
    # RFC 7413 §4.2.2: one round trip less.
    wire, listener = warm()
    begun = wire.now
    client, server = opened(wire, listener)
    assert wire.now == pytest.approx(begun + wire.latency)
    assert server.flow.connection.state is State.SYN_RECEIVED
    assert server.read() == GET
    server.write(b"answer")
    assert wire.run(5.0, lambda: bool(client.readable))
    assert wire.now == pytest.approx(begun + 2 * wire.latency)
    assert client.read() == b"answer"
    settled(wire, client, server)
    assert client.flow.connection.fast_opened
    assert server.flow.connection.fast_opened
    (syn,) = syns(wire, client=True)
    assert text_of(syn) == GET
    assert client.flow.connection.octets_out == len(GET)
    assert server.flow.connection.octets_in == len(GET)
    assert client.flow.connection.retransmissions == server.flow.connection.retransmissions == 0


def test_a_whole_conversation_with_text_beyond_the_syn() -> None:
    wire, listener = warm()
    up, down = random.Random(1).randbytes(40_000), random.Random(2).randbytes(60_000)
    client, server = opened(wire, listener, up)
    server.write(down)
    server.write_eof()
    client.write_eof()
    there, back = bytearray(), bytearray()

    def pump() -> bool:
        there.extend(server.read())
        back.extend(client.read())
        wire.flush()
        return client.eof and server.eof

    assert wire.run(20.0, pump)
    assert (bytes(there), bytes(back)) == (up, down)
    # §4.1.3: no more than the MSS less room for options.
    assert len(text_of(syns(wire, client=True)[0])) == 1460 - 40


def test_the_cookie_is_bound_to_both_addresses_and_to_the_key() -> None:
    # RFC 7413 §4.1.2, properties 1, 2 and 5.
    cookies = FastOpenCookies(random.Random(1).randbytes)
    a, b, us = b"\x0a\0\0\1", b"\x0a\0\0\2", b"\x0a\0\0\3"
    cookie = cookies.make(a, us, 0.0)
    assert cookies.check(cookie, a, us, 1.0) is Found.CURRENT
    assert cookies.check(cookie, b, us, 1.0) is Found.UNKNOWN
    assert cookies.check(cookie, a, b, 1.0) is Found.UNKNOWN
    assert cookies.check(cookies.make(bytes(16), bytes(16), 1.0), bytes(16), bytes(16), 1.0) is Found.CURRENT
    # A key serves six hours, and is accepted six more.
    assert cookies.check(cookie, a, us, 6 * 3600.0 + 1) is Found.PREVIOUS
    assert cookies.make(a, us, 6 * 3600.0 + 1) != cookie
    assert cookies.check(cookie, a, us, 12 * 3600.0 + 2) is Found.UNKNOWN
    assert cookies.check(cookie, a, us, 99 * 3600.0) is Found.UNKNOWN


def test_keys_that_are_given_do_not_change_and_do_not_show() -> None:
    cookies = FastOpenCookies(random.Random(1).randbytes)
    cookies.set_keys(b"k" * 16)
    cookie = cookies.make(bytes(4), bytes(4), 0.0)
    assert cookies.check(cookie, bytes(4), bytes(4), 1e9) is Found.CURRENT
    cookies.set_keys(b"n" * 16, b"k" * 16)
    assert cookies.check(cookie, bytes(4), bytes(4), 1e9) is Found.PREVIOUS
    assert "n" * 16 not in repr(cookies)
    with pytest.raises(ValueError, match="16 octets"):
        cookies.set_keys(b"short")


def test_a_cookie_of_the_key_before_opens_and_is_replaced() -> None:
    wire, listener = warm()
    old = wire.server.fast_open_cookies.keys[0]
    wire.server.fast_open_cookies.set_keys(b"n" * 16, old)
    client, server = opened(wire, listener)
    settled(wire, client, server)
    assert client.flow.connection.fast_opened
    assert options_of(syns(wire, client=False)[0]).fast_open not in (None, b"")
    wire.server.fast_open_cookies.set_keys(b"n" * 16)
    client, server = opened(wire, listener)
    settled(wire, client, server)
    assert client.flow.connection.fast_opened


def test_a_cookie_that_is_not_ours_gets_a_new_one_and_its_text_is_not_taken() -> None:
    # RFC 7413 §4.2.2 step 5; the client sends the text again with its first ACK.
    wire, listener = warm()
    wire.server.fast_open_cookies.set_keys(b"n" * 16)
    client, server = opened(wire, listener)
    settled(wire, client, server)
    wire.run(1.0)
    (syn,), (answer,) = syns(wire, client=True), syns(wire, client=False)
    assert text_of(syn) == GET
    assert IP(answer)[TCP].ack == IP(syn)[TCP].seq + 1
    assert server.read() == GET
    assert not client.flow.connection.fast_opened
    assert client.flow.connection.octets_out == len(GET)
    client, server = opened(wire, listener)
    settled(wire, client, server)
    assert client.flow.connection.fast_opened


def test_a_listener_that_did_not_ask_ignores_the_option() -> None:
    # RFC 7413 §4.2, FastOpenEnabled: the default is off.
    wire = Wire()
    listener = wire.server.listen(80)
    client, server = opened(wire, listener)
    settled(wire, client, server)
    assert options_of(syns(wire, client=False)[0]).fast_open is None
    # §4.2.1: another request only after a while.
    client, server = opened(wire, listener)
    assert options_of(syns(wire, client=True)[0]).fast_open is None
    settled(wire, client, server)
    wire.run(1.0)
    assert server.read() == GET
    wire.run(wire.client.config.fast_open.pause)
    opened(wire, listener)
    assert options_of(syns(wire, client=True)[0]).fast_open == b""


def test_connections_with_protection_do_not_open_fast() -> None:
    wire = Wire(config=ON)
    listener = wire.server.listen(80, security=Security("ao-enc-dh"))
    client = wire.client.connect((SERVER[0], 80), now=wire.now, security=Security("ao-enc-dh"), fast_open=GET)
    server = accepted(wire, listener)
    wire.run(1.0)
    assert server.read() == GET
    assert client.security()["mode"] == "ao-enc-dh"
    assert all(options_of(packet).fast_open is None for packet in syns(wire, client=True))
    assert all(not text_of(packet) for packet in syns(wire, client=True))


def lossy(times: int) -> tuple[Wire, Listener]:
    """As ``warm``; of the SYNs with Fast Open's option that follow, ``times`` are lost."""
    left = [0]

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if left[0] and from_client and packet[33] & SYN and options_of(packet).fast_open is not None:
            left[0] -= 1
            return []
        return [(0.0, packet)]

    wire, listener = warm(tap=tap)
    left[0] = times
    return wire, listener


def test_a_syn_that_is_not_answered_goes_again_plain_and_the_path_is_left_alone() -> None:
    # RFC 7413 §4.2.2 "when the SYN timer fires", §4.1.3.1.
    wire, listener = lossy(1)
    client, server = opened(wire, listener)
    settled(wire, client, server)
    first, second = syns(wire, client=True)
    assert text_of(first) == GET
    assert text_of(second) == b""
    assert options_of(second).fast_open is None
    assert IP(second)[TCP].seq == IP(first)[TCP].seq
    wire.run(1.0)
    assert server.read() == GET
    client, server = opened(wire, listener)
    (syn,) = syns(wire, client=True)
    assert options_of(syn).fast_open is None
    wire.run(wire.client.config.fast_open.pause)
    client, server = opened(wire, listener)
    assert text_of(syns(wire, client=True)[0]) == GET


def test_a_late_answer_to_the_first_syn_counts() -> None:
    """The SYN-ACK comes after the SYN went again plain: its text was taken all the same."""
    wire, listener = warm()
    wire.latency = 0.7
    client, server = opened(wire, listener)
    settled(wire, client, server)
    assert client.flow.connection.fast_opened
    assert server.read() == GET
    # It got through: no reason for doubt.
    assert not wire.client.peers.fast_open_in_doubt(*_path(client), now=wire.now)


def _path(attempt: Attempt) -> tuple[bytes, bytes, int]:
    local, _, remote, port = attempt.flow.key
    return local, remote, port


def test_a_lost_syn_ack_is_repeated_without_the_option_and_text_is_delivered_once() -> None:
    # RFC 7413 §4.2.2 "If the SYN-ACK timer fires": neither data nor Fast Open options.
    lost = [0]

    def tap(packet: bytes, from_client: bool, _now: float) -> list[tuple[float, bytes]]:
        if lost[0] and not from_client:
            lost[0] -= 1
            return []
        return [(0.0, packet)]

    wire, listener = warm(tap=tap)
    wire.server.fast_open_cookies.set_keys(b"n" * 16, wire.server.fast_open_cookies.keys[0])
    lost[0] = 3
    client, server = opened(wire, listener)
    server.write(b"answer")
    assert server.read() == GET
    settled(wire, client, server)
    wire.run(5.0)
    assert client.read() == b"answer"
    assert server.read() == b""
    first, *more = syns(wire, client=False)
    assert options_of(first).fast_open is not None
    assert more
    assert all(options_of(packet).fast_open is None and not text_of(packet) for packet in more)


def test_the_fin_may_go_before_the_handshake_ends() -> None:
    # RFC 9293 §3.10.4, SYN-RECEIVED; RFC 7413 §4.2.2.
    wire, listener = warm()
    client, server = opened(wire, listener)
    assert server.read() == GET
    server.write(b"bye")
    server.close()
    client.write_eof()
    assert wire.run(20.0, lambda: client.read() == b"bye")
    wire.run(200.0)
    assert client.eof
    assert not wire.server.flows


def test_what_was_read_stays_and_the_reset_is_told() -> None:
    """A reset in SYN-RECEIVED, before and after the application accepted (RFC 9293 §3.10.7.4)."""
    wire, listener = warm()
    client, server = opened(wire, listener)
    client.abort()
    events = []
    wire.run(1.0)
    while (event := server.next_event()) is not None:
        events.append(event)
    (closed,) = [event for event in events if isinstance(event, Closed)]
    assert closed.error is not None
    assert closed.error.errno == errno.ECONNRESET
    assert server.read() == GET


# --- a server whose peer is played by hand ---------------------------------------------------------------


def served(config: TcpConfig = ON) -> tuple[Peer, Listener, bytes]:
    """A listener and the cookie of the peer's address."""
    peer = Peer(config)
    listener = peer.stack.listen(80)
    cookie = peer.stack.fast_open_cookies.make(bytes((10, 0, 0, 9)), bytes((10, 0, 0, 2)), peer.now)
    return peer, listener, cookie


def syn(peer: Peer, cookie: bytes, port: int, text: bytes = GET) -> list[Packet]:
    peer.theirs = port
    peer.seq, peer.ack = ISN, 0
    octets = bytes((34, 2 + len(cookie))) + cookie
    return peer.send(peer.segment("S", text, options=octets + b"\x01" * (-len(octets) % 4)))


def test_pending_requests_are_limited_and_the_limit_frees_itself() -> None:
    # RFC 7413 §5.1.
    peer, listener, cookie = served()
    for port in range(1000, 1004):
        (answer,) = syn(peer, cookie, port)
        assert answer[TCP].ack == ISN + 1 + len(GET)
    assert listener.fast_opens_pending(peer.now) == 4
    (answer,) = syn(peer, cookie, 1004)
    assert answer[TCP].ack == ISN + 1
    assert peer.stack.counters["fast_open_overflow"] == 1
    # One of them completes its handshake.
    peer.theirs, peer.seq, peer.ack = 1000, ISN + 1 + len(GET), _iss(peer, 1000) + 1
    peer.send(peer.segment())
    assert listener.fast_opens_pending(peer.now) == 3
    (answer,) = syn(peer, cookie, 1005)
    assert answer[TCP].ack == ISN + 1 + len(GET)


def _iss(peer: Peer, port: int) -> int:
    return next(flow.connection.iss for key, flow in peer.stack.flows.items() if key[3] == port)


def test_a_reset_frees_its_place_only_after_a_minute() -> None:
    # RFC 7413 §5.1: spoofed addresses answer by resets, which would make room for the next SYN.
    peer, _, cookie = served()
    for port in range(1000, 1004):
        syn(peer, cookie, port)
        peer.seq += 1 + len(GET)
        peer.send(peer.segment("R"))
    assert not peer.stack.flows
    (answer,) = syn(peer, cookie, 1004)
    assert answer[TCP].ack == ISN + 1
    peer.wait(61.0)
    (answer,) = syn(peer, cookie, 1005)
    assert answer[TCP].ack == ISN + 1 + len(GET)


def test_the_syn_with_text_again_is_answered_and_read_once() -> None:
    peer, listener, cookie = served()
    (first,) = syn(peer, cookie, 1000)
    again = syn(peer, cookie, 1000)
    assert [packet[TCP].ack for packet in again] == [first[TCP].ack]
    assert again[0][TCP].seq == first[TCP].seq
    server = listener.accept()
    assert server is not None
    assert server.read() == GET
    assert listener.accept() is None


@pytest.mark.parametrize("cookie", [bytes(8), b"\1" * 4, b"\2" * 16])
def test_forged_cookies_are_worth_a_plain_handshake(cookie: bytes) -> None:
    peer, listener, good = served()
    (answer,) = syn(peer, cookie, 1000)
    assert answer[TCP].ack == ISN + 1
    assert options_of(bytes(answer)).fast_open == good
    assert listener.accept() is None


def test_an_answer_to_the_experimental_option_has_its_form() -> None:
    # RFC 7413 appendix A; RFC 6994.
    peer, _, cookie = served()
    octets = bytes.fromhex("fe04f989")
    (answer,) = peer.send(peer.segment("S", options=octets))
    options = options_of(bytes(answer))
    assert (options.fast_open, options.fast_open_experimental) == (cookie, True)


def test_options_of_a_wrong_length_or_without_syn_are_ignored() -> None:
    # RFC 7413 §4.1.1.
    peer, listener, cookie = served()
    (answer,) = peer.send(peer.segment("S", GET, options=bytes((34, 5, 1, 2, 3, 1, 1, 1))))
    assert options_of(bytes(answer)).fast_open is None
    peer.seq, peer.ack = answer[TCP].ack, answer[TCP].seq + 1
    peer.send(peer.segment("A", b"more", options=bytes((34, 10)) + cookie + b"\1\1"))
    accepted = listener.accept()
    assert accepted is not None
    assert not accepted.flow.connection.fast_opened


def test_without_cookies_any_text_is_taken() -> None:
    # RFC 7413 §7.3.
    peer, listener, _ = served(TcpConfig(fast_open=FastOpen(pending=4, server_cookies=False)))
    (answer,) = peer.send(peer.segment("S", GET))
    assert answer[TCP].ack == ISN + 1 + len(GET)
    accepted = listener.accept()
    assert accepted is not None
    assert accepted.read() == GET


def test_a_full_backlog_falls_back_to_syn_cookies() -> None:
    # RFC 7413 §5.1: regular defences serve what is downgraded (RFC 4987 §3.6).
    peer = Peer(ON)
    peer.stack.listen(80, backlog=1)
    cookie = peer.stack.fast_open_cookies.make(bytes((10, 0, 0, 9)), bytes((10, 0, 0, 2)), peer.now)
    peer.stack.listen(81)
    peer.theirs = 1
    peer.send(peer.segment("S"))
    (answer,) = syn(peer, cookie, 1000)
    assert answer[TCP].ack == ISN + 1
    assert peer.stack.counters["cookies_sent"] == 1


# --- a client whose peer is played by hand ---------------------------------------------------------------


def dialled(peer: Peer, text: bytes = GET, mss: int = 1460, cookie: bytes = b"abcd") -> tuple[Attempt, Packet]:
    """A connection that opens fast with a cookie that is known, and its SYN."""
    known = FastOpenCookie(cookie, mss)
    peer.stack.peers.fast_open_learned(bytes((10, 0, 0, 2)), bytes((10, 0, 0, 9)), 999, known, peer.now)
    return peer.dialled(fast_open=text)


def answer(peer: Peer, taken: int, options: bytes = b"") -> list[Packet]:
    """The peer's SYN-ACK, which acknowledges ``taken`` octets of text."""
    peer.seq = ISN
    peer.ack += taken
    sent = peer.send(peer.segment("SA", options=options))
    peer.seq += 1
    return sent


@pytest.mark.parametrize(("mss", "room"), [(1460, 1420), (9000, 1420), (940, 900), (0, 496), (30, 0)])
def test_the_mss_that_the_server_named_bounds_the_text(mss: int, room: int) -> None:
    # RFC 7413 §4.1.3: 536 where it named none; no more than what is usual.
    _, sent = dialled(Peer(), bytes(5000), mss)
    assert len(sent[TCP].payload) == room


def test_text_that_is_taken_in_part_goes_on_from_there() -> None:
    peer = Peer()
    attempt, _ = dialled(peer, bytes(range(100)))
    (rest,) = answer(peer, 40)
    assert rest[TCP].seq == peer.ack
    assert bytes(rest[TCP].payload) == bytes(range(40, 100))
    assert not attempt.flow.connection.fast_opened
    # Something was taken: no reason to leave the path alone.
    assert not peer.stack.peers.fast_open_in_doubt(*_path(attempt), now=peer.now)


def test_text_that_goes_again_counts_as_sent_again() -> None:
    peer = Peer()
    attempt, _ = dialled(peer, bytes(100))
    answer(peer, 40)
    assert attempt.flow.connection.retransmissions == 1
    assert attempt.flow.connection.scoreboard.records[0].resent


def test_what_is_taken_for_an_mss_that_is_not_known() -> None:
    assert text_room(0, 1500, 20) == 496
    assert text_room(0, 1500, 20, 1460) == 1420
    assert text_room(940, 1500, 20, 1460) == 900


def test_an_acknowledgment_beyond_the_text_is_refused() -> None:
    # RFC 9293 §3.10.7.3, first step.
    peer = Peer()
    attempt, _ = dialled(peer)
    (reset,) = answer(peer, len(GET) + 1)
    assert reset[TCP].flags == "R"
    assert attempt.flow.connection.state is State.SYN_SENT


def test_text_that_is_not_taken_and_no_cookie_make_the_path_doubtful() -> None:
    # RFC 7413 §4.1.3.1.
    peer = Peer()
    attempt, _ = dialled(peer)
    (again,) = answer(peer, 0)
    assert bytes(again[TCP].payload) == GET
    assert peer.stack.peers.fast_open_in_doubt(*_path(attempt), now=peer.now)
    assert not peer.stack.peers.fast_open_in_doubt(*_path(attempt)[:2], 998, now=peer.now)


def test_a_new_cookie_and_mss_replace_the_old() -> None:
    peer = Peer()
    attempt, _ = dialled(peer)
    answer(peer, len(GET), bytes.fromhex("02040400 2208 112233445566"))
    local, remote, _ = _path(attempt)
    assert peer.stack.peers.fast_open_cookie(local, remote, peer.now) == FastOpenCookie(
        bytes.fromhex("112233445566"), 1024
    )


def test_icmp_about_the_syn_makes_the_path_doubtful_and_a_size_has_it_sent_plain_at_once() -> None:
    # RFC 7413 §4.1.3.1.
    peer = Peer()
    attempt, sent = dialled(peer, bytes(1000))
    (plain,) = peer.send(icmp(3, 4, sent))
    assert plain[TCP].flags == "S"
    assert not bytes(plain[TCP].payload)
    assert options_of(bytes(plain)).fast_open is None
    assert peer.stack.peers.fast_open_in_doubt(*_path(attempt), now=peer.now)
    first, *_ = answer(peer, 0)
    # RFC 1191 §5: a router that names no size.
    assert len(first[TCP].payload) == 576 - 40


def test_no_room_for_the_option_is_no_fast_open() -> None:
    # RFC 7413 §4.2.2 1 a: 19 octets of the others, 4 of EDO's, 18 of the cookie.
    peer = Peer()
    known = FastOpenCookie(bytes(16), 1460)
    peer.stack.peers.fast_open_learned(bytes((10, 0, 0, 2)), bytes((10, 0, 0, 9)), 999, known, peer.now)
    _, sent = peer.dialled(fast_open=GET, security=Security(edo="strict"))
    assert not bytes(sent[TCP].payload)
    options = options_of(bytes(sent))
    assert options.fast_open is None
    assert options.ts_val is not None
    assert options.edo_supported


def test_crossed_syns_with_text() -> None:
    # RFC 7413 §4.2.2 "A special case is simultaneous open".
    peer = Peer()
    attempt, _ = dialled(peer)
    peer.seq = ISN
    (crossed,) = peer.send(peer.segment("S", b"theirs"))
    assert crossed[TCP].flags == "SA"
    assert not bytes(crossed[TCP].payload)
    peer.seq, peer.ack = ISN, peer.ack + len(GET)
    peer.send(peer.segment("SA"))
    assert attempt.flow.connection.state is State.ESTABLISHED
    assert attempt.read() == b"theirs"
    assert attempt.unsent == 0


def test_closing_before_the_answer_still_delivers_the_text() -> None:
    peer = Peer()
    attempt, _ = dialled(peer)
    attempt.close()
    (fin,) = answer(peer, len(GET))
    assert fin[TCP].flags == "FA"
    assert attempt.flow.connection.state is State.FIN_WAIT_1


def test_a_client_whose_settings_forbid_it_sends_a_plain_syn() -> None:
    peer = Peer(TcpConfig(fast_open=FastOpen(client=False)))
    _, sent = dialled(peer)
    assert options_of(bytes(sent)).fast_open is None
    assert not bytes(sent[TCP].payload)


def test_without_cookies_a_client_sends_text_and_no_option() -> None:
    peer = Peer(replace(ON, fast_open=FastOpen(client_cookies=False)))
    attempt, sent = peer.dialled(fast_open=GET)
    assert options_of(bytes(sent)).fast_open is None
    assert bytes(sent[TCP].payload) == GET
    answer(peer, len(GET), bytes.fromhex("02040400 2206 11223344 0101"))
    known = peer.stack.peers.fast_open_cookie(*_path(attempt)[:2], peer.now)
    # A cookie that nobody asked for is not kept, the MSS is.
    assert known == FastOpenCookie(b"", 1024)


def test_what_is_remembered_is_bounded_expires_and_can_be_erased() -> None:
    peers = Peers()
    for n in range(3000):
        address = n.to_bytes(4)
        peers.fast_open_learned(b"us", address, 80, FastOpenCookie(b"abcd", 1460), 0.0)
        peers.fast_open_failed(b"us", address, 80, 0.0, 10.0)
    assert len(peers) == 2048
    last = (2999).to_bytes(4)
    assert peers.fast_open_cookie(b"us", (0).to_bytes(4), 1.0) is None
    assert peers.fast_open_cookie(b"us", last, 1.0) is not None
    assert peers.fast_open_cookie(b"them", last, 1.0) is None
    assert peers.fast_open_in_doubt(b"us", last, 80, 9.0)
    assert not peers.fast_open_in_doubt(b"us", last, 80, 10.0)
    assert peers.fast_open_cookie(b"us", last, 86401.0) is None
    assert peers.forget() == 2046
    assert not len(peers)
