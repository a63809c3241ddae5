"""Working out what a learner writes as a calculation, 1·2 + 3·4 or exp(−2)/3: parsed, never evaluated as a program."""

import ast
import math
import re
from collections.abc import Callable
from fractions import Fraction

from opcheck.errors import Refused
from opcheck.language import say

LONGEST = 500  # characters
LARGEST = 10_000  # bits of a number on the way
SIGNS = {"·": "*", "×": "*", "−": "-", "^": "**", "√": "sqrt", "ln": "log"}
FUNCTIONS: dict[str, Callable[..., float | Fraction]] = {
    "exp": math.exp, "log": math.log, "sqrt": math.sqrt, "tanh": math.tanh, "max": max, "min": min, "abs": abs,
}  # fmt: skip
Value = Fraction | float | list["Value"]


def work_out(text: str) -> Value:
    """The number, exact where + − · / allow it, or the list of numbers, that `text` stands for; raises Refused."""
    source = re.sub("|".join(map(re.escape, SIGNS)), lambda match: SIGNS[match[0]], text.strip())
    try:
        if len(source) > LONGEST:
            raise ValueError
        return _value(ast.parse(source, mode="eval").body, source)
    except ZeroDivisionError:
        raise Refused(say("this divides by zero"), got=repr(text)) from None
    except (SyntaxError, ValueError, TypeError, ArithmeticError, RecursionError, MemoryError):
        raise Refused(
            say("this cannot be worked out"),
            got=repr(text),
            fix=say("write numbers, + − · / ^, parentheses, exp, ln, sqrt, tanh, max, min or abs"),
        ) from None


def _value(node: ast.expr, source: str) -> Value:
    match node:
        case ast.List(items) | ast.Tuple(items):
            return [_value(item, source) for item in items]
    return _number(node, source)


def _number(node: ast.expr, source: str) -> Fraction | float:
    """The number of a part of a calculation; raises ValueError for anything that is not one."""
    match node:
        case ast.Constant(int() | float()) if not isinstance(node.value, bool):
            return Fraction(ast.get_source_segment(source, node) or "")  # 0.1 is a tenth
        case ast.UnaryOp(ast.USub(), inner):
            return -_number(inner, source)
        case ast.UnaryOp(ast.UAdd(), inner):
            return _number(inner, source)
        case ast.BinOp(left, operation, right):
            return _combined(_number(left, source), operation, _number(right, source))
        case ast.Call(ast.Name(name), args, []) if name in FUNCTIONS and args:
            return _finite(FUNCTIONS[name](*(_number(arg, source) for arg in args)))
    raise ValueError


def _combined(a: Fraction | float, operation: ast.operator, b: Fraction | float) -> Fraction | float:
    match operation:
        case ast.Add():
            return _finite(a + b)
        case ast.Sub():
            return _finite(a - b)
        case ast.Mult():
            return _finite(a * b)
        case ast.Div():
            return _finite(a / b)
        case ast.Pow():
            whole = isinstance(b, Fraction) and b.denominator == 1 and abs(b) <= 64
            return _finite(a ** int(b)) if whole else _finite(float(a) ** float(b))
    raise ValueError


def _finite(x: Fraction | float) -> Fraction | float:
    """The number, if it is one that a person would write down."""
    if isinstance(x, Fraction):
        if max(x.numerator.bit_length(), x.denominator.bit_length()) > LARGEST:
            raise OverflowError
        return x
    if not isinstance(x, float) or not math.isfinite(x):  # a negative number to the power 1/2 is complex
        raise OverflowError
    return x
