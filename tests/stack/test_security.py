"""What may be asked of a connection's protection: faults are named in one line before anything is sent."""

from __future__ import annotations

import pytest

from ao.md5 import Md5Key, Md5Table
from ao.mkt import Mkt, MktTable
from edo.negotiation import EdoPolicy
from stack.security import Security

LEGACY = Md5Table([Md5Key("legacy", b"secret")])
KEYS = MktTable([Mkt("plain", 1, 1, b"secret")])
ENCRYPTING = MktTable([Mkt("sealed", 1, 1, b"secret", encrypt="aes-128-ctr")])


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"protect": "tls"}, "protect: 'tls' is not one of none, md5, ao, ao-enc, ao-dh, ao-enc-dh"),
        ({"policy": "maybe"}, "policy: 'maybe'"),
        ({"policy": "never", "protect": "ao", "keys": KEYS}, "policy: never is for agreed keys"),
        ({"edo": "on"}, "edo: 'on' is not one of off, strict, lenient"),
        ({"confirm": "soon"}, "confirm: 'soon'"),
        ({"placements": ()}, "placement: the list is empty"),
        ({"placements": ("never",)}, "placement: 'never'"),
        ({"groups": ("x449",)}, "group: 'x449' is not one of x25519, secp256r1, x448"),
        ({"placements": ("compact",), "groups": ("x448",)}, "placement: compact agrees by x25519"),
        ({"order": "mine"}, "order: 'mine' is not one of peer, own"),
        ({"protect": "ao-dh", "suites": ("aes-128-cmac-96+aes-128-ctr",)}, "'ao-dh' does not encrypt"),
        ({"protect": "ao-enc"}, "keys: protection 'ao-enc' needs configured keys"),
        ({"protect": "ao-enc", "keys": KEYS}, "keys: key 'plain' does not encrypt"),
        ({"protect": "ao-dh", "edo": "off"}, "EDO cannot be off"),
        ({"suites": ()}, "suite: the list is empty"),
        ({"suites": ("md5+rc4",)}, "suite: MAC 'md5'"),
        ({"suites": ("aes-128-cmac-96",)}, "names no cipher"),
        ({"suites": ("aes-128-cmac-96+rc4",)}, "suite: cipher 'rc4'"),
        ({"protect": "ao-enc-dh", "edo": "off"}, "EDO cannot be off"),
        ({"protect": "ao"}, "needs configured keys"),
        ({"accept_icmps": True}, "accept_icmps: without protection"),
        ({"protect": "md5"}, "keys: protection 'md5' needs keys of TCP-MD5"),
        ({"protect": "md5", "keys": KEYS}, "keys: protection 'md5' needs keys of TCP-MD5"),
        ({"protect": "md5", "md5_keys": LEGACY, "edo": "strict"}, "edo: TCP-MD5 covers no option"),
        ({"protect": "md5", "md5_keys": LEGACY, "keys": ENCRYPTING}, "'sealed' encrypts"),
        ({"protect": "ao", "keys": KEYS, "md5_keys": LEGACY}, "'ao' takes no keys of TCP-MD5"),
        ({"protect": "ao-enc-dh", "keys": KEYS}, "takes no configured keys"),
        ({"protect": "ao", "keys": ENCRYPTING}, "'sealed' encrypts"),
    ],
)
def test_faults_are_named(fields: dict[str, object], fault: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]*$") as raised:
        Security(**fields)  # type: ignore[arg-type]
    assert fault in str(raised.value)


def test_defaults_follow_the_profile() -> None:
    """Early confirmation under require, waiting under prefer; strict EDO where keys are agreed (profile.md §2)."""
    assert not Security("ao-enc-dh").waits
    assert Security("ao-enc-dh", policy="prefer").waits
    assert not Security("ao-enc-dh", policy="prefer", confirm="early").waits
    assert Security("ao-enc-dh").edo_policy() is EdoPolicy.STRICT
    assert Security().edo_policy() is EdoPolicy.OFF
    assert Security("ao", keys=KEYS).edo_policy() is EdoPolicy.OFF
    assert Security("ao", keys=KEYS, edo="lenient").edo_policy() is EdoPolicy.LENIENT


def test_no_secret_is_shown() -> None:
    assert "secret" not in repr(Security("ao", keys=KEYS))
