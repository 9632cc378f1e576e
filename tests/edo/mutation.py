"""Segments as they might be sent, and what becomes of them when octets are changed, lost, repeated or put in."""

from __future__ import annotations

from random import Random

from edo.codec import build_option
from edo.codepoints import CodePoints, Dialect, EdoKind, Units
from edo.plan import Form

DIALECTS = tuple(Dialect(kind, units) for kind in EdoKind for units in Units)
_EXIDS = (0x0ED0, 0x5E05, 0xA0E1, 0xF989)
# Kinds that are known, their neighbours, and lengths and numbers at the edges.
_TELLING = bytes(
    (0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 18, 19, 28, 29, 34, 40, 69, 79, 80, 172, 174, 237, 252, 253, 254, 255)
)
_MOST = 400


def _known(points: CodePoints) -> tuple[bytes, ...]:
    """Options of every declared kind, of lengths at both ends of what is allowed."""
    blocks = tuple((i << 28, (i << 28) + 1460) for i in range(1, 5))
    built = [
        build_option("mss", points, mss=1460),
        build_option("wscale", points, shift=14),
        build_option("sack_permitted", points),
        *(build_option("sack", points, blocks=blocks[:count]) for count in (1, 2, 3, 4)),
        build_option("timestamps", points, ts_val=0xFFFFFFFF, ts_ecr=1),
        build_option("md5", points, digest=bytes(range(16))),
        *(build_option("ao", points, key_id=1, rnext_key_id=2, mac=bytes(size)) for size in (0, 12, 16)),
        build_option("user_timeout", points, field=0x8001),
        *(build_option("fast_open", points, cookie=bytes(size)) for size in (0, 4, 16)),
        *(build_option("fast_open_exp", points, cookie=bytes(size)) for size in (0, 8)),
        build_option("accecn_0", points, counters=(1, 2, 3)),
        build_option("accecn_1", points, counters=()),
        *(
            build_option("eno", points, contents=contents)
            for contents in (b"", b"\x01\xa0\xed\x01", b"\x82\xa0abc\x21")
        ),
        build_option("edo_supported", points),
        build_option("syn_eos", points),
        *(
            build_option("ke", points, message=kind, total=300, offset=at, octets=bytes(size))
            for kind, at, size in ((1, 0, 1), (2, 100, 9), (7, 299, 1))
        ),
        b"\x01",
        b"\x01\x01",
        b"\x00",
    ]
    return tuple(built)


class Segments:
    """An endless row of segments in one dialect: ``seed`` says which. Each is whole, with its Data Offset."""

    def __init__(self, seed: int, dialect: Dialect) -> None:
        self.dialect = dialect
        self._random = Random(seed)
        self._known = _known(dialect.points)

    def whole(self) -> bytearray:
        """A segment of known options as a sender could lay them out: some inside, some behind Data Offset."""
        choose = self._random
        inside = self._area(choose.randrange(7), 40)
        behind = b""
        if choose.random() < 0.5:
            form = choose.choice((Form.SHORT, Form.LONG))
            octets = self.dialect.short_octets if form is Form.SHORT else self.dialect.long_octets
            behind = self._area(choose.randrange(12), 200)
            inside = self._area(choose.randrange(4), 40 - octets - 3)
            inside += bytes(-(len(inside) + octets) % 4).replace(b"\x00", b"\x01")
            header = 20 + len(inside) + octets + len(behind)
            extension = bytearray(self.dialect.extension(form, header))
            payload = bytes(choose.randrange(20))
            if form is Form.LONG:
                extension[-2:] = (header + len(payload)).to_bytes(2)
            inside += extension
        else:
            payload = bytes(choose.randrange(40))
        offset = 20 + len(inside)
        fixed = (
            choose.randbytes(12)
            + bytes((offset << 2, choose.choice((0x02, 0x10, 0x12, 0x18, 0x11, 0x04))))
            + bytes(6)
        )
        return bytearray(fixed + inside + behind + payload)

    def _area(self, options: int, room: int) -> bytes:
        area = b""
        for option in self._random.choices(self._known, k=options):
            if len(area) + len(option) <= room & ~3:
                area += option
        return area + b"\x01" * (-len(area) % 4)

    def mutated(self) -> bytes:
        """A segment of which up to five things were changed; sometimes none, so that what is sound is seen too."""
        choose = self._random
        segment = self.whole()
        for _ in range(choose.randrange(6)):
            self._change(segment)
        return bytes(segment)

    def _change(self, segment: bytearray) -> None:
        choose = self._random
        if not segment:
            return
        how = choose.randrange(16)
        # Mostly where options stand.
        at = choose.randrange(len(segment)) if how & 1 or len(segment) < 24 else choose.randrange(20, len(segment))
        match how:
            case 0 | 1:
                segment[at] ^= 1 << choose.randrange(8)
            case 2 | 3:
                segment[at] = choose.randrange(256)
            case 4 | 5:
                segment[at] = choose.choice(_TELLING)
            case 6:
                segment[at] = (segment[at] + choose.choice((-4, -2, -1, 1, 2, 4))) & 0xFF
            case 7:
                del segment[at:]
            case 8:
                del segment[at : at + choose.randrange(1, 12)]
            case 9:
                end = at + choose.randrange(1, 24)
                segment[at:at] = segment[at:end]
            case 10 | 11:
                segment[at:at] = choose.choice(self._known)
            case 12:
                segment[at : at + 4] = choose.choice(_EXIDS).to_bytes(2) + segment[at : at + 2]
            case 13:
                segment += choose.randbytes(choose.randrange(1, 24))
            case 14 if len(segment) > 12:
                segment[12] = choose.randrange(16) << 4
            case _:
                other = self.whole()
                segment[at:] = other[at:]
        del segment[_MOST:]
