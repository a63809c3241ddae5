"""Which reading knows the exact value of an element, and what it says."""

from dataclasses import replace

import numpy as np
import pytest

import opcheck
from opcheck import specs
from opcheck.operators import catalog
from opcheck.operators.spec import Case
from opcheck.verification import streams
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Check, Undecided
from opcheck.verification.inline import Unasked
from opcheck.verification.truth import adjudication
from opcheck.verification.truth.adjudication import exact
from tests.specs import programs


def trial(rows: int = 2, d: int = 4) -> tuple[object, Trial]:
    op = specs.get(programs.residual_norm)
    rng = np.random.default_rng(0)
    arrays = {"x": rng.normal(size=(rows, d)), "weight": rng.normal(size=d), "bias": rng.normal(size=d)}
    cotangent = {"output": rng.normal(size=(rows, d))}
    return op, Trial(Case(op.name, arrays, {}), "float32", cotangent=cotangent, tangents=dict(arrays))


@pytest.mark.parametrize(("kind", "name"), [("output", "output"), ("gradient", "weight"), ("tangent", "output")])
def test_the_readings_agree(kind, name, monkeypatch):
    op, made = trial()
    at = (0,) if name == "weight" else (1, 2)
    short = exact(op, made, kind, name, at)
    assert short.error == 0 and "definition" in short.reading
    program = adjudication.by_program(op, made, kind, name, at)
    assert program == short._replace(reading="the program, exactly")
    monkeypatch.setattr(adjudication, "MOST_LINES", 10)
    wide = exact(op, made, kind, name, at)
    assert wide.value == pytest.approx(short.value, rel=1e-15)
    assert 0 < wide.error < 1e-30 and "bits" in wide.reading


@pytest.mark.parametrize("op", catalog.every(), ids=lambda op: op.name)
def test_the_program_says_what_the_definition_says(op):
    """To the last bit of float64; the gradients by another table of rules."""
    for index in range(3):
        made = streams.trial(op, "float64", 5, index)
        made = made.replace(case=op.completed(made.case, 0) if op.draws else made.case)
        if not all(np.isfinite(each).all() for each in Check(op, made, Unasked()).expected.values()):
            continue  # a mean of nothing has no derivative to agree on
        outputs = {n: shape for n, shape in op.checked(made.case)[1].items() if op.output(n).differentiable}
        gradients = {name: array.shape for name, array in made.tangents.items()}
        for kind, shapes in (("output", outputs), ("gradient", gradients), ("tangent", outputs)):
            for name, shape in shapes.items():
                if 0 not in shape:
                    at = tuple(n // 2 for n in shape)
                    want = adjudication.by_definition(op, made, kind, name, at)
                    got = adjudication.by_program(op, made, kind, name, at)
                    assert got.value == pytest.approx(want.value, rel=2e-16, nan_ok=True), (kind, name)


def test_what_is_too_large_for_both_has_the_bound_of_float64(monkeypatch):
    op, made = trial()
    monkeypatch.setattr(adjudication, "MOST_LINES", 10)
    monkeypatch.setattr(adjudication, "MOST_NUMBERS", 10)
    check = Check(op, made, Unasked())
    found = check.exact("output", "output", (0, 0))
    assert found.reading == "float64, with its own bound"
    assert 0 < found.error < 1e-13


def test_what_no_reading_settles_is_left_out():
    op, made = trial()
    check = Check(op, made, Unasked())
    unsure = check.exact("output", "output", (0, 0))._replace(error=1e-3)
    with pytest.raises(Undecided, match="too close to its bound for"):
        check.confirmed("rounding", "output", (0, 0), unsure, unsure.value + 2e-4, 1e-4, 1, 8, unsure.value)


def test_a_verdict_says_which_reading_it_is_from():
    report = opcheck.verify(programs.residual_norm, lambda x, weight, bias, eps=1e-5: x + bias, cases=20)
    readings = {each["exact_by"] for each in report.to_json()["failures"] if each["expected"]}
    assert "the definition, exactly" in readings
    assert readings <= {"the definition, exactly", "the reference"}  # the second of a failure like many before it
    assert replace(report.counterexample).details["exact_by"]
