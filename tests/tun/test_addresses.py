"""From addresses of stack and host to the device's (docs: command line, ``--addr`` and ``--host``)."""

from __future__ import annotations

import pytest

from tun.addresses import plan_addresses
from tun.errors import TunError


def plan(stack: list[str], host: list[str]) -> tuple[list[str], list[str]]:
    made = plan_addresses(stack, host)
    return [str(one) for one in made.host], [str(one) for one in made.routes]


def test_host_takes_the_prefix_of_the_address_whose_network_holds_it() -> None:
    assert plan(["10.0.0.2/24"], ["10.0.0.1"]) == (["10.0.0.1/24"], ["10.0.0.2"])
    assert plan(["10.0.0.2/8", "10.0.0.3/28"], ["10.0.0.1"])[0] == ["10.0.0.1/28"]
    assert plan(["10.0.0.2/24", "fd00::2/64"], ["fd00::1", "10.0.0.1"]) == (
        ["fd00::1/64", "10.0.0.1/24"],
        ["10.0.0.2", "fd00::2"],
    )


def test_host_stands_alone_elsewhere() -> None:
    assert plan(["10.0.0.2/24"], ["192.168.1.1"])[0] == ["192.168.1.1/32"]
    assert plan(["10.0.0.2"], ["10.0.0.1"])[0] == ["10.0.0.1/32"]
    assert plan(["10.0.0.2/24"], ["fd00::1"])[0] == ["fd00::1/128"]


def test_host_with_a_prefix_is_taken_as_it_is() -> None:
    assert plan(["10.0.0.2/24"], ["10.0.0.1/30"])[0] == ["10.0.0.1/30"]


def test_host_is_optional_and_ipv6_is_known() -> None:
    assert plan(["10.0.0.2/24"], []) == ([], ["10.0.0.2"])
    assert not plan_addresses(["10.0.0.2/24"]).has_ipv6
    assert plan_addresses(["fd00::2/64"]).has_ipv6
    assert plan_addresses(["10.0.0.2/24"], ["fd00::1"]).has_ipv6


@pytest.mark.parametrize(
    ("stack", "host", "message"),
    [
        ([], [], "at least one"),
        (["10.0.0.2/33"], [], "'10.0.0.2/33' is not an address"),
        (["host"], [], "'host' is not an address"),
        (["10.0.0.2/24"], ["10.0.0"], "'10.0.0' is not an address"),
        (["10.0.0.2/24"], ["10.0.0.2"], "10.0.0.2 is given twice"),
        (["10.0.0.2/24", "10.0.0.2/8"], [], "10.0.0.2 is given twice"),
        (["fe80::1%eth0/64"], [], "zone"),
        (["0.0.0.0/0"], [], "cannot be"),
        (["ff02::1/16"], [], "cannot be"),
        (["10.0.0.2/24"], ["127.0.0.1"], "cannot be"),
    ],
)
def test_bad_addresses_are_one_line(stack: list[str], host: list[str], message: str) -> None:
    with pytest.raises(TunError, match=message) as caught:
        plan_addresses(stack, host)
    assert "\n" not in str(caught.value)
