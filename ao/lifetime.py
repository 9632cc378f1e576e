"""When a configured key may be sent under and accepted: the intervals of a keychain (RFC 5925 §3.1)."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Two intervals, each from its first moment to before its last, in seconds since 1970; infinite: no bound.

    Raises ValueError, naming the end that is not after its beginning.
    """

    send_from: float = -math.inf
    send_until: float = math.inf
    accept_from: float = -math.inf
    accept_until: float = math.inf

    def __post_init__(self) -> None:
        for what in ("send", "accept"):
            if not getattr(self, f"{what}_from") < getattr(self, f"{what}_until"):
                raise ValueError(f"{what}_until")

    def sends(self, at: float) -> bool:
        """Whether segments may be signed under the key at ``at``."""
        return self.send_from <= at < self.send_until

    def accepts(self, at: float) -> bool:
        """Whether segments under the key are accepted at ``at``."""
        return self.accept_from <= at < self.accept_until

    def next_change(self, after: float) -> float:
        """The first moment after ``after`` at which either answer changes; infinite for never."""
        ends = (self.send_from, self.send_until, self.accept_from, self.accept_until)
        return min((end for end in ends if end > after), default=math.inf)


ALWAYS = Lifetime()
