"""The printed tables are parsed back and evaluated again: every formula, substitution and value must agree."""

import re
from dataclasses import dataclass

import mpmath
import pytest
from hypothesis import given

import opcheck
from opcheck.render import render
from opcheck.steps import Step
from opcheck.traces.scalar import tables
from opcheck.traces.scalar.expression import parse
from tests.traces.printed import rows_of
from tests.traces.scalar import expressions
from tests.traces.scalar.expressions import POINT

PRECISION = 4


@dataclass(frozen=True)
class Range:
    """All the numbers that a printed one can stand for, computed with as mpmath's intervals."""

    iv: object

    @classmethod
    def printed(cls, text):
        text = text.replace("−", "-").replace("∞", "inf")
        if text.strip("-") == "inf":
            return cls(mpmath.iv.mpf([mpmath.mpf(text)] * 2))
        mantissa, _, exponent = text.partition("e")
        digits = len(mantissa.partition(".")[2])
        middle = mpmath.mpf(text)
        half = mpmath.mpf(10) ** (int(exponent or 0) - PRECISION) / 2 if digits == PRECISION else 0
        return cls(mpmath.iv.mpf([middle - half, middle + half]))

    def _with(self, other):
        return other.iv if isinstance(other, Range) else mpmath.iv.mpf(other)

    def __add__(self, other):
        return Range(self.iv + self._with(other))

    def __sub__(self, other):
        return Range(self.iv - self._with(other))

    def __mul__(self, other):
        return Range(self.iv * self._with(other))

    def __truediv__(self, other):
        return Range(self.iv / self._with(other))

    def __neg__(self):
        return Range(-self.iv)

    def __pow__(self, other):
        power = self._with(other)
        if power.a == power.b and power.a == int(power.a):
            return Range(self.iv ** int(power.a))
        return Range(mpmath.iv.exp(power * mpmath.iv.log(self.iv)))

    def meets(self, other):
        return self.iv.a <= other.iv.b and other.iv.a <= self.iv.b


def rising(function):
    """An increasing function of an interval; one more digit than computed, so that rounding is inside."""

    def apply(x):
        low, high = function(mpmath.mpf(x.iv.a)), function(mpmath.mpf(x.iv.b))
        slack = mpmath.mpf(10) ** -13
        return Range(mpmath.iv.mpf([low - slack, high + slack]))

    return apply


def absolute(x):
    low, high = mpmath.mpf(x.iv.a), mpmath.mpf(x.iv.b)
    return Range(mpmath.iv.mpf([0 if low <= 0 <= high else min(abs(low), abs(high)), max(abs(low), abs(high))]))


def cosh(x):
    inside = absolute(x).iv
    return Range(mpmath.iv.mpf([mpmath.cosh(mpmath.mpf(inside.a)), mpmath.cosh(mpmath.mpf(inside.b))]))


HALF = Range(mpmath.iv.pi / 2)
FUNCTIONS = {
    "ln": rising(mpmath.log), "log1p": rising(mpmath.log1p), "exp": rising(mpmath.exp), "root": rising(mpmath.sqrt),
    "sinh": rising(mpmath.sinh), "tanh": rising(mpmath.tanh), "tan": rising(mpmath.tan), "cosh": cosh, "abs": absolute,
    "arctan": rising(mpmath.atan), "arsinh": rising(mpmath.asinh), "artanh": rising(mpmath.atanh),
    "arcosh": rising(mpmath.acosh), "arcsin": rising(mpmath.asin), "arccos": lambda x: -FUNCTIONS["arcsin"](x) + HALF,
    "atan2": lambda y, x: FUNCTIONS["arctan"](y / x),  # to the right of 0
    "σ": rising(lambda x: 1 / (1 + mpmath.exp(-x))), "sin": lambda x: Range(mpmath.iv.sin(x.iv)),
    "cos": lambda x: Range(mpmath.iv.cos(x.iv)),
    "max": lambda *xs: Range(mpmath.iv.mpf([max(x.iv.a for x in xs), max(x.iv.b for x in xs)])),
    "min": lambda *xs: Range(mpmath.iv.mpf([min(x.iv.a for x in xs), min(x.iv.b for x in xs)])),
}  # fmt: skip

NAME = re.compile(r"v[\u0304\u0307]?[₋₀-₉]+|[xyzẋẏż][\u0304\u0307]?1?(?![a-z(])|π|(?<![a-z])e(?![a-z])")
NUMBER = re.compile(r"(?<![\w₀-₉])\d+(?:\.\d+)?(?:e−?\d+)?")


def evaluated(text, names):
    """What an entry of a table says, with `names` for its symbols."""
    pieces = []
    text = text.replace("√(", "root(").replace("²", "^2").replace("·", "*").replace("^", "**")

    def token(match):
        if NAME.fullmatch(match[0]):
            return f"n[{match[0]!r}]"
        pieces.append(Range.printed(match[0]))
        return f"p[{len(pieces) - 1}]"

    spelled = re.sub(f"{NUMBER.pattern}|{NAME.pattern}", token, text)
    found = eval(spelled.replace("−", "-"), {"__builtins__": {}, "p": pieces, "n": names, **FUNCTIONS})
    return found if isinstance(found, Range) else Range(mpmath.iv.mpf(found))


def check(trace):
    """Every entry of the evaluation, tangent and adjoint tables against the numbers that the same table shows."""
    names = {"π": Range(mpmath.iv.pi), "e": Range(mpmath.iv.e)}
    for node, formula, numbers, value in rows_of(tables.values_table(trace)):
        shown = Range.printed(value)
        if numbers:
            assert evaluated(formula, names).meets(shown), (formula, value)
            assert evaluated(numbers, {}).meets(shown), (numbers, value)
        names[node] = shown
    for wrt in trace.inputs:
        moved = dict(names)
        for node, formula, numbers, value in rows_of(tables.tangents_table(trace.forward(wrt))):
            shown = Range.printed(value)
            if numbers:
                assert evaluated(formula, moved).meets(shown), (formula, value)
                assert evaluated(numbers, {}).meets(shown), (numbers, value)
            moved[node] = shown
    back = dict(names)
    for _, left, formula, numbers, value in rows_of(tables.adjoints_table(trace.adjoints())):
        shown = Range.printed(value)
        assert evaluated(formula, back).meets(shown), (formula, value)
        if numbers:
            assert evaluated(numbers, {}).meets(shown), (numbers, value)
        back[left] = shown


@given(tree=expressions.SMOOTH)
def test_what_is_printed_can_be_evaluated_again(tree):
    text = expressions.text(tree)
    trace = opcheck.trace(text, at={name: POINT[name] for name in parse(text).names})
    if trace.inputs:
        check(trace)


def test_the_lecture_can_be_evaluated_again_and_a_wrong_number_would_be_seen():
    trace = opcheck.trace("ln(x1) + x1*x2 - sin(x2)", at={"x1": 2, "x2": 5})
    check(trace)
    trace.lines.numbers = trace.values = [*trace.values[:3], 10.001, *trace.values[4:]]
    with pytest.raises(AssertionError):
        check(trace)


LECTURE = """\
ln(x1) + x1*x2 - sin(x2)

x1 = 2
x2 = 5

evaluation trace                               gradient left by reverse mode
node  formula  with numbers           value    input  gradient
────  ───────  ───────────────────  ───────    ─────  ────────────
v₋₁   x1                                  2    x1     not computed
v₀    x2                                  5    x2     not computed
v₁    ln(v₋₁)  ln(2)                 0.6931
v₂    v₋₁·v₀   2·5                       10
v₃    sin(v₀)  sin(5)               −0.9589
v₄    v₁ + v₂  0.6931 + 10          10.6931
v₅    v₄ − v₃  10.6931 − (−0.9589)  11.6521"""

TANGENTS = """\
forward mode: tangents v̇
node  tangent          with numbers  ∂/∂x1  with numbers   ∂/∂x2
────  ───────────────  ────────────  ─────  ────────────  ──────
v̇₋₁   ẋ1                                 1                     0
v̇₀    ẋ2                                 0                     1
v̇₁    v̇₋₁/v₋₁          1/2             0.5  0/2                0
v̇₂    v̇₋₁·v₀ + v̇₀·v₋₁  1·5 + 0·2         5  0·5 + 1·2          2
v̇₃    v̇₀·cos(v₀)       0·cos(5)          0  1·cos(5)      0.2837
v̇₄    v̇₁ + v̇₂          0.5 + 5         5.5  0 + 2              2
v̇₅    v̇₄ − v̇₃          5.5 − 0         5.5  2 − 0.2837    1.7163"""

ADJOINTS = """\
reverse mode: adjoints v̄, last line first
from  adjoint  formula       with numbers     value
────  ───────  ────────────  ─────────────  ───────
      v̄₅       1                                  1
v₅    v̄₄       v̄₅            1                    1
v₅    v̄₃       −v̄₅           −1                  −1
v₄    v̄₁       v̄₄            1                    1
v₄    v̄₂       v̄₄            1                    1
v₃    v̄₀       v̄₃·cos(v₀)    −1·cos(5)      −0.2837
v₂    v̄₋₁      v̄₂·v₀         1·5                  5
v₂    v̄₀       v̄₀ + v̄₂·v₋₁   −0.2837 + 1·2   1.7163
v₁    v̄₋₁      v̄₋₁ + v̄₁/v₋₁  5 + 1/2            5.5"""


def test_the_tables_of_the_lecture():
    trace = opcheck.trace("ln(x1) + x1*x2 - sin(x2)", at={"x1": 2, "x2": 5})
    assert str(trace) == LECTURE
    assert str(trace.forward()).endswith(TANGENTS)
    assert str(trace.adjoints()).endswith(ADJOINTS)


def test_accumulated_passes_are_shown_as_a_sum():
    trace = opcheck.trace("x*x", at={"x": 3})
    trace.reverse(), trace.reverse(0.5)
    printed = " ".join(trace.render("text", width=200).split())
    assert "x 9 6 + 3 accumulated over 2 backward passes" in printed


def test_many_directions_are_several_tables_and_each_fits_a_page():
    trace = opcheck.trace("x*y + sin(z)*exp(w)", at={"x": 1, "y": 2, "z": 3, "w": 4})
    blocks = tables.tangents_table(trace.forward())
    assert [table.title for table in blocks] == [
        "forward mode: tangents v̇, ∂/∂x, ∂/∂y", "forward mode: tangents v̇, ∂/∂z, ∂/∂w",
    ]  # fmt: skip
    assert [table.headers[2:] for table in blocks] == [
        ("with numbers", "∂/∂x", "with numbers", "∂/∂y"), ("with numbers", "∂/∂z", "with numbers", "∂/∂w"),
    ]  # fmt: skip
    assert "node:" not in str(trace.forward())  # no table is stacked


def test_a_constant_is_said_and_has_no_tables():
    assert str(opcheck.trace("2*3")) == "2*3\nthe result is the constant 6: no input changes it"
    page = render(opcheck.trace("3, 4*x", at={"x": 2}).page().step, "text")
    assert "output 1 is the constant 3: no input changes it" in page
    assert "from output 1" not in page


def test_long_tables_say_what_they_leave_out():
    def loop(x):
        for _ in range(100):
            x = x * 1.5
        return x

    trace = opcheck.trace(loop, at={"x": 1.0})
    assert "… 61 rows left out (--all shows them)" in str(trace)
    (table,) = tables.values_table(trace, everything=True)
    assert len(table.rows) == 101


def test_one_step_a_line():
    trace = opcheck.trace("x*y + x", at={"x": 2, "y": 5})
    text = render(Step("", tuple(tables.in_order(trace, trace.forward("x")))), "text")
    assert re.findall(r"step \d of \d", text) == ["step 1 of 2", "step 2 of 2"]
    back = render(Step("", tuple(tables.backwards_in_order(trace.adjoints()))), "text")
    assert back.splitlines()[0] == "back 1 of 5  v̄₂ = 1"


def test_steps_of_several_directions_say_which_comes_first():
    trace = opcheck.trace("x*y", at={"x": 2, "y": 5})
    text = render(Step("", tuple(tables.in_order(trace, trace.forward("x", "y")))), "text")
    assert text.splitlines()[0] == "Each v̇ is worked out for ∂/∂x, ∂/∂y, in this order."
    assert re.findall(r"v̇₁ = .* = (\d+)\n", text + "\n") == ["5", "2"]
    one = render(Step("", tuple(tables.in_order(trace, trace.forward("x")))), "text")
    assert "in this order" not in one


def test_what_does_not_move_is_no_part_of_a_line_that_is_not_finite():
    trace = opcheck.trace("x/y", at={"x": 1, "y": 0})
    (table,) = tables.tangents_table(trace.forward("x", "y"))
    *_, row = render(Step("", (table,)), "text", width=200, interactive=False).splitlines()
    assert re.split(r"\s{2,}", row.strip())[2:] == ["1/0", "∞", "−1·∞/0", "−∞"]  # no 0·∞, which is NaN


@pytest.mark.parametrize("format", ["latex", "markdown", "html", "json"])
def test_every_format_shows_every_value(format):
    trace = opcheck.trace("ln(x1) + x1*x2 - sin(x2)", at={"x1": 2, "x2": 5})
    text = trace.render(format)
    for number in ("0.6931", "10.6931", "11.6521"):
        assert number in text or (format == "json" and "0.693147" in text)
    if format == "latex":
        assert text.count(r"\toprule") == text.count(r"\bottomrule") == 2
        assert "v_{-1}" in text


def test_jupyter_shows_tables_and_the_drawing():
    trace = opcheck.trace("x*y", at={"x": 2, "y": 5})
    assert "<svg" in trace._repr_html_()
    assert "toprule" in trace._repr_latex_()
    assert "<svg" not in trace.forward("x")._repr_html_()
