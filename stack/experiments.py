"""Experiments of one connection: whether their options go with a segment, and what is done with those that come.

What a user's callback raises is counted, told once in one line by the logger ``edotun.experiment``, and goes no
further.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from edo.experiments import ACK, DATA, SYN, Experiment, ExperimentError, Send

_LOGGER: Final = logging.getLogger("edotun.experiment")
_MOST_TEXT: Final = 200

Heard = tuple[int, int, bytes]
"""A received option: kind, ExID or -1, and all its octets."""


class View:
    """What a callback sees of its connection.

    ``local`` and ``peer`` are (address, port); ``role`` is "connect" or "accept"; ``now`` is the stack's clock in
    seconds; ``syn``: the segment is a SYN or SYN-ACK; ``payload`` octets of the stream in it; ``room`` octets that
    an option to be sent may take, Kind and Length counted; ``state`` is the experiment's own, of this connection,
    and kept between calls.
    """

    __slots__ = ("local", "now", "payload", "peer", "role", "room", "state", "syn")

    def __init__(self, local: tuple[str, int], peer: tuple[str, int]) -> None:
        self.local = local
        self.peer = peer
        self.role = "connect"
        self.now = 0.0
        self.syn = False
        self.payload = 0
        self.room = 0
        self.state: dict[str, Any] = {}


class Experiments:
    """The experiments of one connection between ``local`` and ``peer``, (address, port) each.

    ``counts`` has for each by its name how often it was sent, received, had no room, was malformed, and failed;
    ``counters`` are the stack's, which count the last three for all connections.
    """

    def __init__(
        self,
        declared: Sequence[Experiment],
        local: tuple[str, int],
        peer: tuple[str, int],
        counters: Counter[str],
    ) -> None:
        self._declared = tuple(declared)
        self._views = {one.name: View(local, peer) for one in declared}
        self._counters = counters
        self.counts: dict[str, Counter[str]] = {one.name: Counter() for one in declared}
        self.sends = any(one.send is not None for one in declared)
        self.reserve = sum(one.most_octets for one in declared if one.every and DATA in one.on)

    def carried(self, now: float, role: str, *, syn: bool, payload: int, room: int) -> tuple[bytes, ...]:
        """The options that go with a segment of ``payload`` octets, in the order of declaration.

        ``room`` is how many octets they may take together; who finds none is not asked.
        """
        segment = SYN if syn else DATA if payload else ACK
        carried: tuple[bytes, ...] = ()
        for one in self._declared:
            if one.send is None or segment not in one.on:
                continue
            if room < one.head_octets:
                self._count(one, "no_room")
                continue
            view = self._see(one, now, role, syn, payload)
            view.room = room
            options = self._asked(one, one.send, view)
            octets = sum(map(len, options))
            if octets > room:
                self._count(one, "no_room")
            elif options:
                self.counts[one.name]["sent"] += 1
                carried += options
                room -= octets
        return carried

    def _asked(self, one: Experiment, send: Send, view: View) -> tuple[bytes, ...]:
        """The options that ``send`` wants in a segment."""
        values = self._call(one, "send", send, view)
        if values is None:
            return ()
        try:
            if isinstance(values, Mapping):
                return one.build(values)
            self._failed(one, "send", f"gave {type(values).__name__}, not a mapping of fields or None")
        except ExperimentError as error:
            self._failed(one, "send", str(error))
        return ()

    def take(self, options: Sequence[Heard], now: float, role: str, *, syn: bool, payload: int) -> None:
        """Take the options of an accepted segment; others than experiments' are passed over."""
        for one in self._declared:
            own = [octets for kind, exid, octets in options if one.bears(kind, exid)]
            if not own:
                continue
            try:
                fields = one.parse(own)
            except ExperimentError:
                self._count(one, "malformed")
                continue
            self.counts[one.name]["received"] += 1
            if one.receive is not None:
                self._call(one, "receive", one.receive, self._see(one, now, role, syn, payload), fields)

    def view(self, name: str) -> View:
        """What the callbacks of the experiment ``name`` see, its state among it."""
        return self._views[name]

    def report(self) -> dict[str, dict[str, int]]:
        """The counts by name."""
        return {name: dict(sorted(counts.items())) for name, counts in self.counts.items()}

    def _see(self, one: Experiment, now: float, role: str, syn: bool, payload: int) -> View:
        view = self._views[one.name]
        view.now, view.role, view.syn, view.payload = now, role, syn, payload
        return view

    def _call(self, one: Experiment, what: str, callback: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return callback(*arguments)
        except KeyboardInterrupt:
            # It is meant for the program, whatever runs when it comes.
            raise
        except BaseException as error:
            self._failed(one, what, f"raised {type(error).__name__}: {error}")
            return None

    def _failed(self, one: Experiment, what: str, why: str) -> None:
        self._count(one, "failed")
        if what not in one.told:
            one.told.add(what)
            text = " ".join(why.split())[:_MOST_TEXT]
            _LOGGER.warning("edotun: experiment %s: %s: %s (told once, then counted)", one.name, what, text)

    def _count(self, one: Experiment, what: str) -> None:
        self.counts[one.name][what] += 1
        self._counters[f"experiment_{what}"] += 1
