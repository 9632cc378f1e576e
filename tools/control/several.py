"""Orders to a command that runs in several processes: each carries them out, and the answers become one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .fault import OrderFault

# Of rows that are the same in every process but for this, which counts what each has.
_COUNT = "connections"


class Several:
    """Passes orders on; ``ask`` returns every process's answer, {"ok": ...}, or raises OSError."""

    def __init__(self, ask: Callable[[Mapping[str, Any]], list[dict[str, Any]]]) -> None:
        self._ask = ask

    def carry_out(self, order: Mapping[str, Any]) -> dict[str, object]:
        """Have the order carried out everywhere; raises OrderFault with the first fault that there was."""
        if order.get("do") == "remove" and not order.get("check"):
            # A key that one has in use is to be removed by none.
            self.carry_out({**order, "check": True})
        try:
            answers = self._ask(order)
        except OSError as error:
            raise OrderFault(f"a worker does not answer: {error}") from None
        faults = [str(answer.get("error")) for answer in answers if not answer.get("ok")]
        if faults:
            raise OrderFault(faults[0])
        for answer in answers:
            del answer["ok"]
        merged = merge(answers)
        assert isinstance(merged, dict)
        return merged


def merge(values: Sequence[Any]) -> Any:
    """One value for those of all processes: numbers add up, tables are merged, lists joined, of texts the first."""
    first = values[0]
    if isinstance(first, bool) or not isinstance(first, int | float | dict | list):
        return first
    if isinstance(first, int | float):
        return sum(values)
    if isinstance(first, dict):
        names = dict.fromkeys(name for value in values for name in value)
        return {name: merge([value[name] for value in values if name in value]) for name in names}
    return _rows([row for value in values for row in value])


def _rows(rows: list[Any]) -> list[Any]:
    found: dict[str, Any] = {}
    for row in rows:
        if not isinstance(row, dict):
            found[json.dumps(row)] = row
            continue
        name = json.dumps({key: value for key, value in row.items() if key != _COUNT}, sort_keys=True)
        if name in found and _COUNT in row:
            found[name] = found[name] | {_COUNT: found[name][_COUNT] + row[_COUNT]}
        else:
            found.setdefault(name, row)
    return list(found.values())
