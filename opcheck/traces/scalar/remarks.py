"""Remarks on a trace: where a NaN or an infinity first appears, kinks, unused inputs."""

import math
from typing import TYPE_CHECKING, Any

from opcheck.language import say
from opcheck.render.names import SPELLED
from opcheck.render.numbers import Style
from opcheck.render.signs import Signs
from opcheck.tracing import PRIMITIVES
from opcheck.tracing.arithmetic import maximum, minimum

if TYPE_CHECKING:
    from opcheck.traces.scalar.trace import Trace


def remarks(trace: "Trace") -> list[str]:
    """Sentences, in the order of evaluation."""
    lines = trace.lines
    used = {arg for node in trace.graph.nodes for arg in node.args} | set(trace.graph.outputs)
    found = [
        say("{name} is not used: every derivative with respect to it is 0", name=name)
        for name, id in trace.inputs.items()
        if id not in used
    ]
    for k, id in enumerate(trace.graph.outputs):
        if not lines.names[id]:
            which = say("the result") if len(trace.graph.outputs) == 1 else say("output {k}", k=k + 1)
            value = Signs(Style(fractions=trace.fractions)).write(lines.number(id))
            found.append(say("{which} is the constant {value}: no input changes it", which=which, value=value))
    for id, node in enumerate(trace.graph.nodes):
        if node.args:
            args = [trace.values[arg] for arg in node.args]
            name = lines.symbol(id).name or say("a constant")
            value = trace.values[id]
            said = born(name, node.op, args, value) or kink(name, node.op, args) or limit(name, node.op, args, value)
            if said:
                found.append(said)
    return found


LIMITS = {"tanh": (-1, 1), "sigmoid": (0, 1), "erf": (-1, 1), "exp": (0,), "expm1": (-1,)}  # never reached


def is_limit(op: str, args: list[Any], value: Any) -> bool:
    """Whether float64 shows a limit that the function does not reach: tanh(20) is not 1."""
    return isinstance(value, float) and value in LIMITS.get(op, ()) and all(map(finite, args))


def limit(name: str, op: str, args: list[Any], value: Any) -> str:
    """That a 1 is none, nor a derivative of 0 beside it; "" where a function reached no limit."""
    if not is_limit(op, args, value):
        return ""
    return say("{name} is so near {value} that float64 cannot tell them apart; a derivative of 0 there is small, not 0",
               name=name, value=f"{value:g}".replace("-", "−"))  # fmt: skip


def finite(x: Any) -> bool:
    return not isinstance(x, float) or math.isfinite(x)


def born(name: str, op: str, args: list[Any], value: Any) -> str:
    """Why a line is the first NaN or infinity; "" if it is finite, or if one of its arguments was not."""
    if finite(value) or not all(map(finite, args)):
        return ""
    x = args[0]
    match op:
        case "div" if x == 0:
            return say("{name} is NaN: 0/0 is not defined", name=name)
        case "div" if args[1] == 0:
            return say("{name} is infinite: it divides by 0", name=name)
        case "log" | "log1p" if value != value:
            return say("{name} is NaN: the logarithm of a negative number is not real", name=name)
        case "log" | "log1p":
            return say("{name} is −∞: it is the logarithm of 0", name=name)
        case "sqrt":
            return say("{name} is NaN: the square root of a negative number is not real", name=name)
        case "asin" | "acos":
            return say("{name} is NaN: {function} is defined from −1 to 1 only", name=name, function=SPELLED[op])
        case "acosh":
            return say("{name} is NaN: arcosh is defined from 1 on only", name=name)
        case "atanh" if value != value:
            return say("{name} is NaN: artanh is defined between −1 and 1 only", name=name)
        case "atanh":
            return say("{name} is infinite: artanh is so at −1 and at 1", name=name)
        case "power" if value != value:
            return say("{name} is NaN: a negative number to a power that is not whole is not real", name=name)
        case "power" if x == 0:
            return say("{name} is infinite: it divides by 0 (a negative power of 0)", name=name)
    return say("{name} overflows: it is larger than float64's largest number, 1.8e308", name=name)


def is_equal(a: Any, b: Any) -> bool:
    """Whether two numbers are equal; also works for a Fraction and an mpmath number, which Python cannot compare."""
    return bool(PRIMITIVES["sub"].exact(a, b) == 0)


def kink(name: str, op: str, args: list[Any]) -> str:
    """The convention used where the derivative is undefined; "" where it is defined."""
    if op == "abs" and args[0] == 0:
        return say("{name} is abs at 0, a kink: its derivative is taken as 0, as in torch", name=name)
    if op == "sqrt" and args[0] == 0:
        return say("{name} is a square root at 0: its derivative is infinite", name=name)
    if (op in ("asin", "acos") and abs(args[0]) == 1) or (op == "acosh" and args[0] == 1):
        return say("{name} is {function} at an end of where it is defined: its derivative is infinite",
                   name=name, function=SPELLED[op])  # fmt: skip
    if op == "atan2" and args[0] == args[1] == 0:
        return say("{name} is the angle of the point 0, 0, which has none: it has no derivative", name=name)
    if op in ("max", "min") and all(x == x for x in args):
        found = (maximum if op == "max" else minimum)(*args)
        if sum(is_equal(x, found) for x in args) > 1:
            word = say("maximum") if op == "max" else say("minimum")
            return say("{name} is a {word} of equal numbers, a kink: the first one gets the derivative (relu′(0) = 0)",
                       name=name, word=word)  # fmt: skip
    return ""
