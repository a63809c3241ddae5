"""NaN, infinities and signed zeros: definition, reference and torch treat them alike."""

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from opcheck import reference
from opcheck.operators import catalog
from opcheck.operators.choosers import ExactValues
from opcheck.operators.spec import Case, Op, Refused
from tests.operators.support import Recorded, agree, cases, is_real
from tests.operators.torch_peer import torch_outputs

OPERATORS = pytest.mark.parametrize("op", catalog.every(), ids=lambda op: op.name)
SPECIAL = (np.nan, np.inf, -np.inf, 0.0, -0.0)

# Where torch's answer is an accident of how it computes: a sum that is 0 is -0.0 or 0.0 by the order of summation and
# by what the sum starts from.
SIGN_OF_ZERO_IS_FREE = {
    "scaled_dot_product_attention",  # a sum of products, in any order
    "linear", "conv1d", "conv2d", "avg_pool1d", "avg_pool2d", "mse_loss", "cross_entropy", "nll_loss",
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "log_softmax", "sgd", "adam", "adamw", "rmsprop",
    "batch_norm", "group_norm", "layer_norm", "matmul", "conv_transpose2d", "lstm_cell",
}  # fmt: skip


# Cases outside of what an operator is for, in which torch's formula and the definition meet infinity differently.
FREE = {
    # a target is a number from 0 to 1; with others, either formula is as good
    "binary_cross_entropy_with_logits": lambda case: not np.isfinite(case.arrays["target"]).all(),
    # torch multiplies the target's own loss by 1 - 1 = 0, and 0 * inf is NaN; in the definition the term is absent
    "cross_entropy": lambda case: case.params.get("label_smoothing") == 1.0,
    # torch moves an average towards the gradient, m + (1 - beta) * (g - m), in which infinities meet as inf - inf
    "adam": lambda case: any(np.isinf(array).any() for array in case.arrays.values()),
    "adamw": lambda case: any(np.isinf(array).any() for array in case.arrays.values()),
    # torch's kernels compute x·s + (b − μ·s): where a number is infinite, two infinities meet
    "batch_norm": lambda case: any(np.isinf(array).any() for array in case.arrays.values()),
    "group_norm": lambda case: any(np.isinf(array).any() for array in case.arrays.values()),
    "dropout": lambda case: not np.isin(case.arrays["mask"], (0, 1)).all(),
    "rmsprop": lambda case: any(np.isinf(array).any() for array in case.arrays.values()),
}


@st.composite
def special_cases(draw: Any, op: Op) -> Case:
    """A case in which up to three numbers are special."""
    case = draw(cases(op, ExactValues))
    arrays = {name: array.copy() for name, array in case.arrays.items()}
    places = [(name, k) for name, array in arrays.items() if is_real(array) for k in range(array.size)]
    for name, k in draw(st.lists(st.sampled_from(places), max_size=3)) if places else ():
        arrays[name].flat[k] = draw(st.sampled_from(SPECIAL))
    case = Case(case.op, arrays, case.params)
    assume(not FREE.get(op.name, lambda _: False)(case))
    return case


@OPERATORS
@given(data=st.data())
def test_reference_follows_the_definition(op: Op, data: Any) -> None:
    case = data.draw(special_cases(op))
    try:
        op.checked(case)
    except Refused:
        return
    with np.errstate(all="ignore"):
        results = op.run(case)
    agree(Recorded(op, case).outputs(), results, singular=True)


def smoothed_mean_of_weight_zero(case: Case) -> bool:
    """Where the weights of the right classes sum to 0, the mean of a loss above 0 is infinite; torch divides the two
    parts of a smoothed loss on their own, and that of the right classes is 0/0. Its documentation leaves it open."""
    weight, target = case.arrays.get("weight"), case.arrays.get("target")
    if not case.params.get("label_smoothing") or weight is None or target is None or target.dtype.kind != "i":
        return False
    ignored = case.params.get("ignore_index", -100)
    return all(t == ignored or weight[t] == 0 for t in target.flat)


@pytest.mark.torch
@OPERATORS
@given(data=st.data())
def test_torch_follows_the_definition(op: Op, data: Any) -> None:
    case = data.draw(special_cases(op))
    try:
        op.checked(case)
    except Refused:
        with pytest.raises((RuntimeError, ValueError, IndexError, TypeError)):
            torch_outputs(op, case)
        return
    made = torch_outputs(op, case)
    assume(not smoothed_mean_of_weight_zero(case))
    agree(Recorded(op, case).outputs(), made, singular=True)
    if op.name in SIGN_OF_ZERO_IS_FREE:
        return
    with np.errstate(all="ignore"):
        results = op.run(case)
    for name, result in results.items():
        zero = result == 0
        assert np.array_equal(np.signbit(result[zero]), np.signbit(made[name][zero])), name


def test_an_infinite_weight_makes_a_smoothed_loss_infinite():
    loss = reference.cross_entropy([[-5.0, 3, 3], [1, 1, 1]], [2, 1], weight=[np.inf, 2, 2], label_smoothing=0.25)
    assert loss == np.inf
