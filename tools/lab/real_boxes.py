"""Real boxes: a namespace whose kernel does what a box does, by nftables, conntrack and a proxy."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from tun.netns import Namespace

from .real_proxy import PORT, Proxy


@dataclass(frozen=True, slots=True)
class Box:
    """What stands in the way: ``rules`` of nftables, where the devices are called in and out.

    ``private``: the server knows no way to the client's own addresses.
    """

    name: str
    what: str
    rules: str = ""
    sysctls: tuple[tuple[str, str], ...] = ()
    proxy: bool = False
    private: bool = False


def _chain(name: str, hook: str, *statements: str) -> str:
    body = "\n".join(f"        {statement}" for statement in (f"type {hook};", *statements))
    return f"    chain {name} {{\n{body}\n    }}\n"


def _table(*chains: str) -> str:
    return "table ip box {\n" + "".join(chains) + "}\n"


_FORWARD = "filter hook forward priority filter"
# TCP-AO, TCP-ENO, those of experiments; thrice, since a rule finds one at a time.
_NEW = (29, 69, 253, 254) * 3

BOXES: Final = (
    Box("none", "a router"),
    Box(
        "NAT",
        "source NAT with conntrack (masquerade)",
        _table(_chain("post", "nat hook postrouting priority srcnat", 'oifname "out" masquerade')),
        private=True,
    ),
    Box(
        "firewall",
        "drops what conntrack calls invalid",
        _table(_chain("forward", _FORWARD, "ct state invalid drop")),
    ),
    Box(
        "proxy",
        "ends each connection in the kernel's TCP and begins another; nothing else of TCP passes",
        _table(
            _chain(
                "pre", "nat hook prerouting priority dstnat", f"iifname in meta l4proto tcp redirect to :{PORT}"
            ),
            _chain("forward", _FORWARD, "meta l4proto tcp drop"),
        ),
        proxy=True,
    ),
    Box(
        "MSS clamp",
        "sets MSS to 536 in SYNs",
        _table(_chain("forward", _FORWARD, "tcp flags syn tcp option maxseg size set 536")),
    ),
    Box(
        "strips SYNs",
        "turns TCP-AO, TCP-ENO and kinds 253 and 254 into NOPs in SYNs",
        _table(_chain("forward", _FORWARD, *(f"tcp flags syn reset tcp option {kind}" for kind in _NEW))),
    ),
    Box(
        "strips all",
        "the same in every segment",
        _table(_chain("forward", _FORWARD, *(f"reset tcp option {kind}" for kind in _NEW))),
    ),
    Box(
        "strips later",
        "the same in every segment but SYNs",
        _table(_chain("forward", _FORWARD, *(f"tcp flags & syn == 0 reset tcp option {kind}" for kind in _NEW))),
    ),
    Box(
        "drops SYNs",
        "drops SYNs with such an option",
        _table(_chain("forward", _FORWARD, *(f"tcp flags syn tcp option {kind} exists drop" for kind in _NEW[:4]))),
    ),
    Box(
        "SYN proxy",
        "answers SYNs by cookies, and changes all sequence numbers after",
        _table(
            _chain("pre", "filter hook prerouting priority raw", 'iifname "in" tcp flags syn notrack'),
            _chain(
                "forward",
                _FORWARD,
                "ct state invalid,untracked synproxy mss 1460 wscale 8 timestamp sack-perm",
                "ct state invalid drop",
            ),
        ),
        sysctls=(("net.netfilter.nf_conntrack_tcp_loose", "0"),),
    ),
)


def place(box: Box, namespace: Namespace, stack: ExitStack) -> None:
    """Put a box into its namespace."""
    if box.rules:
        namespace.run(["nft", "-f", "-"], input=box.rules, text=True, check=True)
    for name, value in box.sysctls:
        namespace.sysctl(name, value)
    if box.proxy:
        stack.enter_context(Proxy(namespace))
