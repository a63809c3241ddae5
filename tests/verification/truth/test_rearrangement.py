"""The bound of every arrangement of a polynomial, and second derivatives within it."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcheck import verify
from opcheck.tracing import Tape, exp, log, maximum, total
from opcheck.verification.truth.formats import FORMATS
from opcheck.verification.truth.rearrangement import magnitudes

F32 = FORMATS["float32"]
NUMBERS = st.lists(st.floats(-1e3, 1e3, width=32, allow_subnormal=False), min_size=6, max_size=6)


def last(tape):
    return magnitudes(tape.graph(), F32)[-1]


def inputs(numbers):
    tape = Tape()
    return tape, [tape.input("x", float(x), (k,)) for k, x in enumerate(numbers)]


@given(NUMBERS)
def test_factored_and_multiplied_out_in_any_order_are_within_the_bound(numbers):
    tape, (a, b, c, d, e, f) = inputs(numbers)
    _ = total([a, b]) * total([c, d]) - e * f
    bound = last(tape).error(F32)
    a, b, c, d, e, f = (np.float32(x) for x in numbers)
    exact = (Fraction(float(a)) + Fraction(float(b))) * (Fraction(float(c)) + Fraction(float(d)))
    exact -= Fraction(float(e)) * Fraction(float(f))
    arrangements = [
        (a + b) * (c + d) - e * f,
        a * c + a * d + b * c + b * d - e * f,
        (a * c - e * f) + (b * d + (a * d + b * c)),
        a * (c + d) + (b * (c + d) - e * f),
    ]
    for found in arrangements:
        assert abs(Fraction(float(found)) - exact) <= Fraction(bound)


@given(st.lists(st.integers(-8, 8), min_size=6, max_size=6))
def test_whole_numbers_are_not_rounded(numbers):
    tape, (a, b, c, d, e, f) = inputs(numbers)
    _ = total([a, b]) * total([c, d]) - maximum(e, f)
    assert last(tape).error(F32) == 0


def test_whole_numbers_beyond_the_format_are_rounded():
    tape, (a, b) = inputs([4097.0, 4097.0])
    _ = a * b
    assert last(tape).error(F32) >= 1  # 4097² is 2²⁴ + 8193: odd, and float32 has the even numbers there


@given(st.floats(-20, 20, width=32), st.floats(-20, 20, width=32))
def test_library_functions_of_rounded_arguments(x, y):
    tape, (a, b) = inputs([x, y])
    _ = exp(total([a, b]))
    bound, computed = last(tape).error(F32), np.exp(np.float32(x) + np.float32(y))
    assert abs(float(computed) - math.exp(x + y)) <= bound * (1 + 2**-20)


def test_where_rounding_may_make_a_divisor_zero_nothing_is_claimed():
    tape, (a, b, c) = inputs([1.0, 2.0**-30, -1.0])
    _ = a / total([a, b, c])
    assert last(tape).error(F32) == math.inf
    tape, (a, b, c) = inputs([1.0, 2.0**-30, -1.0])
    _ = log(total([a, b, c]))
    assert last(tape).error(F32) == math.inf


def test_a_choice_that_rounding_may_turn_over_claims_nothing():
    tape, (a, b, c) = inputs([1.0, 2.0**-30, 1.0])
    _ = maximum(total([a, b]), c)
    assert last(tape).error(F32) == math.inf


@pytest.mark.torch
def test_a_second_derivative_that_is_wrong_by_a_ten_thousandth_is_refused():
    torch = pytest.importorskip("torch")

    class Sigmoid(torch.autograd.Function):
        @staticmethod
        def forward(ctx, input):
            ctx.save_for_backward(input)
            return torch.sigmoid(input)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            y = torch.sigmoid(x) + 1e-4 * (x - x.detach())  # the right number with a wrong slope
            return g * y * (1 - y)

    assert verify("sigmoid", torch.sigmoid, arrays="torch", cases=100, claims=["second"]).agrees
    found = verify("sigmoid", Sigmoid, cases=100, claims=["second"]).counterexample
    assert found is not None and found.claim == "second" and found.error_in_bounds > 1
