"""Pages of traces in LaTeX: well formed, ASCII, and accepted by a compiler."""

import numpy as np
import pytest

import opcheck
from opcheck import reference as F
from opcheck.autodiff import value_and_gradient
from opcheck.render import render
from opcheck.render.tex import escaped
from opcheck.steps import Motion, Step
from tests.render.test_formats import compiles, structure


def network(x, w):
    hidden = np.maximum(F.conv1d(x, w, padding=1), 0.5)
    pooled, _ = F.max_pool1d(hidden, 2, return_indices=True)
    loss, (by_w,) = value_and_gradient(lambda w: (w * w).sum())(w)
    return F.mse_loss(pooled, np.zeros((1, 2, 2)), reduction="sum") + hidden[0, :, 1:].max() + loss + abs(by_w).mean()


NUMBERS = {"a": 1, "b": 2, "c": -3, "d": 0.5, "x1": 2}
TRACES = {
    "numbers": lambda: opcheck.trace("max(a, b)^2/x1 - exp(c)*sqrt(d) + abs(c)", at=NUMBERS),
    "fractions": lambda: opcheck.trace("x^3/7 + 1/x", at={"x": 0.3}, exact=True),
    "not finite": lambda: opcheck.trace("ln(x) + 1/y", at={"x": -1, "y": 0}),
    "arrays": lambda: opcheck.trace(
        network, at={"x": np.arange(8.0).reshape(1, 2, 4), "w": np.full((2, 2, 3), 0.25)}, wrt=["w"]
    ),
}


@pytest.mark.parametrize("name", TRACES)
def test_latex_is_well_formed(name):
    structure(render(TRACES[name]().page().step, "latex", page=True))


def test_latex_compiles(tmp_path):
    blocks = tuple(block for make in TRACES.values() for block in make().page().step.blocks)
    compiles(render(Step("", blocks), "latex", page=True), tmp_path)


@pytest.mark.parametrize(
    ("text", "tex"),
    [
        ("v̄₋₁ + v̄₁₀·x", r"$\bar{v}_{-1}$ + $\bar{v}_{10}$$\cdot$x"),
        ("β₁ and ẇ1", r"$\beta_{1}$ and $\dot{w}$1"),
        ("₂ alone", r"$_2$ alone"),
    ],
)
def test_names_in_a_sentence_are_mathematics(text, tex):
    assert escaped(text) == tex


def test_many_inputs_share_a_line():
    _, inputs, *_ = render(TRACES["numbers"]().page().step, "text").splitlines()
    assert inputs == "a = 1, b = 2, x1 = 2, c = −3, d = 0.5"


def test_a_name_in_a_formula_is_spelled_as_it_is_in_its_own_column():
    page = TRACES["arrays"]().page(mode="reverse").step
    plain, ascii = (render(page, "text", width=300, **{style: True}) for style in ("plain", "ascii"))
    assert "adjoint: adjoint of v2" in plain
    assert "where(v1 is at least 0.5, adjoint of v2, 0)" in plain
    assert "where(v1 >= 0.5, v2_bar, 0)" in ascii


def test_a_step_of_a_motion_says_what_its_row_says():
    trace = opcheck.trace("ln(x1) + x1*x2 - sin(x2)", at={"x1": 2, "x2": 5})
    (motion,) = (each for each in trace.page(moves=True).step.blocks if isinstance(each, Motion))
    told = [frame.title.partition(": ")[2] for frame in motion.frames]
    assert told[2] == "v₁ = ln(v₋₁) = ln(2) ≈ 0.6931"
    assert "v̇₅ = v̇₄ − v̇₃, ∂/∂x1 5.5, ∂/∂x2 1.7163" in told
    assert told[-1] == "v̄₋₁ = v̄₋₁ + v̄₁/v₋₁ = 5 + 1/2 = 5.5"
