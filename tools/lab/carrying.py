"""Ways of carrying options, each with what both ends ask for and how one sees that it was had."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from ao.mkt import Mkt, MktTable, Nat
from edo.codepoints import Dialect, FormChoice
from stack.security import PLACEMENTS, Security
from stack.syn_space import METHODS, SynSpace
from stack.syneos import SynEos

Report = Mapping[str, object]

REQUIRE: Final = "require"
PREFER: Final = "prefer"

# The client's fits no SYN beside TCP's own options and EDO Supported; the server's fits a SYN-ACK, which not every
# way makes larger.
_OURS: Final = bytes((200, 22)) + bytes(20)
_THEIRS: Final = bytes((203, 8)) + bytes(6)


@dataclass(frozen=True, slots=True)
class Way:
    """One way under one policy: ``ends`` makes both ends' Security, ``had`` judges their reports.

    ``policy``: whether the connection is to fail where the way cannot be had (require), or to do without (prefer).
    Without key agreement the ways know one of both only.
    """

    name: str
    policy: str
    ends: Callable[[], tuple[Security, Security]]
    had: Callable[[Report, Report], bool]


def _both(security: Security) -> Callable[[], tuple[Security, Security]]:
    return lambda: (security, security)


def _is(name: str, value: object) -> Callable[[Report, Report], bool]:
    return lambda client, server: client[name] == server[name] == value


def _heard(client: Report, server: Report) -> bool:
    """Whether each end was told of the other's option."""
    pairs = ((client, _THEIRS), (server, _OURS))
    return all(isinstance(told := end["peer_options"], list) and option.hex() in told for end, option in pairs)


def _rival(name: str) -> Way:
    def ends() -> tuple[Security, Security]:
        return tuple(Security(syn_space=SynSpace(name, (option,))) for option in (_OURS, _THEIRS))  # type: ignore[return-value]

    return Way(name, PREFER, ends, lambda client, server: client["method"] == name and _heard(client, server))


def _configured(name: str, had: Callable[[Report, Report], bool], *, eos: bool = False, **fields: object) -> Way:
    def ends() -> tuple[Security, Security]:
        key = Mkt("key", 1, 1, b"on the path", mac="hmac-sha256-128", **fields)  # type: ignore[arg-type]
        extended = {"edo": "strict", "syn_eos": SynEos()} if eos else {}
        security = Security("ao", keys=MktTable([key]), **extended)  # type: ignore[arg-type]
        return security, security

    return Way(name, REQUIRE, ends, had)


def _agreed(placement: str, policy: str) -> Way:
    security = Security("ao-enc-dh", policy=policy, placements=(placement,))
    return Way(placement, policy, _both(security), _is("mode", "ao-enc-dh"))


def _ways() -> tuple[Way, ...]:
    strict, short = Security(edo="strict"), Security(edo="strict", dialect=Dialect(form=FormChoice.SHORT))
    eos = (Security(syn_eos=SynEos((_OURS,)), edo="strict"), Security(syn_eos=SynEos()))
    ao, confirmed = _is("mode", "ao"), _is("syn_eos", "confirmed")
    return (
        Way("legacy", PREFER, _both(Security()), lambda client, server: True),
        Way("edo-long", PREFER, _both(strict), _is("edo", "confirmed")),
        Way("edo-short", PREFER, _both(short), _is("edo", "confirmed")),
        Way("syn-eos", PREFER, lambda: eos, confirmed),
        *map(_rival, METHODS),
        _configured("ao", ao),
        _configured("ao-nat", ao, nat=Nat.both),
        _configured("ao-bare", ao, cover_options=False),
        _configured(
            "ao-syn-eos", lambda client, server: ao(client, server) and confirmed(client, server), eos=True
        ),
        *(_agreed(placement, policy) for placement in PLACEMENTS for policy in (REQUIRE, PREFER)),
    )


WAYS: Final = {(way.name, way.policy): way for way in _ways()}
"""All ways by name and policy."""
