"""The path matrix on real packets: boxes of ours make of each way what the kernel's do."""

from __future__ import annotations

import pytest

from tools.lab.cell import Cell
from tools.lab.paths import MATRIX
from tools.lab.real import KERNELS, real_cells

pytestmark = [pytest.mark.tun, pytest.mark.programs("nft", "ip")]

# The kernel's box, and the one of ours that is to do the same.
PAIRS = (
    ("nft-nat", "nat-tracking"),
    ("nft-proxy", "proxy"),
    ("nft-strips-syns", "strip-syn"),
    ("nft-firewall", "drop-flagless"),
)
WAYS = (
    ("legacy", "prefer"),
    ("edo-long", "prefer"),
    ("auto", "require"),
    ("auto", "prefer"),
    ("compact", "require"),
)


def outcome(box: str, way: str, policy: str, *, real: bool) -> str:
    parameters: dict[str, str | int | float | bool] = {"box": box, "near": "server", "way": way, "policy": policy}
    return MATRIX.run(Cell("paths", parameters | ({"real": True} if real else {}), 1)).outcome


@pytest.mark.parametrize(("kernel", "ours"), PAIRS)
def test_ours_are_as_the_kernels(kernel: str, ours: str) -> None:
    for way, policy in WAYS:
        found = outcome(kernel, way, policy, real=True)
        assert found == outcome(ours, way, policy, real=False), (way, policy)


def test_ours_are_on_real_packets_as_in_virtual_time() -> None:
    for way, policy in WAYS:
        assert outcome("nat", way, policy, real=True) == outcome("nat", way, policy, real=False), (way, policy)


def test_the_real_matrix_has_both_kinds() -> None:
    cells = real_cells("paths", 1)
    assert all(cell.parameters["real"] for cell in cells)
    assert set(KERNELS) < {cell.parameters["box"] for cell in cells}
