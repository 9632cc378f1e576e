"""What stands on the paths of the path matrix: names that a command line can hold, and the boxes that they mean."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Final

from ..boxes.registry import BOXES, Placed, make

_OUTSIDE: Final = "address=192.0.2.1,address6=2001:db8::1"

PATHS: Final[Mapping[str, tuple[str, ...]]] = {
    "none": (),
    "nat": (f"nat:{_OUTSIDE}",),
    "nat-tracking": ("drop-flagless", "drop-reserved", f"nat:{_OUTSIDE}"),
    "nat-expiring": (f"nat:{_OUTSIDE},expire=20",),
    "nat-expiring-drop": (f"nat:{_OUTSIDE},expire=20,unknown=drop",),
    "nat-expiring-reset": (f"nat:{_OUTSIDE},expire=20,unknown=reset",),
    "symmetric-nat": (f"symmetric-nat:{_OUTSIDE}",),
    "sequence": ("sequence",),
    "sequence-not-sack": ("sequence:sack=no", "loss:share=0.05"),
    "strip": ("strip",),
    "strip-ao": ("strip:kinds=29",),
    "strip-eno": ("strip:kinds=69",),
    "strip-experiments": ("strip:kinds=253+254",),
    "strip-timestamps": ("strip:kinds=8",),
    "strip-syn": ("strip:syn=only",),
    "strip-later": ("strip:syn=except",),
    "strip-later-back": ("strip:syn=except,only=server", "loss:share=0.1,only=client"),
    "strip-after": ("strip:after=20",),
    "strip-remove": ("strip:remove",),
    "echo": ("echo",),
    "echo-all": ("echo:syn=any",),
    "mss": ("mss:most=536",),
    "window": ("window:most=20",),
    "window-scale": ("window:most=65535,scale=0",),
    "timestamps": ("timestamps",),
    "timestamps-half": ("timestamps:echoes=no",),
    "split-copy": ("split:most=500",),
    "split-bare": ("split:most=500,copy=no",),
    "merge": ("merge",),
    "merge-bare": ("merge:options=none",),
    "offload": ("offload",),
    "proxy": ("proxy",),
    "alg": ("alg",),
    "drop-flagless": ("drop-flagless",),
    "drop-unknown": ("drop-unknown",),
    "drop-unknown-syn": ("drop-unknown:syn=only",),
    "drop-unknown-later": ("drop-unknown:syn=except",),
    "drop-unknown-reset": ("drop-unknown:reset",),
    "drop-syn-text": ("drop-syn-text",),
    "drop-reserved": ("drop-reserved",),
    "offset": ("offset",),
    "offset-five": ("offset:low=five",),
    "ecn": ("ecn:reserved",),
    "duplicate": ("duplicate:share=0.3",),
    "jitter": ("delay:seconds=0.01,jitter=0.03",),
    "reorder": ("reorder:share=0.2",),
    "loss": ("loss:share=0.05",),
    "corrupt": ("corrupt:share=0.02",),
    "mtu": ("mtu:most=1200",),
    "mtu-icmp": ("mtu:most=1200,address=192.0.2.9",),
    "reset": ("reset:after=20",),
    "change-strip": ("change:to=(strip)",),
    "change-nat": (f"change:to=(nat:{_OUTSIDE})",),
    "change-sequence": ("change:to=(sequence)",),
    "change-split": ("change:to=(split:most=500,copy=no)",),
    "change-offset": ("change:to=(offset)",),
    "change-proxy": ("change:to=(proxy)",),
    "change-drop-unknown": ("change:to=(drop-unknown)",),
    "change-mtu": ("change:to=(mtu:most=1200)",),
    "balance-strip": ("balance:second=(strip)",),
    "balance-split": ("balance:second=(split:most=500,copy=no)",),
    "balance-delay": ("balance:second=(delay:seconds=0.03)",),
    "balance-drop-unknown": ("balance:second=(drop-unknown)",),
    "strip-in-nat": ("strip:kinds=253+254", f"nat:{_OUTSIDE}"),
}
"""For each name the boxes from client to server."""

REDUCED: Final = (
    "none",
    "nat",
    "strip",
    "strip-syn",
    "strip-after",
    "echo",
    "split-bare",
    "merge",
    "proxy",
    "alg",
    "drop-flagless",
    "drop-unknown-syn",
    "offset",
    "reset",
    "change-nat",
)
"""Those of the reduced matrix."""


def paths() -> list[str]:
    """All names: those above, and users' own boxes with their defaults."""
    own = [name for name, found in BOXES.items() if not found.maker.__module__.startswith("tools.boxes.")]
    return [*PATHS, *(name for name in own if name not in PATHS)]


def boxes_of(path: str, near: str, random: Random) -> list[Placed]:
    """The boxes of a path, near the client or the server."""
    found = []
    for text in PATHS.get(path, (path,)):
        name, _, rest = text.partition(":")
        found.append(make(f"{name}:{rest}{',' if rest else ''}near={near}", random))
    return found
