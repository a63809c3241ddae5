"""Plots: their curves are the operator's own values and derivatives, and what is given lies on them."""

import re

import numpy as np
import pytest

from opcheck import explain, reference
from opcheck.operators import catalog
from opcheck.render import json, render
from opcheck.steps import Curve, Plot


def plot(name, *args, **kwargs) -> Plot | None:
    blocks = explain(name, *args, **kwargs).document("html").blocks
    return next((block for block in blocks if isinstance(block, Plot)), None)


def curve(of: Plot, name: str) -> Curve:
    return next(each for each in of.curves if each.name == name)


def test_every_operator_has_the_plot_that_says_most():
    found = {op.name: tuple(c.kind for c in p.curves if c.name) for op in catalog.every() if (p := plot(op.name))}
    activations = {name for name, kinds in found.items() if kinds == ("line", "dashed", "points")}
    assert activations == {"gelu", "relu", "sigmoid", "silu", "tanh"}
    losses = {name for name, kinds in found.items() if kinds == ("line", "points")}
    assert {"binary_cross_entropy", "cross_entropy", "mse_loss", "nll_loss"} <= losses
    assert {name for name, kinds in found.items() if kinds == ("path",)} == {"adam", "adamw", "rmsprop", "sgd"}
    rows = {name for name, kinds in found.items() if kinds == ("bars", "bars")}
    assert {"softmax", "log_softmax", "layer_norm"} <= rows and "batch_norm" not in rows


@pytest.mark.parametrize("name", ["relu", "gelu", "tanh"])
def test_an_activation_stands_with_its_derivative_and_what_was_given(name):
    x = np.array([-7.5, 0.5, 2.0])
    of = plot(name, x)
    places, values = np.array(curve(of, "y").points).T
    assert places[0] <= -8.5 and 0.0 in places
    assert np.array_equal(values, getattr(reference, name)(places))
    slopes = getattr(reference, name).vjp(np.ones(places.shape), places)["input"]
    assert np.array_equal(np.array(curve(of, "derivative").points)[:, 1], slopes)
    assert curve(of, "given").points == tuple(zip(x, getattr(reference, name)(x), strict=True))


def halved(x: "N D"):
    return x / 2


def square(x: "2 2"):
    return x * x


def test_a_program_is_drawn_as_far_as_it_takes_other_numbers():
    of = plot(halved, np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert set(curve(of, "derivative").points) == {(x, 0.5) for x, _ in curve(of, "y").points}
    assert plot(square, np.array([[1.0, 2.0], [3.0, 4.0]])) is None


def test_a_loss_is_drawn_where_it_is_allowed():
    of = plot("binary_cross_entropy", np.array([0.25, 0.5]), np.array([1.0, 0.0]))
    places, values = np.array(curve(of, "L").points).T
    assert places.min() >= 0 and places.max() <= 1
    assert np.allclose(values, [reference.binary_cross_entropy([x, 0.5], [1.0, 0.0]) for x in places])
    assert of.title == "binary_cross_entropy as x[0] changes"


def test_a_row_before_and_after():
    x = np.array([1.0, 2.0, 4.0])
    of = plot("softmax", x)
    assert [y for _, y in curve(of, "x").points] == x.tolist()
    assert [y for _, y in curve(of, "y").points] == reference.softmax(x).tolist()


def test_an_optimiser_goes_downhill_by_its_own_steps():
    of = plot("sgd", lr=0.5)
    path = np.array(curve(of, "30 steps").points)
    assert np.allclose(path[1], path[0] * (1 - np.array([0.1, 1.0])))
    heights = path**2 @ [1, 10]
    assert np.all(np.diff(heights) <= 0)
    across, up = np.array(next(each for each in of.curves if each.kind == "level").points).T
    assert np.ptp(across**2 + 10 * up**2) < 1e-9  # one height along a level


def test_errors_are_shown_as_a_share_of_their_bound():
    x, w = np.array([[0.1, 0.2, 0.7]]), np.array([[0.3, 0.6, 0.9], [0.25, 0.5, 1.0]])
    *_, of = explain("linear", x, w, dtype="float16").document("html").blocks
    assert of.title == "errors in float16, as a percentage of what rounding allows"
    ((_, first), (_, second)) = of.curves[0].points
    assert 0 < first < 100 and 0 < second < 100


def test_plots_are_for_pages():
    x = np.array([-1.0, np.inf])
    explanation = explain("relu", x, all=True)
    page = explanation.document("html")
    assert json.load(json.render(page)) == page
    assert explanation.render("html").count('<svg class="plot"') == 1
    for format in ("text", "latex", "markdown"):
        assert render(page, format) == explanation.render(format)


@pytest.mark.parametrize(
    ("name", "arrays"),
    [
        ("mse_loss", ([1e17], [0.0])),
        ("cross_entropy", ([[1e17, 1.0]], [0])),
        ("softmax", ([1e308, -1e308],)),
        ("relu", ([1e308, -1e308],)),
        ("tanh", (1e20,)),
        ("softmax", ([np.nan, 1.0, np.inf],)),
        ("layer_norm", ([1e308, -1e308], (2,))),
    ],
)
def test_numbers_that_no_axis_can_tell_apart_have_a_page_without_a_plot(name, arrays):
    params = {"dim": -1} if name == "softmax" else {}
    arrays = [np.asarray(each) if isinstance(each, (list, float)) else each for each in arrays]
    page = explain(name, *arrays, **params).render("html")
    assert not re.search(r"(?:x|y|width|height|cx|cy|d)=\"[^\"]*(?:nan|inf)", page)
