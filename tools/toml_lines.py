"""Where the tables and keys of a TOML text stand: tomllib tells lines for errors of syntax only."""

from __future__ import annotations

import re
from typing import Final

from ao.keylines import statements

_HEADER: Final = re.compile(r"""[ \t]*\[\[?\s*(?:"([^"]*)"|'([^']*)'|([\w-]+))""")
_KEY: Final = re.compile(r"""[ \t]*(?:"([^"]*)"|'([^']*)'|([\w-]+))\s*[.=]""")
_SYNTAX: Final = re.compile(r"^(.*?) \(at (?:line (\d+), column \d+|end of document)\)$", re.DOTALL)


class Lines:
    """Lines (from 1) of the headers and keys of ``text``, by table name, number of the table (from 0) and key."""

    def __init__(self, text: str) -> None:
        self._lines: dict[tuple[str, int, str], int] = {}
        table, number = "", 0
        counts: dict[str, int] = {}
        for line, start in statements(text):
            if header := _HEADER.match(text, start):
                table = header[1] or header[2] or header[3]
                number = counts.get(table, 0)
                counts[table] = number + 1
                self._lines.setdefault((table, number, ""), line)
            elif key := _KEY.match(text, start):
                self._lines.setdefault((table, number, key[1] or key[2] or key[3]), line)

    def of(self, table: str, number: int = 0, key: str = "") -> int:
        """Return the line of a key, else of its table's header, else of a key of the table's name, else 1."""
        for name in ((table, number, key), (table, number, ""), ("", 0, table)):
            if name in self._lines:
                return self._lines[name]
        return 1


def syntax_error(error: Exception, text: str) -> tuple[int, str]:
    """Return the line (from 1) and the text of a ``tomllib.TOMLDecodeError`` in ``text``."""
    found = _SYNTAX.match(str(error))
    if found is None:
        return 1, str(error)
    return int(found[2]) if found[2] else text.rstrip().count("\n") + 1, found[1]
