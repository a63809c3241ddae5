"""Every row of the table: its readings agree, its partials are sympy's, its rounding error is not understated."""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from opcheck.tracing import (
    EXACT,
    FLOATS,
    PRIMITIVES,
    RATIONAL,
    SMALLEST,
    TRACED,
    UNIT_ROUNDOFF,
    Graph,
    Tape,
    exact,
    forward,
    is_rational,
    reverse,
    symbolic,
    values,
)
from opcheck.tracing.arithmetic import as_fraction

DYADIC = st.integers(-24, 24).map(lambda k: Fraction(k, 8))
POSITIVE = st.integers(1, 40).map(lambda k: Fraction(k, 8))
INSIDE = st.integers(-7, 40).map(lambda k: Fraction(k, 8))  # above -1
WITHIN_ONE = st.integers(-7, 7).map(lambda k: Fraction(k, 8))

# what each row is asked with; a row that is missing here fails a test below
ARGUMENTS = {
    **dict.fromkeys(("sum", "mul", "sub", "less"), (DYADIC, DYADIC)),
    "div": (DYADIC, POSITIVE),
    "power": (POSITIVE, DYADIC),
    **dict.fromkeys(("neg", "exp", "expm1", "erf", "erf_slope", "sin", "cos", "sinh", "cosh"), (DYADIC,)),
    **dict.fromkeys(("atan", "asinh"), (DYADIC,)),
    **dict.fromkeys(("asin", "acos", "atanh"), (WITHIN_ONE,)),
    "acosh": (st.integers(9, 40).map(lambda k: Fraction(k, 8)),), "atan2": (DYADIC, DYADIC.filter(bool)),
    **dict.fromkeys(("tanh", "sigmoid", "abs", "floor", "ceil", "detach"), (DYADIC,)),
    "tan": (st.integers(-11, 11).map(lambda k: Fraction(k, 8)),),
    "log": (POSITIVE,), "sqrt": (POSITIVE,), "log1p": (INSIDE,),
    **dict.fromkeys(("max", "min", "select", "with_slope"), (DYADIC, DYADIC, DYADIC)),
}  # fmt: skip
NAMES = sorted(PRIMITIVES)
FLAT = {"floor", "ceil", "less", "detach", "with_slope", "select"}  # sympy's derivative is another thing, or none


def arguments(name):
    return st.tuples(*ARGUMENTS[name])


def recorded(name, args):
    tape = Tape()
    leaves = [tape.input(f"x{k}", float(x)) for k, x in enumerate(args)]
    return tape.graph(tape.record(name, leaves))


def test_every_row_is_tested_here():
    assert set(ARGUMENTS) == set(PRIMITIVES) == set(FLOATS.functions) == set(EXACT.functions) == set(TRACED.functions)
    assert set(RATIONAL) <= set(PRIMITIVES)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_value_exact_and_symbolic_readings_agree(name, data):
    args = data.draw(arguments(name))
    graph = recorded(name, args)
    out = graph.outputs[0]
    rough, true = values(graph)[out], exact(graph)[out]
    symbol = symbolic(graph)[out]
    known = {sympy.Symbol(f"x{k}", real=True): sympy.Rational(x.numerator, x.denominator) for k, x in enumerate(args)}
    by_sympy = sympy.N(symbol.subs(known), 40) if symbol.free_symbols or not symbol.is_number else sympy.N(symbol, 40)
    with mpmath.workdps(50):
        true_number = mpmath.mpf(true.numerator) / true.denominator if isinstance(true, Fraction) else true
        assert abs(mpmath.mpf(str(by_sympy)) - true_number) <= abs(true_number) * mpmath.mpf(10) ** -35
        allowed = PRIMITIVES[name].error(rough, *map(float, args)) * UNIT_ROUNDOFF["float64"] + SMALLEST["float64"]
        assert abs(rough - true_number) <= allowed
    if name in RATIONAL:
        assert isinstance(true, Fraction)
        assert is_rational(graph)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in FLAT])
@given(data=st.data())
def test_partials_are_those_of_sympy(name, data):
    args = data.draw(arguments(name))
    if name in ("max", "min", "abs"):  # away from the kinks, which have a test of their own
        args = tuple(x + Fraction(k + 1, 100) for k, x in enumerate(args))
    xs = [sympy.Symbol(f"x{k}", real=True) for k in range(len(args))]
    formula = PRIMITIVES[name].symbol(sympy, *xs)
    place = {x: sympy.Rational(v.numerator, v.denominator) for x, v in zip(xs, args, strict=True)}
    exactly = [Fraction(x) for x in args]
    found = PRIMITIVES[name].partials(EXACT, EXACT.functions[name](*exactly), *exactly)
    assert len(found) == len(args)
    for x, partial in zip(xs, found, strict=True):
        expected = sympy.N(formula.diff(x).subs(place).doit(), 40)
        with mpmath.workdps(50):
            number = (
                mpmath.mpf(partial.numerator) / partial.denominator if isinstance(partial, (Fraction, int)) else partial
            )
            assert abs(mpmath.mpf(str(expected)) - number) <= mpmath.mpf(10) ** -35 * max(1, abs(number))


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_a_partial_over_tracers_is_the_same_number(name, data):
    args = [float(x) for x in data.draw(arguments(name))]
    graph = recorded(name, args)
    numbers = values(graph)
    tape = Tape()
    tape.nodes.extend(graph.nodes)
    start = Graph(tuple(tape.nodes), graph.outputs)
    adjoints = reverse(start, {graph.outputs[0]: tape.constant(1)}, tape.tracers(), TRACED, numbers)
    again = values(tape.graph())
    plain = reverse(graph, {graph.outputs[0]: 1.0}, numbers)
    for a, b in zip(adjoints, plain, strict=True):
        assert (a is None) == (b is None)
        assert a is None or again[a.id] == b


# --- kinks, ties and special values: torch's conventions, stated beside the table ---


def gradient(name, *args):
    graph = recorded(name, args)
    adjoints = reverse(graph, {graph.outputs[0]: 1.0}, values(graph))
    return [0.0 if adjoints[k] is None else adjoints[k] for k in range(len(args))]


def test_kinks():
    assert gradient("abs", 0.0) == [0.0]
    assert gradient("abs", -0.0) == [0.0]
    assert gradient("max", 2.0, 2.0, 1.0) == [1.0, 0.0, 0.0]
    assert gradient("min", 1.0, 2.0, 1.0) == [1.0, 0.0, 0.0]
    assert gradient("max", 0.0, 0.0) == [1.0, 0.0]  # relu is max(0, x), so relu'(0) = 0
    assert gradient("floor", 2.5) == gradient("ceil", 2.5) == gradient("detach", 2.5) == [0.0]
    assert gradient("select", 1.0, 5.0, 6.0) == [0.0, 1.0, 0.0]
    assert gradient("select", 0.0, 5.0, 6.0) == [0.0, 0.0, 1.0]


@pytest.mark.torch
def test_ties_and_kinks_are_those_of_torch():
    import torch

    x = torch.tensor([2.0, 3.0, 3.0, 1.0], dtype=torch.float64, requires_grad=True)
    x.max(dim=0).values.backward()
    assert x.grad.tolist() == gradient("max", 2.0, 3.0, 3.0, 1.0)
    zero = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    (zero.abs() + torch.relu(zero)).backward()
    assert zero.grad.tolist() == [gradient("abs", 0.0)[0] + gradient("max", 0.0, 0.0)[1]]


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("div", (1.0, 0.0), math.inf),
        ("div", (-1.0, 0.0), -math.inf),
        ("div", (1.0, -0.0), -math.inf),
        ("div", (0.0, 0.0), math.nan),
        ("log", (0.0,), -math.inf),
        ("log", (-1.0,), math.nan),
        ("log1p", (-1.0,), -math.inf),
        ("log1p", (-2.0,), math.nan),
        ("sqrt", (-1.0,), math.nan),
        ("exp", (1000.0,), math.inf),
        ("exp", (-1000.0,), 0.0),
        ("sinh", (-1000.0,), -math.inf),
        ("cosh", (-1000.0,), math.inf),
        ("tanh", (1000.0,), 1.0),
        ("sigmoid", (-1000.0,), 0.0),
        ("sigmoid", (1000.0,), 1.0),
        ("sigmoid", (math.nan,), math.nan),
        ("sin", (math.inf,), math.nan),
        ("power", (0.0, -1.0), math.inf),
        ("power", (-8.0, 1 / 3), math.nan),
        ("power", (-10.0, 309.0), -math.inf),
        ("max", (1.0, math.nan), math.nan),
        ("min", (math.nan, 1.0), math.nan),
        ("floor", (math.inf,), math.inf),
        ("asin", (1.5,), math.nan),
        ("acos", (-math.inf,), math.nan),
        ("atan", (math.inf,), math.pi / 2),
        ("atan2", (0.0, 0.0), 0.0),
        ("atan2", (0.0, math.inf), 0.0),
        ("atan2", (-math.inf, -math.inf), -3 * math.pi / 4),
        ("asinh", (-math.inf,), -math.inf),
        ("acosh", (0.5,), math.nan),
        ("acosh", (math.inf,), math.inf),
        ("atanh", (1.0,), math.inf),
        ("atanh", (-1.0,), -math.inf),
        ("atanh", (1.5,), math.nan),
    ],
)
def test_special_values_are_those_of_ieee_754_and_never_an_exception(name, args, expected):
    found = values(recorded(name, args))[-1]
    assert repr(found) == repr(float(expected))
    if "-0.0" in map(repr, args):
        return  # an exact zero has no sign
    read = as_fraction(exact(recorded(name, args))[-1])
    if isinstance(read, float):
        assert repr(read) == repr(float(expected))
    elif math.isinf(expected):  # an exact reading does not overflow
        assert abs(read) > 10**308
        assert (read > 0) == (expected > 0)
    else:  # nor does it underflow
        assert abs(read - Fraction(expected)) < Fraction(1, 10**300)


@pytest.mark.parametrize("x", [-1000.0, -40.0, 0.0, 40.0, 1000.0])
def test_the_sigmoid_has_a_finite_derivative_everywhere(x):
    (found,) = gradient("sigmoid", x)
    assert 0 <= found <= 0.25
    graph = recorded("sigmoid", (x,))
    assert forward(graph, {0: 1.0}, values(graph))[-1] == found


@pytest.mark.parametrize("inexact", [EXACT.exp(Fraction(1)), EXACT.sqrt(Fraction(2)), -EXACT.exp(Fraction(-10_000))])
def test_nothing_times_an_inexact_number_is_exactly_nothing(inexact):
    zero = Fraction(0)
    for found in (EXACT.mul(zero, inexact), EXACT.mul(inexact, zero), EXACT.div(zero, inexact), EXACT.mul(zero, zero)):
        assert isinstance(found, Fraction)
        assert found == 0
    cancelled = EXACT.sub(inexact, inexact)  # 0 to so many digits
    assert not isinstance(EXACT.mul(Fraction(2), cancelled), Fraction)
    for found in (EXACT.mul(zero, math.inf), EXACT.mul(math.nan, zero), EXACT.div(zero, zero)):
        assert math.isnan(found)


def test_signed_zeros():
    assert math.copysign(1, values(recorded("mul", (-1.0, 0.0)))[-1]) == -1
    assert math.copysign(1, values(recorded("neg", (0.0,)))[-1]) == -1
    assert math.copysign(1, values(recorded("sum", (-0.0, -0.0)))[-1]) == -1


# --- the error of a row bounds what any rounding does ---


@pytest.mark.parametrize("name", ["sum", "mul", "div", "sub"])
def test_the_local_error_bounds_every_order_of_summation_in_float32(name):
    rng = np.random.default_rng(7)
    count = 6 if name == "sum" else 2
    for _ in range(200):
        args = rng.normal(size=count).astype(np.float32)
        true = EXACT.functions[name](*[Fraction(float(x)) for x in args])
        allowed = (
            PRIMITIVES[name].error(float(true), *map(float, args))
            * Fraction(UNIT_ROUNDOFF["float32"])
            * Fraction(101, 100)
        )
        order = rng.permutation(count) if name == "sum" else range(count)
        found = args[order[0]]
        for k in order[1:]:
            x = args[k]
            found = {
                "sum": lambda a, b: a + b,
                "mul": lambda a, b: a * b,
                "div": lambda a, b: a / b,
                "sub": lambda a, b: a - b,
            }[name](found, x)
        assert abs(Fraction(float(found)) - true) <= allowed
