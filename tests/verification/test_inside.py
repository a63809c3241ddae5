"""A known deviation of an operator of torch holds inside somebody's own program, and explains nothing else."""

import math
from pathlib import Path

import numpy as np
import pytest

from opcheck import backends, specs
from opcheck.operators.spec import Case
from opcheck.verification import claims
from opcheck.verification.casefile import Trial
from opcheck.verification.raised import is_ours
from opcheck.verification.report import Report
from opcheck.verification.run import check_trial

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
F = torch.nn.functional


PROGRAMS = Path(__file__).parents[1] / "specs" / "programs.py"


def checked(program, candidate, names, known=True, cotangent=None, **arrays):
    """What the claims of these names find for a candidate on arrays of one case."""
    op = specs.get(f"{PROGRAMS}:{program}")
    arrays = {name: np.array(each, dtype=float) for name, each in arrays.items()}
    tangents = {name: np.ones(each.shape) for name, each in arrays.items()}
    finite = all(np.isfinite(each).all() for each in arrays.values())
    seeds = {} if cotangent is None else {"output": np.array(cotangent, dtype=float)}
    trial = Trial(Case(op.name, arrays, {}), "float32", "real" if finite else "special", "contiguous", seeds, tangents)
    backend = backends.load(candidate, "torch")
    report = Report(backend=backend.name, version=backend.version())
    check_trial(op, trial, backend, report, claims.chosen(names), known=known)
    return report


def with_torch(q, k, v):
    return 2 * F.scaled_dot_product_attention(q, k, v, scale=1.0)


def with_the_mathematics(q, k, v):
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        return with_torch(q, k, v)


def with_another_scale(q, k, v):
    return 2 * F.scaled_dot_product_attention(q, k, v, scale=1.01)


ONE = [[[[1.0]]]]
NAN = {"q": [[[[math.nan]]]], "k": ONE, "v": ONE}
LARGE = {"q": [[[[31]]]], "k": [[[[31], [31]]]], "v": [[[[1], [2]]]], "cotangent": ONE}


def test_a_failure_has_the_name_of_the_operators_deviation():
    report = checked("attention", with_torch, ["special"], **NAN)
    assert report.agrees and report.known_counts() == {"torch-attention-of-nan": 1}


def test_so_has_one_of_a_gradient():
    report = checked("attention", with_torch, ["vjp"], **LARGE)
    assert report.agrees and set(report.known_counts()) == {"torch-attention-gradient-of-large-scores"}


def test_a_mistake_beside_the_deviation_is_a_failure():
    def another(q, k, v):
        return with_torch(q, k, v) + 1

    def half_a_gradient(q, k, v):
        return with_torch(q, k, 0.5 * v + 0.5 * v.detach())

    assert not checked("attention", another, ["special"], q=[[[[math.nan], [1]]]], k=ONE, v=ONE).agrees
    assert not checked("attention", half_a_gradient, ["vjp"], **LARGE).agrees
    assert not checked("attention", with_another_scale, ["vjp"], **{**LARGE, "k": [[[[31], [30]]]]}).agrees


def test_without_known_deviations_it_is_a_failure():
    assert not checked("attention", with_torch, ["special"], known=False, **NAN).agrees


def test_what_the_operator_lacks_is_named():
    case = {"q": ONE, "k": [[[[1], [2]]]], "v": [[[[1], [2]]]], "cotangent": ONE}
    name = "torch-attention-without-forward-mode-and-second-derivatives"
    assert checked("attention", with_torch, ["jvp", "second"], **case).known_counts() == {name: 2}
    report = checked("attention", with_the_mathematics, ["jvp", "second"], **case)
    assert report.agrees and not report.known_counts() and not any(row.left_out for row in report.rows.values())


def test_a_gelu_of_infinity_is_named_where_it_deviates():
    def fused(x, weight):
        return F.gelu(F.linear(x, weight))

    def wrong(x, weight):
        return torch.where(F.linear(x, weight) == math.inf, math.nan, fused(x, weight))

    infinite = {"x": [[math.inf], [1]], "weight": [[2]]}
    report = checked("activated", fused, ["special"], **infinite)
    assert report.agrees
    assert not report.known or report.known_counts() == {"torch-gelu-of-infinity": 1}
    assert not checked("activated", wrong, ["special"], **infinite).agrees


def test_an_error_of_opchecks_own_is_not_the_implementations_wherever_it_is_installed():
    def raised(file):
        code = compile("raise ValueError", str(file), "exec")
        with pytest.raises(ValueError) as caught:
            exec(code)
        return caught.value

    assert is_ours(raised("/opt/backends/opcheck/verification/check.py"))
    assert not is_ours(raised(Path(backends.__file__).with_name("tensors.py")))
