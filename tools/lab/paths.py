"""The path matrix: what each middlebox makes of each way of carrying options, seen by the applications."""

from __future__ import annotations

from random import Random
from typing import Final

from stack.security import PLACEMENTS
from stack.simulator.boxes import Delay

from ..boxes.registry import arranged
from .carrying import WAYS, Way
from .cell import Cell, Outcome
from .commands import REAL
from .crossing import Crossed, Speaker, cross
from .on_path import REDUCED, boxes_of, paths

WORKS: Final = "works"
FALLS_BACK: Final = "works after fallback"
FAILS: Final = "fails"
HANGS: Final = "hangs"
CORRUPTS: Final = "silent corruption"

_DELAY: Final = 0.02  # seconds, one way
_NEAR: Final = ("client", "server")


class PathMatrix:
    """Every path by every way and policy, with the boxes on either side of the delay."""

    name = "paths"
    rows = ("box", "near")
    columns = ("way", "policy")
    real = True

    def cells(self, *, reduced: bool, seed: int) -> list[Cell]:
        """All cells; the reduced matrix has some paths, near the server."""
        chosen = REDUCED if reduced else paths()
        return [
            Cell(self.name, {"box": box, "near": near, "way": way.name, "policy": way.policy}, seed)
            for box in chosen
            for near in (_NEAR[1:] if reduced else _NEAR)
            for way in WAYS.values()
        ]

    def real_cells(self, *, seed: int) -> list[Cell]:
        """The kernel's boxes and some of ours, on real packets."""
        # Loaded only now: what makes namespaces and devices takes its time.
        from .real import real_cells

        return real_cells(self.name, seed)

    def run(self, cell: Cell) -> Outcome:
        """Have a client and a server speak across the path of a cell."""
        box, near = str(cell.parameters["box"]), str(cell.parameters["near"])
        way = WAYS[str(cell.parameters["way"]), str(cell.parameters["policy"])]
        if cell.parameters.get(REAL):
            from .real import cross_really

            crossed, boxes = cross_really(box, way, cell.seed)
        else:
            boxes = boxes_of(box, near, Random(f"boxes {cell.seed}"))
            crossed = cross(*way.ends(), arranged(boxes, Delay(_DELAY)), cell.seed)
        outcome, found = judged(crossed, way)
        found["client"] = crossed.client.told()
        found["server"] = None if crossed.server is None else crossed.server.told()
        found["connections"] = len(crossed.servers)
        found["boxes"] = {one.text: one.counters() for one in boxes}
        return Outcome(outcome, found)


def judged(crossed: Crossed, way: Way) -> tuple[str, dict[str, object]]:
    """The outcome, and in words what came of it and when: seconds until both ends had octets, or the error."""
    misled = [_end(crossed, one) for one in crossed.speakers if one.misled]
    if misled:
        return CORRUPTS, {
            "what": f"{' and '.join(misled)} read what was not sent",
            "after": round(crossed.seconds, 3),
        }
    client, server = crossed.client, crossed.server
    if client.whole and server is not None and server.whole:
        after = round(max(client.first_at or 0.0, server.first_at or 0.0), 3)
        reports = client.attempt.report(), server.attempt.report()
        if way.had(*reports):
            return WORKS, {"what": f"works in {after:g} s", "after": after}
        mode = reports[0]["mode"]
        to = mode if way.name in PLACEMENTS else "TCP without it" if mode == "none" else f"{mode} alone"
        why = reports[0]["fallback"] or reports[1]["fallback"]
        text = f"works after fallback to {to} in {after:g} s" + (f": {why}" if why else "")
        return FALLS_BACK, {"what": text, "after": after, "to": to, "why": why}
    failed = [one for one in crossed.speakers if one.error is not None]
    if not crossed.ended or not failed:
        waits = [one for one in crossed.speakers if one.closed_at is None] or [client]
        has = [f"{_end(crossed, one)} has {len(one.received)} of {len(one.expected)} octets" for one in waits]
        what = f"{' and '.join(has)} after {crossed.seconds:g} s"
        return HANGS, {"what": what, "after": round(crossed.seconds, 3)}
    first = min(failed, key=lambda one: one.closed_at or 0.0)
    assert first.error is not None
    after = round(first.closed_at or 0.0, 3)
    what = f"{_end(crossed, first)} fails with {first.error.strerror} after {after:g} s"
    return FAILS, {"what": what, "after": after, "error": first.error.errno, "end": _end(crossed, first)}


def _end(crossed: Crossed, one: Speaker) -> str:
    return "the client" if one is crossed.client else "the server"


MATRIX: Final = PathMatrix()
