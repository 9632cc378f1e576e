"""The lexer: a script's text, walked from the start, with file, line and column of every place.

packetdrill's language has no one alphabet of tokens: ``.`` is a flag, part of a number or a file name, depending on
where it stands. So whoever parses asks for what may stand here, by a pattern.
"""

from __future__ import annotations

import re
from typing import NoReturn

from .faults import Place, Refused

_BLANK = re.compile(r"(?:[ \t\r\n\f]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_INTEGER = re.compile(r"-?(?:0[xX][0-9a-fA-F]+|[0-9]+)(?![0-9A-Za-z_])")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_STRING = re.compile(r'"((?:\\.|[^"\\])*)"', re.DOTALL)
_NEXT = re.compile(r"[A-Za-z0-9_]+|\S")


class Scanner:
    """Walks ``text``; ``at`` is the offset of what comes next, always past blanks and comments."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.at = 0
        self._line = 1
        self._line_start = 0
        self._counted = 0
        self._skip()

    def _skip(self) -> None:
        found = _BLANK.match(self.text, self.at)
        assert found is not None
        self.at = found.end()
        if self.text.startswith("/*", self.at):
            self.refuse("a comment that begins here does not end")

    @property
    def place(self) -> Place:
        """Where the next thing stands."""
        newlines = self.text.count("\n", self._counted, self.at)
        if newlines:
            self._line += newlines
            self._line_start = self.text.rindex("\n", self._counted, self.at) + 1
        self._counted = self.at
        return Place(self.file, self._line, self.at - self._line_start + 1)

    @property
    def over(self) -> bool:
        """Whether the text has ended."""
        return self.at >= len(self.text)

    @property
    def ahead(self) -> str:
        """What comes next, for a message."""
        found = _NEXT.match(self.text, self.at)
        return repr(found.group()) if found is not None else "the end of the script"

    def refuse(self, reason: str) -> NoReturn:
        """Raise Refused for the present place."""
        raise Refused(self.place, reason)

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Take what matches ``pattern`` here, and the blanks behind it."""
        found = pattern.match(self.text, self.at)
        if found is not None:
            self.at = found.end()
            self._skip()
        return found

    def peek(self, *texts: str) -> bool:
        """Whether one of ``texts`` comes next."""
        return self.text.startswith(texts, self.at)

    def accept(self, text: str) -> bool:
        """Take ``text`` (punctuation) if it comes next."""
        if self.text.startswith(text, self.at):
            self.at += len(text)
            self._skip()
            return True
        return False

    def expect(self, text: str) -> None:
        """Take ``text`` (punctuation) or raise Refused."""
        if not self.accept(text):
            self.refuse(f"expected {text!r}, found {self.ahead}")

    def peek_word(self) -> str | None:
        """The word that comes next, None if none does."""
        found = _WORD.match(self.text, self.at)
        return found.group() if found is not None else None

    def accept_word(self, *words: str) -> str | None:
        """Take the next word if it is one of ``words``."""
        word = self.peek_word()
        if word is None or word not in words:
            return None
        self.at += len(word)
        self._skip()
        return word

    def word(self, what: str) -> str:
        """Take a word or raise Refused, which says that ``what`` was expected."""
        found = self.take(_WORD)
        if found is None:
            self.refuse(f"expected {what}, found {self.ahead}")
        return found.group()

    def integer_if(self) -> int | None:
        """Take an integer, decimal or hexadecimal, if one comes next."""
        found = self.take(_INTEGER)
        return None if found is None else int(found.group(), 0 if "x" in found.group().lower() else 10)

    def integer(self, what: str, least: int, most: int) -> int:
        """Take an integer of ``least`` to ``most`` or raise Refused."""
        place = self.place
        value = self.integer_if()
        if value is None:
            self.refuse(f"expected {what}, found {self.ahead}")
        if not least <= value <= most:
            raise Refused(place, f"{what} {value} is not in {least}-{most}")
        return value

    def string_if(self) -> str | None:
        """Take a quoted string if one comes next."""
        found = self.take(_STRING)
        if found is None:
            if self.peek('"'):
                self.refuse("a string that begins here does not end")
            return None
        return found.group(1)
