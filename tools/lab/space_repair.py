"""What room for SACK blocks buys: how soon a burst with losses is repaired, with and without a MAC beside."""

from __future__ import annotations

from statistics import median
from typing import Final

from ao.macs import MACS
from edo.rivals.base import Space
from edo.rivals.registry import find

from ..option_space.layouts import lay_out
from ..option_space.wants import parse
from ..sim.holes import Burst, repair
from .cell import Outcome

_RUNS: Final = 25
_LEGACY: Final = "legacy"
_ALL_ACKS, _FEW_ACKS = "every ACK returns", "one ACK in 20 ms"
_THIN: Final = {_ALL_ACKS: 0.0, _FEW_ACKS: 0.02}
_LOSSES: Final = (5, 10, 20)
_BLOCKS: Final = (3, 4, 8, 16, 31)
_MOST_BLOCKS: Final = 31
_MAC_LOSS: Final = 20


def _measured(bursts: list[Burst]) -> dict[str, object]:
    """The median time of repetitions with other seeds, and what was sent for it."""
    repairs = [repair(burst) for burst in bursts]
    lost = sum(one.lost for one in repairs)
    times = sorted(one.seconds for one in repairs)
    return {
        "value": round(median(times), 4),
        "unit": "s",
        "slowest": round(times[-1], 4),
        "sent again for each lost": round(sum(one.sent_again for one in repairs) / max(lost, 1), 3),
        "lost": lost,
        "bursts": len(bursts),
    }


def sack_cases(reduced: bool) -> list[tuple[str, str]]:
    """Loss by how many acknowledgments come back; the room as a number of blocks."""
    losses = _LOSSES[-1:] if reduced else _LOSSES
    spaces = [_LEGACY, *(f"edo {blocks} blocks" for blocks in (_BLOCKS[-1:] if reduced else _BLOCKS))]
    return [(f"{loss}% lost; {acks}", space) for acks in _THIN for loss in losses for space in spaces]


def run_sack(case: str, space: str, seed: int) -> Outcome:
    """Send bursts of 200 segments over 150 ms and see them through."""
    lost, _, acks = case.partition("% lost; ")
    blocks = _MOST_BLOCKS if space == _LEGACY else int(space.split(" ")[1])
    bursts = [
        Burst(blocks, space != _LEGACY, int(lost) / 100, thin=_THIN[acks], seed=seed + run) for run in range(_RUNS)
    ]
    return Outcome("exact", {"SACK blocks at most": 3 if space == _LEGACY else blocks, **_measured(bursts)})


def mac_cases(reduced: bool) -> list[tuple[str, str]]:
    """Every MAC whose option leaves room for the rest, and none, in 40 octets and behind them."""
    names = ["none", *MACS]
    return [(mac, space) for mac in (names[:2] if reduced else names) for space in (_LEGACY, "edo")]


def _room_for_blocks(mac: str, space: str) -> int:
    """SACK blocks that have room beside the MAC and timestamps."""
    before = "" if mac == "none" else f"ao:{mac}@data,"
    bounds = Space(mtu=1500, authenticated=mac != "none")
    for blocks in range(_MOST_BLOCKS, 0, -1):
        wanted = parse(f"{before}ts@data,sack:{blocks}@data", bounds).wanted
        if not lay_out(find(space), wanted, bounds).misfits:
            return blocks
    return 0


def run_mac(case: str, space: str, seed: int) -> Outcome:
    """How many SACK blocks a MAC leaves, and how long a burst with 20 % loss takes then, one ACK in 20 ms."""
    mac = "" if case == "none" else case
    bursts = [
        Burst(_MOST_BLOCKS, space != _LEGACY, _MAC_LOSS / 100, thin=_THIN[_FEW_ACKS], seed=seed + run, mac=mac)
        for run in range(_RUNS)
    ]
    octets = MACS[mac].mac_octets if mac else 0
    blocks = _room_for_blocks(case, space)
    told: dict[str, object] = {"MAC octets": octets, "SACK blocks beside it": blocks, **_measured(bursts)}
    return Outcome("exact", told | {"shown": f"{blocks} blocks"})
