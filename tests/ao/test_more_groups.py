"""The groups beside x25519: lengths, the documents' vectors, and shares that are refused (profile.md §6)."""

from __future__ import annotations

import importlib.util
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x448 import X448PrivateKey, X448PublicKey

from ao.groups import DEFAULT_GROUPS, GROUPS, GROUPS_BY_NAME, NAMES, BadShare, ffdhe
from ao.groups.ffdhe import Ffdhe
from stack.security import Security
from tests.ao.support import counting, scripted

ROOT = Path(__file__).parents[2]
P256, X448, FFDHE2048, FFDHE3072, HYBRID = 23, 30, 256, 257, 4588
P256_PRIME = 2**256 - 2**224 + 2**192 + 2**96 - 1
X448_PRIME = 2**448 - 2**224 - 1


def random_of(seed: int) -> Callable[[int], bytes]:
    return random.Random(seed).randbytes


@pytest.mark.parametrize(
    ("name", "code", "a", "b", "secret"),
    [
        ("x25519", 29, 32, 32, 32),
        ("secp256r1", P256, 65, 65, 32),
        ("x448", X448, 56, 56, 56),
        ("ffdhe2048", FFDHE2048, 256, 256, 256),
        ("ffdhe3072", FFDHE3072, 384, 384, 384),
        ("X25519MLKEM768", HYBRID, 1216, 1120, 64),
    ],
)
def test_table(name: str, code: int, a: int, b: int, secret: int) -> None:
    """Every column of profile.md §6's table, and that both sides come to the same secret."""
    group = GROUPS_BY_NAME[name]
    assert group is GROUPS[code]
    assert (group.name, group.code, group.share_octets, group.answer_octets) == (name, code, a, b)
    first = group.generate(random_of(1))
    answer = group.respond(random_of(2), first.public)
    assert (len(first.public), len(answer.public)) == (a, b)
    assert first.secret(answer.public) == answer.secret(first.public)
    assert len(first.secret(answer.public)) == secret


def test_registry() -> None:
    assert tuple(GROUPS_BY_NAME) == NAMES
    # x25519 comes first, and what has less than 120 bits only where it is named (RFC 8547 §5.1).
    assert DEFAULT_GROUPS == ("x25519", "secp256r1", "x448", "X25519MLKEM768", "ffdhe3072")


@pytest.mark.parametrize("code", [P256, X448, FFDHE2048, FFDHE3072, HYBRID])
def test_lengths(code: int) -> None:
    group = GROUPS[code]
    good = group.generate(random_of(1)).public
    for share in (b"", good[:-1], good + b"\0", bytes(2000)):
        with pytest.raises(BadShare):
            group.respond(counting(), share)
        with pytest.raises(BadShare):
            group.generate(random_of(2)).secret(share)


@pytest.mark.parametrize("code", [P256, X448, FFDHE2048, FFDHE3072])
def test_reflection(code: int) -> None:
    share = GROUPS[code].generate(random_of(3))
    with pytest.raises(BadShare, match="reflected"):
        share.secret(share.public)


@pytest.mark.parametrize("code", [P256, X448, FFDHE2048, FFDHE3072, HYBRID])
def test_no_secret_in_a_repr(code: int) -> None:
    private = random_of(4)(96)
    share = GROUPS[code].generate(random_of(4))
    assert private[:16].hex() not in repr(share)


# --- secp256r1 -------------------------------------------------------------------------------------------


def test_p256_of_rfc_5903() -> None:
    """RFC 5903 §8.1: i, r, their points and the shared x."""
    group = GROUPS[P256]
    i = bytes.fromhex("C88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433")
    r = bytes.fromhex("C6EF9C5D78AE012A011164ACB397CE2088685D8F06BF9BE0B283AB46476BEE53")
    first = group.generate(scripted(i))
    answer = group.respond(scripted(r), first.public)
    assert first.public.hex().upper() == (
        "04DAD0B65394221CF9B051E1FECA5787D098DFE637FC90B9EF945D0C37725811805271A0461CDB8252D61F1C456FA3E59AB1F45B33"
        "ACCF5F58389E0577B8990BB3"
    )
    assert first.secret(answer.public).hex().upper() == (
        "D6840F6B42F6EDAFD13116E0E12565202FEF8E9ECE7DCE03812464D04B9442DE"
    )


@pytest.mark.parametrize(
    "share",
    [
        b"\0" * 65,
        b"\x04" + bytes(64),
        b"\x04" + bytes(31) + b"\x05" + bytes(31) + b"\x01",
        b"\x04" + P256_PRIME.to_bytes(32, "big") + bytes(32),
        b"\x06" + bytes(64),
        b"\x00",
    ],
    ids=["zeros", "origin", "beside", "unreduced", "hybrid form", "infinity"],
)
def test_p256_takes_points_of_the_curve_only(share: bytes) -> None:
    with pytest.raises(BadShare):
        GROUPS[P256].respond(counting(), share)
    with pytest.raises(BadShare):
        GROUPS[P256].generate(random_of(1)).secret(share)


def test_p256_takes_no_compressed_points() -> None:
    point = GROUPS[P256].generate(random_of(1)).public
    compressed = bytes((2 + (point[64] & 1),)) + point[1:33]
    with pytest.raises(BadShare):
        GROUPS[P256].respond(counting(), compressed)


def test_p256_draws_a_scalar_again_where_it_is_none() -> None:
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    one = (1).to_bytes(32, "big")
    share = GROUPS[P256].generate(scripted(bytes(32), order.to_bytes(32, "big"), b"\xff" * 32, one))
    assert share.public == GROUPS[P256].generate(scripted(one)).public


# --- x448 ------------------------------------------------------------------------------------------------


def test_x448_of_rfc_7748_section_6_2() -> None:
    group = GROUPS[X448]
    alice = group.generate(
        scripted(
            bytes.fromhex(
                "9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28dd9c9baf574a9419744897391006382a6f127ab1d9ac2d8c0"
                "a598726b"
            )
        )
    )
    bob = group.respond(
        scripted(
            bytes.fromhex(
                "1c306a7ac2a0e2e0990b294470cba339e6453772b075811d8fad0d1d6927c120bb5ee8972b0d3e21374c9c921b09d1b0366f10b6"
                "5173992d"
            )
        ),
        alice.public,
    )
    assert alice.secret(bob.public).hex() == (
        "07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282bb60c0b56fd2464c335543936521c24403085d59a449a5037514a"
        "879d"
    )


@pytest.mark.parametrize("u", [0, 1, X448_PRIME - 1, X448_PRIME, X448_PRIME + 1])
def test_x448_small_order(u: int) -> None:
    """Refused when the answer is made; the library says too that the secret would be zero."""
    share = u.to_bytes(56, "little")
    with pytest.raises(ValueError, match="shared key"):
        X448PrivateKey.from_private_bytes(bytes(range(56))).exchange(X448PublicKey.from_public_bytes(share))
    with pytest.raises(BadShare):
        GROUPS[X448].respond(counting(), share)
    with pytest.raises(BadShare):
        GROUPS[X448].generate(random_of(1)).secret(share)


# --- ffdhe -----------------------------------------------------------------------------------------------


def ffdhe_group(code: int) -> Ffdhe:
    group = GROUPS[code]
    assert isinstance(group, Ffdhe)
    return group


@pytest.mark.parametrize(("code", "bits"), [(FFDHE2048, 2048), (FFDHE3072, 3072)])
def test_ffdhe_modulus(code: int, bits: int) -> None:
    """The first and last octets of RFC 7919 A.1 and A.2, and that it is a safe prime of its length (§3)."""
    prime = ffdhe_group(code).prime
    octets = prime.to_bytes(bits // 8, "big").hex().upper()
    assert octets.startswith("FFFFFFFFFFFFFFFFADF85458A2BB4A9AAFDC5620273D3CF1")
    last = "886B423861285C97FFFFFFFFFFFFFFFF" if bits == 2048 else "25E41D2B66C62E37FFFFFFFFFFFFFFFF"
    assert octets.endswith(last)
    for number in (prime, (prime - 1) // 2):
        assert pow(3, number - 1, number) == pow(5, number - 1, number) == 1


@pytest.mark.parametrize("code", [FFDHE2048, FFDHE3072])
def test_ffdhe_is_the_power_that_it_should_be(code: int) -> None:
    group = ffdhe_group(code)
    octets = 36 if code == FFDHE3072 else 32
    x, y = random_of(5)(octets), random_of(6)(octets)
    share = group.generate(scripted(x))
    answer = group.respond(scripted(y), share.public)
    assert int.from_bytes(share.public, "big") == pow(2, int.from_bytes(x, "big"), group.prime)
    secret = pow(2, int.from_bytes(x, "big") * int.from_bytes(y, "big"), group.prime)
    assert share.secret(answer.public) == secret.to_bytes(group.share_octets, "big")


@pytest.mark.parametrize("code", [FFDHE2048, FFDHE3072])
def test_ffdhe_is_padded_on_the_left(code: int) -> None:
    group = ffdhe_group(code)
    octets = 36 if code == FFDHE3072 else 32
    small = group.generate(scripted((9).to_bytes(octets, "big")))
    assert small.public == (512).to_bytes(group.share_octets, "big")
    one = group.generate(scripted((2).to_bytes(octets, "big")))
    assert one.secret((3).to_bytes(group.share_octets, "big")) == (9).to_bytes(group.share_octets, "big")


@pytest.mark.parametrize("code", [FFDHE2048, FFDHE3072])
@pytest.mark.parametrize("off", [0, 1, -1, "p", "p+1", "max"])
def test_ffdhe_range(code: int, off: int | str) -> None:
    group = ffdhe_group(code)
    numbers = {
        -1: group.prime - 1,
        "p": group.prime,
        "p+1": group.prime + 1,
        "max": 2 ** (8 * group.share_octets) - 1,
    }
    share = numbers.get(off, off).to_bytes(group.share_octets, "big")  # type: ignore[union-attr, call-overload]
    with pytest.raises(BadShare, match="known"):
        group.respond(counting(), share)
    with pytest.raises(BadShare, match="known"):
        group.generate(random_of(1)).secret(share)


def test_what_the_library_says_of_ffdhe_is_heard_nowhere() -> None:
    """Neither when it is imported nor when it is used; another's use of it still warns."""
    program = (
        "import warnings; warnings.simplefilter('error')\n"
        "from ao.groups import GROUPS\n"
        "import random\n"
        "one = GROUPS[257].generate(random.Random(1).randbytes)\n"
        "two = GROUPS[257].respond(random.Random(2).randbytes, one.public)\n"
        "assert one.secret(two.public) == two.secret(one.public)\n"
        "try:\n"
        "    from cryptography.hazmat.primitives.asymmetric.dh import DHPublicNumbers\n"
        "except DeprecationWarning: pass\n"
        "except UserWarning: pass\n"
        "else: raise SystemExit('no warning')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_it_the_two_groups_are_not_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.dh", None)
    gone = importlib.util.find_spec("ao.groups.ffdhe")
    assert gone is not None
    assert gone.loader is not None
    module = importlib.util.module_from_spec(gone)
    gone.loader.exec_module(module)
    assert module.available() == ()
    assert len(ffdhe.available()) == 2
    monkeypatch.delitem(GROUPS_BY_NAME, "ffdhe3072")
    with pytest.raises(ValueError, match="group: 'ffdhe3072' is not available here"):
        Security("ao-enc-dh", groups=("ffdhe3072",))


# --- X25519MLKEM768 --------------------------------------------------------------------------------------


def test_hybrid_parts() -> None:
    """ML-KEM's part comes first, in shares and in the secret; the curve's is x25519's own."""
    group, curve = GROUPS[HYBRID], GROUPS[29]
    a_curve, b_curve = bytes(range(32)), bytes(range(1, 33))
    first = group.generate(scripted(random_of(7)(64), a_curve))
    answer = group.respond(scripted(b_curve), first.public)
    alone = curve.generate(scripted(a_curve))
    other = curve.generate(scripted(b_curve))
    assert (first.public[1184:], answer.public[1088:]) == (alone.public, other.public)
    assert first.secret(answer.public)[32:] == alone.secret(other.public)
    again = group.respond(scripted(b_curve), first.public)
    # Only the encapsulation differs: the library draws for it.
    assert again.public[1088:] == answer.public[1088:]
    assert again.public[:1088] != answer.public[:1088]


def test_hybrid_key_modulus() -> None:
    """FIPS 203 §7.2: each of the 768 coefficients of 12 bits is below 3,329."""
    good = bytearray(GROUPS[HYBRID].generate(random_of(8)).public)
    for coefficient, value in ((0, 3329), (1, 4095), (767, 3329)):
        bad = bytearray(good)
        at = coefficient // 2 * 3
        low, high = (bad[at] | (bad[at + 1] & 15) << 8, bad[at + 1] >> 4 | bad[at + 2] << 4)
        low, high = (low, value) if coefficient % 2 else (value, high)
        bad[at : at + 3] = (low | high << 12).to_bytes(3, "little")
        with pytest.raises(BadShare, match="modulus"):
            GROUPS[HYBRID].respond(counting(), bytes(bad))


def test_hybrid_refuses_a_weak_or_reflected_curve_part() -> None:
    group = GROUPS[HYBRID]
    first = group.generate(random_of(9))
    answer = group.respond(random_of(10), first.public)
    with pytest.raises(BadShare, match="zero"):
        group.respond(counting(), first.public[:1184] + bytes(32))
    with pytest.raises(BadShare, match="zero"):
        first.secret(answer.public[:1088] + bytes(32))
    with pytest.raises(BadShare, match="reflected"):
        first.secret(answer.public[:1088] + first.public[1184:])
    with pytest.raises(BadShare, match="reflected"):
        answer.secret(first.public[:1184] + answer.public[1088:])


def test_hybrid_another_ciphertext_gives_another_secret() -> None:
    first = GROUPS[HYBRID].generate(random_of(11))
    answer = GROUPS[HYBRID].respond(random_of(12), first.public)
    other = bytes((answer.public[0] ^ 1,)) + answer.public[1:]
    assert first.secret(other)[:32] != answer.secret(first.public)[:32]
    assert first.secret(other)[32:] == answer.secret(first.public)[32:]
