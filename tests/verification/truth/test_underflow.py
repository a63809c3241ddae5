"""Bounds where numbers are subnormal: what a product or a quotient loses there is no part of itself."""

import numpy as np
import pytest

from opcheck import backends
from opcheck.operators import catalog
from opcheck.operators.choosers import RealValues
from opcheck.operators.spec import Case
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Check
from opcheck.verification.claims import chosen
from opcheck.verification.run import findings
from opcheck.verification.streams import Chance, NotingChooser, in_format, with_directions
from opcheck.verification.truth.formats import FORMATS

# their bounds are of the definition's order; torch multiplies by the learning rate before it divides by the root
OPTIMISERS = ("adam", "adamw", "rmsprop", "sgd")
F32 = FORMATS["float32"]
CLAIMS = [claim for claim in chosen(["values", "vjp", "jvp"]) if claim.name in ("values", "vjp", "jvp")]


class Tiny(RealValues):
    """Mostly a few times the smallest number; class weights far from one."""

    def array(self, *shape):
        tiny = self.rng.integers(-9, 10, shape) * F32.smallest
        return np.where(self.rng.random(shape) < 0.8, tiny, super().array(*shape))

    def positive(self, *shape):
        return super().positive(*shape) * self.rng.choice([0.01, 1.0, 30.0])


def trial(op, seed):
    """A trial of tiny numbers, in cotangents and tangents too."""
    rng = np.random.default_rng([seed, 1])
    values = Tiny(rng)
    case = in_format(op.sample(NotingChooser(values, Chance([seed, 2]))), F32)
    made = with_directions(op, Trial(case, "float32", "real"), rng)

    def tiny(arrays):
        return {name: F32.round(values.array(*array.shape)) for name, array in arrays.items()}

    return made.replace(cotangent=tiny(made.cotangent), tangents=tiny(made.tangents))


@pytest.mark.share(8)
@pytest.mark.parametrize("name", [op.name for op in catalog.every() if op.name not in OPTIMISERS])
def test_torch_is_within_the_bounds_of_subnormal_numbers(name):
    pytest.importorskip("torch")
    op, torch, checked = catalog.get(name), backends.load("torch"), 0
    for seed in range(120):
        check = Check(op, trial(op, seed), torch)
        for finding in (found for claim in CLAIMS for found in findings(claim, check)):
            checked += finding.elements
            assert finding.verdict is None, (seed, finding.verdict)
    assert checked > 1000


def test_the_division_of_a_mean_may_lose_half_of_the_smallest_number():
    op = catalog.get("nll_loss")
    arrays = {
        "input": np.array([[-0.0], [F32.smallest]]), "target": np.array([0, 0]), "weight": np.array([2.08161235])
    }  # fmt: skip
    check = Check(op, Trial(Case(op.name, arrays, {})), backend=None)
    bound = check.tolerance("output", F32, ["output"])["output"]
    assert F32.smallest / 2 <= bound <= 8 * F32.smallest


def test_a_loss_that_overflows_before_it_is_weighted_may_stay_infinite():
    op = catalog.get("binary_cross_entropy_with_logits")
    arrays = {"input": [-F32.largest], "target": [0.5], "weight": [0.25], "pos_weight": [2.5]}
    case = Case(op.name, {name: F32.round(x) for name, x in arrays.items()}, {})
    check = Check(op, Trial(case), backend=None)
    assert check.expected["output"] < F32.largest
    assert check.tolerance("output", F32, ["output"])["output"] == np.inf
