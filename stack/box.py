"""Boxes: what happens to packets on their way, in the simulator and on a real device alike."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from enum import IntEnum
from typing import Protocol

from .batch import Octets

_MOST_STEPS = 100_000  # boxes fed by one packet batch, before it is called a loop


class Direction(IntEnum):
    """Which way a packet goes through a chain: FORWARD leaves the stack (or the link's first host)."""

    FORWARD = 0
    BACKWARD = 1

    @property
    def reverse(self) -> Direction:
        """The other way."""
        return Direction.BACKWARD if self is Direction.FORWARD else Direction.FORWARD


Emission = tuple[float, Direction, Octets]
"""When a packet leaves a box (seconds), which way it goes on, and the packet."""


class Box(Protocol):
    """One thing that is done to packets: loss, delay, translation, an attack."""

    @property
    def next_deadline(self) -> float | None:
        """When ``process`` must be called even without packets (seconds), None for never."""

    def process(self, packets: list[Octets], direction: Direction, now: float) -> list[Emission]:
        """Take packets at ``now`` and return what leaves, now or later, either way.

        An emission before ``now`` counts as now. At ``next_deadline`` this is called with no packets, and what
        is returned may go both ways. Packets are not changed in place: they may be someone else's memory.
        """


class BoxChain:
    """Boxes in a row, itself a box: FORWARD packets meet the first box first, BACKWARD ones the last first.

    What a box lets out later waits here for its time before the next box sees it, so every box sees packets in
    the order of time. A packet that waits is copied unless it is bytes.
    """

    __slots__ = ("_boxes", "_count", "_serial", "_waiting")

    def __init__(self, boxes: Sequence[Box] = ()) -> None:
        self._boxes = tuple(boxes)
        self._count = len(self._boxes)
        self._waiting: list[tuple[float, int, int, Direction, Octets]] = []
        self._serial = 0

    @property
    def next_deadline(self) -> float | None:
        """When ``process`` must be called even without packets (seconds), None for never."""
        first = self._waiting[0][0] if self._waiting else None
        for box in self._boxes:
            deadline = box.next_deadline
            if deadline is not None and (first is None or deadline < first):
                first = deadline
        return first

    def process(self, packets: list[Octets], direction: Direction, now: float) -> list[Emission]:
        """Take packets at ``now``; first everything that is due by then happens, in the order of time."""
        if not self._count:
            return [(now, direction, packet) for packet in packets]
        out: list[Emission] = []
        self._catch_up(now, out)
        if packets:
            self._carry(packets, direction, 0 if direction is Direction.FORWARD else self._count - 1, now, out)
        return out

    def _catch_up(self, now: float, out: list[Emission]) -> None:
        # A box that does not move its deadline is asked once in this call, so the loop ends.
        waiting = self._waiting
        asked: dict[int, float] = {}
        while True:
            moment = waiting[0][0] if waiting else None
            overdue = -1
            for index, box in enumerate(self._boxes):
                deadline = box.next_deadline
                if deadline is None or asked.get(index) == deadline:
                    continue
                if moment is None or deadline < moment:
                    moment, overdue = deadline, index
            if moment is None or moment > now:
                return
            if overdue >= 0:
                asked[overdue] = moment
                self._carry([], Direction.FORWARD, overdue, moment, out)
                continue
            _, _, index, direction, packet = heapq.heappop(waiting)
            due = [packet]
            while waiting and waiting[0][0] == moment and waiting[0][2:4] == (index, direction):
                due.append(heapq.heappop(waiting)[4])
            self._carry(due, direction, index, moment, out)

    def _carry(
        self, packets: list[Octets], direction: Direction, index: int, moment: float, out: list[Emission]
    ) -> None:
        """Feed box ``index``, and with what leaves it at once its neighbours, until all are out or waiting."""
        work = deque([(index, direction, packets)])
        for _ in range(_MOST_STEPS):
            if not work:
                return
            index, direction, packets = work.popleft()
            target, together = -1, packets
            for when, towards, packet in self._boxes[index].process(packets, direction, moment):
                following = index + 1 if towards is Direction.FORWARD else index - 1
                if not 0 <= following < self._count:
                    out.append((max(when, moment), towards, packet))
                elif when > moment:
                    self._serial += 1
                    kept = packet if isinstance(packet, bytes) else bytes(packet)
                    heapq.heappush(self._waiting, (when, self._serial, following, towards, kept))
                elif following == target:
                    together.append(packet)
                else:
                    target, together = following, [packet]
                    work.append((following, towards, together))
        raise RuntimeError(f"boxes hand packets back and forth without end at {moment:.6f} s")
