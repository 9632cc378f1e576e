"""The options that are known: the project's own, its rivals', and those that a user's experiments declare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from construct import Byte, GreedyBytes, Struct, Terminated

from edo.codec import DECLARATIONS, Declaration, Registry
from edo.codepoints import EXPERIMENTAL, CodePoints
from edo.experiments import Experiment, ExperimentError
from edo.rivals.declared import DECLARATIONS as RIVALS


class Known:
    """The known options under any code points."""

    def __init__(self, experiments: Sequence[Experiment] = ()) -> None:
        self.experiments = tuple(experiments)
        self._registries: dict[CodePoints, Registry] = {}

    def registry(self, points: CodePoints) -> Registry:
        """All declarations, those of experiments among them; made once."""
        if points not in self._registries:
            declared = tuple(_declaration(one) for one in self.experiments)
            self._registries[points] = Registry(points, DECLARATIONS + RIVALS + declared)
        return self._registries[points]

    def fault(self, kind: int, exid: int, octets: bytes) -> str | None:
        """Why an option that bears an experiment's number is none of it; None where it is, or bears none."""
        for one in self.experiments:
            if one.bears(kind, exid) and not one.in_pieces:
                try:
                    one.parse([octets])
                except ExperimentError as error:
                    return str(error)
        return None

    def read(self, options: Sequence[tuple[int, int, bytes]]) -> list[tuple[str, dict[str, Any] | str]]:
        """What a segment's options, (kind, ExID or -1, octets) each, say to experiments: fields, or a fault."""
        found: list[tuple[str, dict[str, Any] | str]] = []
        for one in self.experiments:
            own = [octets for kind, exid, octets in options if one.bears(kind, exid)]
            if own:
                try:
                    found.append((one.name, one.parse(own)))
                except ExperimentError as error:
                    found.append((one.name, str(error)))
        return found


def _declaration(one: Experiment) -> Declaration:
    number = ((one.kind,), -1) if one.exid is None else (EXPERIMENTAL, one.exid)
    if one.in_pieces:
        contents = Struct("piece" / Byte, "pieces" / Byte, "octets" / GreedyBytes, "end" / Terminated)
        return Declaration(one.name, lambda _: number, range(2, 256 - one.head_octets), contents)
    contents = Struct(*one.fields.subcons, "end" / Terminated)
    return Declaration(one.name, lambda _: number, range(one.most + 1), contents)
