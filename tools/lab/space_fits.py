"""Which sets of options have room: in the 40 octets of every header, and where others find more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edo.codepoints import DEFAULT, Dialect, FormChoice
from edo.rivals.base import MOST_INSIDE, Space, Wanted
from edo.rivals.registry import METHODS, find

from ..option_space.layouts import lay_out
from ..option_space.wants import parse
from .cell import Outcome

_MTU: Final = 1500
_USUAL: Final = "mss,ws,sackok,ts"
SETS: Final = {
    "usual": _USUAL,
    "usual + 3 SACK blocks": f"{_USUAL},sack:3",
    "usual + 4 SACK blocks": f"{_USUAL},sack:4",
    "usual + 16 SACK blocks": f"{_USUAL},sack:16",
    "usual + 31 SACK blocks": f"{_USUAL},sack:31",
    "usual + Fast Open cookie": f"{_USUAL},tfo:8",
    "usual + Fast Open + User Timeout": f"{_USUAL},tfo:16,uto",
    "TCP-MD5 + usual": f"md5,{_USUAL}",
    "TCP-AO 96 bits + usual": f"ao:aes-128-cmac-96,{_USUAL}",
    "TCP-AO 96 bits + usual + 3 SACK blocks": f"ao:aes-128-cmac-96,{_USUAL},sack:3",
    "TCP-AO 128 bits + usual": f"ao:hmac-sha256-128,{_USUAL}",
    "TCP-AO 128 bits + usual + 16 SACK blocks": f"ao:hmac-sha256-128,{_USUAL},sack:16",
    "share of x25519 alone": "mss,ke:x25519",
    "ENO + x25519 + usual": f"{_USUAL},eno,ke:x25519",
    "ENO + secp256r1 + usual": f"{_USUAL},eno,ke:secp256r1",
    "ENO + x448 + usual": f"{_USUAL},eno,ke:x448",
    "ENO + ffdhe3072 + usual": f"{_USUAL},eno,ke:ffdhe3072",
    "ENO + X25519MLKEM768 + usual": f"{_USUAL},eno,ke:X25519MLKEM768",
    "usual + 64 octets of telemetry": f"{_USUAL},raw:64@data",
    "usual + 255 octets in every segment": f"{_USUAL},raw:255",
}
_REDUCED: Final = ("usual + 4 SACK blocks", "TCP-AO 128 bits + usual", "ENO + x25519 + usual")
_FORMS: Final = {"edo long": FormChoice.LONG, "edo short": FormChoice.SHORT}
_LATE, _COMPACT = "late", "compact"
# TCP-AO with a share in the place of the MAC (profile.md §5).
_COMPACT_OCTETS: Final = 36
_KE: Final = "ke:"


@dataclass(frozen=True, slots=True)
class Fit:
    """``left_out``: options that go nowhere, with the segment; the rest counts where everything has room."""

    left_out: tuple[str, ...]
    packets: int | None = None
    handshake_octets: int | None = None
    payload: int | None = None


def _spaces() -> list[str]:
    own = [name for name in METHODS if name not in ("legacy", "edo")]
    return ["legacy", *_FORMS, "syn-eos", _LATE, _COMPACT, *(name for name in own if name != "syn-eos")]


def cases(reduced: bool) -> list[tuple[str, str]]:
    """Every set in every space."""
    return [(case, space) for case in (_REDUCED if reduced else SETS) for space in _spaces()]


def fit(want: str, space: str) -> Fit:
    """Lay the options of ``want`` (the language of ``edotun options``) out in ``space``."""
    if space == _COMPACT:
        return _compact(want)
    dialect = Dialect(form=_FORMS[space]) if space in _FORMS else DEFAULT
    asked = parse(want, Space(mtu=_MTU, dialect=dialect))
    bounds = Space(mtu=_MTU, dialect=dialect, authenticated=asked.authenticated)
    wanted = asked.wanted
    if space == _LATE:
        # The hello goes behind Data Offset of the ACK that ends the handshake, the answer of the next.
        moved = tuple(one for one in wanted.syn if one.name.startswith(_KE))
        syn, syn_ack = (
            tuple(one for one in wants if not one.name.startswith(_KE)) for wants in (wanted.syn, wanted.syn_ack)
        )
        wanted = Wanted(syn, syn_ack, (*wanted.data, *moved))
    method = find("edo" if space in _FORMS or space == _LATE else space)
    layout = lay_out(method, wanted, bounds)
    left_out = tuple(dict.fromkeys(f"{part.value}: {one.name.split(' ')[0]}" for part, one in layout.misfits))
    return Fit(left_out, layout.packets, layout.handshake_octets, layout.payload)


def _compact(want: str) -> Fit:
    """MSS and the share are all that there is room for, and no EDO follows."""
    asked = parse(want, Space(mtu=_MTU))
    left: list[str] = []
    room = MOST_INSIDE - _COMPACT_OCTETS
    for one in asked.wanted.syn:
        if one.name == "ke:x25519":
            continue
        if len(one.octets) <= room and not one.name.startswith(("ao", "md5", "eno", _KE)):
            room -= len(one.octets)
        else:
            left.append(f"syn: {one.name.split(' ')[0]}")
    # Later segments have TCP-AO of 16 octets, and timestamps only where the SYN had them.
    room = MOST_INSIDE - 16
    for one in asked.wanted.data:
        if one.name == "ts" and "syn: ts" in left:
            continue
        if len(one.octets) <= room and one.octets[0] not in (19, 29):
            room -= len(one.octets)
        else:
            left.append(f"data: {one.name.split(' ')[0]}")
    return Fit(tuple(dict.fromkeys(left)))


def run(case: str, space: str, seed: int) -> Outcome:
    """Whether the set fits, and if not what is left out; there is no chance in it."""
    found = fit(SETS[case], space)
    evidence: dict[str, object] = {"options": SETS[case], "left_out": list(found.left_out)}
    for name, value in (
        ("packets before data", found.packets),
        ("octets before data", found.handshake_octets),
        ("payload of a full segment", found.payload),
    ):
        if value is not None:
            evidence[name] = value
    if found.left_out:
        return Outcome("leaves out", evidence | {"shown": "; ".join(found.left_out)})
    return Outcome("fits", evidence)
