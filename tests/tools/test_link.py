from pathlib import Path

import pytest

from tools.link import Fault, Link, check_link


def link(**changes: object) -> Link:
    values: dict[str, object] = {
        "name": "edotun0",
        "addresses": ["10.0.0.2/24"],
        "hosts": ["10.0.0.1"],
        "netns": None,
        "mtu": 1500,
        "capture": None,
    }
    return check_link(**(values | changes))  # type: ignore[arg-type]


def test_good_values() -> None:
    got = link(addresses=["10.0.0.2/24", "FD00:0::2/64"], hosts=["10.0.0.1", "fd00::1", "192.0.2.9"], mtu=1280)
    assert got == Link(
        "edotun0", ("10.0.0.2/24", "fd00::2/64"), ("10.0.0.1", "fd00::1", "192.0.2.9"), None, 1280, None
    )


@pytest.mark.parametrize(
    ("changes", "option", "text"),
    [
        ({"name": ""}, "tun", "not a device name"),
        ({"name": "a" * 16}, "tun", "not a device name"),
        ({"name": "../x"}, "tun", "not a device name"),
        ({"addresses": []}, "addr", "at least one"),
        ({"addresses": ["10.0.0.2"]}, "addr", "no prefix length"),
        ({"addresses": ["10.0.0.2/33"]}, "addr", "not an IPv4 or IPv6 address"),
        ({"addresses": ["10.0.0.256/24"]}, "addr", "not an IPv4 or IPv6 address"),
        ({"addresses": ["10.0.0.2/24", "10.0.0.2/16"]}, "addr", "twice"),
        ({"addresses": ["224.0.0.1/24"]}, "addr", "cannot be"),
        ({"addresses": ["0.0.0.0/0"]}, "addr", "cannot be"),
        ({"hosts": ["10.0.0.1/24"]}, "host", "not an IPv4 or IPv6 address"),
        ({"hosts": ["10.0.0.1", "10.0.0.1"]}, "host", "twice"),
        ({"hosts": ["10.0.0.2"]}, "host", "stack's own"),
        ({"hosts": ["fd00::1"]}, "host", "IPv6 and no --addr is"),
        ({"hosts": ["127.0.0.1"]}, "host", "cannot be"),
        ({"mtu": 67}, "mtu", "68-65535"),
        ({"mtu": 65_536}, "mtu", "68-65535"),
        ({"mtu": 1279, "addresses": ["fd00::2/64"], "hosts": []}, "mtu", "1280-65535"),
        ({"congestion": "vegas"}, "congestion", "'vegas' is not one of cubic, reno, bbr"),
        ({"netns": "no-such-namespace"}, "netns", "no namespace 'no-such-namespace'"),
        ({"netns": "../x"}, "netns", "not the name"),
        ({"capture": Path("/no/such/folder/x.pcapng")}, "capture", "no folder /no/such/folder"),
    ],
)
def test_a_fault_names_option_and_reason(changes: dict[str, object], option: str, text: str) -> None:
    with pytest.raises(Fault, match=text) as caught:
        link(**changes)
    assert caught.value.option == option
    assert "\n" not in str(caught.value)
