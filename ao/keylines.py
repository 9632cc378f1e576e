"""Where the keys of a TOML text stand: the standard library's parser tells no lines for values.

The text is known to be valid TOML, so only what decides where a line's statement begins is looked at: strings,
comments and the brackets of values that run over several lines.
"""

from __future__ import annotations

import re

_HEADER = re.compile(r"""[ \t]*\[(\[?)[ \t]*(?:"([^"]*)"|'([^']*)'|([\w-]+))""")
_KEY = re.compile(r"""[ \t]*(?:"([^"]*)"|'([^']*)'|([\w-]+))[ \t]*[.=]""")
# In this order: a multi-line string's opening is not to be taken for an empty string.
_TOKEN = re.compile(r"""\"{3}|'{3}|"(?:\\.|[^"\\])*"|'[^']*'|#|[\[{]|[\]}]""")
_CLOSING = {'"""': re.compile(r'(?:\\.|[^\\])*?"{3,5}', re.DOTALL), "'''": re.compile(r".*?'{3,5}", re.DOTALL)}


class KeyLines:
    """Line numbers, from 1, of the ``[[mkt]]`` tables of ``text`` and of the keys in them."""

    __slots__ = ("_tables", "_top")

    def __init__(self, text: str) -> None:
        self._top: dict[str, int] = {}
        self._tables: list[tuple[int, dict[str, int]]] = []
        inside = self._top
        for line, start in statements(text):
            if header := _HEADER.match(text, start):
                name = header[2] or header[3] or header[4]
                inside = {}
                if header[1] and name == "mkt":
                    self._tables.append((line, inside))
                self._top.setdefault(name, line)
            elif key := _KEY.match(text, start):
                inside.setdefault(key[1] or key[2] or key[3], line)

    def top(self, key: str) -> int:
        """Return the line of a key or table at the top of the file, 1 where there is none."""
        return self._top.get(key, 1)

    def key(self, index: int, key: str) -> int:
        """Return the line of ``key`` in the table with ``index`` (from 0); the table's own where it has none."""
        if index >= len(self._tables):
            return self.top("mkt")
        line, keys = self._tables[index]
        return keys.get(key, line)


def statements(text: str) -> list[tuple[int, int]]:
    """Return (line, position) of each line that begins a statement."""
    found = []
    position = 0
    line = 1
    while position < len(text):
        found.append((line, position))
        end = _end_of_statement(text, position)
        line += text.count("\n", position, end)
        position = end
    return found


def _end_of_statement(text: str, position: int) -> int:
    """Return the position behind the newline that ends the statement, values over several lines included."""
    depth = 0
    while True:
        newline = text.find("\n", position)
        stop = len(text) if newline < 0 else newline
        token = _TOKEN.search(text, position, stop)
        if token is None:
            position = stop + 1
            if depth <= 0 or newline < 0:
                return position
        elif token[0] in _CLOSING:
            closed = _CLOSING[token[0]].match(text, token.end())
            position = closed.end() if closed else len(text)
        elif token[0] == "#":
            # The rest of the line says nothing; the newline itself is looked at above.
            position = stop
        else:
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
            position = token.end()
