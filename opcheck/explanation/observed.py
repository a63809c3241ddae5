"""What explains a number that somebody observed: rounding, printed digits, a known mistake, or none of these."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from opcheck.explanation.calculation import Calculation, Pages
from opcheck.language import say
from opcheck.operators.spec import Array, Mistake, Refused, Shape, widened
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
        (say("exact"), _number(focus.exact)),
        (say("{dtype}, left to right", dtype=dtype), f"{computed:.{DIGITS[dtype]}g}".replace("-", "−")),
        (say("difference"), _number(difference(computed, focus.exact))),
        (say("rounding of the inputs allows"), _number(focus.storing(dtype))),
        (say("computing in any order allows"), _number(focus.computing(dtype))),
    )
    name = _name(calculation, at)
    return [
        Table((say("{y} in {dtype}", y=name, dtype=dtype), ""), rows),
        Prose(
            say("u = {u} is the unit roundoff of {dtype}: one operation is off by at most u times its result.",
                u=f"2^{int(np.log2(UNIT_ROUNDOFF[dtype]))}", dtype=dtype), "note"),
    ]  # fmt: skip


def got_lines(calculation: Calculation, cell: Shape | None, got: Array, dtype: str, digits: int | None) -> list[Block]:
    """What explains each observed number; the sentence at the end holds for all of them."""
    shape = calculation.shapes[calculation.main_output]
    places = _places(calculation, cell, got, shape, dtype)
    observed = [as_fraction(exactly(each, decimal=True)) for each in got.reshape(-1).tolist()]
    elements = [element(calculation, at) for at in places]
    exact_arrays = _whole_arrays(calculation)
    headers = [say("element"), say("expected"), say("got"), say("difference"), say("{dtype} allows", dtype=dtype)]
    if digits is not None:
        headers.append(say("{n} printed decimals allow", n=digits))
    rows: list[tuple[str | Expression, ...]] = []
    for each, number in zip(elements, observed, strict=True):
        row: list[str | Expression] = [_name(calculation, each.at), _number(each.exact), _number(number)]
        row += [_number(difference(number, each.exact)), _number(each.rounding(dtype))]
        rows.append(tuple([*row, _number(each.printing(digits, exact_arrays))] if digits is not None else row))
    sentence = _explanation(calculation, elements, observed, dtype, digits, exact_arrays)
    return [Table(tuple(headers), tuple(rows)), Prose(sentence, "verdict")]


def _places(calculation: Calculation, cell: Shape | None, got: Array, shape: Shape, dtype: str) -> list[Shape]:
    """The elements that were observed. One number without a cell is that of the first element that it fits."""
    if got.ndim == 0:
        return [cell if cell is not None else _fitting(calculation, got, shape, dtype)]
    hidden = calculation.hidden.get(calculation.op.output(calculation.main_output).symbol, 0)
    if got.shape not in (shape, shape[hidden:]):
        raise Refused(
            say("the observed array must have the shape of the output, {shape}", shape=shape[hidden:]),
            got=f"{got.shape}",
        )
    return list(np.ndindex(*shape))


def _fitting(calculation: Calculation, got: Array, shape: Shape, dtype: str) -> Shape:
    """The first element that has this number, or gets it by a known mistake or by the other sign; else the first."""
    op, arrays = calculation.op, widened(calculation.case.arrays)
    number = float(got)
    room = 0.5 * 10.0 ** -_decimals(Fraction(repr(number)) if np.isfinite(number) else number)
    variants: list[Callable[..., Any]] = [op.forward]
    variants += [partial(mistake.forward, op) for mistake in op.mistakes if mistake.forward is not None]
    variants += [lambda p, **given: op.forward(p, **given)]
    for k, forward in enumerate(variants):
        try:
            with np.errstate(all="ignore"):
                output = np.asarray(
                    op.by_name(forward(calculation.p, **arrays), calculation.shapes)[calculation.main_output]
                )
        except (ValueError, IndexError, ArithmeticError):
            continue  # this variant cannot compute this case at all
        signed = -output if k == len(variants) - 1 else output
        near = np.abs(signed - number) <= room + 1e-6 * np.abs(signed)
        if output.shape == shape and near.any():
            return tuple(map(int, np.argwhere(near)[0]))
    return (0,) * len(shape)


def _explanation(
    calculation: Calculation,
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
    if all(d <= Fraction(1, 2) / 10 ** _decimals(g) for d, g in zip(differences, observed, strict=True)):
        return say("Equal to the digits shown.")
    if digits is not None and all(d <= e.printing(digits, whole) for d, e in zip(differences, elements, strict=True)):
        kept = say(" (whole numbers are taken as exact)") if whole else ""
        return say(
            "Printed digits: inputs printed with {n} decimals{kept} allow this difference. It is not binary rounding: "
            "{dtype} allows far less.", n=digits, kept=kept, dtype=dtype,
        )  # fmt: skip
    for mistake in calculation.op.mistakes:
        if _predicts(mistake, calculation, elements, observed, dtype):
            return say("A known mistake, {name}: {sentence}", name=mistake.name, sentence=mistake.sentence)
    if all(abs(g + e.exact) <= e.rounding(dtype) for g, e in zip(observed, elements, strict=True)):
        return say("The sign is wrong: a minus is missing, or there is one too many.")
    rounded = digits is None and len(whole) < len(calculation.case.arrays)  # whole numbers are printed as they are
    tried = say(" Were the inputs rounded for printing? Try --printed-digits 4.") if rounded else ""
    return say(
        "Not explained by {dtype} rounding, the printed digits or a known mistake.{tried}",
        dtype=dtype, tried=tried,
    )  # fmt: skip


def _predicts(
    mistake: Mistake, calculation: Calculation, elements: list[Element], observed: list[Any], dtype: str
) -> bool:
    """Whether the mistake gives every observed number, to the digits that it was written with."""
    if mistake.forward is None:
        return False
    try:
        wrong = mistake.forward(calculation.op, calculation.p, **widened(calculation.case.arrays))
    except (ValueError, IndexError, ArithmeticError):
        return False  # this variant cannot compute this case at all
    output = np.asarray(calculation.op.by_name(wrong, calculation.shapes)[calculation.main_output])
    if output.shape != calculation.shapes[calculation.main_output]:
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


def difference(a: Any, b: Any) -> Any:
    """a - b exactly; equal infinities (or two NaN) differ by nothing."""
    if isinstance(a, float) or isinstance(b, float):
        same = a == b or (a != a and b != b)
        return Fraction(0) if same else float(a) - float(b)
    return a - b


def _name(calculation: Calculation, at: Shape) -> str:
    symbol = calculation.op.output(calculation.main_output).symbol
    shown = at[calculation.hidden.get(symbol, 0) :]
    return symbol + (f"[{','.join(map(str, shown))}]" if shown else "")


def _number(value: Any) -> Number:
    return Number(as_fraction(value))
