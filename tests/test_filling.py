"""What `opcheck trace` makes of an operator's name: its program, with arrays and an upstream gradient filled in."""

import numpy as np
import pytest

from opcheck.errors import Refused
from opcheck.explanation.document import prepare
from opcheck.filling import operator_trace
from opcheck.operators import catalog
from opcheck.operators.fills import upstream
from opcheck.operators.spec import results_of


@pytest.mark.parametrize("op", catalog.own(), ids=lambda op: op.name)
def test_every_operator_is_traced_by_its_name_and_its_gradients_are_those_of_the_reference(op):
    trace = operator_trace(op, {}, None)
    case = prepare(op, {}, {}, None).case
    p, _ = op.checked(case)
    outputs = {
        name: y for name, y in results_of(op, op.forward(p, **case.arrays)).items() if op.output(name).differentiable
    }
    ramps = {name: upstream(op.output(name), np.shape(y)) for name, y in outputs.items()}
    assert np.isclose(trace.value, sum(np.sum(y * ramps[name]) for name, y in outputs.items()))
    cotangent = (
        ramps if len(ramps) > 1 or sum(out.differentiable for out in op.outputs) > 1 else next(iter(ramps.values()))
    )
    expected = op.vjp(p, cotangent, **case.arrays)
    for name, found in trace.reverse().items():
        if name in expected:
            np.testing.assert_allclose(found, expected[name], rtol=1e-9, atol=1e-12)


def test_arrays_and_parameters_may_be_given():
    trace = operator_trace(catalog.get("softmax"), {"input": "[[1,2],[3,5]]", "dim": "0"}, ["input"])
    assert trace.nodes[trace.inputs["input"]].value.tolist() == [[1, 2], [3, 5]]
    assert any("upstream gradient" in note for note in trace.notes)
    assert not operator_trace(catalog.get("mse_loss"), {"reduction": "sum"}, None).notes


def test_what_is_no_argument_is_refused():
    with pytest.raises(Refused, match="softmax has no argument inptu"):
        operator_trace(catalog.get("softmax"), {"inptu": "3"}, None)
