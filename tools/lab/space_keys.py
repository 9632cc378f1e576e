"""How large a key share may be in each space, and what it takes: octets, packets and round trips of a handshake."""

from __future__ import annotations

from typing import Final

from ao.groups import GROUPS_BY_NAME
from stack.security import Security

from ..bench.handshakes.figures import RTT
from ..bench.handshakes.ours import Failed, Ours
from .cell import Outcome

_PLACEMENTS: Final = ("syn", "late", "compact")
_LIBRARY: Final = "not in this library"
_GROUPS: Final = ("x25519", "secp256r1", "x448", "ffdhe2048", "ffdhe3072", "X25519MLKEM768")


def cases(reduced: bool) -> list[tuple[str, str]]:
    """Every group in every placement."""
    return [(group, placement) for group in (_GROUPS[:1] if reduced else _GROUPS) for placement in _PLACEMENTS]


def run(case: str, space: str, seed: int) -> Outcome:
    """Agree on keys in this placement and no other, and count what crosses the path until both ends are silent."""
    if case not in GROUPS_BY_NAME:
        return Outcome(_LIBRARY, {"group": case})
    group = GROUPS_BY_NAME[case]
    share = {"share of A": group.share_octets, "share of B": group.answer_octets}
    try:
        security = Security("ao-enc-dh", placements=(space,), groups=(case,), resume="off")
        wire = Ours(case, security, (("placement", space), ("group", case))).wire()
    except ValueError as error:
        return Outcome("does not fit", {**share, "why": str(error)})
    except Failed as error:
        # It would have room, and the listener does not make a costly share for an address that has proven nothing.
        return Outcome("not agreed", {**share, "why": str(error)})
    told = {
        **share,
        "value": wire.octets_up + wire.octets_down,
        "unit": "octets",
        "packets": wire.packets_up + wire.packets_down,
        "round trips": wire.round_trips,
        "seconds": round(wire.round_trips * RTT, 3),
        "shown": f"{wire.round_trips} RTT",
    }
    return Outcome("agreed", told)
