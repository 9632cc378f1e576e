"""System calls as scripts write them: arguments, results, names of errors."""

from __future__ import annotations

import re

from .scanner import Scanner
from .syntax import Anything, Apply, Expression, Integer, Items, Name, Struct, Text

_NOTE = re.compile(r"\(([^()]*(?:\([^()]*\)[^()]*)*)\)")
_ERROR = re.compile(r"E[A-Z0-9]+\b")
_PART = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|-?0[xX][0-9a-fA-F]+|-?[0-9]+")
_Call = tuple[str, tuple[Expression, ...], Expression, str | None]
_FUNCTIONS = ("htons", "htonl", "inet_addr", "inet6_addr")


def parse_call(scanner: Scanner) -> _Call:
    """Parse ``name(arguments) = result ERROR (note)``; raises Refused."""
    name = scanner.word("the name of a system call")
    scanner.expect("(")
    arguments = _list(scanner, ")")
    scanner.expect("=")
    result = parse_expression(scanner)
    error = scanner.take(_ERROR)
    if scanner.peek("(") and scanner.take(_NOTE) is None:
        scanner.refuse("a note that begins here does not end")
    return name, arguments, result, None if error is None else error.group()


def _list(scanner: Scanner, close: str) -> tuple[Expression, ...]:
    items: list[Expression] = []
    if scanner.accept(close):
        return ()
    while True:
        items.append(parse_expression(scanner))
        if scanner.accept(close):
            return tuple(items)
        if not scanner.accept(","):
            scanner.refuse(f"expected ',' or {close!r}, found {scanner.ahead}")


def parse_expression(scanner: Scanner) -> Expression:
    """Parse one argument or result; raises Refused."""
    if scanner.accept("..."):
        return Anything()
    if scanner.peek('"'):
        return _text(scanner)
    if scanner.accept("["):
        return Items(_list(scanner, "]"))
    if scanner.accept("{"):
        return _struct(scanner)
    word = scanner.peek_word()
    if word in _FUNCTIONS:
        scanner.word("a function")
        scanner.expect("(")
        argument = parse_expression(scanner)
        scanner.expect(")")
        return Apply(word, argument)
    return _number(scanner)


def _text(scanner: Scanner) -> Text:
    parts = []
    while (part := scanner.string_if()) is not None:
        parts.append(part)
    return Text("".join(parts), open=scanner.accept("..."))


def _number(scanner: Scanner) -> Expression:
    """A number or names of constants, joined by ``|``."""
    parts = []
    while True:
        found = scanner.take(_PART)
        if found is None:
            scanner.refuse(f"expected a value, found {scanner.ahead}")
        parts.append(found.group())
        if not scanner.accept("|"):
            break
    if len(parts) == 1 and (number := _as_integer(parts[0])) is not None:
        return Integer(number, parts[0])
    return Name(tuple(parts))


def _as_integer(part: str) -> int | None:
    if part[0].isalpha() or part[0] == "_":
        return None
    return int(part, 16) if "x" in part.lower() else int(part)


def _struct(scanner: Scanner) -> Struct:
    fields: list[tuple[str, Expression]] = []
    counts: list[tuple[str, Expression]] = []
    members: list[Expression] = []
    while not scanner.accept("}"):
        if fields or members:
            scanner.expect(",")
        word = scanner.peek_word()
        start = scanner.at
        named = False
        if word is not None and word not in _FUNCTIONS:
            scanner.word("a field")
            count = None
            if scanner.accept("("):
                count = parse_expression(scanner)
                scanner.expect(")")
            if scanner.accept("="):
                named = True
                fields.append((word, parse_expression(scanner)))
                if count is not None:
                    counts.append((word, count))
        if not named:
            scanner.at = start
            members.append(parse_expression(scanner))
    return Struct(tuple(fields), tuple(counts), tuple(members))
