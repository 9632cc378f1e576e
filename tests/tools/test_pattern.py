from hypothesis import given
from hypothesis import strategies as st

from tools.pattern import first_difference, pattern

positions = st.integers(0, 1 << 40)


@given(positions, st.integers(0, 300), st.integers(0, 300))
def test_pieces_join(position: int, first: int, second: int) -> None:
    assert pattern(position, first) + pattern(position + first, second) == pattern(position, first + second)


def test_blocks_are_the_mixed_counter() -> None:
    def block(n: int) -> bytes:
        x = (n + 1) * 0x9E3779B97F4A7C15 % (1 << 64)
        return (x ^ x >> 29).to_bytes(8, "big")

    assert pattern(0, 40) == b"".join(map(block, range(5)))
    assert pattern(8_000_003, 13) == (block(1_000_000) + block(1_000_001))[3:16]


def test_no_two_blocks_are_equal() -> None:
    octets = pattern(0, 8 * 50_000)
    assert len({octets[i : i + 8] for i in range(0, len(octets), 8)}) == 50_000


@given(positions, st.binary(min_size=1, max_size=60), st.data())
def test_a_wrong_octet_is_found(position: int, noise: bytes, data: st.DataObject) -> None:
    octets = bytearray(pattern(position, len(noise)))
    assert first_difference(position, bytes(octets)) == -1
    at = data.draw(st.integers(0, len(noise) - 1))
    octets[at] ^= noise[at] or 1
    assert first_difference(position, bytes(octets)) == position + at


def test_a_lost_octet_is_found() -> None:
    octets = pattern(0, 1000)
    assert first_difference(0, octets[:500] + octets[501:]) >= 500
