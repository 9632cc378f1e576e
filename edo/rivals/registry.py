"""Methods by name."""

from __future__ import annotations

from typing import Final

from edo.rivals.aggregated import Aggregated
from edo.rivals.base import Method
from edo.rivals.extension import Edo
from edo.rivals.four_way import FourWay
from edo.rivals.inner_space import InnerSpace
from edo.rivals.legacy import Legacy
from edo.rivals.seg_u import SegU
from edo.rivals.sister_syn import SisterSyn
from edo.rivals.syn_eos import SynEos

_ALL = (Legacy(), Edo(), SynEos(), FourWay(), SisterSyn(), InnerSpace(), Aggregated(), SegU())
METHODS: Final[dict[str, Method]] = {method.name: method for method in _ALL}
"""In the order in which tables list them."""


def register(method: Method) -> None:
    """Make ``method`` available under its name; raises ValueError if the name is taken."""
    if method.name in METHODS:
        raise ValueError(f"method {method.name!r} exists")
    METHODS[method.name] = method


def find(name: str) -> Method:
    """Return the method called ``name``; raises ValueError naming those that there are."""
    if name not in METHODS:
        raise ValueError(f"method {name!r} is not one of {', '.join(METHODS)}")
    return METHODS[name]
