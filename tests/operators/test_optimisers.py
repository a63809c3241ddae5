"""What is particular to optimiser steps: state in and out over several steps, first steps, refusals."""

import inspect
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcheck import reference, verify
from opcheck.explanation import explain
from opcheck.operators import catalog
from opcheck.operators.choosers import ExactValues
from opcheck.operators.optimisers.base import Optimiser
from opcheck.operators.params import REQUIRED
from opcheck.operators.spec import Array, Case, Op, Param, Refused
from tests.operators.support import Recorded, agree, cases, cotangents_of, tangents_of

NAMES = ("sgd", "adam", "adamw", "rmsprop")
OPTIMISERS = pytest.mark.parametrize("name", NAMES)
ADAMS = pytest.mark.parametrize("name", ["adam", "adamw"])


def steps_of_torch(op: Op, params: dict[str, Any], gradients: Array) -> list[tuple[Case, dict[str, Array]]]:
    """Each step of one torch optimiser: the case that it started from, and what came out."""
    import torch

    assert isinstance(op, Optimiser)
    options = {name: value for name, value in params.items() if name != "step"}
    theta = torch.ones(gradients.shape[1:], dtype=torch.float64)
    optimiser = getattr(torch.optim, op.torch_name)([theta], **options)
    steps = []
    for k, gradient in enumerate(gradients):
        states = {key: each for key, each in optimiser.state[theta].items() if key != "step" and each is not None}
        arrays = {"param": theta.numpy().copy(), **{key: each.numpy().copy() for key, each in states.items()}}
        counted = {"step": k + 1} if any(param.name == "step" for param in op.params) else {}
        theta.grad = torch.tensor(gradient)
        optimiser.step()
        after = {**optimiser.state[theta], "param": theta}
        case = op.case(**arrays, gradient=gradient, **options, **counted)
        steps.append((case, {name: after[name].numpy().copy() for name in op.kept(op.checked(case)[0])}))
    return steps


@pytest.mark.torch
@OPTIMISERS
@given(data=st.data())
def test_torchs_optimiser_takes_the_same_steps(name: str, data: Any) -> None:
    """The state that torch keeps goes in and out under torch's names, and steps are counted as torch counts them."""
    op = catalog.get(name)
    case = data.draw(cases(op, ExactValues))
    gradients = np.stack([case.arrays["gradient"] * (-1.5) ** k for k in range(4)])
    for step, made in steps_of_torch(op, case.params, gradients):
        agree(Recorded(op, step).outputs(), made)


@pytest.mark.torch
@OPTIMISERS
def test_options_and_defaults_are_torchs(name: str) -> None:
    import torch

    op = catalog.get(name)
    assert isinstance(op, Optimiser)
    theirs = inspect.signature(getattr(torch.optim, op.torch_name)).parameters
    for param in op.params:
        if param.name != "step":
            assert param.keyword_only
            assert param.default == theirs[param.name].default
    left_out = set(theirs) - {param.name for param in op.params}
    how_it_is_computed = {"foreach", "fused", "capturable", "differentiable"}
    assert left_out <= {"params", "decoupled_weight_decay", *how_it_is_computed}


@OPTIMISERS
@given(data=st.data())
def test_to_maximize_is_to_minimize_the_negated(name: str, data: Any) -> None:
    op = catalog.get(name)
    case = data.draw(cases(op, ExactValues))
    negated = {**case.arrays, "gradient": -case.arrays["gradient"]}
    other = Case(name, negated, {**case.params, "maximize": not case.params.get("maximize", False)})
    for output, made in op.run(other).items():
        assert np.array_equal(made, op.run(case)[output])


class Singular(ExactValues):
    """Zeros wherever they may stand, so that roots are 0, and squares smaller than they can be: roots of negatives."""

    def array(self, *shape: int) -> Array:
        return np.asarray(self.rng.choice([0.0, 0.0, 1.0, -14.0], size=shape))

    def positive(self, *shape: int) -> Array:
        return np.asarray(self.rng.choice([0.0, 1.0], size=shape) - (self.rng.random() < 0.3) * 200.0)


@OPTIMISERS
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_a_root_without_a_slope_spoils_only_what_depends_on_it(name: str, data: Any, seed: int) -> None:
    """The gradient of param does not, without weight decay: it is the cotangent, where other gradients are NaN."""
    op = catalog.get(name)
    case = data.draw(cases(op, Singular))
    p, shapes = op.checked(case)
    recorded = Recorded(op, case)
    cotangents, tangents = cotangents_of(op, shapes, seed), tangents_of(op, case, seed)
    for exact, found in (
        (recorded.vjp(cotangents), op.vjp(p, cotangents, **case.arrays)),
        (recorded.jvp(tangents), op.jvp(p, tangents, **case.arrays)),
    ):
        for each in exact.places:
            expected = exact[each].ravel()
            undefined = [number != number for number in expected]
            assert undefined == np.isnan(np.broadcast_to(found[each], exact[each].shape)).ravel().tolist(), each


def test_the_gradient_of_param_is_the_cotangent_where_rounding_makes_the_variance_negative() -> None:
    gradients = reference.rmsprop.vjp(
        {"param": [-14.0]}, [0.0], [2.0], square_avg=[8.75], grad_avg=[3.0], alpha=0.75, centered=True
    )
    assert gradients["param"].tolist() == [-14.0] and np.isnan(gradients["gradient"]).all()


# --- sgd ------------------------------------------------------------------------------------------------------------


def test_a_step_with_momentum_by_hand() -> None:
    theta, v = reference.sgd([1.0], [0.5], [2.0], lr=0.25, momentum=0.5)
    assert (theta.tolist(), v.tolist()) == ([1 - 0.25 * 1.5], [0.5 * 2 + 0.5])


def test_a_step_with_nesterov_by_hand() -> None:
    theta, v = reference.sgd([1.0], [0.5], [2.0], lr=0.25, momentum=0.5, nesterov=True)
    assert (theta.tolist(), v.tolist()) == ([1 - 0.25 * (0.5 + 0.5 * 1.5)], [1.5])


def test_the_first_step_takes_the_gradient_whole() -> None:
    theta, v = reference.sgd([1.0], [0.5], momentum=0.5, dampening=0.75, lr=1.0)
    assert (theta.tolist(), v.tolist()) == ([0.5], [0.5])
    gradients = reference.sgd.vjp({"momentum_buffer": [3.0]}, [1.0], [0.5], momentum=0.5, dampening=0.75)
    assert gradients["gradient"].tolist() == [3.0]


def test_without_momentum_there_is_no_state() -> None:
    theta = reference.sgd([1.0], [0.5], [2.0], lr=0.5)
    assert theta.tolist() == [0.75]
    assert reference.sgd.vjp(1.0 * np.ones(1), [1.0], [0.5], [2.0])["momentum_buffer"].tolist() == [0]


# --- adam -----------------------------------------------------------------------------------------------------------


@ADAMS
@given(scale=st.integers(-8, 8))
def test_the_first_step_is_as_long_as_the_learning_rate(name: str, scale: int) -> None:
    """Kingma and Ba, section 2.1: it does not depend on the scale of the gradients."""
    g = np.array([1.0, -3.0]) * 2.0**scale
    theta, m, v = getattr(reference, name)([4.0, 4.0], g, lr=0.5, betas=(0.5, 0.75), eps=0, weight_decay=0)
    assert theta.tolist() == [3.5, 4.5]
    assert (m.tolist(), v.tolist()) == ((g / 2).tolist(), (g * g / 4).tolist())


@given(data=st.data())
def test_without_weight_decay_adamw_is_adam(data: Any) -> None:
    case = data.draw(cases(catalog.get("adam"), ExactValues))
    params = {**case.params, "weight_decay": 0}
    adam, adamw = (catalog.get(name).run(Case(name, case.arrays, params)) for name in ("adam", "adamw"))
    for output, made in adam.items():
        assert np.array_equal(made, adamw[output])


def test_weight_decay_of_adamw_shrinks_the_parameters_only() -> None:
    theta, m, v = reference.adamw([4.0], [0.0], [0.0], [1.0], lr=0.5, weight_decay=0.25)
    assert (theta.tolist(), m.tolist(), v.tolist()) == ([4 * (1 - 0.5 * 0.25)], [0], [0.999])


@ADAMS
def test_amsgrad_keeps_the_largest(name: str) -> None:
    op = getattr(reference, name)
    outputs = op([1.0, 1.0], [2.0, 2.0], [0.0, 0.0], [0.0, 8.0], [4.0, 4.0], betas=(0.5, 0.5), amsgrad=True)
    assert outputs[3].tolist() == [4, 6]


def test_the_worked_calculation_reads_like_algorithm_1() -> None:
    text = str(explain("adam", np.array([1.0]), np.array([0.5]), step=2))
    heads = [line.split(" = ")[0].strip() for line in text.splitlines() if line.startswith("  ") and " = " in line]
    assert [head for head in heads if head.endswith("]")] == ["m′[0]", "v′[0]", "m̂[0]", "v̂[0]", "θ′[0]"]
    assert "m̂[0] = m′[0]/(1 − β1^t)" in text
    assert "θ′[0] = θ[0] − lr·m̂[0]/(√(v̂[0]) + ε)" in text


# --- rmsprop --------------------------------------------------------------------------------------------------------


def test_an_rmsprop_step_by_hand() -> None:
    theta, s, v, a = reference.rmsprop(
        [1.0], [2.0], [6.0], [1.0], [2.0], lr=0.5, alpha=0.5, eps=1, momentum=0.5, centered=True
    )
    assert (s.tolist(), a.tolist()) == ([0.5 * 6 + 0.5 * 2**2], [0.5 * 2 + 0.5 * 2])
    assert v.tolist() == [0.5 * 1 + 2 / ((5 - 2**2) ** 0.5 + 1)]
    assert theta.tolist() == [1 - 0.5 * 1.5]


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "args", "params", "message"),
    [
        ("sgd", ([1.0], [1.0, 2.0]), {}, r"gradient must have the shape of param, \(1,\)\. Got gradient \(2,\)"),
        (
            "sgd",
            ([1.0], [1.0]),
            {"nesterov": True},
            r"nesterov needs a momentum above 0 and no dampening\. Got momentum=0",
        ),
        ("sgd", ([1.0], [1.0]), {"lr": -1}, r"lr must be a number, at least 0\.0\. Got -1"),
        ("adam", ([1.0], [1.0], [[1.0]]), {}, r"exp_avg must have the shape of param, \(1,\)"),
        ("adam", ([1.0], [1.0]), {"betas": (0.9, 1.0)}, r"betas must be 2 numbers, each from 0\.0 to below 1\.0"),
        ("adamw", ([1.0], [1.0]), {"step": 0}, r"step must be a whole number, at least 1\. Got 0"),
        ("rmsprop", ([1.0], [1.0]), {"eps": -1e-8}, r"eps must be a number, at least 0\.0"),
    ],
)
def test_refusals_say_what_is_allowed(name: str, args: Any, params: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused, match=message):
        getattr(reference, name)(*args, **params)


@OPTIMISERS
def test_every_option_has_a_default(name: str) -> None:
    assert all(each.default is not REQUIRED for each in catalog.get(name).arguments if isinstance(each, Param))


def shrinking_sgd(param, gradient, lr=1e-3, weight_decay=0.0, maximize=False):  # type: ignore[no-untyped-def]
    """Goodfellow et al., Deep Learning, equation 7.5: the parameters shrink, then they step."""
    single = param.dtype.type
    kept = single(1 - lr * weight_decay) * param if weight_decay else param
    return kept - single(lr) * (-gradient if maximize else gradient)


def corrected_adam(  # type: ignore[no-untyped-def]
    param, gradient, exp_avg=None, exp_avg_sq=None, max_exp_avg_sq=None, step=1, lr=1e-3, betas=(0.9, 0.999), eps=1e-8,
    amsgrad=False, maximize=False,
):  # fmt: skip
    """Kingma and Ba's algorithm 1, line by line; the largest second moment of a first step is its own."""
    single, (beta1, beta2), g = param.dtype.type, betas, -gradient if maximize else gradient
    m, v = (np.zeros_like(param) if each is None else each for each in (exp_avg, exp_avg_sq))
    m = single(beta1) * m + single(1 - beta1) * g
    v = single(beta2) * v + single(1 - beta2) * g * g
    most = v if max_exp_avg_sq is None else np.maximum(max_exp_avg_sq, v)
    made = m / single(1 - beta1**step) / (np.sqrt((most if amsgrad else v) / single(1 - beta2**step)) + single(eps))
    return (param - single(lr) * made, m, v, *((most,) if amsgrad else ()))


@pytest.mark.parametrize(("name", "step"), [("sgd", shrinking_sgd), ("adam", corrected_adam)])
def test_a_textbooks_form_agrees(name: str, step: Any) -> None:
    report = verify(name, step, claims=["exact", "rounding"], cases=60)
    # of an infinite parameter the definition makes inf − inf, and the other order does not
    assert {each.claim for each in report.failures} <= {"special"}, str(report)
