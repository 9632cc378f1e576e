"""The machine under test: a stack in virtual time, what it sends, and the conversations of the script with it."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

from edo.codepoints import Dialect
from stack.batch import Batch
from stack.config import TcpConfig
from stack.host import Stack
from stack.ip import address_octets
from stack.owner import Owner
from stack.security import Security
from stack.states import State

from . import icmp
from .conversation import Conversation
from .faults import Place
from .segments import ECN_BITS, Ends, Segment, divided, read_tcp, tcp_packet
from .setkey import Associations
from .syntax import IcmpSpec, IpInfo, TcpSpec

# The virtual clock's reading when a script begins, seconds.
EPOCH: Final = 1000.0
# Deadlines that are this close, seconds, are at the same time: sums of decimal fractions are not exact.
_CLOSE: Final = 1e-6
_FIRST_PORT: Final = 50_000
_SYN: Final = 0x02
_ACK: Final = 0x10


class Machine:
    """A stack at ``local``, with the script's peer at ``remote`` (addresses in text form).

    ``cut``: a longer payload of the script arrives in segments of so many octets (0: as one segment), all in the
    same moment, as a network card hands them over that has put them together. ``md5_secret`` makes the peer's
    digests of TCP-MD5 and tells the stack's.
    """

    def __init__(
        self,
        local: str,
        remote: str,
        config: TcpConfig,
        dialect: Dialect,
        cut: int = 0,
        md5_secret: bytes = b"",
    ) -> None:
        self.cut = cut
        self.md5_secret = md5_secret
        self.md5_keys = Associations()
        self.local = address_octets(local)
        self.remote = address_octets(remote)
        self.dialect = dialect
        self.now = EPOCH
        source = random.Random(1)
        self.stack = Stack([local], random=source.randbytes, config=config, dialect=dialect)
        self.sent: deque[Segment] = deque()
        self.conversations: list[Conversation] = []
        self.current: Conversation | None = None
        self.listening_port: int | None = None
        self.on_step: Callable[[], None] = lambda: None
        self._next_port = _FIRST_PORT
        self._past: list[Ends] = []
        self._counted: Counter[str] = Counter()

    # --- time ------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Take what the stack has to send now, and tell owners what has happened."""
        while True:
            for item in self.stack.take_ready():
                owner = item.owner
                if owner is not None:
                    _ring(owner)
            packets = self.stack.take_output(self.now).packets
            if not packets:
                return
            for packet in packets:
                segment = read_tcp(bytes(packet), self.dialect, self.now, self.md5_secret)
                if segment is not None:
                    self.sent.append(segment)

    def step(self, until: float) -> bool:
        """Go on to the stack's next deadline and run it; False if there is none by ``until``."""
        deadline = self.stack.next_deadline
        if deadline is None or deadline > until + _CLOSE:
            return False
        self.now = max(self.now, deadline)
        self.stack.advance(self.now)
        self.flush()
        self.on_step()
        return True

    def advance(self, until: float) -> None:
        """Let time pass until ``until``, running every deadline when it comes."""
        while self.step(until):
            pass
        self.now = max(self.now, until)
        self.stack.advance(self.now)
        self.on_step()

    def receive(self, *packets: bytes) -> None:
        """Have packets arrive now."""
        self.stack.receive(Batch(list(packets)), self.now)
        self.flush()
        self.on_step()

    # --- conversations ---------------------------------------------------------------------------------------

    def listens(self, port: int) -> None:
        """A socket listens on ``port``: what comes without ports is for it, from a new one of the peer."""
        self.listening_port = port
        self.current = None

    def connects(self, local_port: int, remote: bytes, remote_port: int) -> None:
        """A socket began to connect: what comes without ports is for it."""
        self.current = self._conversation(Ends(remote, remote_port, self.local_of(remote), local_port))

    def accepted(self, local_port: int, remote_port: int) -> None:
        """A connection was accepted: what comes without ports is for it."""
        self.current = self._conversation(Ends(self.remote, remote_port, self.local, local_port))

    def local_of(self, remote: bytes) -> bytes:
        """Our address of the family of ``remote``."""
        return self.local if len(remote) == len(self.local) else remote

    def _conversation(self, ends: Ends) -> Conversation:
        found = next((known for known in self.conversations if known.ends == ends), None)
        if found is None:
            found = Conversation(ends)
            self.conversations.append(found)
        return found

    def _for(self, ports: tuple[int, int] | None) -> Conversation:
        """The conversation of a packet that the script sends, from the peer's port to ours if they are given."""
        if ports is not None:
            self.current = self._conversation(Ends(self.remote, ports[0], self.local, ports[1]))
        elif self.current is None:
            self._next_port += 1
            port = self.listening_port or 8080
            self.current = self._conversation(Ends(self.remote, self._next_port, self.local, port))
        return self.current

    def begin(self) -> None:
        """The script makes a socket: what connections before it still send is not looked at."""
        self._past = [known.ends for known in self.conversations]
        self.current = None

    def forget_past(self) -> None:
        """Leave out what is next of what was sent by connections of sockets before the latest."""
        current = self.current.ends if self.current is not None else None
        while self.sent and (ends := self.sent[0].ends.reverse) in self._past and ends != current:
            self.sent.popleft()

    def conversation_of(self, segment: Segment) -> Conversation:
        """The conversation of a segment that the stack sent."""
        conversation = self._conversation(segment.ends.reverse)
        if segment.flags & (_SYN | _ACK) == _SYN:
            self.current = conversation
        return conversation

    # --- packets of the script -------------------------------------------------------------------------------

    def inject(self, spec: TcpSpec) -> None:
        """Send the stack a segment; raises OptionFault where its options cannot be built."""
        conversation = self._for(spec.ports)
        tos, ttl, flow_label = _header(spec.ip)
        segment = conversation.inbound(spec, tos, ttl, flow_label)
        parts = divided(segment, self.cut)
        self.receive(*(tcp_packet(part, self.dialect, self.md5_secret) for part in parts))

    def inject_icmp(self, spec: IcmpSpec) -> None:
        """Send the stack an ICMP message about one of its segments; raises IcmpUnknown."""
        conversation = self._for(None)
        seq = ((spec.seq or 0) + conversation.origin) & 0xFFFFFFFF
        quoted = conversation.ends.reverse
        self.receive(icmp.icmp_packet(spec, quoted, seq, 20 if len(self.local) == 4 else 40))

    # --- what the stack holds --------------------------------------------------------------------------------

    def configure(self, config: TcpConfig) -> None:
        """Settings of what begins from now on."""
        self.stack.configure(config)

    def signing(self, place: Place) -> Security:
        """TCP-MD5 under the keys of setkey; Refused where there are none."""
        return self.md5_keys.security(self.local, self.remote, self.dialect, place)

    def count(self, state: str) -> int:
        """How many connections are in a state of RFC 9293, by its name with underscores."""
        names = (flow.connection.state.name for flow in self.stack.flows.values())
        count = sum(name == state for name in names) + (state == "LISTEN" and self.listening_port is not None)
        return count + (len(self.stack.half_open) if state == "SYN_RECEIVED" else 0)

    def begin_count(self) -> None:
        """What is dropped is counted from now on."""
        self._counted = self._drops()

    def _drops(self) -> Counter[str]:
        return sum((flow.connection.drops for flow in self.stack.flows.values()), self.stack.drops.copy())

    def dropped(self, reason: str) -> int:
        """How many segments were dropped for a reason since ``begin_count``."""
        return self._drops()[reason] - self._counted[reason]

    def seen(self, state: str, port: int) -> bool:
        """Whether a connection of a local port is in a state, or a socket listens there."""
        if state == "LISTEN":
            return port == self.listening_port
        return any(
            flow.key[1] == port and flow.connection.state.name == state for flow in self.stack.flows.values()
        )

    def drop(self, state: str) -> None:
        """Give up every connection in a state."""
        if state == State.SYN_RECEIVED.name:
            for key in list(self.stack.half_open.keys()):
                self.stack.half_open.revive(key)
        for flow in list(self.stack.flows.values()):
            if flow.connection.state is State[state]:
                flow.abort()
        self.flush()


def _ring(owner: object) -> None:
    ringing: Owner = owner  # type: ignore[assignment]  # what stands here is an Owner
    ringing.on_ready()


def _header(ip: IpInfo) -> tuple[int, int, int]:
    tos = ip.tos or 0
    if ip.ecn is not None:
        tos = tos & ~3 | ECN_BITS[ip.ecn]
    return tos, 255 if ip.ttl is None else ip.ttl, ip.flow_label or 0
