"""A second opinion on a whole segment: the declarations of ``edo.codec``, and the rules written once more."""

from __future__ import annotations

from edo.codec import OptionError, Value, parse_option
from edo.codepoints import Dialect
from edo.extended import header_end
from edo.fast import find_ao, find_md5, has_md5, read_options
from edo.options import Span
from edo.reasons import EdoDrop
from edo.walk import walk, walk_steps
from tests.edo.support import options_of, values

_REMEMBERED = 1 << 16


class Authority:
    """Reads segments of one dialect by the declarations; what was parsed once is not parsed again."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._parsed: dict[bytes, Value | None] = {}

    def compare(self, octets: bytes) -> str:
        """Let both read a segment, and fail where they differ; which way it went."""
        tcp = memoryview(octets)
        if len(tcp) < 20 or not 20 <= (offset := tcp[12] >> 4 << 2) <= len(tcp):
            return "no header"
        spans = walk(tcp, 20, offset)
        assert spans == walk_steps(tcp, 20, offset) == self.spans(octets, 20, offset)
        if spans is None:
            return "malformed"
        self._read(octets, tcp, spans)
        end = header_end(tcp, spans, offset, self.dialect)
        assert end == self.end(octets, offset, spans)
        if end is None:
            return "plain"
        if isinstance(end, EdoDrop):
            return "bad extension"
        behind = walk(tcp, offset, end)
        assert behind == self.spans(octets, offset, end)
        if behind is None:
            return "malformed behind"
        self._read(octets, tcp, spans + behind)
        return "extended"

    def _read(self, octets: bytes, tcp: memoryview, spans: list[Span]) -> None:
        read = read_options(tcp, spans, self.dialect.points)
        assert values(read) == values(options_of(octets, spans, self.parse, self.dialect.points))
        assert find_ao(spans) == self.one_of(29, spans)
        assert find_md5(spans) == self.one_of(19, spans)
        assert has_md5(spans) == any(kind == 19 for kind, _, _, _ in spans)

    # --- the rules, once more ----------------------------------------------------------------------------

    @staticmethod
    def spans(octets: bytes, start: int, end: int) -> list[Span] | None:
        """RFC 9293 §3.1 and RFC 6994 §2, by cutting options off the front of what is left."""
        found: list[Span] = []
        rest = octets[start:end]
        while rest.lstrip(b"\x01") and rest.lstrip(b"\x01")[0]:
            rest = rest.lstrip(b"\x01")
            option = rest[: rest[1]] if len(rest) > 1 else b""
            if len(option) < 2 or len(option) != rest[1]:
                return None
            exid = int.from_bytes(option[2:4]) if option[0] in (253, 254) and len(option) >= 4 else -1
            found.append((option[0], exid, end - len(rest), len(option)))
            rest = rest[len(option) :]
        return found

    @staticmethod
    def one_of(kind: int, spans: list[Span]) -> tuple[int, int]:
        """Where the one option of a kind stands: (-1, 0) for none, (-2, 0) for more."""
        found = [(offset, length) for number, _, offset, length in spans if number == kind]
        return found[0] if len(found) == 1 else (-2 if found else -1, 0)

    def parse(self, option: bytes) -> Value | None:
        """What the declarations make of one option."""
        if option not in self._parsed:
            if len(self._parsed) >= _REMEMBERED:
                self._parsed.clear()
            try:
                self._parsed[option] = parse_option(option, self.dialect.points)
            except OptionError:
                self._parsed[option] = None
        return self._parsed[option]

    def end(self, octets: bytes, offset: int, spans: list[Span]) -> int | EdoDrop | None:
        """draft-ietf-tcpm-tcp-edo §4.2, §5: where the header ends."""
        dialect = self.dialect
        points = dialect.points
        kinds, exid = ((253, 254), points.edo_exid) if dialect.exid >= 0 else ((points.native_extension,), -1)
        bearing = [
            octets[at : at + length] for kind, number, at, length in spans if kind in kinds and number == exid
        ]
        parsed = [self.parse(option) for option in bearing]
        supported = [value is not None and value.name == "edo_supported" for value in parsed]
        extensions = [value for value, offer in zip(parsed, supported, strict=True) if not offer]
        if not extensions:
            return None
        (value, *more) = extensions
        if more or value is None:
            return EdoDrop.MALFORMED_OPTION
        end = value.fields["header_length"] * dialect.unit
        if end % 4 or not offset <= end <= len(octets):
            return EdoDrop.EDO_HEADER_LENGTH
        if value.fields["segment_length"] not in (None, len(octets)):
            return EdoDrop.EDO_SEGMENT_LENGTH
        return int(end)
