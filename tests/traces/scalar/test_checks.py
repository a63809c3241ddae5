"""The witnesses: they agree with right derivatives, and each of them sees a wrong one."""

import pytest

import opcheck
from opcheck.traces import witness
from opcheck.traces.scalar import checks
from opcheck.tracing import PRIMITIVES

LECTURE = "ln(x1) + x1*x2 - sin(x2)"


def lecture():
    return opcheck.trace(LECTURE, at={"x1": 2, "x2": 5})


def test_the_lines_of_the_lecture():
    both, taylor = checks.checks(lecture())
    assert both.text.startswith("forward mode agrees with reverse mode: ∂/∂x1 = 5.5, ∂/∂x2 = 1.71634 (difference 0,")
    assert taylor.text.endswith("as h halves (h², as it must)")
    assert both.holds
    assert taylor.holds


@pytest.mark.torch
def test_sympy_and_torch_are_asked_with_check():
    found = checks.checks(lecture(), everything=True)
    assert [each.holds for each in found] == [True] * 4
    assert "sympy agrees" in found[2].text
    assert "torch (autograd.grad and func.jvp) agrees" in found[3].text


def test_torch_that_is_not_installed_is_not_asked(monkeypatch):
    monkeypatch.setattr(witness.importlib.util, "find_spec", lambda name: None)
    found = checks.torch_agrees(lecture(), "both")
    assert found.holds is None
    assert "pip install 'opcheck[torch]'" in found.text


@pytest.fixture
def wrong_sine(monkeypatch):
    """The derivative of sin with its sign lost: forward and reverse mode share the rule, so they still agree."""
    row = PRIMITIVES["sin"]._replace(partials=lambda k, out, x: (k.neg(k.cos(x)),))
    monkeypatch.setitem(PRIMITIVES, "sin", row)


@pytest.mark.torch
def test_a_wrong_rule_is_seen_by_taylor_sympy_and_torch(wrong_sine):
    found = checks.checks(lecture(), everything=True)
    assert [each.holds for each in found] == [True, False, False, False]
    assert "a correct derivative gives 4" in found[1].text
    assert "sympy DIFFERS from reverse mode" in found[2].text
    assert lecture().page().differs


def test_a_wrong_sweep_is_seen_by_the_other_mode(monkeypatch):
    from opcheck.traces.scalar import trace as scalars

    right = scalars.reverse

    def doubled(*args, **options):
        return [None if x is None else 2 * x for x in right(*args, **options)]

    trace = lecture()
    allowed = {name: trace.rounding(name) for name in trace.inputs}
    monkeypatch.setattr(scalars, "reverse", doubled)
    monkeypatch.setattr(trace, "rounding", lambda name, mode="reverse": allowed[name])
    assert [each.holds for each in checks.checks(trace)] == [False, False]


@pytest.mark.parametrize(
    ("text", "at", "ending", "holds"),
    [
        ("3*x - 1", {"x": 2}, "only rounding: the function is a straight line here", True),
        ("abs(x)", {"x": 0}, "(a kink is near)", None),
        ("relu(x - 1)", {"x": 1}, "(a kink is near)", None),
        ("x + 1e-10*x^2", {"x": 1}, "too close to rounding to tell", None),
        ("ln(x)", {"x": 1e-300}, "(h², as it must)", True),
        ("sin(100000*x)", {"x": 1}, "(h², as it must)", True),
        ("1/(x - 1)", {"x": 1.0001}, "(h², as it must)", True),
        ("exp(50*x)", {"x": 14}, "the function is not finite beside this point", None),
    ],
)
def test_taylor_says_what_it_can(text, at, ending, holds):
    found = checks.remainder(opcheck.trace(text, at=at))
    assert found.text.endswith(ending)
    assert found.holds is holds


def test_what_is_not_finite_cannot_be_checked():
    (found,) = checks.checks(opcheck.trace("1/x", at={"x": 0}))
    assert found == ("The value or a derivative is not finite, so nothing can be checked against it.", None)


def test_exact_numbers_are_checked_exactly():
    found = checks.checks(opcheck.trace("x^2/3", at={"x": 0.1}, exact=True), everything=True)
    assert not any(each.holds is False for each in found)  # None: torch is not here
    assert "difference 0," in found[0].text


def test_huge_fractions_do_not_break_the_checks():
    trace = opcheck.trace("x^600", at={"x": 7}, exact=True)
    assert checks.checks(trace)[0].holds is None
    assert trace.page().differs is False


def test_the_symbolic_derivative():
    import sympy

    found = checks.symbolic_gradient(lecture())
    x1, x2 = sympy.symbols("x1 x2", real=True)
    assert sympy.simplify(found["x1"] - (1 / x1 + x2)) == 0
    assert sympy.simplify(found["x2"] - (x1 - sympy.cos(x2))) == 0


def test_a_high_root_is_not_simplified_for_ever():
    """sympy.simplify did not end on it."""
    found = checks.symbolic_gradient(opcheck.trace("abs(pi - pow(y, 0.52))", at={"y": 1024}))
    assert "sign" in str(found["y"])
