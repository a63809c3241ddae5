"""Witnesses for the derivatives of a trace: the other mode, Taylor's remainder, sympy and torch."""

import math
import warnings
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import reduce
from typing import Any

from opcheck.errors import Refused
from opcheck.language import say
from opcheck.traces.scalar.trace import Trace
from opcheck.traces.witness import Check, figure, no_torch, taylor
from opcheck.tracing import FLOATS, PRIMITIVES, UNIT_ROUNDOFF, Arithmetic, Graph, Node, bound
from opcheck.tracing.readings import read


def checks(trace: Trace, everything: bool = False, mode: str = "both") -> list[Check]:
    """Taylor and, unless only forward mode is shown, both modes; with `everything`, sympy and torch (which take a
    second or two to import)."""
    if not trace.tracked or len(trace.graph.outputs) != 1:
        return []
    numbers = (trace.value, *trace.adjoints().gradient.values())
    if not all(map(fits, numbers)):
        return [Check(say("The value or a derivative is not finite, so nothing can be checked against it."), None)]
    found = [remainder(trace)] if mode == "forward" else [both_modes(trace), remainder(trace)]
    return [*found, sympy_agrees(trace, mode), torch_agrees(trace, mode)] if everything else found


def fits(x: Any) -> bool:
    """Whether a number, perhaps a huge fraction, is a finite float64."""
    try:
        return math.isfinite(float(x))
    except OverflowError:
        return False


def both_modes(trace: Trace) -> Check:
    """Forward mode against reverse mode, within the rounding bounds of both."""
    ahead = trace.forward().derivatives
    rooms = {name: trace.rounding(name) + trace.rounding(name, "forward") for name in ahead}
    return agreement(say("reverse mode"), trace.adjoints().gradient, rooms, say("forward mode"), ahead)


def compared(trace: Trace, mode: str, witness: str, found: Mapping[str, Any]) -> Check:
    """Our derivatives against a witness's, which may be off by as much as ours."""
    ahead = mode == "forward"
    mine = trace.forward().derivatives if ahead else trace.adjoints().gradient
    rooms = {name: 2 * trace.rounding(name, "forward" if ahead else "reverse") for name in mine}
    return agreement(say("forward mode") if ahead else say("reverse mode"), mine, rooms, witness, found)


def agreement(
    method: str,
    mine: Mapping[str, Any],
    rooms: Mapping[str, float],
    witness: str,
    found: Mapping[str, Any],
    spelled: str = "∂/∂{name}",
) -> Check:
    """Numbers of ours against a witness's, each within the room that rounding needs."""
    worst, allowed, holds = 0.0, 0.0, True
    for name, number in mine.items():
        error, room = abs(float(number - found[name])), rooms[name]
        holds = holds and error <= room
        if error - room > worst - allowed or name == next(iter(mine)):
            worst, allowed = error, room
    shown = ", ".join(f"{spelled.format(name=name)} = {figure(float(found[name]))}" for name in mine)
    template = {
        True: "{witness} agrees with {method}: {shown} (difference {worst}, rounding allows {allowed})",
        False: "{witness} DIFFERS from {method}: {shown} (difference {worst}, rounding allows {allowed})",
    }[holds]
    told = say(template, witness=witness, method=method, shown=shown, worst=figure(worst), allowed=figure(allowed))
    return Check(told, holds)


def remainder(trace: Trace) -> Check:
    """Taylor's remainder along v, each tracked input's own size (or 1 at 0)."""
    gradient = trace.adjoints().gradient
    point = {name: float(trace.values[id]) for name, id in trace.inputs.items()}
    along = {name: abs(point[name]) or 1.0 for name in gradient}
    slope = sum(float(gradient[name]) * v for name, v in along.items())
    out = trace.graph.outputs[0]

    def moved(h: float) -> float:
        found: float = read(trace.graph, FLOATS, lambda node: float(node.value) + h * along.get(node.label, 0.0))[out]
        return found

    here = read(trace.graph, FLOATS, lambda node: float(node.value))
    noise = bound(trace.graph, out, "float64", here) + abs(slope) * UNIT_ROUNDOFF["float64"]
    return taylor(moved, here[out], slope, noise, kinks(trace.graph))


def kinks(graph: Graph) -> bool:
    """Whether any operation in the graph has a kink or a jump."""
    return any(node.args and (PRIMITIVES[node.op].piecewise or node.op in ("floor", "ceil")) for node in graph.nodes)


# --- sympy ------------------------------------------------------------------------------------------------------------


MOST_DIGITS = 3000  # of an exact number that sympy is asked about


def sympy_expression(trace: Trace) -> Any:
    """The output as a sympy expression over the exact values of the constants; π and e are sympy's.

    Raises Refused where its exact numbers would have more than MOST_DIGITS digits: sympy writes them all.
    """
    import sympy

    graph = trace.graph
    if not all(size <= MOST_DIGITS for size in digits(trace)):
        raise Refused(
            say("exact numbers would have more than {n} digits here", n=MOST_DIGITS),
            fix=say("leave out --exact and --check"),
        )

    def leaf(node: Node) -> Any:
        if node.op == "input":
            return sympy.Symbol(node.label, real=True)
        if node.label in ("π", "e"):
            return sympy.pi if node.label == "π" else sympy.E
        number = Fraction(node.value)
        return sympy.Rational(number.numerator, number.denominator)

    found = graph.fold(leaf, lambda node, args: PRIMITIVES[node.op].symbol(sympy, *args))
    return found[graph.outputs[0]]


MOST_ROOT = 6


def digits(trace: Trace) -> list[float]:
    """The approximate number of digits of each node's exact value."""

    def leaf(node: Node) -> float:
        value = node.value if node.op != "input" else trace.values[trace.inputs[node.label]]
        finite = isinstance(value, (int, float, Fraction)) and math.isfinite(value)
        number = Fraction(value) if finite else Fraction(0)
        return (number.numerator.bit_length() + number.denominator.bit_length()) / math.log2(10)

    def apply(node: Node, args: list[float]) -> float:
        match node.op:
            case "power":
                return args[0] * max(1.0, abs(float(trace.values[node.args[1]])))
            case "mul" | "div":
                return sum(args)
            case "sum" | "sub" | "max" | "min" | "neg" | "abs":
                return max(args) + 1
        return 1.0  # sympy leaves it as it is

    return trace.graph.fold(leaf, apply)


def symbolic_gradient(trace: Trace) -> dict[str, Any]:
    """sympy's derivative by each tracked input, simplified."""
    import sympy

    expression = sympy_expression(trace)
    return {name: _simplified(expression.diff(sympy.Symbol(name, real=True))) for name in trace.tracked}


def _simplified(derivative: Any) -> Any:
    """sympy's simplification; of a high root, y^(13/25), it does not end, and terms are collected only."""
    import sympy

    roots = (each.exp.q for each in derivative.atoms(sympy.Pow) if each.exp.is_Rational)
    return sympy.simplify(derivative) if max(roots, default=1) <= MOST_ROOT else sympy.factor_terms(derivative)


def sympy_numbers(trace: Trace, derivatives: Mapping[str, Any]) -> dict[str, Fraction] | None:
    """Derivatives by sympy as numbers at the inputs of a trace; None where one of them has none."""
    import sympy

    place = {}
    for name, id in trace.inputs.items():
        exact = Fraction(trace.values[id])
        place[sympy.Symbol(name, real=True)] = sympy.Rational(exact.numerator, exact.denominator)
    found = {}
    for name, derivative in derivatives.items():
        number = derivative.subs(place).evalf(40)
        if not number.is_Float and not number.is_Rational:
            return None
        found[name] = Fraction(str(number)) if number.is_Float else Fraction(int(number.p), int(number.q))
    return found


def sympy_agrees(trace: Trace, mode: str) -> Check:
    import sympy

    expression = sympy_expression(trace)
    found = sympy_numbers(trace, {name: expression.diff(sympy.Symbol(name, real=True)) for name in trace.tracked})
    if found is None:
        return Check(say("sympy gives no number for a derivative here"), None)
    return compared(trace, mode, "sympy", found)


# --- torch ------------------------------------------------------------------------------------------------------------


def torch_arithmetic(torch: Any) -> Arithmetic:
    """The primitives in torch; maximum is torch.max over a dimension, where the first of equals counts."""
    functions = {name: getattr(torch, name) for name in (
        "mul", "div", "sub", "neg", "exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh",
        "sigmoid", "erf", "abs", "floor", "ceil", "asin", "acos", "atan", "atan2", "asinh", "acosh", "atanh",
    )}  # fmt: skip
    functions |= {
        "sum": lambda *terms: reduce(torch.add, terms),
        "power": torch.pow,
        "erf_slope": lambda x: 2 / math.sqrt(math.pi) * torch.exp(-x * x),
        "max": lambda *terms: torch.stack(terms).max(dim=0).values,
        "min": lambda *terms: torch.stack(terms).min(dim=0).values,
        "less": lambda a, b: (a < b).double(),
        "select": lambda condition, a, b: torch.where(condition != 0, a, b),
        "detach": lambda x: x.detach(),
        "with_slope": lambda number, x, slope: number + slope.detach() * (x - x.detach()),
    }
    return Arithmetic(functions)


def torch_program(torch: Any, trace: Trace) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The output as a function of the inputs in torch, over the same primitives, and the inputs, in float64."""
    k, names = torch_arithmetic(torch), list(trace.inputs)
    point = tuple(torch.tensor(float(trace.values[id]), dtype=torch.float64) for id in trace.inputs.values())

    def function(*xs: Any) -> Any:
        given = dict(zip(names, xs, strict=True))

        def leaf(node: Node) -> Any:
            number = given.get(node.label) if node.op == "input" else None
            return torch.tensor(float(node.value), dtype=torch.float64) if number is None else number

        return read(trace.graph, k, leaf)[trace.graph.outputs[0]]

    return function, point


def torch_agrees(trace: Trace, mode: str) -> Check:
    """torch.autograd.grad and torch.func.jvp over the same primitives, in float64."""
    if absent := no_torch():
        return absent
    import torch

    (function, point), names = torch_program(torch, trace), list(trace.inputs)
    leaves = [x.clone().requires_grad_() for x in point]
    out = function(*leaves)
    gradient = torch.autograd.grad(out, leaves, allow_unused=True) if out.requires_grad else [None] * len(leaves)
    by_name = {name: 0.0 if g is None else float(g) for name, g in zip(names, gradient, strict=True)}
    backward = compared(trace, mode, "torch.autograd.grad", by_name)
    tangents = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch.func imports what torch itself deprecates
        for name in trace.tracked:
            unit = tuple(torch.tensor(float(each == name), dtype=torch.float64) for each in names)
            tangents[name] = float(torch.func.jvp(function, point, unit)[1])
    ahead = compared(trace, mode, "torch.func.jvp", tangents)
    if backward.holds and ahead.holds:
        return Check(backward.text.replace("torch.autograd.grad", "torch (autograd.grad and func.jvp)"), True)
    return ahead if backward.holds else backward
