"""The box that takes part, by its name."""

from __future__ import annotations

from pathlib import Path

from .box_keys import AgreedBoxKeys
from .cooperating import Cooperating
from .registry import box


@box("cooperating", "lowers windows and MSS and signs anew, with the keys of a file of --box-keys")
def cooperating(*, keys: str = "", window: int = -1, mss: int = 0, insist: bool = False) -> Cooperating:
    """``keys``: the file (none: it signs nothing); ``window`` in octets (-1: left), ``mss`` (0: left); ``insist``:
    what it cannot sign is changed all the same.
    """
    return Cooperating(
        AgreedBoxKeys(Path(keys)) if keys else None,
        window=None if window < 0 else window,
        mss=mss or None,
        insist=insist,
    )
