"""What a grade sees of one trial: wrong by far needs no exact number, and near the bound the definition decides."""

import pytest

from opcheck.grading.assignments.scope import Scope
from opcheck.grading.drawing.cases import draw
from opcheck.grading.judging.graded import Graded
from opcheck.operators import catalog
from opcheck.verification import check as verification
from opcheck.verification.truth.formats import format_of


@pytest.mark.parametrize(("bounds", "asked"), [(1.5, 1), (2.5, 0), (1e6, 0)])
def test_the_definition_is_asked_where_a_number_is_near_its_bound(bounds, asked, monkeypatch):
    calls = []
    real = verification.exact
    monkeypatch.setattr(verification, "exact", lambda *given: calls.append(given) or real(*given))
    op = catalog.get("matmul")
    trial = next(each for each in draw(Scope.of(op, {}, {}), "float32", [1], False).ordinary if each.policy == "real")
    check = Graded(op, trial, None)
    (name,) = check.expected
    room = check.tolerance("output", format_of("float32").tiers()[-1], [name])[name]
    verdict = check.compare("rounding", "output", {name: check.expected[name] + bounds * room}).verdict
    assert verdict is not None
    assert len(calls) == asked
    assert verdict.expected == pytest.approx(float(check.expected[name][verdict.at]), rel=1e-12)
