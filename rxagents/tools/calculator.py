"""Evaluate arithmetic expressions of models, without `eval`.

The expression is parsed to a syntax tree, and only the node types, operators and functions of the
tables below are evaluated. Each result is bounded before or right after it is computed, so that a
short expression such as `9**9**9` takes neither much time nor much memory.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterator
from typing import TypeAlias

from rxagents.core.errors import ToolError
from rxagents.core.tools import tool

Number: TypeAlias = int | float

_LENGTH = 2000
"""The largest number of characters of an expression."""

_DEPTH = 200
"""The largest number of nested operations; each takes two of Python's 1000 stack frames."""

_DIGITS = 4000
"""The largest number of digits of any result; Python prints at most 4300."""

_BITS = int(_DIGITS * math.log2(10))

_FACTORIAL = 1500
"""The largest argument of factorial: 1500! has some 4100 digits, more than `_DIGITS`."""

_SPELLINGS = str.maketrans(
    {"^": "**", "\N{MULTIPLICATION SIGN}": "*", "\N{DIVISION SIGN}": "/", "\N{MINUS SIGN}": "-"}
)
"""Models write `^` for powers; Python's own `^` would bind less tightly than `+`."""


@tool
def calculator(expression: str) -> str:
    """Calculate the value of an arithmetic expression.

    Operators: + - * / // % ** (or ^) and parentheses. Constants: pi, e, tau. Functions: sqrt,
    cbrt, root(x, n), pow, abs, round, floor, ceil, exp, log(x[, base]), ln, log10, log2, sin,
    cos, tan, asin, acos, atan, atan2, degrees, radians, factorial, gcd, lcm, min, max, sum,
    hypot. Angles are in radians.

    Args:
        expression: Such as "123 * 456", "2^10" or "sqrt(2) * sin(pi / 4)".
    """
    try:
        return str(_value(_parse(expression), _DEPTH))
    except ZeroDivisionError:
        raise ToolError("The expression divides by zero. Check its values.") from None
    except OverflowError:
        raise _too_large() from None
    except RecursionError:
        raise _too_deep() from None


def _parse(expression: str) -> ast.expr:
    if len(expression) > _LENGTH:
        raise ToolError(
            f"The expression has {len(expression)} characters, and the limit is {_LENGTH}. "
            "Calculate it in parts."
        )
    try:
        text = " ".join(expression.translate(_SPELLINGS).split())
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ToolError(
            f"{_quoted(expression)} is not a valid expression. Write it like '2 * (3 + 4)': an "
            "operator between numbers, 50/100 for 50%, factorial(5) for 5!, and no '=' or units."
        ) from error


def _value(node: ast.expr, depth: int) -> Number:
    if depth == 0:
        raise _too_deep()
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return _checked(value)
        case ast.BinOp(op=op) if type(op) in _BINARY:
            left, right = _value(node.left, depth - 1), _value(node.right, depth - 1)
            return _checked(_BINARY[type(op)](left, right))
        case ast.UnaryOp(op=op) if type(op) in _UNARY:
            return _UNARY[type(op)](_value(node.operand, depth - 1))
        case ast.Call(func=function, args=arguments, keywords=[]):
            values = [_value(argument, depth - 1) for argument in _flat(arguments)]
            return _checked(_called(_name(function), values))
        case ast.Name() | ast.Attribute():
            return _constant(_name(node))
    raise ToolError(
        f"{_quoted(ast.unparse(node))} is not supported. Use numbers without commas, "
        "+ - * / // % **, parentheses, and the functions by their names."
    )


def _flat(arguments: list[ast.expr]) -> Iterator[ast.expr]:
    """Treat `max([1, 2])` as `max(1, 2)`."""
    for argument in arguments:
        if isinstance(argument, (ast.List, ast.Tuple)):
            yield from argument.elts
        else:
            yield argument


def _name(node: ast.expr) -> str:
    """Return the name of a function or constant, without a leading `math.`."""
    if isinstance(node, ast.Name):
        return node.id.lower()
    match node:
        case ast.Attribute(value=ast.Name(id="math" | "Math"), attr=name):
            return name.lower()
    return ast.unparse(node)


def _constant(name: str) -> float:
    if name in _CONSTANTS:
        return _CONSTANTS[name]
    raise ToolError(
        f"Unknown name {_quoted(name)}. Write its value instead; the constants are pi, e and tau."
    )


def _called(name: str, values: list[Number]) -> Number:
    function = _FUNCTIONS.get(name)
    if function is None:
        raise ToolError(
            f"Unknown function {_quoted(name)}. Use one of {', '.join(sorted(_FUNCTIONS))}; "
            "to multiply, write *."
        )
    try:
        return function(*values)
    except (TypeError, ValueError) as error:
        raise ToolError(
            f"{name} does not accept these {len(values)} arguments ({error}). Check their number "
            "and their values."
        ) from error


def _checked(value: Number | complex) -> Number:
    """Return `value` if it is real and of bounded size."""
    if isinstance(value, complex):
        raise ToolError(
            "The power of a negative number is not real. Use root(x, n) for an odd root."
        )
    if value.bit_length() > _BITS if isinstance(value, int) else not math.isfinite(value):
        raise _too_large()
    return value


def _too_large() -> ToolError:
    return ToolError(
        f"A number is too large: the limits are {_DIGITS} digits for integers and 1.8e308 for "
        "fractions. Use smaller numbers, or their logarithms."
    )


def _too_deep() -> ToolError:
    return ToolError(
        f"The expression has more than {_DEPTH} nested operations. Calculate it in parts, or add "
        "with sum(a, b, …)."
    )


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:80]}…")


def _divide(left: Number, right: Number) -> Number:
    """Divide; integers that divide evenly give an integer."""
    if isinstance(left, int) and isinstance(right, int) and left % right == 0:
        return left // right
    return left / right


def _power(base: Number, exponent: Number) -> Number:
    """Raise to a power; the size of an integer result is checked before it is computed."""
    whole = isinstance(base, int) and isinstance(exponent, int)
    if whole and (int(base).bit_length() - 1) * exponent > _BITS:
        raise _too_large()
    result: Number = base**exponent
    return result


def _root(value: Number, degree: Number = 2) -> Number:
    """Return the real root; it is exact for a perfect power."""
    if value < 0:
        if degree % 2 != 1:
            raise ValueError("a negative number has odd roots only")
        return -_root(-value, degree)
    if degree == 2 and isinstance(value, int) and math.isqrt(value) ** 2 == value:
        return math.isqrt(value)
    root: float = value ** (1 / degree)
    near = round(root)
    if degree < 1 or near**degree != value:
        return root
    return near if isinstance(value, int) else float(near)


def _log(value: Number, base: Number = math.e) -> float:
    exact = {2: math.log2, 10: math.log10, math.e: math.log}.get(base)
    return math.log(value, base) if exact is None else exact(value)


def _rounded(value: Number, digits: Number = 0) -> Number:
    """Round with bounded digits: Python would compute 10 to the power of any number of digits."""
    if not isinstance(digits, int) or abs(digits) > _DIGITS:
        raise ValueError(f"digits must be an integer from -{_DIGITS} to {_DIGITS}, not {digits}")
    return round(value, digits) if digits else round(value)


def _lcm(*values: int) -> Number:
    """Return the least common multiple; its size is checked after each value."""
    multiple = 1
    for value in values:
        multiple = math.lcm(multiple, value)
        _checked(multiple)
    return multiple


def _factorial(value: Number) -> int:
    if value > _FACTORIAL:
        raise _too_large()
    return math.factorial(value)  # type: ignore[arg-type]  # raises TypeError for a float


_BINARY: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: _divide,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}

_UNARY: dict[type[ast.unaryop], Callable[[Number], Number]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}

_CONSTANTS = {"pi": math.pi, "π": math.pi, "e": math.e, "tau": math.tau}

_FUNCTIONS: dict[str, Callable[..., Number]] = {
    "abs": abs,
    "acos": math.acos,
    "asin": math.asin,
    "atan": math.atan,
    "atan2": math.atan2,
    "cbrt": lambda value: _root(value, 3),
    "ceil": math.ceil,
    "cos": math.cos,
    "degrees": math.degrees,
    "exp": math.exp,
    "factorial": _factorial,
    "floor": math.floor,
    "gcd": math.gcd,
    "hypot": math.hypot,
    "lcm": _lcm,
    "ln": math.log,
    "log": _log,
    "log10": math.log10,
    "log2": math.log2,
    "max": lambda *values: max(values),
    "min": lambda *values: min(values),
    "pow": _power,
    "radians": math.radians,
    "root": _root,
    "round": _rounded,
    "sin": math.sin,
    "sqrt": _root,
    "sum": lambda *values: sum(values),
    "tan": math.tan,
}
