"""Ground: what opening a connection, actively or passively, needs of the stack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol

from .config import TcpConfig
from .cookies import Cookies
from .fastopen_cookies import FastOpenCookies
from .flow import Flow
from .listener import Hall
from .ports import Carrier, FlowKey, Timed
from .security import Security
from .segment import Segment


class Ground(Hall, Protocol):
    """A stack, as those see it who make connections; ``stack.host`` has the meaning of each."""

    addresses: tuple[bytes, ...]
    broadcasts: frozenset[bytes]
    config: TcpConfig
    random: Callable[[int], bytes]
    counters: Counter[str]
    cookies: Cookies
    fast_open_cookies: FastOpenCookies

    @property
    def flows(self) -> Mapping[FlowKey, Carrier]:
        """The connections there are."""

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
        """Make a flow that is not yet known to the stack."""

    def add_flow(self, flow: Carrier) -> None:
        """From now on the flow gets its segments."""

    def arm(self, timed: Timed) -> None:
        """See to it that the timers serve ``timed`` in time."""

    def reset(self, segment: Segment, now: float) -> None:
        """Answer a segment that no connection takes with RST."""
