"""The page of a tensor program: matrices, products with a Hessian, and what is too large to be read."""

import numpy as np
import pytest

import opcheck
from opcheck import reference as F
from opcheck.operators import recorded
from tests.traces.tensor.test_trace import printed


def network(x, w):
    return (F.tanh(F.linear(x, w)) ** 2).sum()


def trace(size=2):
    return opcheck.trace(network, at={"x": np.ones((1, size)) / 4, "w": np.eye(size)})


def test_a_whole_hessian_names_its_rows_and_columns():
    text = printed(trace(), hessian=True)
    assert "Hessian, by forward over reverse x[0,0] x[0,1] w[0,0] w[0,1] w[1,0] w[1,1]" in text
    assert "symmetric, for a random u of ±1: u·Hv and v·Hu: " in text
    assert "Taylor: |u·∇f(x+hv) − u·∇f(x) − h·u·Hv| = " in text


def test_a_product_with_a_direction():
    text = printed(opcheck.trace(lambda x: (x**3).sum(), at={"x": np.array([1.0, 2.0])}), hvp={"x": [1, 10]})
    assert "Hessian times v, by forward over reverse input shape values norm" in text
    assert "x 2 6, 120" in text


def test_a_jacobian_names_its_rows_and_columns():
    text = printed(opcheck.trace(lambda x: x[0] * x, at={"x": np.array([2.0, 3.0])}), jacobian=True)
    assert "x[0] x[1] ──── ──── ──── f[0] 4 0 f[1] 3 2" in text
    assert "2 in forward mode (one per element of an input), 2 in reverse mode (one per element of the output)" in text


def test_what_is_too_large_to_be_read_is_refused():
    with pytest.raises(opcheck.Refused, match=r"a Hessian of 110×110 is too large to read: at most 24 rows.*--hvp"):
        trace(10).page(hessian=True)
    with pytest.raises(opcheck.Refused, match=r"a Jacobian of 1×100 is too large to read.*\.jacobian\('w'\)"):
        trace(10).page(jacobian=True)


def test_forward_mode_does_not_speak_of_reverse_mode():
    text = printed(opcheck.trace(network, at={"x": np.ones((1, 2)), "w": np.eye(2)}, wrt=["w"]), mode="forward")
    assert "reverse" not in text
    assert "gradient" not in text
    assert "not tracked: x" in text


@pytest.mark.torch
def test_a_wrong_second_derivative_is_seen(monkeypatch):
    """An operator whose VJP is taken for constant: its Hessian is 0 instead of what torch has."""
    monkeypatch.setattr(recorded, "vjp_tangent", lambda *args: {})
    assert trace().page(hvp={"x": np.ones((1, 2))}, check=True).differs


def test_a_nan_says_where_it_was_born():
    text = printed(opcheck.trace(lambda x: (np.log(x) * 2).sum(), at={"x": np.array([[1.0, -1.0], [0.0, 2.0]])}))
    assert "v₁ is NaN at [0, 1], from finite numbers (2 such positions in all): ln(v₀)" in text
    assert text.count("from finite numbers") == 1  # what follows from it says nothing
    assert "v₂ is ∞, from finite numbers: 1/v₁" in printed(
        opcheck.trace(lambda x: 1 / x.sum(), at={"x": np.array([1.0, -1.0])})
    )


def test_an_input_that_is_not_used_is_told():
    text = printed(opcheck.trace(lambda x, y: x.sum(), at={"x": np.ones(2), "y": np.ones(3)}))
    assert "y is not used: every derivative with respect to it is 0" in text


def test_an_array_has_no_sweeps_but_a_jacobian():
    text = printed(opcheck.trace(lambda x: x * 2, at={"x": np.ones(3)}))
    assert "The output has the shape 3: modes and gradients are shown for one number, and --jacobian" in text
