"""What the router's kernel does to the packets that it forwards: count, and alter one segment on request."""

from __future__ import annotations

import json
from typing import Any, Final

from tun.netns import Namespace

from ..programs import ProgramError

TABLE: Final = "edotun_demo"


def ruleset(port: int, *, alter: bool) -> str:
    """Return the router's nftables rules; with ``alter`` one large segment of each connection is changed.

    The rule flips the lowest bit of the window field of a segment from ``port``. nftables repairs the TCP checksum
    for such a change, so only the MAC can tell; the connection's mark makes it happen once.
    """
    flip = (
        f"    tcp sport {port} meta length > 1000 ct mark 0 tcp window set tcp window xor 1 ct mark set 1"
        " counter name altered\n"
    )
    return (
        f"table inet {TABLE} {{\n"
        "  counter passed {}\n"
        "  counter altered {}\n"
        "  chain forward {\n"
        "    type filter hook forward priority filter; policy accept;\n"
        "    meta l4proto tcp counter name passed\n"
        f"{flip if alter else ''}"
        "  }\n"
        "}\n"
    )


def apply(router: Namespace, rules: str) -> None:
    """Replace the router's rules by ``rules``; raises ProgramError."""
    _nft(router, ("-f", "-"), f"table inet {TABLE}\ndelete table inet {TABLE}\n{rules}")


def counters(router: Namespace) -> dict[str, int]:
    """Return the packets that each named counter has seen; raises ProgramError."""
    return read_counters(_nft(router, ("-j", "list", "counters", "table", "inet", TABLE), ""))


def read_counters(text: str) -> dict[str, int]:
    """Read nft's JSON list of counters: packets by name."""
    content: Any = json.loads(text)
    found = (item["counter"] for item in content["nftables"] if "counter" in item)
    return {counter["name"]: counter["packets"] for counter in found}


def _nft(router: Namespace, arguments: tuple[str, ...], rules: str) -> str:
    try:
        done = router.run(("nft", *arguments), input=rules, capture_output=True, text=True)
    except FileNotFoundError:
        raise ProgramError("nft: not found (install nftables)") from None
    if done.returncode:
        raise ProgramError(f"nft: {' '.join(done.stderr.split())}")
    return str(done.stdout)
