"""Every printed equation, read back and computed again: all operators, forward and gradients, in every text style."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcheck import catalog, explain
from opcheck.choosers import ExactValues, RandomChooser, RealValues
from opcheck.explanation.calculation import Calculation
from opcheck.render import render
from opcheck.spec import Case, Op
from opcheck.steps import Block, Formula, Prose, Step, Table
from opcheck.trace import Tape
from tests.render.readback import Interval, Reader, check, formulas, point

OPERATORS = [op.name for op in catalog.every()]
FEW = 24  # elements up to which a case is explained with nothing left out


@dataclass(frozen=True)
class Printed:
    """An explanation that was printed, with what is needed to read it."""

    op: Op
    case: Case
    step: Step
    upstream: Any
    style: dict[str, Any]

    @property
    def text(self) -> str:
        return render(self.step, "text", **self.style)

    def read(self, text: str | None = None) -> int:
        """Reads every formula back; returns how many sides of equations were compared."""
        read = formulas(self.text if text is None else text, set(self.other_lines()))
        assert len(read) == sum(1 for _ in formulas_of(self.step.blocks)), "a formula was not found in the text"
        reader = Reader(self.known(), self.style["precision"])
        sizes = self.sizes()
        return sum(check(formula, reader, sizes) for formula in read)

    def other_lines(self) -> Iterator[str]:
        """The lines of sentences and tables."""
        for block in walk(self.step.blocks):
            if isinstance(block, Prose | Table):
                yield from (line.strip() for line in render(Step("", (block,)), "text", **self.style).split("\n"))

    def known(self) -> dict[str, Interval]:
        """The elements of the arrays and of the upstream gradient, by the names under which they are printed."""
        names = {}
        for name, array in self.case.arrays.items():
            names.update(elements(self.op.input(name).symbol, array))
        names.update(self.constants())
        if self.upstream is not None:
            symbol = self.op.outputs[0].symbol
            letters = symbol.rstrip("′")
            accented = unicodedata.normalize("NFC", letters + "\u0304") + symbol.removeprefix(letters)
            bar = symbol + "_bar" if self.style["ascii"] else accented
            names.update(elements(bar, self.upstream))
        return {ascii_name(name): value for name, value in names.items()} if self.style["ascii"] else names

    def constants(self) -> Iterator[tuple[str, Interval]]:
        """The parameters that formulas name, such as β1."""
        calculation = Calculation(self.op, self.case)
        tape = Tape()
        calculation.record(tape, calculation.cells[:1])
        symbols = {each.symbol for each in self.op.inputs if each.name in self.case.arrays}
        for node in tape.nodes:
            if node.is_leaf and node.label and node.label not in symbols:
                yield node.label, point(Fraction(repr(float(node.value))))

    def sizes(self) -> dict[str, Interval]:
        """The output sizes that formulas are shown for, such as H_out."""
        p, shapes = self.op.checked(self.case)
        given = {name: array.shape for name, array in self.case.arrays.items()}
        tape = Tape()
        names = self.op.sizes(p, given, lambda name, value: tape.constant(value, name))
        output = shapes[self.op.outputs[0].name]
        return {name: point(Fraction(n)) for name, n in zip(names, output[len(output) - len(names) :], strict=True)}


def ascii_name(name: str) -> str:
    for letter, word in {"ℓ": "l", "β": "beta", "ε": "eps", "λ": "lambda", "θ": "theta", "α": "alpha", "μ": "mu",
                         "γ": "gamma", "η": "eta", "ρ": "rho", "τ": "tau", "′": "'"}.items():  # fmt: skip
        name = name.replace(letter, word)
    return name


def elements(symbol: str, array: Any) -> Iterator[tuple[str, Interval]]:
    for at in np.ndindex(*array.shape):
        value = array[at].item()
        number = Fraction(repr(value)) if np.isfinite(value) else value
        yield symbol + (f"[{','.join(map(str, at))}]" if at else ""), point(number)


def walk(blocks: tuple[Block, ...]) -> Iterator[Block]:
    for block in blocks:
        yield block
        if isinstance(block, Step):
            yield from walk(block.blocks)


def formulas_of(blocks: tuple[Block, ...]) -> Iterator[Formula]:
    return (block for block in walk(blocks) if isinstance(block, Formula))


def printed(
    name: str,
    seed: int,
    grad: bool = False,
    precision: int = 4,
    width: int = 80,
    ascii: bool = False,
    exact: bool = False,
    real: bool = True,
) -> Printed:
    """A case of the operator's sampler, explained: with nothing left out if it is small."""
    op = catalog.get(name)
    case = op.sample(RandomChooser(seed, RealValues if real else ExactValues))
    _, shapes = op.checked(case)
    output = shapes[op.outputs[0].name]
    count = int(np.prod(output))
    upstream = RandomChooser(seed, ExactValues).array(*output) if grad else None
    everything = count <= FEW and sum(array.size for array in case.arrays.values()) <= 3 * FEW
    call = op.signature.bind(**case.arrays, **case.params)
    options = {"grad": grad, "upstream": upstream, "all": everything, "exact": exact}
    result = explain(name, *call.args, **call.kwargs, **options)
    style = {"precision": precision, "width": width, "ascii": ascii, "fractions": exact, "interactive": False}
    return Printed(op, case, result.step, upstream, style)


@pytest.mark.parametrize("name", OPERATORS)
@given(
    seed=st.integers(0, 2**32 - 1),
    grad=st.booleans(),
    precision=st.integers(2, 8),
    width=st.sampled_from([80, 40, 60, 120, 200]),
    ascii=st.booleans(),
    exact=st.booleans(),
    real=st.booleans(),
)
def test_every_printed_equation_holds(name, seed, grad, precision, width, ascii, exact, real):
    printed(name, seed, grad, precision, width, ascii, exact, real).read()
