"""The box that takes part, by its name."""

from __future__ import annotations

from pathlib import Path

from .box_keys import AgreedBoxKeys, BoxKeys, ConfiguredBoxKeys
from .cooperating import Cooperating
from .registry import box


@box("cooperating", "lowers windows and MSS and signs anew, with keys that an end gave it")
def cooperating(
    *, keys: str = "", mkt: str = "", window: int = -1, mss: int = 0, insist: bool = False
) -> Cooperating:
    """``keys``: the file of an end's --box-keys; ``mkt``: the keys file of an end in mode ao (without either it
    signs nothing); ``window`` in octets (-1: left), ``mss`` (0: left); ``insist``: what it cannot sign is changed
    all the same. Raises ValueError, one line.
    """
    if keys and mkt:
        raise ValueError("keys and mkt: only one of them")
    held: BoxKeys | None = None
    if keys:
        held = AgreedBoxKeys(Path(keys))
    elif mkt:
        held = ConfiguredBoxKeys.read(Path(mkt))
    return Cooperating(
        held,
        window=None if window < 0 else window,
        mss=mss or None,
        insist=insist,
    )
