"""What torch refuses is refused, with one clear message, and nothing else is."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcheck.operators import catalog
from opcheck.operators.choosers import ExactValues, RandomChooser
from opcheck.operators.spec import Array, Case, Op, Refused, RefusedType
from tests.operators.support import cases
from tests.operators.torch_peer import torch_outputs

OPERATORS = pytest.mark.parametrize("op", catalog.every(), ids=lambda op: op.name)
TORCH_REFUSES = (
    RuntimeError, ValueError, IndexError, TypeError, NotImplementedError, AssertionError, ZeroDivisionError,
)  # fmt: skip


def _shapes(case: Case) -> dict[str, tuple[int, ...]]:
    return {name: np.shape(array) for name, array in case.arrays.items()}


# Where torch's own answer depends on what it does not document, nothing is asked.
UNDOCUMENTED = {
    # other biases broadcast, or not, by the number of dimensions of input and by its layout in memory
    "linear": lambda case: len(_shapes(case).get("bias", ())) > 1 or len(_shapes(case)["weight"]) == 1,
    # no input channels: torch returns no output channels, though the formula of its documentation says Cout
    "conv1d": lambda case: _shapes(case)["weight"][1:2] == (0,),
    "conv2d": lambda case: _shapes(case)["weight"][1:2] == (0,),
    # a weight of shape (C, 1) passes
    "nll_loss": lambda case: len(_shapes(case).get("weight", ())) > 1,
    # an array without numbers passes, whatever its dimensions
    "adaptive_avg_pool2d": lambda case: 0 in _shapes(case)["input"] or len(_shapes(case)["input"]) > 4,
    # a bias of another shape passes where it broadcasts; of an empty input nothing is asked
    "lstm_cell": lambda case: any(_shapes(case).get(each, (4,))[:1] in ((), (1,)) for each in ("b_ih", "b_hh")),
    "batch_norm": lambda case: (
        any(len(_shapes(case).get(n, ())) > 1 for n in ("weight", "bias")) or 0 in _shapes(case)["input"]
    ),
    # of four dimensions one kernel does not look whether each key has its value, and others broadcast more than it;
    # with enable_gqa the heads of query are divided by those of key, and by 0 that ends the process
    "scaled_dot_product_attention": lambda case: (
        (case.params["enable_gqa"] and 0 in _shapes(case)["key"])
        or len({len(_shapes(case)[name]) for name in ("query", "key", "value")}) > 1
        or _shapes(case)["key"][-2:-1] != _shapes(case)["value"][-2:-1]
    ),
    # torch has no mask
    "dropout": lambda case: _shapes(case)["mask"] != _shapes(case)["input"],
    # a buffer that is not used, or that broadcasts
    "sgd": lambda case: "momentum_buffer" in case.arrays,
}


@st.composite
def changed_cases(draw: Any, op: Op) -> Case:
    """A case with one array of another shape, and sometimes another value of a parameter: most are illegal."""
    case = draw(cases(op, ExactValues))
    arrays, params = dict(case.arrays), dict(case.params)
    name = draw(st.sampled_from(sorted(arrays)))
    arrays[name] = _resized(arrays[name], draw(st.sampled_from(CHANGES))(draw, list(np.shape(arrays[name]))))
    whole = [name for name, value in params.items() if type(value) is int]
    several = [name for name, value in params.items() if isinstance(value, tuple)]
    if whole and draw(st.booleans()):
        params[draw(st.sampled_from(whole))] = draw(st.integers(-1, 3))
    if several and draw(st.booleans()):
        params[draw(st.sampled_from(several))] = tuple(draw(st.lists(st.integers(-1, 3), min_size=1, max_size=3)))
    return Case(case.op, arrays, params)


def _another_size(draw: Any, shape: list[int]) -> list[int]:
    if shape:
        k = draw(st.integers(0, len(shape) - 1))
        shape[k] = max(0, shape[k] + draw(st.sampled_from([1, -1, 2, -2])))
    return shape


def _one_more(draw: Any, shape: list[int]) -> list[int]:
    shape.insert(draw(st.integers(0, len(shape))), draw(st.integers(0, 2)))
    return shape


def _one_less(draw: Any, shape: list[int]) -> list[int]:
    return shape[:-1] if draw(st.booleans()) else shape[1:]


CHANGES = (_another_size, _one_more, _one_less, lambda draw, shape: shape[::-1], lambda draw, shape: shape)


def _resized(array: Array, shape: list[int]) -> Array:
    return np.resize(array, shape) if np.size(array) else np.ones(shape, array.dtype)


@pytest.mark.torch
@OPERATORS
@given(data=st.data())
def test_what_torch_refuses_is_refused_and_nothing_else(op: Op, data: Any) -> None:
    case = data.draw(changed_cases(op).filter(lambda case: not UNDOCUMENTED.get(op.name, lambda _: False)(case)))
    try:
        shapes = op.checked(case)[1]
    except Refused:
        with pytest.raises(TORCH_REFUSES):
            torch_outputs(op, case)
        return
    made = torch_outputs(op, case)
    assert {name: made[name].shape for name in shapes} == shapes


@OPERATORS
def test_a_missing_input_is_named(op: Op) -> None:
    for each in op.inputs:
        if not each.optional:
            case = _any_case(op)
            given = {name: array for name, array in case.arrays.items() if name != each.name}
            with pytest.raises(RefusedType, match=each.name):
                op.case(**given, **{n: v for n, v in op.call(case).items() if n not in case.arrays})


@OPERATORS
def test_an_unknown_parameter_is_refused(op: Op) -> None:
    case = _any_case(op)
    with pytest.raises(RefusedType, match="no_such_parameter") as refusal:
        op.case(**op.call(case), no_such_parameter=1)
    assert op.name in refusal.value.rule


@OPERATORS
def test_a_parameter_of_a_wrong_type_is_refused(op: Op) -> None:
    """The message says which parameter, what is allowed and what was given."""
    case = _any_case(op)
    for param in op.params:
        with pytest.raises(RefusedType) as refusal:
            op.case(**{**op.call(case), param.name: {"a": "set"}})
        error = refusal.value
        assert isinstance(error, (ValueError, TypeError))
        assert error.rule == f"{param.name} must be {param.kind.describe()}"
        assert str(error).startswith(f"{error.rule}. Got {{'a': 'set'}}")


@OPERATORS
def test_an_array_of_words_and_a_ragged_one_are_refused(op: Op) -> None:
    case = _any_case(op)
    name = op.inputs[0].name
    for bad in (["a", "b"], [[1, 2], [3]], None if not op.inputs[0].optional else "words"):
        with pytest.raises(RefusedType, match=name):
            op.case(**{**op.call(case), name: bad})


def _any_case(op: Op) -> Case:
    return op.sample(RandomChooser(0, ExactValues))
