"""Every printed equation, read back and computed again: all operators, forward and gradients, in every text style."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcheck import explain
from opcheck.explanation.calculation import Calculation
from opcheck.operators import catalog
from opcheck.operators.choosers import ExactValues, RandomChooser, RealValues
from opcheck.operators.spec import Case, Op
from opcheck.render import render
from opcheck.render.numbers import Style
from opcheck.render.signs import Signs
from opcheck.render.tex import TeX
from opcheck.steps import Block, Formula, Prose, Step, Table
from opcheck.tracing import Tape
from tests.render.intervals import Interval, point
from tests.render.readback import Reader, WrongLine, check, formulas

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

    def formulas(self) -> list[str]:
        """The formulas of the text, each on one line."""
        read = formulas(self.text, self.other_lines())
        assert len(read) == sum(1 for _ in formulas_of(self.step.blocks)), "a formula was not found in the text"
        return read

    def read(self, instead: Sequence[str] = ()) -> int:
        """Computes every formula again; returns how many sides of equations were compared."""
        reader = Reader(self.known(), self.style["precision"])
        sizes = self.sizes()
        return sum(check(formula, reader, sizes) for formula in instead or self.formulas())

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
        calculation.record(tape, calculation.cells[:FEW])
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
        number = Fraction(repr(value + 0)) if np.isfinite(value) else value
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
    case = op.completed(op.sample(RandomChooser(seed, RealValues if real else ExactValues)))
    _, shapes = op.checked(case)
    output = shapes[op.outputs[0].name]
    cells = int(np.prod(output))
    upstream = RandomChooser(seed, ExactValues).array(*output) if grad else None
    everything = cells <= FEW and sum(array.size for array in case.arrays.values()) <= 3 * FEW
    call = op.signature.bind(**op.gathered(op.call(case)))
    options = {"grad": grad, "upstream": upstream, "all": everything, "exact": exact}
    result = explain(name, *call.args, **call.kwargs, **options)
    style = {"precision": precision, "width": width, "ascii": ascii, "fractions": exact, "interactive": False}
    return Printed(op, case, result.step, upstream, style)


@pytest.mark.share(12)
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


# --- that it can fail -------------------------------------------------------------------------------------------------

NUMBER = re.compile(r"(?<![\w.,\[])\d+(?:\.\d+)?(?:e−\d+)?(?![\w,\]]|\.\d)")


def changed(number: str) -> str:
    """Another number of equally many digits."""
    digits = [k for k, c in enumerate(number.partition("e")[0]) if c.isdigit()]
    last = digits[-1]
    return number[:last] + str((int(number[last]) + 5) % 10) + number[last + 1 :]


def with_one_number_changed(lines: list[str]) -> Iterator[tuple[list[str], str]]:
    for k, line in enumerate(lines):
        for match in NUMBER.finditer(line):
            wrong = line[: match.start()] + changed(match[0]) + line[match.end() :]
            yield [*lines[:k], wrong, *lines[k + 1 :]], f"{match[0]} of {line}"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("linear", {}),
        ("conv1d", {"grad": True}),
        ("conv2d", {}),
        ("avg_pool2d", {"grad": True}),
        ("mse_loss", {"exact": True}),
        ("mse_loss", {"grad": True, "exact": True}),
    ],
)
def test_a_wrong_digit_anywhere_in_an_exact_calculation_is_caught(name, arguments):
    hides = re.compile(
        r"⌊|⌈|max|(?<![\d.,\[])0(?![\d.,\]])"
    )  # rounding, a maximum and a product with 0 hide other numbers
    pages = (printed(name, seed, real=False, **arguments) for seed in range(40))
    page = next(page for page in pages if page.read() in range(4, 30) and not all(map(hides.search, page.formulas())))
    unnoticed = []
    wrong = list(with_one_number_changed([each for each in page.formulas() if not hides.search(each)]))
    assert wrong
    for lines, what in wrong:
        try:
            page.read(lines)
            unnoticed.append(what)
        except WrongLine:
            pass
    assert unnoticed == []


@pytest.mark.parametrize("name", ["softmax", "cross_entropy", "sigmoid", "adam", "rmsprop"])
def test_a_wrong_last_digit_of_a_rounded_result_is_caught(name):
    for page in (printed(name, seed, precision=6) for seed in range(40)):
        lines = page.formulas()
        results = [k for k, line in enumerate(lines) if re.search(r"≈ −?\d+\.\d{6}$", line)]
        if results:
            break
    for k in results:
        with pytest.raises(WrongLine):
            page.read([*lines[:k], lines[k][:-1] + changed(lines[k][-1]), *lines[k + 1 :]])


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("y[0] = 2·3 = 7", "2·3 is 6.0"),
        ("y[0] = 1/3 = 0.3333", "= 0.3333 is"),
        ("y[0] ≈ 0.3334 + 1/3·0 ≈ 0.3332", "meet"),
        ("y[0] = z[1]·2 = 4", "z\\[1\\] is used before anything says what it is"),
        ("y[0] = exp(0) = 2", "exp\\(0\\) is 1.0"),
        ("y[0] = max(1, 2, [3 terms: 9]) = 2", "is 9.0"),
        ("y[0] = … 3 terms …", "has a value"),
        ("y[0] = (1 + 2 = 3", "missing"),
        ("y[0] = 3 ? 4", "cannot read"),
    ],
)
def test_what_is_wrong_or_cannot_be_read_is_said(formula, message):
    with pytest.raises(WrongLine, match=message if message != "meet" else "is"):
        check(formula, Reader({}), {})


def test_an_equation_is_exact_and_an_approximation_is_half_a_unit_wide():
    assert check("y = 1/4 = 0.25", Reader({}), {}) == 2
    assert check("y = 1/3 ≈ 0.3333", Reader({}), {}) == 2
    assert check("y ≈ 0.3333·3 = 1", Reader({}), {}) == 2
    with pytest.raises(WrongLine):
        check("y ≈ 0.3333·3 = 1.001", Reader({}), {})


def test_values_that_were_printed_under_a_name_are_used():
    reader = Reader({})
    check("m = max(1, 2) = 2", reader, {})
    assert check("y = m + 1 = 3", reader, {}) == 2
    with pytest.raises(WrongLine):
        check("y = m + 1 = 4", reader, {})


def test_a_size_formula_binds_its_letters_to_its_numbers():
    sizes = {"H_out": point(Fraction(3))}
    assert check("H_out = ⌊(H − k)/s⌋ + 1 = ⌊(4 − 2)/1⌋ + 1 = 3", Reader({}), sizes) == 4
    with pytest.raises(WrongLine, match="k stands for"):
        check("H_out = ⌊(k − k)/s⌋ + 1 = ⌊(4 − 2)/1⌋ + 1 = 3", Reader({}), sizes)
    with pytest.raises(WrongLine):
        check("H_out = ⌊(H − k)/s⌋ + 1 = ⌊(4 − 2)/1⌋ + 1 = 3", Reader({}), {"H_out": point(Fraction(4))})


# --- the same numbers in the other formats ------------------------------------------------------------------------


@pytest.mark.share(9)
@pytest.mark.parametrize("name", OPERATORS)
@given(seed=st.integers(0, 2**32 - 1), grad=st.booleans())
def test_latex_prints_the_numbers_that_text_prints(name, seed, grad):
    page = printed(name, seed, grad)
    tex, signs = TeX(Style()), Signs(Style())
    for formula in formulas_of(page.step.blocks):
        for side in (formula.left, *formula.rights):
            in_tex = re.sub(r" \\times 10\^\{(-?)(\d+)\}", r"e\1\2", tex.write(side))
            in_tex = re.sub(r"_\{[^{}]*(?:\{[^{}]*\})?\}|\[t\]", "", in_tex)
            in_text = re.sub(r"\[[\d,]+\]|\d+ terms", "", signs.write(side).replace("−", "-").replace("²", "^2"))
            in_text = re.sub(r"e(-?)0*(\d+)", r"e\1\2", in_text)
            numbers = r"(?<![^\W\d_])\d+(?:\.\d+)?(?:e-?\d+)?"
            assert sorted(re.findall(numbers, in_tex)) == sorted(re.findall(numbers, in_text)), (in_tex, in_text)
