"""What a fuzzer's connection is like: its mode, and what else is a choice of both ends."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from construct import Int32ub, Struct

from ao.md5 import Md5Key, Md5Table
from ao.mkt import Mkt, MktTable
from edo.experiments import experiment
from stack.config import TcpConfig
from stack.experiments import View
from stack.renewal import Renewal
from stack.security import Security
from stack.syn_space import SynSpace
from stack.syneos import SynEos

MODES: Final = ("none", "md5", "ao", "ao-enc-dh", "ao-enc", "ao-dh")
AGREED: Final = ("ao-enc-dh", "ao-dh")
_USERS_OPTION: Final = bytes((200, 30)) + bytes(28)
_LARGE_OPTION: Final = bytes((201, 120)) + bytes(118)


def _receive(view: View, fields: dict[str, int]) -> None:
    view.state["heard"] = fields["heard"]
    if fields["number"] & 1:
        raise ValueError("a callback that fails")


EXPERIMENT: Final = experiment(
    "fuzzed",
    Struct("number" / Int32ub, "heard" / Int32ub),
    exid=0xE0C0,
    most=8,
    send=lambda view: {"number": len(view.state), "heard": view.state.get("heard", 0)},
    receive=_receive,
    every=True,
)


@dataclass(frozen=True, slots=True)
class Setting:
    """What is tested: mode, policy, IP version (0: IPv4, 1: IPv6), settings, and what else is a choice."""

    mode: str = "none"
    policy: str = "require"
    six: int = 0
    config: TcpConfig = field(default=TcpConfig())
    edo: str | None = None
    placement: str = "auto"
    groups: tuple[str, ...] = ("x25519",)
    peer_groups: tuple[str, ...] = ("x25519",)
    renewal: Renewal | None = field(default=Renewal())
    strict_syn: bool = False
    method: str | None = None
    syn_eos: bool = False
    experiments: bool = False
    full: bool = False
    """Whether the listener's backlog is full, so that SYNs are answered by cookies."""

    def security(self, *, victim: bool) -> Security:
        """What one end asks for."""
        asked = self._security(victim=victim)
        allowed = self.mode != "md5" and self.method is None
        return replace(asked, experiments=(EXPERIMENT,)) if self.experiments and allowed else asked

    def _security(self, *, victim: bool) -> Security:
        ids = (1, 2) if victim else (2, 1)
        beside = SynEos((_USERS_OPTION, _LARGE_OPTION), early=True) if self.syn_eos else None
        edo = None if beside and self.edo == "off" else self.edo
        match self.mode:
            case "md5":
                return Security("md5", self.policy, md5_keys=Md5Table([Md5Key("key", b"a secret")]))
            case "ao" | "ao-enc":
                cipher = "aes-128-ctr" if self.mode == "ao-enc" else None
                keys = MktTable([Mkt("key", *ids, b"a secret", encrypt=cipher)])
                return Security(self.mode, self.policy, edo=edo, keys=keys, syn_eos=beside)
            case "ao-enc-dh" | "ao-dh":
                groups = self.groups if victim else self.peer_groups
                if self.placement == "compact" and "x25519" not in groups:
                    groups += ("x25519",)
                return Security(
                    self.mode,
                    self.policy,
                    placements=(self.placement,),
                    groups=groups,
                    rekey=self.renewal,
                    strict_syn=self.strict_syn,
                )
        space = None if self.method is None else SynSpace(self.method, (_USERS_OPTION,))
        return Security(edo=None if space else edo, syn_space=space, syn_eos=None if space else beside)
