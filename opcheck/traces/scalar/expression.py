"""Reads an expression such as "ln(x1) + x1*x2 - sin(x2)" and records it. A whitelist over `ast`: nothing is evaluated.

The operations are numbered as lectures number them: by level (those of the inputs alone first, then those that need
them), and from left to right within a level.
"""

import ast
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from opcheck.language import say
from opcheck.traces.scalar.refusals import ExpressionRefused, syntax_error
from opcheck.tracing import TRACED, Graph, Node, Tape, Tracer
from opcheck.tracing.magnitude import EXACT_DIGITS

BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}
ANY = math.inf
FUNCTIONS: dict[str, tuple[Callable[..., Any], float]] = {  # name -> (recorder, most arguments)
    **{name: (TRACED.functions[name], 1) for name in (
        "exp", "log", "log1p", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "sigmoid",
        "asin", "acos", "atan", "asinh", "acosh", "atanh",
    )},
    "atan2": (TRACED.atan2, 2),
    "ln": (TRACED.log, 1),
    "relu": (lambda x: TRACED.max(0, x), 1),  # 0 first: the first of equals takes the gradient, so relu'(0) = 0
    "abs": (abs, 1),
    "pow": (lambda a, b: a**b, 2),
    "max": (TRACED.max, ANY),
    "min": (TRACED.min, ANY),
}  # fmt: skip
WRITTEN = {  # as formulas and numpy have it; alone it may be a variable
    "σ": "sigmoid", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2", "arsinh": "asinh",
    "arcosh": "acosh", "artanh": "atanh", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh",
}  # fmt: skip
LEAST = {"pow": 2, "max": 2, "min": 2, "atan2": 2}
CONSTANTS = {"pi": ("π", math.pi), "π": ("π", math.pi), "e": ("e", math.e)}
SIGNS = {"−": "-", "·": "*", "×": "*", "^": "**"}  # what people paste from a lecture
RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-", strict=True))


@dataclass(frozen=True)
class Expression:
    """A parsed expression: its text, its variables in order of appearance, and what a reader should know about it."""

    text: str
    body: tuple[ast.expr, ...]  # one for each output
    names: tuple[str, ...]
    notes: tuple[str, ...]
    columns: tuple[int, ...] = field(repr=False)  # parsed byte -> place in the text

    def record(self, at: Mapping[str, Any], exact: bool = False) -> Graph:
        """The expression on its own tape, with one input per variable (in the order of `names`).

        With `exact`, π and e have 50 digits. Raises ExpressionRefused where a variable has no value.
        """
        tape = Tape()
        for name in self.names:
            if name not in at:
                raise self.refuse(
                    say("{name} has no value", name=name),
                    self._first(name),
                    say("give it one: --at {name}=2 (in Python: at={{{quoted}: 2}})", name=name, quoted=repr(name)),
                )
        leaves = {name: tape.input(name, at[name]) for name in self.names}
        recorder = _Recorder(tape, leaves, exact)
        outputs = [recorder.number(body) for body in self.body]
        return by_level(tape.graph(*outputs))

    def refuse(self, rule: str, node: ast.expr, fix: str = "") -> ExpressionRefused:
        start, end = self.columns[node.col_offset], self.columns[node.end_col_offset or node.col_offset]
        return ExpressionRefused(rule, self.text, start, end, fix)

    def _first(self, name: str) -> ast.expr:
        found = [
            node for body in self.body for node in ast.walk(body) if isinstance(node, ast.Name) and node.id == name
        ]
        return min(found, key=lambda node: node.col_offset)


def parse(text: str) -> Expression:
    """Reads `text`; raises ExpressionRefused with a caret under what is not an expression.

    >>> parse("ln(x1) + x1*x2").names
    ('x1', 'x2')
    """
    if half := re.search("[\ud800-\udfff]", text):
        raise ExpressionRefused(say("this is not a valid character"), text, half.start(), half.end())
    source, columns = _python(text)
    if not source.strip():
        raise ExpressionRefused(say("there is no expression"), text, 0, 1, say("for example ln(x1) + x1*x2 - sin(x2)"))
    try:
        tree = ast.parse(source, mode="eval").body
    except SyntaxError as error:
        raise syntax_error(text, source, columns, error, FUNCTIONS) from None
    except (RecursionError, MemoryError, ValueError):
        raise ExpressionRefused(
            say("the expression is nested too deeply to be read"), text[:60], 0, 1, say("write it as a Python function")
        ) from None
    bodies = tuple(tree.elts) if isinstance(tree, ast.Tuple) and tree.elts else (tree,)
    expression = Expression(text, bodies, (), (), columns)
    checker = _Checker(expression)
    for body in bodies:
        checker.visit(body)
    notes = [say("^ is read as a power (in Python it is **)")] if "^" in text else []
    return Expression(text, bodies, tuple(checker.names), (*notes, *checker.notes), columns)


def _python(text: str) -> tuple[str, tuple[int, ...]]:
    """The text in Python's spelling, and for each of its UTF-8 bytes (which `ast` counts) the place in the text."""
    source, columns = "", []
    start = len(text) - len(text.lstrip())
    for place in range(start, len(text)):
        letter = " " if text[place].isspace() else SIGNS.get(text[place], text[place])
        if text[place] in RAISED:  # x²³ is x**23
            letter = RAISED[text[place]] if place and text[place - 1] in RAISED else "**" + RAISED[text[place]]
        source += letter
        columns += [place] * len(letter.encode())
    return source, (*columns, len(text.rstrip()), len(text.rstrip()))


class _Checker:
    """Refuses all that is not in the whitelist and collects the variables, without recursion."""

    def __init__(self, expression: Expression) -> None:
        self.expression = expression
        self.names: dict[str, None] = {}
        self.notes: dict[str, None] = {}

    def visit(self, root: ast.expr) -> None:
        waiting = [root]
        while waiting:
            waiting.extend(reversed(self.parts(waiting.pop())))

    def parts(self, node: ast.expr) -> list[ast.expr]:
        """The expressions that `node` is made of, after `node` itself was found to be allowed."""
        match node:
            case ast.Name(id):
                if id in FUNCTIONS:
                    raise self.refuse(say("{name} is a function", name=id), node, say("call it: {name}(x)", name=id))
                if id not in CONSTANTS:
                    self.names[id] = None
                elif id == "e":
                    self.notes[say("e is Euler's number, 2.718...; a variable needs another name")] = None
                return []
            case ast.Constant(value):
                self.literal(node, value)
                return []
            case ast.BinOp(left, operator, right) if type(operator) in BINARY:
                return [left, right]
            case ast.UnaryOp(ast.USub() | ast.UAdd(), operand):
                return [operand]
            case ast.Call():
                return self.call(node)
        if isinstance(node, (ast.IfExp, ast.Compare, ast.BoolOp)):
            raise self.refuse(
                say("an expression has no conditions"), node, say("a choice is written with max, min, relu or abs")
            )
        raise self.refuse(
            say("this is not allowed in an expression"),
            node,
            say("names, numbers, + − * / ^, parentheses and the functions {functions}", functions=_list(FUNCTIONS)),
        )

    def literal(self, node: ast.Constant, value: Any) -> None:
        if type(value) not in (int, float):
            raise self.refuse(say("this is not a real number"), node)
        try:
            finite = math.isfinite(float(value))
        except OverflowError:
            finite = False
        if not finite:
            raise self.refuse(say("this number is too large for float64 (1.8e308 at most)"), node)

    def call(self, node: ast.Call) -> list[ast.expr]:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        name = WRITTEN.get(name, name)
        if name not in FUNCTIONS:
            near = _near(name)
            fix = say("Did you mean {near}?", near=near) if near else say("there are {known}", known=_list(FUNCTIONS))
            if isinstance(node.func, (ast.Name, ast.Constant)) and (name in CONSTANTS or len(name) < 2):
                fix = say("for a product, write the sign: {name}*(...)", name=ast.unparse(node.func))
            raise self.refuse(say("there is no function {name}", name=ast.unparse(node.func)), node.func, fix)
        least, most = LEAST.get(name, 1), FUNCTIONS[name][1]
        if node.keywords or any(isinstance(arg, ast.Starred) for arg in node.args):
            raise self.refuse(say("{name} takes its arguments by position", name=name), node)
        if not least <= len(node.args) <= most:
            wanted = (
                say("{n} or more arguments", n=least) if most == ANY
                else say("1 argument") if most == 1
                else say("{n} arguments", n=least)
            )  # fmt: skip
            raise self.refuse(
                say("{name} takes {wanted} and not {got}", name=name, wanted=wanted, got=len(node.args)), node
            )
        if name == "log":
            self.notes[say("log is the natural logarithm, the same as ln")] = None
        return node.args

    def refuse(self, rule: str, node: ast.expr, fix: str = "") -> ExpressionRefused:
        return self.expression.refuse(rule, node, fix)


class _Recorder:
    """Records a checked expression. Constants become leaves, so that they print as they were written."""

    def __init__(self, tape: Tape, leaves: Mapping[str, Tracer], exact: bool) -> None:
        self.tape, self.leaves, self.exact = tape, leaves, exact

    def number(self, root: ast.expr) -> Tracer:
        """The tracer of `root`; children first, without recursion."""
        waiting: list[tuple[ast.expr, bool]] = [(root, False)]
        done: list[Any] = []
        while waiting:
            node, ready = waiting.pop()
            parts = _parts(node)
            if ready or not parts:
                args = done[len(done) - len(parts) :]
                del done[len(done) - len(parts) :]
                done.append(self.record(node, args))
            else:
                waiting.append((node, True))
                waiting.extend((part, False) for part in reversed(parts))
        return self.tape.constant(done[0]) if not isinstance(done[0], Tracer) else done[0]

    def record(self, node: ast.expr, args: list[Any]) -> Any:
        match node:
            case ast.Constant(value):
                return self.tape.constant(value)
            case ast.Name(id) if id in self.leaves:
                return self.leaves[id]
            case ast.Name(id):
                label, value = CONSTANTS[id]
                return self.tape.constant(_fifty_digits(label) if self.exact else value, label)
            case ast.UnaryOp(ast.USub(), ast.Constant(value)):
                assert isinstance(value, (int, float))
                return self.tape.constant(-value)
            case ast.UnaryOp(operator):
                return -args[0] if isinstance(operator, ast.USub) else args[0]
            case ast.BinOp(_, operator, _):
                return BINARY[type(operator)](*args)
            case ast.Call(ast.Name(id)):
                return FUNCTIONS[WRITTEN.get(id, id)][0](*args)
        raise AssertionError(ast.dump(node))


def _fifty_digits(label: str) -> Any:
    import mpmath

    with mpmath.workdps(EXACT_DIGITS):
        return +(mpmath.pi if label == "π" else mpmath.e)


def _parts(node: ast.expr) -> list[ast.expr]:
    match node:
        case ast.BinOp(left, _, right):
            return [left, right]
        case ast.UnaryOp(_, operand):
            return [operand]
        case ast.Call(_, args):
            return args
    return []


def by_level(graph: Graph) -> Graph:
    """The same graph with its inputs first and its operations level by level, in their old order within a level."""
    level: list[int] = []
    for node in graph.nodes:
        level.append(1 + max(level[i] for i in node.args) if node.args else -1 if node.op == "input" else 0)
    order = sorted(range(len(level)), key=level.__getitem__)
    place = {old: new for new, old in enumerate(order)}
    nodes: list[Node] = [
        graph.nodes[old]._replace(args=tuple(place[i] for i in graph.nodes[old].args)) for old in order
    ]
    return Graph(tuple(nodes), [place[i] for i in graph.outputs])


def _near(name: str) -> str:
    import difflib

    return say(" or ").join(difflib.get_close_matches(name.lower(), FUNCTIONS, n=2, cutoff=0.5))


def _list(names: Mapping[str, Any]) -> str:
    return ", ".join(sorted(names))
