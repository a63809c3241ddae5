"""What explains an observed number: nothing that predicts no number."""

from opcheck import explain


def test_a_mistake_that_predicts_nan_explains_no_finite_number():
    told = str(explain("adam", got=123.0))
    assert "step_counted_from_zero" not in told and "Not explained by" in told
