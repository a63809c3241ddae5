"""Every mistake of the catalogue shows on some case that is drawn with the default ranges, whatever the seed."""

import numpy as np
import pytest

from opcheck.grading.assignments.assignment import parse
from opcheck.grading.assignments.scaffold import scaffold
from opcheck.grading.assignments.scope import Scope
from opcheck.grading.drawing import telling
from opcheck.grading.drawing.cases import draw, draw_beyond
from opcheck.operators import catalog
from opcheck.operators.spec import Case, Mistake, widened
from opcheck.verification.casefile import Trial

# On what gives NaN people's definitions differ, and courses clip logarithms at different places: neither is asked.
DISPUTED = {"masked_row_is_nan", "gradient_not_clipped"}
QUICK = ("avg_pool1d", "max_pool1d", "mse_loss", "nll_loss", "binary_cross_entropy", "embedding", "rms_norm")


def asked(op: str, parameters: str = "") -> Scope:
    return parse(f'convention = "functional"\n[[question]]\noperator = "{op}"\n{parameters}').questions[0].scope


def more(scope: Scope, seed: int) -> tuple[Trial, ...]:
    return draw_beyond(scope, tuple(scope.free()), "float32", [seed])


def untold(scope: Scope, seed: int) -> set[str]:
    usual = draw(scope, "float32", [seed], special=False).ordinary
    trials = [*usual, *more(scope, seed)]
    return {
        each.name
        for each in scope.op.mistakes
        if not any(telling.shows(scope.op, trial.case, each) for trial in trials)
        and not any(gives_nan(scope, trial.case, each) for trial in usual)
    } - DISPUTED


def gives_nan(scope: Scope, case: Case, mistake: Mistake) -> bool:
    with np.errstate(all="ignore"):
        made = mistake.forward and mistake.forward(scope.op, scope.op.checked(case)[0], **widened(case.arrays))
    return made is not None and any(np.isnan(each).any() for each in (made if isinstance(made, tuple) else (made,)))


@pytest.mark.nightly
def test_every_mistake_shows_by_any_seed(nightly):
    for op in (each.name for each in catalog.every()) if nightly else QUICK:
        for seed in range(5 if nightly else 1):
            assert not untold(asked(op), seed), (op, seed)


def test_what_init_prints_asks_as_much():
    scope = parse(scaffold(["avg_pool1d"])).questions[0].scope
    assert not untold(scope, 0)


def test_what_an_assignment_limits_is_not_asked():
    scope = asked("avg_pool1d", "[question.parameters]\nceil_mode = [false]\ncount_include_pad = [true]")
    cases = [trial.case for trial in more(scope, 0)]
    assert not any(case.params.get("ceil_mode") or not case.params.get("count_include_pad", True) for case in cases)
    assert untold(scope, 0) == {"padding_always_counted", "divisor_is_always_the_kernel"}


def test_numbers_that_are_listed_allow_one_for_each_direction():
    scope = asked("conv2d", "[question.parameters]\nstride = [1, 2]\npadding_mode = ['zeros']")
    opened = scope.opened("stride", "padding_mode")
    assert scope.within("stride", 2) and not scope.within("stride", (1, 2)) and opened.within("stride", (1, 2))
    assert not opened.within("stride", (1, 3)) and not opened.within("padding_mode", "reflect")


def test_an_optimiser_is_asked_everything_as_it_is():
    assert not more(asked("adam"), 0)
