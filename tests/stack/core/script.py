"""A connection whose peer is played by hand: segments in, segments out, at chosen times."""

from __future__ import annotations

from collections.abc import Iterable

from edo.options import Options
from stack.config import TcpConfig
from stack.connection import Connection
from stack.events import Event
from stack.run import ACK, SYN, Run
from stack.seqnum import low32
from stack.states import State

ISS = 1000
IRS = 5000
PLAIN = Options(mss=1460)
SACK = Options(mss=1460, sack_permitted=True)
STAMPS = Options(mss=1460, ts_val=7000)


class Script:
    """Numbers are relative: octet 1 is the first of each stream, so ``ack=1`` acknowledges the SYN alone.

    ``c`` is the connection under test, established unless ``establish`` is False; ``out`` collects what it
    sends. Without arguments the peer offers an MSS of 1460 and no option that would change the arithmetic.
    """

    def __init__(
        self,
        config: TcpConfig | None = None,
        offer: Options = PLAIN,
        *,
        passive: bool = False,
        window: int = 65535,
        iss: int = ISS,
        irs: int = IRS,
        establish: bool = True,
    ) -> None:
        self.c = Connection(config or TcpConfig(), iss)
        self.iss, self.irs = iss, irs
        self.window = window
        self.now = 10.0
        self.out: list[Run] = []
        if not establish:
            return
        if passive:
            self.c.accept(Run(irs, 0, SYN, window, offer), self.now)
            self.take()
            self.now += 0.1
            self.seg(1, 1, options=Options(ts_val=offer.ts_val))
        else:
            self.c.connect(self.now)
            self.take()
            self.now += 0.1
            self.c.receive([Run(irs, iss + 1, SYN | ACK, window, offer)], self.now)
            self.take()
        self.out.clear()
        self.events()

    def make(
        self,
        seq: int,
        ack: int,
        data: bytes = b"",
        flags: int = ACK,
        *,
        window: int | None = None,
        sack: Iterable[tuple[int, int]] = (),
        options: Options | None = None,
        segments: int = 1,
        ecn: int = 0,
    ) -> Run:
        """A segment of the peer."""
        blocks = tuple((low32(self.iss + left), low32(self.iss + right)) for left, right in sack)
        return Run(
            self.irs + seq,
            self.iss + ack,
            flags,
            self.window if window is None else window,
            options or Options(sack=blocks),
            [memoryview(data)] if data else (),
            len(data),
            segments=segments,
            ecn=ecn,
        )

    def seg(self, seq: int, ack: int, data: bytes = b"", flags: int = ACK, **more: object) -> list[Run]:
        """The peer sends one segment; return what is sent in answer."""
        return self.batch(self.make(seq, ack, data, flags, **more))  # type: ignore[arg-type]

    def batch(self, *runs: Run) -> list[Run]:
        """Several segments arrive at once."""
        self.c.receive(list(runs), self.now)
        return self.take()

    def take(self) -> list[Run]:
        runs = self.c.take_output(self.now)
        self.out += runs
        return runs

    def write(self, data: bytes) -> list[Run]:
        self.c.write(data)
        return self.take()

    def wait(self, seconds: float) -> list[Run]:
        """Let time pass, running each deadline when it comes; return what is sent meanwhile."""
        end = self.now + seconds
        sent: list[Run] = []
        for _ in range(1000):
            deadline = self.c.next_deadline
            if deadline is None or deadline > end:
                self.now = end
                return sent
            self.now = max(self.now, deadline)
            self.c.advance(self.now)
            sent += self.take()
        raise AssertionError("a deadline that does not move")

    def state(self) -> State:
        return self.c.state

    def events(self) -> list[Event]:
        events = []
        while (event := self.c.next_event()) is not None:
            events.append(event)
        return events

    def rel(self, run: Run) -> tuple[int, int]:
        """Stream octets [start, end) of a sent run, relative."""
        return run.seq - self.iss, run.seq - self.iss + run.length

    def ack(self, run: Run) -> int:
        """The acknowledgment of a sent run, relative."""
        return run.ack - self.irs

    def blocks(self, run: Run) -> list[tuple[int, int]]:
        """SACK blocks of a sent run, relative."""
        return [(low32(left - self.irs), low32(right - self.irs)) for left, right in run.options.sack]
