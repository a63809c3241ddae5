"""What is derived from the programs of the operators that also write theirs by hand: the same numbers, everywhere.

Two readings of one case may differ by what both may round, which the derived bound of float64 says; where it says that
nothing is rounded they are equal to the bit.
"""

import numpy as np
import pytest

from opcheck.operators import catalog
from opcheck.operators.program import Derived, Program, Recording, results_of
from opcheck.operators.spec import widened
from opcheck.programs.elements import Elements
from opcheck.tracing import Tape, View, values
from opcheck.verification.streams import trial
from opcheck.verification.truth.bounds import one_or_dict
from opcheck.verification.truth.formats import FORMATS

OPS = [op for op in catalog.every() if not isinstance(op, Program)]
SUMS = {"linear", "conv1d", "conv2d", "relu", "max_pool1d", "max_pool2d", "nll_loss"}
FLOAT64, DERIVED = FORMATS["float64"], Derived()


def cases_of(op, count):
    """Trials of the verifier's stream, without special values."""
    made = (trial(op, "float64", 3, index) for index in range(2 * count))
    return [each for each in made if each.policy != "special"][:count]


def same(got, expected, bounds):
    """Checks every array against its bound; returns how many numbers are equal by it, and how many there are."""
    assert got.keys() == expected.keys()
    exact = number = 0
    for name, a in got.items():
        b, error = expected[name], np.broadcast_to(bounds[name].error, expected[name].shape)
        assert a.shape == b.shape
        with np.errstate(invalid="ignore"):
            agree = (np.abs(a - b) <= 2 * error) | (a == b) | (np.isnan(a) & np.isnan(b))
        free = np.isinf(error)
        assert (agree | free).all(), (name, a[~agree], b[~agree], error[~agree])
        exact, number = exact + int((error == 0).sum()), number + error.size
    return exact, number


@pytest.mark.share(12)
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_values_gradients_and_tangents_are_those_written_by_hand(op):
    exact = numbers = 0
    for made in cases_of(op, 60):
        p, shapes = op.checked(made.case)
        arrays = widened(made.case.arrays)
        recording = Recording(op, p, arrays)
        cotangent = one_or_dict(op, made.cotangent)
        readings = [
            (
                {name: np.asarray(recording.value(y.id)) for name, y in recording.outputs.items()},
                op.by_name(op.forward(p, **arrays), shapes),
                DERIVED.forward(op, p, FLOAT64, **arrays),
            ),
            (
                recording.gradients(made.cotangent),
                op.vjp(p, cotangent, **arrays),
                DERIVED.vjp(op, p, FLOAT64, cotangent, **arrays),
            ),
            (
                recording.tangents(made.tangents),
                op.by_name(op.jvp(p, dict(made.tangents), **arrays), list(made.cotangent)),
                DERIVED.jvp(op, p, FLOAT64, dict(made.tangents), **arrays),
            ),
        ]
        for got, expected, bounds in readings:
            whole = [name for name in got if name not in bounds]  # positions
            for name in whole:
                assert (got[name] == expected[name]).all()
            found = same(*({n: v for n, v in each.items() if n not in whole} for each in (got, expected)), bounds)
            if made.policy == "exact":
                exact, numbers = exact + found[0], numbers + found[1]
    if op.name in SUMS:
        assert exact > 0.9 * numbers


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_elements_are_those_of_the_definition(op):
    """An element of the program, over numbers that remember, is that of the textbook's, traced by its own formula."""
    for made in cases_of(op, 12):
        p, shapes = op.checked(made.case)
        arrays = widened(made.case.arrays)
        recording, bounds = Recording(op, p, arrays), DERIVED.forward(op, p, FLOAT64, **arrays)
        tape = Tape()
        views = {name: View(tape, name, a) if a.dtype.kind == "f" else a for name, a in arrays.items()}
        leaves = {recording.inputs[n].id: v.__getitem__ for n, v in views.items() if isinstance(v, View)}
        elements = Elements(recording.tape.nodes, leaves, {})
        for name in bounds:
            error = np.broadcast_to(bounds[name].error, shapes[name])
            for at in [*np.ndindex(*shapes[name])][:3]:
                mine = elements.read(recording.outputs[name].id, at)
                theirs = op.by_name(op.element(p, at, **views), shapes)[name]
                a, b = (values(tape.graph())[x.id] if hasattr(x, "id") else x for x in (mine, theirs))
                assert a == b or abs(a - b) <= 2 * error[at] or (a != a and b != b), (name, at, a, b)


def test_several_outputs_come_by_name():
    adam = catalog.get("adam")
    p = adam.parameters({})
    found = results_of(adam, adam.program(p, param=np.ones(2), gradient=np.ones(2)))
    assert list(found) == ["param", "exp_avg", "exp_avg_sq"]


def test_the_gradient_of_a_factor_is_bounded_in_both_ways_of_taking_off_the_mean():
    """Σ ȳ·(x − μ)/σ, far from μ = 130 where Σ ȳ is nearly 0: torch was accused of 1.12 bounds."""
    op = catalog.get("batch_norm")
    case = op.case(np.array([[0.7], [-0.7]]), np.array([130.0]), np.ones(1), np.ones(1))
    p, _ = op.checked(case)
    g, f = np.array([[0.640625], [-0.625]]), FORMATS["float32"]
    found = op.rounding.vjp(op, p, f, g, **case.arrays)["weight"].error
    each = np.abs(g * (case.arrays["input"] - 130.0)).sum() * f.u
    assert found[0] > 2 * each  # the difference and its product, rounded
