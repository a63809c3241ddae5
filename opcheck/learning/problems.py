"""Problems with checked answers: an output's shape, an element, the whole output, an element of a gradient.

The answer is what the textbook definition gives, read exactly; what each known mistake of the operator gives instead is
computed from the catalogue, so that a learner who gives that answer can be told.
"""

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from opcheck.explanation.calculation import Calculation, Pages
from opcheck.explanation.gradient import Sweep, differentiable
from opcheck.explanation.unfold import as_number
from opcheck.language import say
from opcheck.learning import answers, drawing
from opcheck.learning.judging import Judged, judge, making
from opcheck.operators.spec import Array, Mistake, Op, Shape, widened
from opcheck.render.signs import Signs
from opcheck.steps import Number, Symbol
from opcheck.tracing import exact

DECIMALS = 3  # asked for where the exact number is no short decimal and no simple fraction
LEAST, TRIED = 0.01, 20  # the smallest number asked for, and how often one is drawn
MOST_ASKED = 6  # elements of an output that is asked for as a whole


class Kind(Enum):
    """What is asked for."""

    SHAPE = "shape"
    ELEMENT = "element"
    OUTPUT = "output"
    GRADIENT = "gradient"


@dataclass(frozen=True)
class Problem:
    """One question about one call. `at`: the element asked for; `wrt` and `upstream`: of a gradient."""

    calculation: Calculation
    kind: Kind
    at: Shape = ()
    wrt: str = ""
    upstream: Array | None = None

    @property
    def op(self) -> Op:
        return self.calculation.op

    @property
    def symbol(self) -> Symbol:
        """What is asked for, as a formula calls it."""
        calculation = self.calculation
        if self.kind is Kind.GRADIENT:
            name = self.op.input(self.wrt).symbol
        else:
            name = self.op.output(calculation.main_output).symbol
        at = self.at if self.kind in (Kind.ELEMENT, Kind.GRADIENT) else ()
        return Symbol(name, at[calculation.hidden.get(name, 0) :], adjoint=self.kind is Kind.GRADIENT)

    @cached_property
    def numbers(self) -> list[Number]:
        """What is asked for, number by number, as the definition gives it."""
        calculation = self.calculation
        if self.kind is Kind.SHAPE:
            return [Number(Fraction(n)) for n in self.shape]
        if self.kind is Kind.GRADIENT:
            assert self.upstream is not None
            sweep = Sweep(calculation, self.upstream, {self.wrt: [self.at]})
            tracer = sweep.adjoints.get((self.op.input(self.wrt).symbol, self.at))
            return [Number(Fraction(0)) if tracer is None else as_number(sweep.values[tracer.id])]
        cells = [self.at] if self.kind is Kind.ELEMENT else calculation.cells
        tape = Pages()
        recorded = calculation.record(tape, cells)
        values = exact(tape.graph(), decimal=True)
        return [as_number(values[recorded[calculation.main_output, at].id]) for at in cells]

    @property
    def shape(self) -> Shape:
        """The shape of the output as it is shown."""
        main = self.calculation.main_output
        return self.calculation.shown_shape(self.op.output(main).symbol, self.calculation.shapes[main])

    @cached_property
    def decimals(self) -> int | None:
        """To how many decimals the answer is asked for; None: exactly."""
        return None if all(map(_is_short, self.numbers)) else DECIMALS

    @property
    def wanted(self) -> answers.Answer:
        """The right answer."""
        read = answers.expected([number.value for number in self.numbers])
        assert isinstance(read, tuple)
        if self.kind is Kind.SHAPE:
            return read
        return _nested(read, self.shape) if self.kind is Kind.OUTPUT else read[0]

    def judge(self, line: str) -> Judged:
        """How an answer stands."""
        slips = ((mistake.sentence, value) for mistake, value in self.mistaken())
        return judge(line, self.wanted, self.decimals, slips, sizes=self.kind is Kind.SHAPE)

    def mistaken(self) -> Iterator[tuple[Mistake, Any]]:
        """What each known mistake that can show here gives instead."""
        for mistake in self.op.mistakes:
            if (mistake.vjp if self.kind is Kind.GRADIENT else mistake.forward) is None:
                continue
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")  # what a wrong variant warns about is not the learner's matter
                try:
                    value = self._asked_of(making(self.op, mistake))
                except (ValueError, IndexError, KeyError, TypeError, ArithmeticError):  # it has no answer here
                    continue
            if value is not None:
                yield mistake, value

    def _asked_of(self, op: Op) -> Any:
        """What is asked for, of a wrong operator; None where that has no such place."""
        calculation = self.calculation
        arrays = widened(calculation.case.arrays)
        if self.kind is Kind.GRADIENT:
            found = np.asarray(op.vjp(calculation.p, self._cotangent(), **arrays)[self.wrt])
            return self._tidy(found[self.at]) if found.shape == arrays[self.wrt].shape else None
        main = calculation.main_output
        result = np.asarray(op.by_name(op.forward(calculation.p, **arrays), calculation.shapes)[main])
        hidden = len(calculation.shapes[main]) - len(self.shape)
        if self.kind is Kind.SHAPE:
            return result.shape[hidden:]
        if self.kind is Kind.OUTPUT:
            return _mapped(self._tidy, result.reshape(result.shape[hidden:]).tolist())
        inside = len(self.at) == result.ndim and all(i < n for i, n in zip(self.at, result.shape, strict=True))
        return self._tidy(result[self.at]) if inside else None

    def _cotangent(self) -> Any:
        """The upstream gradient as `Op.vjp` takes it: a dict where several outputs can be differentiated."""
        shapes, main = self.calculation.shapes, self.calculation.main_output
        names = [each.name for each in self.op.outputs if each.differentiable]
        if len(names) == 1:
            return self.upstream
        return {name: self.upstream if name == main else np.zeros(shapes[name]) for name in names if name in shapes}

    def _tidy(self, x: Any) -> Any:
        """A float of a wrong variant as the fraction that it is but for rounding, where fractions are asked for."""
        x = float(x)
        if self.decimals is not None or not math.isfinite(x):
            return x
        near = Fraction(x).limit_denominator(10_000)
        return near if abs(near - Fraction(x)) <= Fraction(1, 10**9) * (1 + abs(near)) else x


def kinds(op: Op) -> tuple[Kind, ...]:
    """What is worth asking about an operator: a shape where it is not that of the first array, a gradient where people
    are known to go wrong.
    """
    letters = op.outputs[0].letters
    shaped = letters != op.inputs[0].letters and not letters.startswith("one number")
    mistaken = any(mistake.vjp for mistake in op.mistakes)
    return (
        *((Kind.SHAPE,) if shaped else ()),
        Kind.ELEMENT,
        Kind.OUTPUT,
        *((Kind.GRADIENT,) if mistaken else ()),
    )


def drawn(op: Op, kind: Kind, level: int, rng: np.random.Generator) -> Problem:
    """A problem of that kind and level, whose answer is a number that a person can write down: none that rounds to
    0.000. An output too large to be asked for as a whole becomes an element of it."""
    for _ in range(TRIED):
        problem = _drawn(op, kind, level, rng)
        if all(not each.inexact or abs(float(each.value)) >= LEAST for each in problem.numbers):
            break
    return problem


def _drawn(op: Op, kind: Kind, level: int, rng: np.random.Generator) -> Problem:
    calculation = drawing.drawn(op, level, rng, sizes_only=kind is Kind.SHAPE)
    cells = calculation.cells
    at = cells[int(rng.integers(len(cells)))]
    if kind is Kind.OUTPUT and not 1 < len(cells) <= MOST_ASKED:
        kind = Kind.ELEMENT
    if kind is not Kind.GRADIENT:
        return Problem(calculation, kind, at)
    names = differentiable(calculation)
    wrt = names[int(rng.integers(len(names)))]
    places = list(np.ndindex(*calculation.case.arrays[wrt].shape))
    shape = calculation.shapes[calculation.main_output]
    upstream = rng.permutation(np.arange(1.0, math.prod(shape) + 1)).reshape(shape)
    return Problem(calculation, kind, places[int(rng.integers(len(places)))], wrt, upstream)


def question(problem: Problem) -> str:
    """The question, with what is asked for as a formula calls it."""
    how = "" if problem.decimals is None else say(" (to {n} decimals)", n=problem.decimals)
    write, symbol = Signs().write, problem.symbol
    match problem.kind:
        case Kind.SHAPE:
            return say("What is the shape of {name}?", name=write(symbol))
        case Kind.OUTPUT:
            return say("What is the whole of {name}{how}?", name=write(symbol), how=how)
        case Kind.GRADIENT:
            output = Symbol(problem.op.output(problem.calculation.main_output).symbol)
            return say(
                "What is {name} = ∂loss/∂{x}{how}, where {bar} = ∂loss/∂{y}?",
                name=write(symbol), x=write(symbol._replace(adjoint=False)), how=how,
                bar=write(output._replace(adjoint=True)), y=write(output),
            )  # fmt: skip
    return say("What is {name}{how}?", name=write(symbol), how=how)


def _is_short(number: Number) -> bool:
    """Whether a number can be asked for exactly: a simple fraction, or a decimal of at most four digits."""
    value = number.value
    if number.inexact or not isinstance(value, Fraction):
        return False
    return value.denominator <= 12 or 10_000 % value.denominator == 0


def _nested(flat: tuple[answers.Answer, ...], shape: Shape) -> answers.Answer:
    if not shape:
        return flat[0]
    size = len(flat) // shape[0]
    return tuple(_nested(flat[k * size : (k + 1) * size], shape[1:]) for k in range(shape[0]))


def _mapped(function: Any, value: Any) -> Any:
    return [_mapped(function, each) for each in value] if isinstance(value, list) else function(value)
