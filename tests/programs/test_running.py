"""What a product loses in another order of its factors."""

import numpy as np
import pytest

from opcheck.programs.arrays import ArrayTape, recording
from opcheck.programs.bound import running
from opcheck.verification.truth.formats import FORMATS

F32 = FORMATS["float32"]
PRODUCTS = {
    "d/s*w": (lambda d, s, w: d / s * w, lambda d, s, w: d * (w / s)),
    "w/s*d": (lambda d, s, w: w / s * d, lambda d, s, w: w * (d / s)),
    "d/(s/w)": (lambda d, s, w: d / (s / w), lambda d, s, w: d * w / s),
    "moved": (lambda d, s, w: (d / s).T.reshape(4) * w.T.reshape(4), lambda d, s, w: (d * (w / s)).T.reshape(4)),
    "negated": (lambda d, s, w: -(d / s) * w, lambda d, s, w: -d * (w / s)),
}


def bound(function, arrays):
    tape = ArrayTape()
    inputs = [tape.input(str(k), F32.round(x)) for k, x in enumerate(arrays)]
    with recording(tape):
        y = function(*inputs)
    return y.value, np.broadcast_to(running(tape.nodes, F32)[y.id].error(F32), y.shape)


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_may_be_computed_in_another_order(name):
    rng = np.random.default_rng(0)
    written, other = PRODUCTS[name]
    free = 0
    for _ in range(200):
        d, s, w = (F32.round(rng.normal(size=(2, 2)) * 10.0 ** rng.integers(-37, 38)) for _ in range(3))
        d = np.where(rng.random((2, 2)) < 0.2, 0.0, d)
        value, error = bound(written, (d, s, w))
        with np.errstate(all="ignore"):
            found = other(*(x.astype(np.float32) for x in (d, s, w)))
            right = (np.abs(found - value) <= error) | (error == np.inf) | (found == value)
        assert right[np.abs(value) < F32.largest].all()
        free += np.isinf(error).sum()
    assert free < 600


def test_what_overflows_in_no_order_is_not_free():
    value, error = bound(
        lambda d, s, w: d / s * w, (np.array([1e-3, 0.0]), np.array([3e-3, 1.0]), np.array([3e38, 2.0]))
    )
    assert np.isinf(error[0]) and error[1] < 1e-40
    value, error = bound(lambda d, s, w: d / s * w, (np.array([1e-3]), np.array([3.0]), np.array([3e38])))
    assert 0 < error[0] < 1e-5 * value[0]


def loss(x, w):
    z = x @ w
    m = z.max(axis=1, keepdims=True)
    return np.log(np.exp(z - m).sum(axis=1, keepdims=True)) + m - z


def probabilities(x, w):
    z = x @ w
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def normalised(x, w):
    d = x - x.mean(axis=1, keepdims=True)
    return d / np.sqrt((d * d).mean(axis=1, keepdims=True) + 1e-5)


@pytest.mark.parametrize("function", [loss, probabilities, normalised], ids=lambda function: function.__name__)
def test_limits_hold_where_errors_do_not_say_much(function):
    """The sum of exponentials has a term 1, a root is taken of squares: nothing is free, however far off they are."""
    rng = np.random.default_rng(1)
    for _ in range(100):
        x, w = F32.round(rng.normal(size=(3, 40)) * 1e5), F32.round(rng.normal(size=(40, 4)) * 1e4)
        x = F32.round(1e4 + 1e-3 * rng.normal(size=x.shape)) if function is normalised else x
        value, error = bound(function, (x, w))
        assert np.isfinite(error).all()
        assert (error <= {probabilities: 10, normalised: 1e4}.get(function, 1e6)).all()
        turned = rng.permutation(40)
        found = function(x.astype(np.float32)[:, turned], w.astype(np.float32)[turned])
        found = found[:, np.argsort(turned)] if function is normalised else found
        assert (np.abs(found - value) <= error).all()


def test_nothing_has_a_bound():
    def function(x):
        d = x - x.max(axis=1, keepdims=True)
        return np.log(np.exp(d).sum(axis=1)) + np.sqrt((x * x).mean(axis=1) + 1e-5)

    _, error = bound(function, (np.zeros((0, 3)),))
    assert error.shape == (0,)


SQUARES = {
    "a product with itself": lambda x, m: (lambda d: d * d)(x - m),
    "written twice": lambda x, m: (x - x.mean()) * (x - x.mean()),
    "a power": lambda x, m: (x - m) ** 2,
}


@pytest.mark.parametrize("name", SQUARES)
def test_a_square_is_not_multiplied_out(name):
    """x² - 2·x·m + m² would lose all digits here, and with it a variance as E[x²] - E[x]² could be anything."""
    x = F32.round(np.array([10000.25, 10001.5, 10001.75, 10003.0]))
    value, error = bound(lambda x: SQUARES[name](x, x.mean()), [x])
    assert (error < 0.05 * value.max()).all()
    value, error = bound(lambda x: (x - x.mean()) * (x + 1), [x])  # another product may be
    assert (error > 5).all()


def test_a_difference_of_squares_is_as_small_as_it_is():
    x = np.array([[1028.0, 1027, 1025, 1025]])

    def deviation(x):
        μ = x.mean(axis=1, keepdims=True)
        return (x - μ) / np.sqrt((x * x).mean(axis=1, keepdims=True) - μ * μ)

    value, error = bound(deviation, (x,))
    assert (np.abs(deviation(x.astype(np.float32)) - value) <= error).all() and error.max() > 1e-2
