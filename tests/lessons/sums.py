"""Finds the sums that prose does ("1·3 + 2·1 = 5") and computes them again."""

import ast
import re
from collections.abc import Iterator
from fractions import Fraction

SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
SIGNS = str.maketrans("·×−", "**-")
POWERS = "⁰¹²³⁴-⁹⁻"
SUM = re.compile(  # digits and signs only, and no letter, index or subscript that touches it
    rf"(?<![\w₀-₉.,{POWERS})\]'·×*/+−-])(?<![·×*/+−-] )"
    rf"[\d(−-][\d.\s()+−·×/={POWERS}-]*[\d){POWERS}]"
    r"(?![\w₀-₉\]ε√(])"
)


def sums(text: str) -> Iterator[list[str]]:
    """The sides of each chain of equations between numbers: "1·2 + 3 = 2 + 3 = 5" has three."""
    for match in SUM.finditer(text):
        before, after = text[: match.start()].rstrip(" "), text[match.end() :].lstrip(" ")
        sides = [side.strip() for side in match[0].split("=")]
        if before[-1:] and before[-1] in "+−·×/^":
            sides = sides[1:]  # the first side began with a name
        if after[:1] and after[0] in "+−·×/^":
            sides = sides[:-1]
        if len(sides) > 1 and all(side and side.count("(") == side.count(")") for side in sides):
            yield sides


def value(side: str) -> Fraction:
    """The number that one side stands for; raises SyntaxError where it is no sum."""
    powers = re.sub(rf"[{POWERS}]+", lambda match: "**(" + match[0].translate(SUPERSCRIPTS) + ")", side)
    return _value(ast.parse(powers.translate(SIGNS).strip(), mode="eval").body)


def agree(left: str, right: str) -> bool:
    """Whether both sides are equal, to half a unit of the last decimal that is written."""
    decimals = [len(match) for side in (left, right) for match in re.findall(r"\.(\d+)", side)]
    room = Fraction(1, 2 * 10 ** max(decimals)) if decimals else Fraction(0)
    return abs(value(left) - value(right)) <= room


def _value(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(int() | float() as number):
            return Fraction(str(number))
        case ast.UnaryOp(ast.USub(), operand):
            return -_value(operand)
        case ast.BinOp(left, operator, right):
            a, b = _value(left), _value(right)
            match operator:
                case ast.Add():
                    return a + b
                case ast.Sub():
                    return a - b
                case ast.Mult():
                    return a * b
                case ast.Div():
                    return a / b
                case ast.Pow():
                    return a ** int(b)
    raise SyntaxError(ast.dump(node))
