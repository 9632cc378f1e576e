"""Operations that must have the same results on the kernel's sockets and on ours: a name, then what is done.

In them stand ``socket``, ``server``, ``pair``, ``nobody`` (see ``Twin``) and the names of the ``socket`` module.
Not here is what differs on purpose: docs/guides/python.md lists that.
"""

from __future__ import annotations

from typing import Final

CASES: Final = {
    # --- opening -----------------------------------------------------------------------------------------
    "a fresh socket has no peer": """
        s = socket("s"); s.send(b"x"); s.send(b""); s.recv(1); s.recv(0); s.recv(1, MSG_PEEK); s.accept()
        s.getpeername(); s.getsockname(); s.shutdown(SHUT_RDWR); s.shutdown(7); s.sendto(b"x", nobody())
        s.getsockopt(SOL_SOCKET, SO_ERROR)
    """,
    "a closed socket is no descriptor": """
        s = socket("s"); s.close(); s.close(); s.fileno(); s.send(b"x"); s.sendall(b"x"); s.recv(1); s.accept()
        s.getpeername(); s.getsockname(); s.listen(); s.bind((host, 0)); s.connect((host, 1))
        s.connect_ex((host, 1)); s.shutdown(SHUT_RDWR); s.getsockopt(SOL_SOCKET, SO_ERROR)
        s.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1); s.settimeout(1.0); s.setblocking(True)
    """,
    "a refused connection tells it once": """
        s = socket("s"); to = nobody(); s.connect(to); s.can(); s.connect(to); s.connect(to); s.can()
        s.getsockopt(SOL_SOCKET, SO_ERROR); s.getsockopt(SOL_SOCKET, SO_ERROR)
    """,
    "a refused connection is told by SO_ERROR": """
        s = socket("s"); to = nobody(); s.connect_ex(to); s.getsockopt(SOL_SOCKET, SO_ERROR)
        s.getsockopt(SOL_SOCKET, SO_ERROR); s.connect_ex(to)
    """,
    "a refused connection is told by send": """
        s = socket("s"); s.connect_ex(nobody()); s.send(b"x"); s.send(b"x"); s.recv(1); s.getpeername()
        s.getsockname()
    """,
    "a refused connection is told by recv": """
        s = socket("s"); s.connect_ex(nobody()); s.recv(1); s.recv(1); s.send(b"x"); s.shutdown(SHUT_WR)
    """,
    "a refused connection raises where connect waits": """
        s = socket("s", None); s.connect(nobody()); t = socket("t", BOUND); t.connect(nobody())
        u = socket("u", BOUND); u.connect_ex(nobody())
    """,
    "after a refusal another may be tried": """
        s = socket("s", None); s.connect(nobody()); to = server(); s.connect(address(to)); s.send(b"x")
        to.accept()[0].recv(1)
    """,
    "a refused connection cannot be shut down": """
        s = socket("s"); s.connect_ex(nobody()); s.shutdown(SHUT_RDWR); s.can(); s.getsockopt(SOL_SOCKET, SO_ERROR)
    """,
    "connect without waiting": """
        s = server(); c = socket("c"); c.connect(address(s)); c.ready(); s.ready(); c.connect_ex(address(s))
        c.connect_ex(address(s)); c.connect(address(s)); c.getpeername(); c.getsockname()
    """,
    "accept gives what waits, in order, and the peer's name": """
        s = server(); c = socket("c", None); d = socket("d", None); c.connect(address(s)); d.connect(address(s))
        c.getsockname(); d.getsockname(); k, _ = s.accept(); s.ready(); l, _ = s.accept(); s.ready(); s.accept()
        k.getpeername(); l.getpeername(); k.getsockname(); k.gettimeout(); k.getsockopt(SOL_SOCKET, SO_ACCEPTCONN)
        k.send(b"hi"); c.recv(9); d.settimeout(0)
        d.recv(9)
    """,
    "a listener neither sends nor receives nor connects": """
        s = server(); s.ready(); s.accept(); s.send(b"x"); s.recv(1); s.connect((host, 9)); s.connect_ex((host, 9))
        s.getpeername(); s.getsockname(); s.bind((host, 0)); s.listen(3); s.listen(0); s.listen(-1)
        s.getsockopt(SOL_SOCKET, SO_ACCEPTCONN); s.shutdown(SHUT_WR); s.ready()
    """,
    "a listener that is shut down takes nobody": """
        s = server(); to = address(s); s.shutdown(SHUT_RD); s.accept(); s.getsockopt(SOL_SOCKET, SO_ACCEPTCONN)
        c = socket("c"); c.connect_ex(to); c.getsockopt(SOL_SOCKET, SO_ERROR); s.listen(1)
    """,
    "a connection that ended before accept is accepted": """
        s = server(); c = socket("c", None); c.connect(address(s)); c.send(b"hello"); c.close(); s.ready()
        k, _ = s.accept(); k.ready(); k.recv(9); k.recv(9)
    """,
    "a connection that was reset before accept is accepted": """
        s = server(); c = socket("c", None); c.connect(address(s)); c.send(b"hello"); c.reset(); s.ready()
        k, _ = s.accept(); k.ready(); k.getpeername(); k.recv(9); k.recv(9); k.recv(9)
    """,
    "a listener that closes resets who was not accepted": """
        s = server(); c = socket("c", None); c.connect(address(s)); s.close(); c.ready(); c.recv(1); c.recv(1)
    """,
    "the backlog bounds who is connected": """
        s = server(backlog=1); a, b, c = socket("a"), socket("b"), socket("c")
        a.connect(address(s)); b.connect(address(s)); c.connect(address(s)); a.ready(); b.ready(); c.ready()
        s.accept(); s.accept()
    """,
    "an accepted socket inherits options": """
        s = server(); s.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1); s.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        s.setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 3)); s.setsockopt(IPPROTO_TCP, TCP_KEEPIDLE, 77)
        s.setsockopt(IPPROTO_TCP, TCP_USER_TIMEOUT, 5000); s.setsockopt(SOL_SOCKET, SO_RCVLOWAT, 5)
        c = socket("c", None); c.connect(address(s)); k, _ = s.accept(); k.getsockopt(SOL_SOCKET, SO_KEEPALIVE)
        k.getsockopt(IPPROTO_TCP, TCP_NODELAY); k.getsockopt(IPPROTO_TCP, TCP_KEEPIDLE)
        k.getsockopt(IPPROTO_TCP, TCP_USER_TIMEOUT); k.getsockopt(SOL_SOCKET, SO_RCVLOWAT)
        k.getsockopt(SOL_SOCKET, SO_LINGER, 8)
    """,
    "a socket connects to itself": """
        a = socket("a", None); a.bind((host, 0)); port(a); a.connect(address(a)); a.getpeername(); a.send(b"me")
        a.recv(9); a.ready()
    """,
    # --- addresses ---------------------------------------------------------------------------------------
    "a port is taken once": """
        a, b = socket("a"), socket("b"); a.bind((host, 0)); port(a); a.bind((host, 0)); a.getsockname()
        b.bind(address(a)); a.listen(); b.bind(address(a)); a.bind((host, 0)); to = address(a); a.close()
        b.bind(to)
    """,
    "a port is shared by those who all ask for it, but not with a listener": """
        a, b, c = socket("a"), socket("b"), socket("c"); a.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        b.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1); c.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1); a.bind((host, 0))
        port(a); b.bind(address(a)); b.listen(); a.listen(); c.bind(address(a)); b.close(); a.listen()
        c.bind(address(a))
    """,
    "every address overlaps with one": """
        a, b = socket("a"), socket("b"); a.bind((host, 0)); port(a); b.bind(("", address(a)[1])); b.listen()
        c, d = socket("c"), socket("d"); c.bind(("", 0)); port(c); d.bind((host, address(c)[1]))
    """,
    "a server is started again while its connections live on": """
        s = socket("s"); s.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1); s.bind((host, 0)); port(s); s.listen()
        to = address(s); c = socket("c", None); c.connect(to); k, _ = s.accept(); s.close()
        t = socket("t"); t.bind(to); u = socket("u"); u.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1); u.bind(to)
        u.listen(); d = socket("d", None); d.connect(to); u.accept(); c.send(b"old"); k.recv(9)
    """,
    "a server is started again after connections that it has closed": """
        s = socket("s"); s.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1); s.bind((host, 0)); port(s); s.listen()
        to = address(s); c = socket("c", None); c.connect(to); k, _ = s.accept(); k.close(); c.recv(1); c.close()
        s.close(); t = socket("t"); t.bind(to); u = socket("u"); u.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        u.bind(to); u.listen()
    """,
    "a bound socket connects from its port": """
        s = server(); c = socket("c", None); c.bind((host, 0)); port(c); c.connect(address(s)); c.getsockname()
        k, _ = s.accept(); k.getpeername()
    """,
    "an address must be one of the host": """
        a = socket("a"); a.bind((elsewhere, 0)); a.bind((other_family, 0)); a.bind(("", 0))
    """,
    "an address must be an address": """
        a = socket("a"); a.bind((host, 70000)); a.bind((host, -1)); a.bind("x"); a.bind((host,))
        a.bind((host, "x"))
        a.bind((5, 5)); a.bind([host, 0]); a.bind((host, 0, 0, 0, 0)); a.connect((host, 70000)); a.connect("x")
        a.connect_ex(None); a.connect((other_family, 5)); a.connect_ex((other_family, 5)); a.connect((many, 5))
    """,
    # --- octets ------------------------------------------------------------------------------------------
    "octets go across": """
        a, b = pair(); a.ready(); b.ready(); a.recv(1); a.recv(0); a.send(b"hello"); b.ready(); b.recv(3, MSG_PEEK)
        b.recv(3); b.ready(); b.recv(9); b.ready(); b.recv(9); a.send(b""); a.getpeername(); b.getpeername()
        a.getsockname(); a.connect(address(b)); a.listen(); a.accept(); a.bind((host, 0)); a.recv(1, MSG_DONTWAIT)
    """,
    "the many calls that receive": """
        a, b = pair(); b.send(b"abc"); a.recv_into(bytearray(5)); b.send(b"abc"); a.recvfrom(9); b.send(b"abcdef")
        a.recvmsg(4); a.recvmsg_into([bytearray(1), bytearray(5)]); b.send(b"abc"); a.recv_into(bytearray(5), 2)
        a.recvfrom_into(bytearray(3)); a.recvfrom_into(bytearray(3))
    """,
    "the many calls that send": """
        a, b = pair(); a.sendmsg([b"a", b"bc"]); a.sendto(b"x", address(b)); a.sendto(b"y", 0, address(b))
        a.sendall(b"z"); a.sendall(b""); a.send(memoryview(bytearray(b"ab"))); b.recv(9)
    """,
    "arguments that are none": """
        a, b = pair(); a.send("x"); a.send(5); a.sendall("x"); a.recv(-1); a.recv("x"); a.recv_into(bytearray(5), 6)
        a.recv_into(bytearray(5), -1); a.recv_into(b"12345"); a.sendto(b"x"); a.sendto(b"x", "y"); a.settimeout(-1)
        a.settimeout("x"); a.shutdown(5); a.shutdown("x"); a.listen(); a.getsockopt(1)
        a.getsockopt(SOL_SOCKET, SO_ERROR, 2000); a.getsockopt(SOL_SOCKET, SO_ERROR, -1)
        a.send(memoryview(b"abcdef")[::2]); a.recv_into(memoryview(bytearray(6))[::2])
    """,
    "timeouts": """
        a, b = pair(); a.setblocking(True); a.gettimeout(); a.getblocking(); a.settimeout(0); a.getblocking()
        a.settimeout(0.01); a.gettimeout(); a.getblocking(); a.recv(1); s = server(); s.settimeout(0.01); s.accept()
    """,
    "MSG_WAITALL waits for the end": """
        a, b = pair(); b.settimeout(None); a.send(b"abc"); b.recv(3, MSG_WAITALL); a.send(b"12345")
        a.shutdown(SHUT_WR); b.recv(9, MSG_WAITALL); b.recv(9, MSG_WAITALL)
    """,
    "MSG_WAITALL keeps what came before a reset": """
        a, b = pair(); b.settimeout(None); a.send(b"abc"); a.reset(); b.recv(9, MSG_WAITALL); b.recv(9, MSG_WAITALL)
        b.recv(9)
    """,
    "MSG_WAITALL takes what is there where nothing waits": """
        a, b = pair(); a.send(b"abc"); b.recv(9, MSG_WAITALL); b.recv(9, MSG_WAITALL)
    """,
    "SO_RCVLOWAT holds readiness back": """
        a, b = pair(); b.setsockopt(SOL_SOCKET, SO_RCVLOWAT, 5); a.send(b"123"); b.ready(); b.recv(1, MSG_PEEK)
        a.send(b"456"); b.ready(); b.recv(9); a.send(b"1"); a.shutdown(SHUT_WR); b.ready()
    """,
    "MSG_MORE and TCP_CORK hold back": """
        a, b = pair(); a.send(b"abc", MSG_MORE); b.ready(); a.send(b"def"); b.recv(9)
        a.setsockopt(IPPROTO_TCP, TCP_CORK, 1); a.send(b"x"); b.ready(); a.setsockopt(IPPROTO_TCP, TCP_CORK, 0)
        b.recv(9); a.send(b"abc", MSG_MORE); a.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1); b.recv(9)
    """,
    "a read stops before urgent data": """
        a, b = pair(); b.setsockopt(SOL_SOCKET, SO_OOBINLINE, 1); a.send(b"abc", MSG_OOB); b.ready()
        b.recv(1, MSG_OOB); b.recv(9); b.recv(9); b.recv(9)
    """,
    "a full send buffer is not writable": """
        a, b = pair(); a.small(); b.small(); a.fill(); a.can(); b.ready(); a.send(b"x"); a.drained_by(b); a.ready()
        b.ready(); a.send(b"x"); b.recv(9)
    """,
    # --- ends --------------------------------------------------------------------------------------------
    "half-close": """
        a, b = pair(); a.send(b"hello"); a.shutdown(SHUT_WR); a.ready(); b.ready(); a.send(b"x")
        a.shutdown(SHUT_WR)
        b.recv(9); b.ready(); b.recv(9); b.recv(9); b.send(b"back"); a.ready(); a.recv(9); a.recv(9); b.close()
        a.ready(); a.recv(9); a.recv(9); a.getpeername(); a.send(b"x"); a.shutdown(SHUT_WR); a.shutdown(SHUT_RD)
        a.getsockopt(SOL_SOCKET, SO_ERROR)
    """,
    "both sides shut down": """
        a, b = pair(); a.shutdown(SHUT_WR); b.shutdown(SHUT_WR); a.ready(); b.ready(); a.recv(1); b.recv(1)
        a.send(b"x"); b.send(b"x"); a.getpeername(); b.getpeername(); a.shutdown(SHUT_RDWR); b.shutdown(SHUT_RDWR)
        a.getsockopt(SOL_SOCKET, SO_ERROR); b.connect_ex(address(a))
    """,
    "reading is shut down": """
        a, b = pair(); a.shutdown(SHUT_RD); a.ready(); a.recv(1); b.send(b"hello"); a.ready(); a.recv(3); a.recv(9)
        a.recv(9); b.send(b"more"); a.recv(9); a.shutdown(SHUT_RD); a.send(b"out"); b.recv(9)
    """,
    "what comes after both sides were shut down is reset": """
        a, b = pair(); a.shutdown(SHUT_RDWR); a.ready(); a.recv(1); a.send(b"x"); b.ready(); b.recv(1); b.send(b"x")
        b.ready(); b.send(b"x"); b.getsockopt(SOL_SOCKET, SO_ERROR); a.ready(); a.recv(9); a.getpeername()
    """,
    "the peer has closed": """
        a, b = pair(); b.close(); a.ready(); a.recv(1); a.send(b"x"); a.ready(); a.recv(1); a.send(b"x")
        a.send(b"x"); a.recv(1); a.getpeername(); a.ready()
    """,
    "the peer has closed, told by SO_ERROR": """
        a, b = pair(); b.close(); a.send(b"x"); a.getsockopt(SOL_SOCKET, SO_ERROR); a.send(b"x"); a.recv(1)
    """,
    "a reset is told by recv": """
        a, b = pair(); b.reset(); a.ready(); a.recv(1); a.recv(1); a.ready(); a.send(b"x"); a.send(b"x")
        a.getpeername(); a.getsockopt(SOL_SOCKET, SO_ERROR); a.shutdown(SHUT_WR)
    """,
    "a reset is told by send": """
        a, b = pair(); b.reset(); a.send(b"x"); a.send(b"x"); a.recv(1); a.recv(1)
    """,
    "a reset is told by SO_ERROR": """
        a, b = pair(); b.reset(); a.getsockopt(SOL_SOCKET, SO_ERROR); a.getsockopt(SOL_SOCKET, SO_ERROR); a.recv(1)
        a.send(b"x"); a.ready()
    """,
    "octets that came before a reset are read": """
        a, b = pair(); b.send(b"hello"); b.reset(); a.ready(); a.recv(3); a.recv(9); a.recv(9); a.recv(9)
    """,
    "closing with octets unread resets": """
        a, b = pair(); a.send(b"hello"); b.close(); a.ready(); a.recv(1); a.recv(1); a.send(b"x")
        c, d = pair(); d.send(b"data"); c.send(b"hello"); d.close(); c.ready(); c.recv(9); c.recv(1); c.send(b"x")
    """,
    "SO_LINGER waits for the peer": """
        a, b = pair(); a.setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 5)); a.send(b"x"); a.close(); b.recv(9)
        b.recv(9)
    """,
    "sending to who has closed both directions": """
        a, b = pair(); a.close(); b.ready(); b.recv(1); b.send(b"x"); b.ready(); b.getsockopt(SOL_SOCKET, SO_ERROR)
        b.send(b"y"); b.recv(1)
    """,
    # --- options -----------------------------------------------------------------------------------------
    "options of a fresh socket": """
        s = socket("s"); s.getsockopt(SOL_SOCKET, SO_TYPE); s.getsockopt(SOL_SOCKET, SO_KEEPALIVE)
        s.getsockopt(SOL_SOCKET, SO_REUSEADDR); s.getsockopt(SOL_SOCKET, SO_ACCEPTCONN)
        s.getsockopt(SOL_SOCKET, SO_PROTOCOL); s.getsockopt(SOL_SOCKET, SO_DOMAIN)
        s.getsockopt(SOL_SOCKET, SO_RCVLOWAT); s.getsockopt(SOL_SOCKET, SO_SNDLOWAT)
        s.getsockopt(SOL_SOCKET, SO_LINGER); s.getsockopt(SOL_SOCKET, SO_LINGER, 8)
        s.getsockopt(SOL_SOCKET, SO_LINGER, 4); s.getsockopt(SOL_SOCKET, SO_ERROR, 2)
        s.getsockopt(IPPROTO_TCP, TCP_NODELAY); s.getsockopt(IPPROTO_TCP, TCP_CORK)
        s.getsockopt(IPPROTO_TCP, TCP_KEEPIDLE); s.getsockopt(IPPROTO_TCP, TCP_KEEPINTVL)
        s.getsockopt(IPPROTO_TCP, TCP_KEEPCNT); s.getsockopt(IPPROTO_TCP, TCP_LINGER2)
        s.getsockopt(IPPROTO_TCP, TCP_DEFER_ACCEPT); s.getsockopt(IPPROTO_TCP, TCP_USER_TIMEOUT)
        s.getsockopt(IPPROTO_TCP, TCP_MAXSEG); s.getsockopt(IPPROTO_TCP, TCP_WINDOW_CLAMP)
        s.getsockopt(IPPROTO_TCP, 99)
    """,
    "switches": """
        s = socket("s"); twice(s, SOL_SOCKET, SO_KEEPALIVE, 1, 0, 5); twice(s, SOL_SOCKET, SO_REUSEADDR, 7, 0)
        twice(s, IPPROTO_TCP, TCP_NODELAY, 1, -1, 0); twice(s, IPPROTO_TCP, TCP_CORK, 1, 0)
        twice(s, SOL_SOCKET, SO_OOBINLINE, 1); twice(s, IPPROTO_TCP, TCP_QUICKACK, 0, 1)
    """,
    "numbers and their bounds": """
        s = socket("s"); twice(s, IPPROTO_TCP, TCP_KEEPIDLE, 0, 32768, 100)
        twice(s, IPPROTO_TCP, TCP_KEEPINTVL, 0, 32768, 10); twice(s, IPPROTO_TCP, TCP_KEEPCNT, 0, 128, 5)
        twice(s, IPPROTO_TCP, TCP_USER_TIMEOUT, -1, 1000); twice(s, IPPROTO_TCP, TCP_MAXSEG, 1, 40000, 500)
        twice(s, IPPROTO_TCP, TCP_LINGER2, 10, -1, 1000); twice(s, IPPROTO_TCP, TCP_SYNCNT, 3, 0, 128)
        twice(s, IPPROTO_TCP, TCP_DEFER_ACCEPT, 3, 1, 0, -1); twice(s, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 1000)
        twice(s, SOL_SOCKET, SO_RCVLOWAT, 0, 7); twice(s, IPPROTO_TCP, TCP_WINDOW_CLAMP, 1000, 5000)
    """,
    "what cannot be set": """
        s = socket("s"); s.setsockopt(SOL_SOCKET, SO_ERROR, 1); s.setsockopt(SOL_SOCKET, SO_TYPE, 1)
        s.setsockopt(SOL_SOCKET, SO_ACCEPTCONN, 1); s.setsockopt(SOL_SOCKET, SO_SNDLOWAT, 7)
        s.setsockopt(IPPROTO_TCP, 99, 1); s.setsockopt(99, 1, 1); s.setsockopt(SOL_SOCKET, SO_KEEPALIVE, None)
        s.setsockopt(SOL_SOCKET, SO_KEEPALIVE, "x"); s.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1 << 40)
        s.setsockopt(SOL_SOCKET, SO_KEEPALIVE, b"1"); s.setsockopt(SOL_SOCKET, SO_LINGER, b"1234")
        s.setsockopt(SOL_SOCKET, SO_LINGER, 5); s.setsockopt(SOL_SOCKET, SO_KEEPALIVE, None, 4)
    """,
    "names of controllers": """
        s = socket("s"); s.setsockopt(IPPROTO_TCP, TCP_CONGESTION, b"reno")
        s.getsockopt(IPPROTO_TCP, TCP_CONGESTION, 16)
        s.getsockopt(IPPROTO_TCP, TCP_CONGESTION, 3); s.setsockopt(IPPROTO_TCP, TCP_CONGESTION, b"nope")
        s.setsockopt(IPPROTO_TCP, TCP_CONGESTION, b"cubic\\0"); s.getsockopt(IPPROTO_TCP, TCP_CONGESTION, 16)
    """,
    "SO_LINGER is a structure": """
        s = socket("s"); s.setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 5))
        s.getsockopt(SOL_SOCKET, SO_LINGER, 8)
        s.setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0)); s.getsockopt(SOL_SOCKET, SO_LINGER, 8)
        s.setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 0, 0)); s.getsockopt(SOL_SOCKET, SO_LINGER, 8)
    """,
    "buffers read as twice what was asked for": """
        s = socket("s"); twice(s, SOL_SOCKET, SO_RCVBUF, 100000, 1); twice(s, SOL_SOCKET, SO_SNDBUF, 100000)
    """,
}

# Options of IPv4's and IPv6's headers: each belongs to one family.
CASES_V4: Final = {
    "options of the IPv4 header": """
        s = socket("s"); twice(s, IPPROTO_IP, IP_TTL, 77, 0, 256, -1); twice(s, IPPROTO_IP, IP_TOS, 0x10, 3)
        s.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 1)
    """,
}
CASES_V6: Final = {
    "options of the IPv6 header": """
        s = socket("s"); twice(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 33, 256, -1)
        twice(s, IPPROTO_IPV6, IPV6_TCLASS, 0x20)
        twice(s, IPPROTO_IPV6, IPV6_V6ONLY, 1, 0)
    """,
    "IPv4 comes in by IPv6's sockets": """
        s = socket("s"); s.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 0); s.bind(("::", 0)); port(s); s.listen()
        c = socket_v4("c", None); c.connect((host_v4, address(s)[1])); k, _ = s.accept(); k.getsockname()
        d = socket("d", None); d.connect(("::ffff:" + host_v4, address(s)[1])); d.getpeername(); s.accept()
    """,
    "or does not": """
        s = socket("s"); s.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 1); s.bind(("::", 0)); port(s); s.listen()
        c = socket_v4("c", None); c.connect((host_v4, address(s)[1])); d = socket_v4("d")
        d.bind((host_v4, address(s)[1]))
    """,
}
