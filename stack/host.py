"""Stack: addresses, demultiplexing, listeners and timers; batches of IP packets in and out (RFC 9293 §3.10.7).

Six verbs: ``receive``, ``advance``, ``take_output``, ``next_deadline``, ``connect`` or ``listen``, ``take_ready``.
Nothing that arrives raises: what cannot be used is dropped silently and counted in ``drops`` under its reason.
"""

from __future__ import annotations

import errno
import ipaddress
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from ao.keylog import LoggedKeys
from ao.reasons import AoDrop
from edo.codepoints import POINTS, CodePoints, Dialect
from edo.reasons import EdoDrop
from edo.walk import walk

from . import bulk, connectionless, dial, icmp, icmp_errors, upgraded
from .alarms import Alarms
from .attempt import Attempt
from .batch import Batch, Checksum, Octets
from .bindings import Bindings
from .checksum import ones_complement_sum, pseudo_header_sum
from .config import TcpConfig
from .connection import Connection
from .cookies import Cookies
from .edo_switch import EdoSwitch
from .events import TcpError
from .experimental import ExperimentalFlow
from .fastopen_cookies import FastOpenCookies
from .fastpath.lanes import Lanes
from .flow import Flow
from .intent import Dial
from .ip import ICMP, ICMPV6, TCP, Ip, IpDrop, address_octets, parse
from .isn import InitialNumbers
from .listener import Listener, PendingSyn
from .memory import MEMORY, Memory
from .offload import cut
from .owner import Owned
from .passive import Passive
from .peers import Peers
from .ports import Carrier, FlowKey, Successor, Timed
from .ratelimit import RateLimit
from .reassembly import FragmentDrop, Reassembler
from .reuse import gives_way
from .run import ACK, FIN, RST, SYN
from .security import PLAIN, Security
from .segment import Segment
from .syn_cache import SynCache
from .trace import Trace

# Resets and ICMP replies that strangers can draw, a second and at once (RFC 4443 §2.4 f; RFC 9293 §3.5.2 has none).
_ANSWERS_PER_SECOND = 1000
_ANSWERS_AT_ONCE = 200
_FIXED_HEADER = 20


class Stack:
    """A TCP/IP host with its own addresses.

    ``addresses`` in CIDR or plain text form; ``config`` is the base of every connection's settings, of which
    ``ip_header`` follows the family; ``random`` returns as many unpredictable octets as it is asked for; ``memory``
    bounds what all connections, fragments and waiting SYNs hold together, octets (>= 1 MiB); ``edo`` (off, strict,
    lenient) and ``dialect`` (None: as ``points`` say) hold for connections that do not name their own. Without
    ``fast_path`` every segment goes the plain way, with the same result (``stack.fastpath``). ``offload``: the
    device finishes checksums and cuts (``stack.offload``), set before there are connections. Raises ValueError for
    an address or policy that is none. Times are seconds of one monotonic clock, passed in.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        *,
        random: Callable[[int], bytes],
        config: TcpConfig | None = None,
        points: CodePoints = POINTS,
        memory: int = MEMORY,
        edo: str = "off",
        dialect: Dialect | None = None,
        fast_path: bool = True,
    ) -> None:
        interfaces = [ipaddress.ip_interface(address) for address in addresses]
        self.addresses = tuple(interface.ip.packed for interface in interfaces)
        self.broadcasts = frozenset(
            interface.network.broadcast_address.packed
            for interface in interfaces
            if interface.version == 4 and interface.network.prefixlen < 31
        )
        if not self.addresses:
            raise ValueError("a stack needs at least one address")
        self.random = random
        self.configure(config or TcpConfig())
        self.edo = EdoSwitch(edo, dialect, points)
        self.memory = Memory(memory)
        self.now = 0.0
        self.offload = False
        self.drops: Counter[str] = Counter()
        self.downgrades: Counter[str] = Counter()
        self.flows: dict[FlowKey, Carrier] = {}
        self.counters: Counter[str] = Counter()
        self.lanes = Lanes() if fast_path else None
        self.trace: Trace | None = None
        self.keylog: Callable[[LoggedKeys], None] | None = None
        self.dropped: list[tuple[int, str]] | None = None
        self._at = 0
        self.peers = Peers()
        self.cookies = Cookies(random(32))
        self.fast_open_cookies = FastOpenCookies(random)
        self.half_open = SynCache(self)
        self.passive = Passive(self, self.half_open)
        self.out: list[bytes] = []
        self._listeners: dict[tuple[bytes | None, int], Listener] = {}
        self.bindings = Bindings(self._listeners, self.flows)
        self._numbers = InitialNumbers(random(32))
        self._alarms = Alarms()
        self._dirty: dict[Carrier, None] = {}
        self._received: dict[Carrier, None] = {}
        self._ready: dict[Owned, None] = {}
        self._fragments = Reassembler(memory=self.memory)
        self._answers = RateLimit(_ANSWERS_PER_SECOND, _ANSWERS_AT_ONCE)

    def configure(self, config: TcpConfig) -> None:
        """Settings of the connections that begin from now on and are given none of their own."""
        self.config = config
        self._config_v6 = replace(config, ip_header=40)

    # --- the six verbs -----------------------------------------------------------------------------------

    def connect(
        self,
        remote: tuple[str, int],
        *,
        now: float,
        local_port: int = 0,
        local_address: str | None = None,
        security: Security | None = None,
        config: TcpConfig | None = None,
        fast_open: bytes | None = None,
    ) -> Attempt:
        """Begin a connection to ``remote`` (address, port); ``local_port`` 0 takes any.

        ``config`` None: the stack's own. ``fast_open``: octets to write first, in the SYN as far as it may carry
        them where the peer's cookie is known (RFC 7413; never with protection); the peer may see them twice (§6.1).
        Raises ValueError for an address or port that is none, OSError (EADDRNOTAVAIL, EADDRINUSE, EAFNOSUPPORT,
        ENOKEY) where it cannot begin. Failure after that is told by a ``Closed`` event.
        """
        self.now = now
        asked = (security or PLAIN).in_force()
        return dial.connect(self, remote, local_port, local_address, asked, config, fast_open, now)

    def listen(
        self,
        port: int,
        *,
        address: str | None = None,
        security: Security | None = None,
        backlog: int = 1024,
        config: TcpConfig | None = None,
    ) -> Listener:
        """Take connections on ``port`` of ``address`` (None: of every own address).

        The unspecified address of a family stands for all own ones of it. ``config`` None: the stack's own.
        ``backlog`` (>= 1) bounds those that were not accepted yet. OSError: EADDRINUSE, EADDRNOTAVAIL, EMSGSIZE.
        """
        if not 0 < port < 65536:
            raise ValueError(f"port {port} is not in 1-65535")
        local = None if address is None else address_octets(address)
        if local is not None and any(local) and local not in self.addresses:
            raise OSError(errno.EADDRNOTAVAIL, f"{address} is not an address of this stack")
        if (local, port) in self._listeners:
            raise OSError(errno.EADDRINUSE, f"port {port} is already listening")
        asked = self.edo.checked((security or PLAIN).in_force())
        listener = Listener(self, local, port, asked, max(backlog, 1), config)
        self._listeners[local, port] = listener
        return listener

    def receive(self, batch: Batch, now: float) -> None:
        """Take a batch of IP packets that arrived; each connection decides once on acknowledging it."""
        self.now = now
        checksums, sizes = batch.checksums, batch.gso_sizes
        if (dropped := self.dropped) is not None:
            dropped.clear()
        # Who watches segments, or wants drops laid to packets, has all of them go the plain way.
        lanes = self.lanes if dropped is None and self.trace is None else None
        index, count = 0, len(batch)
        while index < count:
            if lanes is not None and (index := lanes.take(batch, index, self._received)) == count:
                break
            self._at = index
            state = Checksum.FINISHED if checksums is None else checksums[index]
            self._packet(batch.packets[index], state, now, 0 if sizes is None else sizes[index])
            if dropped is not None:
                self._finish_alone(dropped, now)
            index += 1
        received, self._received = self._received, {}
        for flow in received:
            flow.finish(now)

    def _finish_alone(self, dropped: list[tuple[int, str]], now: float) -> None:
        """End the batch behind each packet, so that what TCP itself drops can be laid to that packet."""
        for flow in self._received:
            before = dict(flow.connection.drops)
            flow.finish(now)
            after = flow.connection.drops
            dropped.extend((self._at, reason) for reason, n in after.items() if n > before.get(reason, 0))
        self._received.clear()

    def note(self, reason: str) -> None:
        """Count a drop, and lay it to the packet in hand where ``dropped`` is kept."""
        self.drops[reason] += 1
        if self.dropped is not None:
            self.dropped.append((self._at, reason))

    def advance(self, now: float) -> None:
        """Run every timer that is due."""
        self.now = now
        self._alarms.advance(now)
        if expired := self._fragments.expire(now):
            self.drops[FragmentDrop.TIMEOUT] += expired

    def take_output(self, now: float) -> Batch:
        """Return the packets that are to be sent now."""
        self.now = now
        dirty, self._dirty = self._dirty, {}
        for flow in dirty:
            flow.take_output(now, self.out)
            self.arm(flow)
        out, self.out = self.out, []
        return Batch(out)

    @property
    def next_deadline(self) -> float | None:
        """When ``advance`` may have something to do, seconds; None for never."""
        timer, fragments = self._alarms.next_deadline, self._fragments.next_deadline
        return fragments if timer is None else timer if fragments is None else min(timer, fragments)

    def take_ready(self) -> list[Owned]:
        """What has events or connections for its owner since the last call."""
        ready, self._ready = list(self._ready), {}
        return ready

    # --- packets in --------------------------------------------------------------------------------------

    def _packet(self, packet: Octets, state: Checksum, now: float, size: int = 0) -> None:
        ip = parse(packet)
        if ip is IpDrop.FRAGMENT:
            self._fragment(packet, now)
        elif isinstance(ip, IpDrop):
            self.note(str(ip))
        elif ip.destination not in self.addresses:
            self.note("not_ours")
        elif ip.protocol == TCP:
            self._tcp(ip, packet, state, now, size)
        elif ip.protocol in (ICMP, ICMPV6):
            self._icmp(ip, packet, now)
        else:
            self.note("unknown_protocol")

    def _fragment(self, packet: Octets, now: float) -> None:
        """Keep a fragment of a packet to us until the packet is whole (RFC 8200 §4.5)."""
        destination = bytes(packet[16:20] if packet[0] >> 4 == 4 else packet[24:40])
        if destination not in self.addresses:
            self.note("not_ours")
            return
        taken = self._fragments.take(packet, now)
        if isinstance(taken, bytes):
            self._packet(taken, Checksum.FINISHED, now)
        elif taken is not None:
            self.note(str(taken))

    def _tcp(self, ip: Ip, packet: Octets, state: Checksum, now: float, size: int) -> None:
        tcp = ip.payload(packet)
        octets = len(tcp)
        if octets < _FIXED_HEADER:
            self.note(EdoDrop.MALFORMED_OPTION)
            return
        segment = Segment(ip.source, ip.destination, ip.ttl, ip.ecn, ip.total_octets, tcp)
        key = FlowKey((ip.destination, segment.destination_port, ip.source, segment.source_port))
        flow = self.flows.get(key)
        if size and not bulk.taken_whole(flow, segment, size):
            for piece in cut(packet[: ip.total_octets], ip.header_octets, size):
                self._packet(piece, state if state is Checksum.BAD else Checksum.FINISHED, now)
            return
        # Over correct octets the sum of everything, checksum included, is a multiple of 0xFFFF (RFC 1071 §1).
        if state is not Checksum.UNFINISHED and (
            (ones_complement_sum(tcp) + pseudo_header_sum(ip.source, ip.destination, octets)) % 0xFFFF
            or state is Checksum.BAD
        ):
            self._drop(flow, "bad_checksum")
            return
        spans = walk(tcp, _FIXED_HEADER, segment.data_offset) if segment.sound else None
        if spans is None and (spans := upgraded.find(segment, flow, self._listener(key))) is None:
            self._drop(flow, EdoDrop.MALFORMED_OPTION)
            return
        segment.spans = spans
        if self.config.drop_syn_fin and segment.flags & (SYN | FIN) == SYN | FIN:
            self._drop(flow, "syn_fin")
            return
        if flow is None or (segment.flags & (SYN | ACK | RST) == SYN and self._reborn(flow, segment)):
            self._unmatched(key, segment, now)
        else:
            flow.receive(segment, now)
            self._received[flow] = self._dirty[flow] = None
        if ip.header_octets != 20 and ip.version == 4 and (routed := self.flows.get(key)) is not None:
            routed.route_back(bytes(packet[20 : ip.header_octets]), now)

    def _drop(self, flow: Carrier | None, reason: str) -> None:
        (self.note if flow is None else flow.drop)(str(reason))

    def _reborn(self, flow: Carrier, segment: Segment) -> bool:
        """Whether a SYN may end a TIME-WAIT early and begin anew (RFC 6191 §2, RFC 9293 §3.6.1)."""
        if self._listener(flow.key) is None or not gives_way(flow, segment, self.edo.dialect.points):
            return False
        flow.leave()
        return True

    def _listener(self, key: FlowKey) -> Listener | None:
        address, port, find = key[0], key[1], self._listeners.get
        return find((address, port)) or find((bytes(len(address)), port)) or find((None, port))

    def _unmatched(self, key: FlowKey, segment: Segment, now: float) -> None:
        """A segment of no connection: LISTEN or CLOSED (RFC 9293 §3.10.7.1, §3.10.7.2)."""
        if segment.source in self.broadcasts:
            # Nobody's address: answering it would reach everybody (RFC 9293 §3.9.2.3, RFC 1122 §3.2.1.3).
            self.note(IpDrop.SOURCE)
            return
        listener = self._listener(key)
        if self.passive.out_of_band.takes(listener, key, segment, now):
            return
        begins = segment.flags & (SYN | ACK | RST)
        if not self.passive.half_open(key, segment, now):
            if listener is not None and begins == SYN:
                self.passive.syn(listener, key, segment, now)
            elif listener is None or begins != ACK or not self.passive.cookie(listener, key, segment, now):
                self.reset(segment, now)

    def reset(self, segment: Segment, now: float) -> None:
        """Answer a segment that no connection takes with RST, if it is to be answered (RFC 9293 §3.10.7.1)."""
        listener = self._listener(FlowKey((segment.destination, segment.destination_port, b"", 0)))
        answer = connectionless.reset(segment, self.config, None if listener is None else listener.security)
        if isinstance(answer, AoDrop | EdoDrop):
            self.note(str(answer))
        elif isinstance(answer, bytes) and self._answers.allow(now):
            self.out.append(answer)

    def _icmp(self, ip: Ip, packet: Octets, now: float) -> None:
        taken = icmp.take(ip, packet)
        if isinstance(taken, bytes):
            if self._answers.allow(now):
                self.out.append(taken)
        elif isinstance(taken, icmp.IcmpError):
            icmp_errors.arrive(self, taken, now)
        else:
            self.note(str(taken))

    # --- for flows, listeners and attempts ---------------------------------------------------------------

    def new_flow(
        self,
        key: FlowKey,
        security: Security,
        *,
        active: bool,
        now: float,
        iss: int | None = None,
        config: TcpConfig | None = None,
    ) -> Flow:
        """Make a flow that is not yet known to the stack, ``iss`` its ISN if that is not to be chosen here.

        Its handshake is the caller's to set. ``config`` None: the stack's own.
        """
        ip_header = 20 if len(key[0]) == 4 else 40
        config = config or (self.config if ip_header == 20 else self._config_v6)
        if config.ip_header != ip_header:
            config = replace(config, ip_header=ip_header)
        numbers = self._numbers
        number = numbers.number(key, now) if iss is None else iss
        connection = Connection(config, number, clock_offset=numbers.offset(key))
        connection.path_mtu_octets = self.peers.path_mtu(key[2], config.mtu, now)
        damaged = config.remember_edo and self.peers.edo_is_damaged(key[2], now)
        edo = self.edo.begin(security, active=active, damaged=damaged)
        if security.experiments:
            declared = security.experiments
            return ExperimentalFlow(self, key, connection, edo, now, security.accept_icmps, declared)
        return Flow(self, key, connection, edo, now, security.accept_icmps)

    def add_flow(self, flow: Carrier) -> None:
        """From now on the flow gets its segments; it is told of the batch's end, if there is one."""
        self.flows[flow.key] = flow
        flow.connection.open_account(self.memory)
        self._dirty[flow] = self._received[flow] = None

    def forget(self, flow: Carrier) -> None:
        """The flow gets no more segments."""
        if self.flows.get(flow.key) is flow:
            del self.flows[flow.key]
            if self.lanes is not None:
                self.lanes.forget(flow.key)
            flow.connection.close_account()
            self._alarms.disarm(flow)

    def unlisten(self, listener: Listener) -> None:
        """The listener takes no more SYNs."""
        self._listeners.pop((listener.address, listener.port), None)
        self.half_open.forget(listener)

    def touch(self, flow: Carrier) -> None:
        """The flow may have output, or another deadline."""
        self._dirty[flow] = None

    def ready(self, item: Owned) -> None:
        """``item`` has something for its owner."""
        self._ready[item] = None

    def arm(self, timed: Timed) -> None:
        """See to it that ``advance`` serves ``timed`` in time."""
        self._alarms.arm(timed)

    def redial(self, dialled: Dial, flow: Carrier, error: TcpError) -> Successor | None:
        """The connection in place of one that failed under ``prefer``; None where none may be."""
        return dial.redial(self, dialled, flow, error, self.now)

    def open_without_oob(self, pending: PendingSyn, now: float) -> None:
        """Open the connection of a SYN whose OOB did not come."""
        self.passive.open(pending.listener, pending.key, pending.segment, None, pending.segment.ip_octets, now)
