"""One call as a convention makes it, written as Python: what a signature sheet shows and a self-test runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from opcheck.grading.assignments.assignment import Question
from opcheck.grading.conventions.base import Plan, Reading, Request
from opcheck.grading.conventions.layouts import SAME, Layout
from opcheck.grading.submissions.locate import Found
from opcheck.operators.spec import Array, Op
from opcheck.sandbox import Call, Place, Set
from opcheck.verification.casefile import Trial

MODULE = "student"  # what the code calls the submission
LIBRARIES = ("numpy", "torch", "types")
RAMP = 4  # numbers from which on 1, 2, 3, ... is written as a range
MOST = 2**31  # of whole numbers that are written without a point


@dataclass(frozen=True)
class Named(Request):
    """A request that remembers which array it sent under which name, and in which layout."""

    known: Mapping[int, str] = field(default_factory=dict)  # by the identity of an array of the case
    sent_as: dict[int, str] = field(default_factory=dict)  # by the identity of what was sent
    arrays_sent: dict[str, Array] = field(default_factory=dict)
    layouts: dict[str, Layout] = field(default_factory=dict)

    def sent(self, array: Array, layout: Layout = SAME) -> Array:
        made = super().sent(array, layout)
        name = self.known.get(id(array))
        if name is not None:
            self.arrays_sent.setdefault(name, made)
            self.layouts.setdefault(name, layout)
            if np.array_equal(self.arrays_sent[name], made, equal_nan=True):
                self.sent_as[id(made)] = name
                self.__dict__.setdefault("_alive", []).append(made)  # so that no other array gets its identity
        return made


@dataclass(frozen=True)
class Example:
    """A call and what it gives: lines of Python, the arrays that they use, and where each result lies then."""

    forward: tuple[str, ...]
    backward: tuple[str, ...]
    arrays: Mapping[str, Array]  # as they are sent
    layouts: Mapping[str, Layout]
    outputs: Mapping[str, Reading]
    gradients: Mapping[str, Reading]
    libraries: tuple[str, ...]
    steps: tuple[Call | Set, ...] = ()
    names: Mapping[int, str] = field(default_factory=dict)  # of the arrays among the steps, by identity


def example(question: Question, trial: Trial, found: Found | None = None) -> Example:
    """How the convention of a question makes the call of a trial, of the code that was found or of the names it asks
    for."""
    op, entry = question.op, question.entry
    symbols = names(op)
    known = {id(array): symbols[name] for name, array in trial.case.arrays.items()}
    known |= {id(array): f"d{symbols.get(name, name)}" for name, array in trial.cotangent.items()}
    request = Named(
        op, trial.case, op.checked(trial.case)[0], question.dtype,
        _called(found.forward.partition(".")[2] if found else entry.forward[0]),
        _called(found.backward.partition(".")[2] if found else next(iter(entry.backward), "")),
        found=found.definition if found else None, arrays=question.arrays, convention=question.convention.name,
        gradient=found.gradient if found else None, known=known,
    )  # fmt: skip
    forward = question.convention.call(request)
    asked = any(part.startswith("vjp") for part in question.points) and (found is None or found.can_differentiate)
    wanted = asked and bool(trial.cotangent)
    backward = question.convention.gradients(request, trial.cotangent) if wanted else Plan((), {})
    backward = backward if backward.readings else Plan((), {})  # where a convention asks for no gradient of these
    write = Writer(request.sent_as)
    steps = (*forward.steps, *backward.steps)
    return Example(
        tuple(map(write.step, forward.steps)), tuple(map(write.step, backward.steps)),
        request.arrays_sent, request.layouts, forward.readings, backward.readings, _libraries(steps), steps,
        request.sent_as,
    )  # fmt: skip


def _called(name: str) -> str:
    return f"{MODULE}.{name}" if name else ""


def names(op: Op) -> dict[str, str]:
    """What the arrays are called in code: the letters of the formula, where they are letters that one can type."""
    found: dict[str, str] = {}
    declared = [(each.name, each.symbol) for each in op.inputs] + [(each.name, each.symbol) for each in op.outputs]
    for name, symbol in declared:
        typed = symbol.isascii() and symbol.isidentifier() and symbol not in found.values()
        found.setdefault(name, symbol if typed else name)
    return found


def places(reading: Reading) -> tuple[str, ...]:
    return (reading.place,) if isinstance(reading.place, str) else tuple(reading.place)


def shape(letters: str, layout: Layout) -> str:
    """The letters of a shape as the convention lays the array out: "Cout Cin" transposed is (Cin, Cout)."""
    words = letters.split()
    if not words or "*" in words:
        return letters.replace("*", "…")
    sizes = dict(zip((2, 3, 5, 7, 11, 13), words, strict=False))
    try:
        given = layout.give(np.zeros([*sizes][: len(words)]))
    except (ValueError, IndexError):
        return " ".join(words)
    return " ".join("1" if n == 1 else sizes.get(n, "…") for n in given.shape)


def _libraries(steps: Sequence[Call | Set]) -> tuple[str, ...]:
    used = {each.function.partition(".")[0] for each in steps if isinstance(each, Call)}
    return tuple(name for name in LIBRARIES if name in used)


class Writer:
    """Steps of a plan as Python."""

    def __init__(self, names: Mapping[int, str]) -> None:
        self.names = names

    def step(self, step: Call | Set) -> str:
        if isinstance(step, Set):
            return f"{step.place} = {self.value(step.value)}"
        words = [*map(self.value, step.args), *(f"{name}={self.value(each)}" for name, each in step.kwargs.items())]
        call = f"{step.function}({', '.join(words)})"
        return f"{step.keep} = {call}" if step.keep else call

    def value(self, value: Any) -> str:
        match value:
            case Place(text):
                return text
            case np.ndarray():
                return self.names.get(id(value)) or literal(value)
            case dict():
                return "{" + ", ".join(f"{key!r}: {self.value(each)}" for key, each in value.items()) + "}"
            case list():
                return "[" + ", ".join(map(self.value, value)) + "]"
            case tuple():
                return "(" + "".join(f"{self.value(each)}, " for each in value).rstrip() + ")"
            case float():
                return repr(value) if np.isfinite(value) else f'float("{value}")'
        return repr(value)


def literal(array: Array) -> str:
    """An array as Python that makes it again, bit for bit."""
    kind = repr(array.dtype.name)
    if not array.size:
        return f"numpy.zeros({array.shape}, {kind})"
    first = array.ravel()[0]
    if array.size > RAMP and first == np.rint(first) and np.array_equal(array.ravel(), first + np.arange(array.size)):
        sizes = ", ".join(map(str, array.shape))
        return f"numpy.arange({int(first)}, {int(first) + array.size}, dtype={kind}).reshape({sizes})"
    zeros = array.dtype.kind == "f" and bool(np.signbit(array[array == 0]).any())
    whole = array.dtype.kind == "f" and bool(np.isfinite(array).all()) and np.array_equal(array, np.rint(array))
    text = str((array.astype(np.int64) if whole and not zeros and np.abs(array).max() < MOST else array).tolist())
    return f"numpy.array({text.replace('nan', 'numpy.nan').replace('inf', 'numpy.inf')}, {kind})"
