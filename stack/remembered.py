"""One kind of thing that is remembered of other hosts: bounded, expiring, visible and erasable (profile.md §2)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final, Generic, TypeVar

# No kind has more entries than this.
LIMIT: Final = 1024

K = TypeVar("K")
V = TypeVar("V")
Row = dict[str, object]
"""What is shown of an entry: names and values that JSON knows, ``peer`` (text) among them."""


class Remembered(Generic[K, V]):
    """Entries of one kind: at most ``limit``; the one that was put longest ago goes first.

    ``kind`` is its name for those who look. ``show`` makes the row of an entry, ``concerns`` says whether a
    key is of an address (4 or 16 octets). ``keep`` is how long an entry that is no longer believed
    stays, for whom the past still says something (``before``), seconds.
    """

    __slots__ = ("_concerns", "_entries", "_show", "keep", "kind", "limit")

    def __init__(
        self,
        kind: str,
        show: Callable[[K, V], Row],
        concerns: Callable[[K, bytes], bool],
        *,
        keep: float = 0.0,
        limit: int = LIMIT,
    ) -> None:
        self.kind = kind
        self.keep = keep
        self.limit = limit
        self._show = show
        self._concerns = concerns
        self._entries: OrderedDict[K, tuple[V, float]] = OrderedDict()

    def put(self, key: K, value: V, until: float) -> None:
        """Remember ``value`` of ``key`` until then (seconds of the stack's clock), instead of what was."""
        entries = self._entries
        entries[key] = (value, until)
        entries.move_to_end(key)
        if len(entries) > self.limit:
            entries.popitem(last=False)

    def get(self, key: K, now: float) -> V | None:
        """What is believed of ``key`` now."""
        return self._entries[key][0] if self.holds(key, now) else None

    def holds(self, key: K, now: float) -> bool:
        """Whether anything is believed of ``key`` now; what is over is forgotten."""
        found = self._entries.get(key)
        if found is None:
            return False
        until = found[1]
        if until + self.keep <= now:
            del self._entries[key]
        return until > now

    def before(self, key: K, now: float) -> V | None:
        """What is, or was not longer than ``keep`` seconds ago, believed of ``key``."""
        self.holds(key, now)
        found = self._entries.get(key)
        return None if found is None else found[0]

    @property
    def latest(self) -> tuple[K, V] | None:
        """What was put last."""
        key = next(reversed(self._entries), None)
        return None if key is None else (key, self._entries[key][0])

    def drop(self, key: K) -> None:
        """Forget ``key``, if it is known."""
        self._entries.pop(key, None)

    def rows(self, now: float) -> Iterator[Row]:
        """Everything that is believed now, the latest last, each with its ``kind`` and the ``seconds`` left."""
        for key, (value, until) in self._entries.items():
            if until > now:
                yield {"kind": self.kind, **self._show(key, value), "seconds": round(until - now, 1)}

    def erase(self, address: bytes | None = None) -> int:
        """Forget everything, or what concerns ``address``; returns how many entries that were."""
        if address is None:
            count = len(self._entries)
            self._entries.clear()
            return count
        keys = [key for key in self._entries if self._concerns(key, address)]
        for key in keys:
            del self._entries[key]
        return len(keys)

    def __len__(self) -> int:
        return len(self._entries)
