"""Correct implementations that sum in other orders, or compute in other forms, are never accused: a slice of the hunt.

`python -m tests.verification.alarms` is the whole of it.
"""

import itertools

import pytest
from click.testing import CliRunner

from opcheck import verify
from opcheck.operators import catalog
from opcheck.verification.report import sentence
from tests.verification import alarms
from tests.verification.alternatives import forms, linear, orders_of, widened

FORMS = [pytest.param(each, id=f"{each.op}-{each.name}") for each in forms()]
FEW_NODES = 900  # of a call in another order: the one larger case of eight took nearly all the time, and is the hunt's


@pytest.mark.share(5)
@pytest.mark.parametrize("alternative", FORMS)
def test_every_form_agrees(alternative):
    for dtype in ("float32", "float64", *(("float16",) if alternative.op == "linear" else ())):
        report = verify(
            alternative.op, alternative.function, arrays="numpy", dtype=dtype, cases=32, seed=None,
            claims=alternative.claims,
        )  # fmt: skip
        assert report.agrees, f"seed {report.seed}: {sentence(report.failures[0])}"
        row = report.row(alternative.op, dtype, "answers")
        assert row.cases > 7
        assert set(row.left_out) <= {"not implemented: weight", "not implemented: the dimension that torch chooses"}


IN_EVERY_ORDER = [each for op in catalog.every() for each in orders_of(op, FEW_NODES)]


@pytest.mark.share(12)
@pytest.mark.parametrize("alternative", IN_EVERY_ORDER, ids=lambda each: f"{each.op}-{each.name}")
def test_the_definition_in_every_order_of_summation_agrees(alternative):
    """Outputs, gradients and tangents, each operation rounded to float32."""
    name = alternative.op
    report = verify(name, alternative.function, arrays="numpy", cases=8, seed=None, claims=alternative.claims)
    assert report.agrees, f"seed {report.seed}: {sentence(report.failures[0])}"
    assert sum(report.row(name, "float32", claim).cases for claim in ("exact", "rounding")) >= 4


def test_the_hunt_counts_its_cases_and_finds_nothing():
    result = CliRunner().invoke(alarms.main, ["linear", "--only", "torch,forms", "--cases", "12", "--dtype", "float32"])
    assert result.exit_code == 0, result.output
    assert "0 alarms in 36 cases" in result.output  # 12 each of torch, its scope and forms


def test_the_hunt_names_an_implementation_that_is_wrong(monkeypatch):
    op, seeds = catalog.get("linear"), itertools.count(1)
    right = next(job for job in alarms.jobs_of(op, "float32", 30, ("forms",), seeds))
    lossy = right.alternative._replace(
        function=lambda x, weight, bias=None: linear(widened)(x[..., :1], weight[..., :1])
    )
    found, interrupted = alarms.hunt([alarms.Job("linear", "forms", "float32", 20, 1, lossy)])
    assert not interrupted and found["linear", "forms"].alarms[0].startswith("linear float32 rows reversed_order")


def test_ctrl_c_prints_what_was_found(monkeypatch):
    calls = itertools.count()
    run = alarms.run

    def interrupted(job, jobs):
        if next(calls):
            raise KeyboardInterrupt
        return run(job, jobs)

    monkeypatch.setattr(alarms, "run", interrupted)
    result = CliRunner().invoke(alarms.main, ["relu", "--cases", "10", "--only", "torch,orders"])
    assert "interrupted: these are the findings so far" in result.output
    assert "0 alarms in 10 cases" in result.output


def test_the_bound_is_not_so_wide_that_a_lost_term_hides():
    def lossy(x, weight, bias=None):
        y = linear(widened)(x, weight, bias)
        return y - x[..., :1] * weight[..., 0] if weight.shape[-1] > 1 and weight.ndim == 2 else y

    report = verify("linear", lossy, arrays="numpy", cases=40, claims=["rounding"])
    assert min(each.error_in_bounds for each in report.failures if each.claim == "rounding") > 100
    assert catalog.get("linear").rounding is not None
