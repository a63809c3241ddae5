"""What explains a number that somebody observed: rounding, printed digits, a known mistake, or none of these."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from opcheck.explanation.calculation import Calculation, Pages
from opcheck.explanation.unfold import barred
from opcheck.language import say
from opcheck.operators.spec import Array, Mistake, Refused, Shape, widened
from opcheck.render.numbers import Style
from opcheck.render.numbers import digits as written
from opcheck.steps import Block, Expression, Number, Prose, Table
from opcheck.tracing import Graph, Node, exact, values
from opcheck.tracing.arithmetic import as_fraction, exactly
from opcheck.tracing.machine import machine
from opcheck.tracing.rounding import SMALLEST, UNIT_ROUNDOFF, bound, reading_error

DIGITS = {"float64": 17, "float32": 9, "float16": 5, "bfloat16": 4}  # that tell two neighbours apart


@dataclass(frozen=True)
class Element:
    """One output element: its exact value, and how far rounding can move it."""

    at: Shape
    exact: Any
    graph: Graph
    id: int

    def storing(self, dtype: str) -> float:
        """What storing the inputs in `dtype` can change."""
        u, smallest = UNIT_ROUNDOFF[dtype], SMALLEST[dtype]
        return reading_error(self.graph, self.id, lambda node: u * abs(float(node.value)) + smallest / 2)

    def computing(self, dtype: str) -> float:
        """What computing in `dtype`, in any order of summation, can change."""
        return bound(self.graph, self.id, dtype, values(self.graph))

    def rounding(self, dtype: str) -> float:
        return self.storing(dtype) + self.computing(dtype)

    def printing(self, digits: int, exact_arrays: set[str]) -> float:
        """What printing the inputs with that many decimals can hide."""

        def half_unit(node: Node) -> float:
            return 0.0 if node.label in exact_arrays else 0.5 * 10.0**-digits

        return reading_error(self.graph, self.id, half_unit)


def element(calculation: Calculation, at: Shape) -> Element:
    """Records one element of the main output."""
    tape = Pages()
    tracer = calculation.record(tape, [at])[calculation.main_output, at]
    graph = tape.graph(tracer)
    return Element(at, as_fraction(exact(graph, decimal=True)[tracer.id]), graph, tracer.id)


def dtype_lines(calculation: Calculation, at: Shape, dtype: str) -> list[Block]:
    """What `dtype` makes of one element, and how far it may be off."""
    focus = element(calculation, at)
    computed = machine(focus.graph, dtype)[focus.id]
    rows = (
        (say("exact"), _significant(focus.exact, DIGITS[dtype])),
        (say("{dtype}, left to right", dtype=dtype), f"{computed:.{DIGITS[dtype]}g}".replace("-", "−")),
        (say("difference"), _number(difference(computed, focus.exact))),
        (say("rounding of the inputs allows"), _number(focus.storing(dtype))),
        (say("computing in any order allows"), _number(focus.computing(dtype))),
    )
    name = output(calculation).name(at)
    return [
        Table((say("{y} in {dtype}", y=name, dtype=dtype), say("value")), rows),
        Prose(
            say("exact: without any rounding. The last two lines say how far {dtype} may be from it: by storing the "
                "inputs, and by computing in another order.", dtype=dtype), "note"),
        Prose(
            say("u = {u} is the unit roundoff of {dtype}: one operation is off by at most u times its result.",
                u=f"2^−{-int(np.log2(UNIT_ROUNDOFF[dtype]))}", dtype=dtype), "note"),
    ]  # fmt: skip


@dataclass(frozen=True)
class Watched:
    """What somebody may have observed: the main output, or the gradient of an input.

    by(mistake): its numbers as the mistake makes them, or as they are; None where the mistake is one of something else.
    """

    symbol: str
    shape: Shape
    hidden: int
    element: Callable[[Shape], Element]
    by: Callable[[Mistake | None], Array | None]

    def name(self, at: Shape) -> str:
        shown = at[self.hidden :]
        return self.symbol + (f"[{','.join(map(str, shown))}]" if shown else "")

    def numbers(self, mistake: Mistake | None) -> Array | None:
        """As by, but None too where this case cannot be computed so, or gets another shape."""
        try:
            with np.errstate(all="ignore"):
                found = self.by(mistake)
        except (ValueError, IndexError, ArithmeticError):
            return None
        return found if found is not None and found.shape == self.shape else None


def output(calculation: Calculation) -> Watched:
    """The main output."""
    op, name = calculation.op, calculation.main_output
    arrays = widened(calculation.case.arrays)

    def by(mistake: Mistake | None) -> Array | None:
        forward = op.forward if mistake is None else mistake.forward and partial(mistake.forward, op)
        found = forward and op.by_name(forward(calculation.p, **arrays), calculation.shapes)[name]
        return None if found is None else np.asarray(found)

    symbol = op.output(name).symbol
    hidden = calculation.hidden.get(symbol, 0)
    return Watched(symbol, calculation.shapes[name], hidden, partial(element, calculation), by)


def gradients(calculation: Calculation, g: Array) -> list[Watched]:
    """The gradient of each input."""
    from opcheck.explanation.gradient import Sweep, differentiable

    op, arrays, sweep = calculation.op, widened(calculation.case.arrays), Sweep(calculation, g, {})
    several = sum(op.output(name).differentiable for name in calculation.shapes) > 1

    def watched(name: str) -> Watched:
        symbol, shape = op.input(name).symbol, calculation.case.arrays[name].shape

        def by(mistake: Mistake | None) -> Array | None:
            vjp = op.vjp if mistake is None else mistake.vjp and partial(mistake.vjp, op)
            found = vjp and vjp(calculation.p, {calculation.main_output: g} if several else g, **arrays).get(name)
            return None if found is None else np.asarray(found)

        def element(at: Shape) -> Element:
            found = sweep if sweep.complete else Sweep(calculation, g, {name: [at]})
            tracer = found.adjoints.get((symbol, at))
            tape, tracer = (found.tape, tracer) if tracer is not None else ((zero := Pages()), zero.constant(0))
            return Element(at, as_fraction(found.gradient(symbol, at)), tape.graph(tracer), tracer.id)

        return Watched(barred(symbol), shape, calculation.hidden.get(symbol, 0), element, by)

    return [watched(name) for name in differentiable(calculation)]


def got_lines(
    calculation: Calculation, every: Sequence[Watched], cell: Shape | None, got: Array, dtype: str, digits: int | None
) -> list[Block]:
    """What explains each observed number; the sentence at the end holds for all of them."""
    watched, places = _found(calculation, every, cell, got)
    observed = [as_fraction(exactly(each, decimal=True)) for each in got.reshape(-1).tolist()]
    elements = [watched.element(at) for at in places]
    exact_arrays = _whole_arrays(calculation)
    headers = [say("element"), say("expected"), say("got"), say("difference"), say("{dtype} allows", dtype=dtype)]
    if digits is not None:
        headers.append(say("{n} printed decimals allow", n=digits))
    causes = [_cause(each, number, observed, dtype) for each, number in zip(elements, observed, strict=True)]
    is_mixed = len(set(causes)) > 1 and digits is None
    if is_mixed:
        headers.append(say("explained by"))
    rows: list[tuple[str | Expression, ...]] = []
    for each, number, cause in zip(elements, observed, causes, strict=True):
        apart = difference(number, each.exact)
        row: list[str | Expression] = [watched.name(each.at), _beside(each.exact, apart), _written(number, observed)]
        row += [_number(apart), _number(each.rounding(dtype))]
        row += [_number(each.printing(digits, exact_arrays))] if digits is not None else [cause] if is_mixed else []
        rows.append(tuple(row))
    told = say("expected: the exact number; difference: got − expected; {dtype} allows: what rounding may change",
               dtype=dtype)  # fmt: skip
    sentence = _explanation(calculation, watched, elements, observed, dtype, digits, exact_arrays)
    return [Table(tuple(headers), tuple(rows)), Prose(told, "note"), Prose(sentence, "verdict")]


def _found(
    calculation: Calculation, every: Sequence[Watched], cell: Shape | None, got: Array
) -> tuple[Watched, list[Shape]]:
    """What was observed, and its elements. One number without a cell is that of the first element that it fits."""
    if got.ndim == 0 and cell is not None:
        inside = [each for each in every if len(each.shape) - each.hidden <= len(cell) <= len(each.shape)]
        full = [(each, (0,) * (len(each.shape) - len(cell)) + tuple(cell)) for each in inside]
        full = [(each, at) for each, at in full if all(i < n for i, n in zip(at, each.shape, strict=True))]
        near = (pair for pair in full if _is_near(pair[0].numbers(None), float(got), pair[1]))
        watched, at = next(near, (full or [(every[0], tuple(cell))])[0])
        return watched, [at]
    if got.ndim == 0:
        watched, at = _fitting(calculation, every, float(got))
        return watched, [at]
    fits = [each for each in every if got.shape in (each.shape, each.shape[each.hidden :])]
    if not fits:
        shapes = say(" or ").join(str(shape) for shape in dict.fromkeys(each.shape[each.hidden :] for each in every))
        raise Refused(
            say("the observed array must have the shape of {name}, {shape}",
                name=say("the output") if len(every) == 1 else say("a gradient"), shape=shapes),
            got=f"{got.shape}",
        )  # fmt: skip
    watched = min(fits, key=lambda each: _distance(each.numbers(None), got.reshape(each.shape)))
    return watched, list(np.ndindex(*watched.shape))


def _distance(right: Array | None, got: Array) -> float:
    far = float("inf") if right is None else float(np.abs(right - got).max(initial=0.0))
    return far if far == far else float("inf")


def _fitting(calculation: Calculation, every: Sequence[Watched], number: float) -> tuple[Watched, Shape]:
    """The first element that has this number, or gets it by a known mistake or by the other sign; else the first."""
    wanted = [(None, number), *((mistake, number) for mistake in calculation.op.mistakes), (None, -number)]
    for mistake, value in wanted:
        for each in every:
            numbers = each.numbers(mistake)
            if numbers is not None and (near := _are_near(numbers, value)).any():
                return each, tuple(map(int, np.argwhere(near)[0]))
    return every[0], (0,) * len(every[0].shape)


def _are_near(numbers: Array, number: float) -> Array:
    room = 0.5 * 10.0 ** -_decimals(Fraction(repr(number)) if np.isfinite(number) else number)
    return np.asarray(np.abs(numbers - number) <= room + 1e-6 * np.abs(numbers))


def _is_near(numbers: Array | None, number: float, at: Shape) -> bool:
    return numbers is not None and bool(_are_near(numbers, number)[at])


def _explanation(
    calculation: Calculation,
    watched: Watched,
    elements: list[Element],
    observed: list[Any],
    dtype: str,
    digits: int | None,
    whole: set[str],
) -> str:
    """The first of: equal, rounding, printed digits, a known mistake, none of these."""
    differences = [abs(difference(g, e.exact)) for g, e in zip(observed, elements, strict=True)]
    if not any(differences):
        return say("Equal: this is the exact value.")
    if all(d <= e.rounding(dtype) for d, e in zip(differences, elements, strict=True)):
        return say("Rounding: the difference is within what {dtype} allows.", dtype=dtype)
    if all(d <= _half_unit(observed) for d in differences):
        return say("Equal to the digits shown.")
    if digits is not None and all(d <= e.printing(digits, whole) for d, e in zip(differences, elements, strict=True)):
        kept = say(" (whole numbers are taken as exact)") if whole else ""
        return say(
            "Printed digits: inputs printed with {n} decimals{kept} allow this difference. It is not binary rounding: "
            "{dtype} allows far less.", n=digits, kept=kept, dtype=dtype,
        )  # fmt: skip
    for mistake in calculation.op.mistakes:
        if _predicts(watched.numbers(mistake), elements, observed, dtype):
            return say("A known mistake, {name}: {sentence}", name=mistake.name, sentence=mistake.sentence)
    if all(abs(g + e.exact) <= e.rounding(dtype) for g, e in zip(observed, elements, strict=True)):
        return say("The sign is wrong: a minus is missing, or there is one too many.")
    left = [e for e, g in zip(elements, observed, strict=True) if _cause(e, g, observed, dtype) == say("nothing")]
    if 0 < len(left) < len(elements):
        return say("{names}: not explained by {dtype} rounding, the printed digits or a known mistake; the others are.",
                   names=", ".join(map(watched.name, (each.at for each in left))), dtype=dtype)  # fmt: skip
    rounded = digits is None and len(whole) < len(calculation.case.arrays)  # whole numbers are printed as they are
    tried = say(" Were the inputs rounded for printing? Try --printed-digits 4.") if rounded else ""
    return say(
        "Not explained by {dtype} rounding, the printed digits or a known mistake.{tried}",
        dtype=dtype, tried=tried,
    )  # fmt: skip


def _is_right(predicted: float, each: Element, dtype: str) -> bool:
    """Whether a mistake changes nothing here, so that it explains nothing."""
    return bool(abs(difference(as_fraction(predicted), each.exact)) <= each.rounding(dtype))


def _predicts(output: Array | None, elements: list[Element], observed: list[Any], dtype: str) -> bool:
    """Whether these numbers are the observed ones, to the digits that they were written with."""
    if output is None or all(_is_right(output[each.at].item(), each, dtype) for each in elements):
        return False
    for each, number in zip(elements, observed, strict=True):
        predicted = output[each.at].item()
        if not np.isfinite(predicted) or not np.isfinite(each.rounding(dtype)):
            # what is not a number, or may be off by anything, explains no other number
            if difference(number, as_fraction(predicted)) != 0:
                return False
            continue
        room = Fraction(each.rounding(dtype)) + Fraction(1, 2) / 10 ** _decimals(number)
        if abs(difference(number, as_fraction(predicted))) > room:
            return False
    return True


def _whole_arrays(calculation: Calculation) -> set[str]:
    """The symbols of arrays that hold whole numbers only: these were not rounded when they were printed."""
    arrays = calculation.case.arrays.items()
    return {calculation.op.input(name).symbol for name, array in arrays if np.all(array == np.round(array))}


def _decimals(number: Any) -> int:
    """How many decimals a number was written with."""
    if not isinstance(number, Fraction):
        return 0
    return len(repr(float(number)).partition(".")[2]) if "e" not in repr(float(number)) else 17


def _half_unit(observed: Sequence[Any]) -> Fraction:
    """What the digits hide that these numbers were given with: 0.09 beside 0.2447 stands for 0.0900."""
    return Fraction(1, 2 * 10 ** max(map(_decimals, observed), default=0))


def _cause(each: Element, number: Any, observed: Sequence[Any], dtype: str) -> str:
    """What explains one of several numbers."""
    apart = abs(difference(number, each.exact))
    if apart <= each.rounding(dtype):
        return say("rounding")
    return say("digits given") if apart <= _half_unit(observed) else say("nothing")


def _beside(expected: Any, apart: Any) -> str | Number:
    """An exact number with the digits in which an observed one differs from it."""
    if not isinstance(expected, Fraction) or not isinstance(apart, Fraction) or not 0 < abs(apart) < Fraction(1, 10**4):
        return _number(expected)
    places = min(17, 1 - math.floor(math.log10(abs(apart))))
    return written(expected, Style(precision=places))


def _written(number: Any, observed: Sequence[Any]) -> str | Number:
    """An observed number with as many decimals as the others have, as it was probably given."""
    places = max(map(_decimals, observed), default=0)
    if not isinstance(number, Fraction) or number.denominator == 1 or places > 16:
        return _number(number)
    return f"{float(number):.{places}f}".replace("-", "−")


def _significant(value: Any, count: int) -> str | Number:
    """An exact number with as many digits as the floating-point number beside it."""
    if not isinstance(value, Fraction):
        return _number(value)
    with localcontext(prec=count):
        return f"{Decimal(value.numerator) / Decimal(value.denominator):g}".replace("-", "−")


def difference(a: Any, b: Any) -> Any:
    """a - b exactly; equal infinities (or two NaN) differ by nothing."""
    if isinstance(a, float) or isinstance(b, float):
        same = a == b or (a != a and b != b)
        return Fraction(0) if same else float(a) - float(b)
    return a - b


def _number(value: Any) -> Number:
    return Number(as_fraction(value))
