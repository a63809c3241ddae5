"""Plain Python in a trace: decisions that depend on values (`if x > 0`, `while x < 10`, `range(int(n))`) are recorded
along the path that is taken at this point, and functions of `math` record as numpy's do."""

import linecache
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from types import ModuleType
from typing import Any

from opcheck.language import say
from opcheck.loading import HOME
from opcheck.tracing import TRACED, Graph, Node, Tape, TracedControlFlowError, Tracer
from opcheck.tracing.primitives import FLOATS
from opcheck.tracing.recorder import COMPOSED

PACKAGES = ("numpy",)  # whose code asks on behalf of the program


class Decisions:
    """The values the program branched on, line by line, and the answers it got."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, int], list[bool | int]] = {}

    def __call__(self, answer: bool | int) -> None:
        self.answers.setdefault(_place(), []).append(answer)

    def notes(self) -> tuple[str, ...]:
        """Sentences for the reader of the trace; none if the program did not branch on values."""
        if not self.answers:
            return ()
        told = [say("line {n}, {line}: {answers}", n=n, line=linecache.getline(file, n).strip().rstrip(":") or "?",
                    answers=_told(answers)) for (file, n), answers in self.answers.items()]  # fmt: skip
        return (
            say("Recorded along the path that the program takes at this point; it may take another path elsewhere."),
            *told,
        )


def _told(answers: list[bool | int]) -> str:
    """Yes 3 times, then no."""
    runs = []
    for answer, run in groupby(answers):
        count = len(list(run))
        word = (say("yes") if answer else say("no")) if isinstance(answer, bool) else str(answer)
        runs.append(word if count == 1 else say("{word} {n} times", word=word, n=count))
    return say(", then ").join(runs)


def _place() -> tuple[str, int]:
    """The line of the program that asks."""
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_ours(frame.f_code.co_filename):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def _is_ours(file: str) -> bool:
    path = Path(file)
    return HOME in path.parents or any(name in path.parts for name in PACKAGES)


class KnownTape(Tape):
    """A tape that evaluates its numbers while recording, so that a program can branch on them."""

    __slots__ = ("decisions", "numbers")

    def __init__(self) -> None:
        super().__init__()
        self.numbers: list[float] = []
        self.decisions = Decisions()

    def _append(self, node: Node) -> Tracer:
        if node.args or node.op not in ("input", "constant", "padding"):
            number = FLOATS.functions[node.op](*(self.numbers[i] for i in node.args))
        else:
            number = float(node.value)
        self.numbers.append(number)
        return super()._append(node)

    def asked(self, question: str, x: Tracer, *others: Any) -> Any:
        """What Python asks of a number: its truth, a comparison, or a whole number to count with."""
        if question in ("float", "complex"):
            raise TracedControlFlowError(
                say("{question}() takes a number out of the trace, like functions that are not Python's own, math's or "
                    "numpy's: leave it out, a traced number computes as it is", question=question)
            )  # fmt: skip
        a, *rest = (self.numbers[each.id] if isinstance(each, Tracer) else each for each in (x, *others))
        answer: bool | int = ANSWERS[question](a, *rest)
        self.decisions(answer)
        return answer

    def path(self, *outputs: Tracer) -> Graph:
        """What was recorded; without what only decisions needed, where there were any."""
        graph = self.graph(*outputs)
        if not self.decisions.answers:
            return graph
        inputs = [k for k, node in enumerate(graph.nodes) if node.op == "input"]
        pruned = Graph(graph.nodes, [*graph.outputs, *inputs]).pruned()
        return Graph(pruned.nodes, pruned.outputs[: len(outputs)])


ANSWERS: dict[str, Callable[..., bool | int]] = {
    "bool": bool, "int": int, "index": int,
    "eq": lambda a, b: a == b, "ne": lambda a, b: a != b, "le": lambda a, b: a <= b, "ge": lambda a, b: a >= b,
}  # fmt: skip


# --- functions of math ------------------------------------------------------------------------------------------------


def _log(x: Any, base: Any = math.e) -> Any:
    return TRACED.log(x) if base == math.e else TRACED.log(x) / TRACED.log(base)


def _cube_root(x: Any) -> Any:
    return x ** (1.0 / 3.0) if x > 0 else -((-x) ** (1.0 / 3.0)) if x < 0 else x


RECORDING: dict[str, Callable[..., Any]] = {
    **{name: TRACED.functions[name] for name in ("exp", "expm1", "erf", "log1p", "sqrt", "sin", "cos", "tan", "sinh",
                                                 "cosh", "tanh", "asin", "acos", "atan", "atan2", "asinh", "acosh",
                                                 "atanh", "floor", "ceil")},
    "log": _log,
    **{name: COMPOSED[name] for name in ("log2", "log10", "exp2", "fabs", "hypot", "degrees", "radians")},
    "pow": lambda a, b: a**b,
    "prod": lambda xs, start=1: math.prod(xs, start=start),
    "fsum": sum,
    "cbrt": _cube_root,
    "dist": lambda p, q: TRACED.sqrt(sum((a - b) * (a - b) for a, b in zip(p, q, strict=True))),
    "trunc": lambda x: TRACED.floor(x) if x >= 0 else TRACED.ceil(x),
    "copysign": lambda x, y: abs(x) if y >= 0 else -abs(x),
    "isnan": lambda x: x != x,
    "isinf": lambda x: abs(x) == math.inf,
    "isfinite": lambda x: abs(x) < math.inf,
}  # fmt: skip


def _refusing(name: str) -> Callable[..., Any]:
    def function(*args: Any) -> Any:
        raise TracedControlFlowError(
            say("a trace has no rule for math.{name}; it has {names}", name=name, names=", ".join(sorted(RECORDING)))
        )

    return function


def _either(name: str) -> Callable[..., Any]:
    plain, recording = getattr(math, name), RECORDING.get(name) or _refusing(name)

    def function(*args: Any, **options: Any) -> Any:
        return (recording if _has_traced(args) else plain)(*args, **options)

    function.__name__ = name
    return function


def _has_traced(args: Any) -> bool:
    return any(isinstance(each, Tracer) or (isinstance(each, (list, tuple)) and _has_traced(each)) for each in args)


class _Math(ModuleType):
    def __getattr__(self, name: str) -> Any:
        return getattr(math, name)


FUNCTIONS = {value: _either(name) for name, value in vars(math).items() if callable(value) and name[0] != "_"}
MATH = _Math("math")
MATH.__dict__.update({function.__name__: function for function in FUNCTIONS.values()})


@contextmanager
def plain_python(function: Callable[..., Any]) -> Iterator[None]:
    """While the function is recorded, the math functions of its module are replaced by ones that record."""
    names: Any = getattr(function, "__globals__", {})
    before = {name: value for name, value in names.items() if value is math or _is_of_math(value)}
    names.update({name: MATH if value is math else FUNCTIONS[value] for name, value in before.items()})
    try:
        yield
    finally:
        names.update(before)


def _is_of_math(value: Any) -> bool:
    return getattr(value, "__module__", None) == "math" and callable(value) and value in FUNCTIONS


def whole_inputs(given: Mapping[str, Any]) -> list[str]:
    """The inputs that hold whole numbers: classes or indices, perhaps."""
    return [name for name, array in given.items() if array.dtype.kind in "iub" and array.ndim]
