"""Results that the tests of the formats share: plain ones, and one in which every string is hostile."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from hypothesis import strategies as st

from opcheck.grading import conventions
from opcheck.grading.results import Check, Outcome, Result
from opcheck.steps import Apply, Cell, Formula, Grid, Grids, Number, Prose, Step, Symbol, Table

HOSTILE = "=cmd()\x1b[2J\x1b]0;owned\x07<script>alert(1)</script>&\"'\x00\u202e\ud800\uffff\r\n@x\u2028\u009b"


class Asked(NamedTuple):
    """As much of a question."""

    name: str
    op: Any
    convention: Any = conventions.get("functional")
    visibility: str = "visible"


@dataclass(frozen=True)
class Titled:
    """As much of an assignment as the formats look at."""

    title: str = "Homework 2: convolution"
    questions: tuple[Any, ...] = ()
    late: Any = None
    points: float = 10


def worked(text: str = "Expected 44, got 43.") -> Step:
    formula = Formula(
        Symbol("y", (0, 0)),
        (Apply("add", (Symbol("x", (0, 0)), Number(Fraction(3)))), Number(Fraction(44)), Number(1.5, inexact=True)),
    )
    row = (Cell(Number(Fraction(1)), marked=True), Cell(None, padding=True), Cell(Number(float("-inf"))))
    grids = Grids((Grid("x", (row, row)), Grid("weight", (row,))))
    return Step(
        "The smallest counterexample", (Prose(text), grids, formula, Table(("expected", text), ((text, "44"),)))
    )


def result(student: str = "ada", wrong: int = 1) -> Result:
    checks = (
        Check("linear", "forward", Outcome.RIGHT, 2, 2),
        Check("linear", "vjp", Outcome.RIGHT, 2.5, 2.5, hidden=True),
        Check(
            "conv2d",
            "forward",
            Outcome.WRONG if wrong else Outcome.RIGHT,
            3,
            0 if wrong else 3,
            message="y[0,0] is wrong: the kernel is flipped" if wrong else "",
            detail=worked() if wrong else None,
            mistakes=("kernel_flipped",) if wrong else (),
            seconds=0.125,
        ),
        Check("conv2d", "vjp", Outcome.SKIPPED if wrong else Outcome.RIGHT, 2.5, 0 if wrong else 2.5),
    )
    return Result(student, f"{student}.py", checks, seed=7, seconds=0.5, notes=("it printed 3 lines",))


def every_outcome() -> Result:
    checks = tuple(
        Check(f"q{place}", "forward", outcome, 1, float(outcome is Outcome.RIGHT), f"it is {outcome}")
        for place, outcome in enumerate(Outcome)
    )
    return Result("every", "every.py", checks, seed=1)


def hostile() -> Result:
    checks = tuple(
        Check(HOSTILE, f"{HOSTILE}{place}", outcome, 1, 0, HOSTILE, worked(HOSTILE), (HOSTILE,), hidden=place == 1)
        for place, outcome in enumerate(Outcome)
    )
    return Result(HOSTILE, HOSTILE, checks, seed=1, notes=(HOSTILE,))


texts = st.text(st.characters(), max_size=40) | st.just(HOSTILE)
halves = st.integers(0, 8).map(lambda number: number / 2)


@st.composite
def checks(draw: st.DrawFn) -> Check:
    points = draw(halves)
    return Check(
        draw(st.sampled_from(["linear", "conv2d"]) | texts),
        draw(st.sampled_from(["forward", "vjp"]) | texts),
        draw(st.sampled_from(Outcome)),
        points,
        min(points, draw(halves)),
        draw(texts),
        draw(st.none() | texts.map(worked)),
        tuple(draw(st.lists(texts, max_size=2))),
        draw(st.booleans()),
        draw(st.integers(0, 100)) / 8,
    )


@st.composite
def results(draw: st.DrawFn) -> Result:
    return Result(
        draw(texts),
        draw(texts),
        tuple(draw(st.lists(checks(), max_size=4))),
        draw(st.integers(0, 2**63)),
        draw(st.integers(0, 100)) / 8,
        tuple(draw(st.lists(texts, max_size=2))),
    )
