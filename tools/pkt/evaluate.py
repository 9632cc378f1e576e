"""The Python between ``%{`` and ``}%``: parsed, and evaluated here, never executed.

Known are literals, names of connection info, comparison, boolean and arithmetic operators, texts formatted with
``%``, names of its own, ``assert`` and ``print``. Everything else is refused: other people's scripts are not code
that is run.
"""

from __future__ import annotations

import ast
import operator
import re
import textwrap
from collections.abc import Callable, Mapping, MutableMapping
from typing import Final

Value = int | float | str | bool | None | tuple["Value", ...]

_BINARY: Final[dict[type[ast.operator], Callable[[int | float, int | float], int | float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_BITWISE: Final[dict[type[ast.operator], Callable[[int, int], int]]] = {
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
}
_ORDER: Final[dict[type[ast.cmpop], Callable[[int | float, int | float], bool]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_LARGEST_SHIFT: Final = 64
_FORMAT: Final = re.compile(r"[^%]*(?:%(?:%|[-+ 0#]{0,3}[0-9]{0,2}(?:\.[0-9]{1,2})?[dsiuxXfgeo])[^%]*)*")
_LONGEST: Final = 20_000


class CodeRefused(ValueError):
    """The code uses what is not known here; ``line`` counts from 1 within it."""

    def __init__(self, reason: str, line: int = 1) -> None:
        super().__init__(reason)
        self.line = line


class AssertionFalse(Exception):
    """An assertion did not hold: its text, the message behind it, the values of the names in it."""


def check(text: str) -> ast.Module:
    """Parse code and see that nothing in it is unknown; raises CodeRefused. Names are not looked up."""
    if len(text) > _LONGEST:
        raise CodeRefused(f"code of more than {_LONGEST} characters")
    try:
        # The line that a last backslash would be continued by is empty.
        module = ast.parse(textwrap.dedent(text).strip().removesuffix("\\"))
    except (SyntaxError, RecursionError, MemoryError, ValueError) as error:
        line = error.lineno if isinstance(error, SyntaxError) and error.lineno else 1
        raise CodeRefused(f"this is no Python that is understood here: {error}", line) from None
    for statement in module.body:
        if isinstance(statement, ast.Assign | ast.AugAssign):
            _check_assignment(statement)
        elif isinstance(statement, ast.Assert):
            _check_expression(statement.test)
            if statement.msg is not None:
                _check_expression(statement.msg)
        elif isinstance(statement, ast.Expr) and _is_print(statement.value):
            assert isinstance(statement.value, ast.Call)
            for argument in statement.value.args:
                _check_expression(argument)
        elif not isinstance(statement, ast.Pass):
            raise CodeRefused(
                f"only assert, print and assignments are understood, not: {_text(statement)}", statement.lineno
            )
    return module


def _check_assignment(statement: ast.Assign | ast.AugAssign) -> None:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    operation = statement.op if isinstance(statement, ast.AugAssign) else ast.Add()
    known = type(operation) in _BINARY or type(operation) in _BITWISE
    if len(targets) != 1 or not isinstance(targets[0], ast.Name) or not known:
        raise CodeRefused(f"not understood in code: {_text(statement)}", statement.lineno)
    _check_expression(statement.value)


def assigned(module: ast.Module) -> set[str]:
    """The names that the code gives a value."""
    nodes = (node for node in ast.walk(module) if isinstance(node, ast.Name))
    return {node.id for node in nodes if isinstance(node.ctx, ast.Store)}


def _is_print(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"


def _text(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())[:80]


def _check_expression(node: ast.expr) -> None:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant):
            known = isinstance(inner.value, int | float | str | bool | None)
        elif isinstance(inner, ast.BinOp):
            known = type(inner.op) in _BINARY or type(inner.op) in _BITWISE
        elif isinstance(inner, ast.Compare):
            known = all(
                type(op) in _ORDER or isinstance(op, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for op in inner.ops
            )
        elif isinstance(inner, ast.operator | ast.cmpop | ast.boolop | ast.unaryop | ast.expr_context):
            continue
        else:
            known = isinstance(inner, ast.Name | ast.BoolOp | ast.UnaryOp | ast.Tuple)
        if not known:
            raise CodeRefused(f"not understood in code: {_text(inner)}", getattr(inner, "lineno", 1))


def names(module: ast.Module) -> set[str]:
    """The names that the code asks for."""
    return {node.id for node in ast.walk(module) if isinstance(node, ast.Name)} - {"print"}


def run(module: ast.Module, known: MutableMapping[str, Value], show: Callable[[str], None]) -> None:
    """Evaluate what ``check`` has let pass; raises AssertionFalse, and CodeRefused for what cannot be computed.

    ``known`` has the values of names, and takes those that the code gives.
    """
    for statement in module.body:
        try:
            if isinstance(statement, ast.Assign):
                assert isinstance(statement.targets[0], ast.Name)
                known[statement.targets[0].id] = _evaluate(statement.value, known)
            elif isinstance(statement, ast.AugAssign):
                assert isinstance(statement.target, ast.Name)
                before = _evaluate(ast.Name(statement.target.id, ast.Load(), lineno=statement.lineno), known)
                known[statement.target.id] = _binary(statement.op, before, _evaluate(statement.value, known))
            elif isinstance(statement, ast.Assert):
                if not _evaluate(statement.test, known):
                    raise AssertionFalse(_told(statement, known))
            elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
                show(" ".join(str(_evaluate(argument, known)) for argument in statement.value.args))
        except (TypeError, ZeroDivisionError, OverflowError) as error:
            raise CodeRefused(f"cannot be computed: {error}", statement.lineno) from None


def _told(statement: ast.Assert, known: Mapping[str, Value]) -> str:
    parts = [f"assert {_text(statement.test)}"]
    if statement.msg is not None and not isinstance(statement.msg, ast.Name):
        parts.append(f"message {_evaluate(statement.msg, known)!r}")
    used = {node.id for node in ast.walk(statement.test) if isinstance(node, ast.Name)}
    parts.extend(f"{name} = {known[name]!r}" for name in sorted(used) if name.islower() and name in known)
    return ", ".join(parts)


def _evaluate(node: ast.expr, known: Mapping[str, Value]) -> Value:
    if isinstance(node, ast.Constant):
        value = node.value
        assert isinstance(value, int | float | str | bool | None)
        return value
    if isinstance(node, ast.Name):
        if node.id not in known:
            raise CodeRefused(f"nothing is known of {node.id!r}", node.lineno)
        return known[node.id]
    if isinstance(node, ast.BoolOp):
        stop = isinstance(node.op, ast.Or)
        last: Value = None
        for part in node.values:
            last = _evaluate(part, known)
            if bool(last) is stop:
                break
        return last
    if isinstance(node, ast.UnaryOp):
        return _unary(node, _evaluate(node.operand, known))
    if isinstance(node, ast.BinOp):
        return _binary(node.op, _evaluate(node.left, known), _evaluate(node.right, known))
    if isinstance(node, ast.Tuple):
        return tuple(_evaluate(item, known) for item in node.elts)
    assert isinstance(node, ast.Compare)
    left = _evaluate(node.left, known)
    for comparison, item in zip(node.ops, node.comparators, strict=True):
        right = _evaluate(item, known)
        if not _compare(comparison, left, right):
            return False
        left = right
    return True


def _unary(node: ast.UnaryOp, value: Value) -> Value:
    if isinstance(node.op, ast.Not):
        return not value
    number = _number(value)
    if isinstance(node.op, ast.Invert):
        return ~_integer(value)
    return -number if isinstance(node.op, ast.USub) else number


def _binary(operation: ast.operator, left: Value, right: Value) -> Value:
    if isinstance(left, str) and isinstance(operation, ast.Mod):
        return _formatted(left, right)
    if type(operation) in _BITWISE:
        shift = _integer(right)
        if isinstance(operation, ast.LShift | ast.RShift) and not 0 <= shift <= _LARGEST_SHIFT:
            raise TypeError(f"a shift by {shift}")
        return _BITWISE[type(operation)](_integer(left), shift)
    return _BINARY[type(operation)](_number(left), _number(right))


def _formatted(text: str, values: Value) -> str:
    """``text % values`` with short fields only; raises TypeError."""
    if _FORMAT.fullmatch(text) is None:
        raise TypeError(f"no format that is understood: {text!r}")
    try:
        return text % values
    except ValueError as error:
        raise TypeError(str(error)) from None


def _compare(comparison: ast.cmpop, left: Value, right: Value) -> bool:
    if isinstance(comparison, ast.Eq):
        return left == right
    if isinstance(comparison, ast.NotEq):
        return left != right
    if isinstance(comparison, ast.In | ast.NotIn):
        if not isinstance(right, tuple):
            raise TypeError("'in' needs a tuple")
        return (left in right) is isinstance(comparison, ast.In)
    return _ORDER[type(comparison)](_number(left), _number(right))


def _number(value: Value) -> int | float:
    if isinstance(value, int | float):
        return value
    raise TypeError(f"{value!r} is not a number")


def _integer(value: Value) -> int:
    if isinstance(value, int):
        return value
    raise TypeError(f"{value!r} is not an integer")
