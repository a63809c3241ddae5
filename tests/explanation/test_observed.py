"""What explains an observed number: nothing that predicts no number."""

import pytest

from opcheck import Refused, explain


def test_a_mistake_that_predicts_nan_explains_no_finite_number():
    told = str(explain("adam", got=123.0))
    assert "step_counted_from_zero" not in told and "Not explained by" in told


def test_a_number_of_a_gradient_is_looked_for_in_every_gradient():
    image = {"shapes": {"input": (4, 4)}, "grad": True}
    told = str(explain("conv2d", **image, got=573.0))
    assert "w̄[1,1]        573  573" in told and told.endswith("Equal: this is the exact value.")
    assert "x̄[1,1]" in str(explain("conv2d", **image, got=23.5, cell=(1, 1))).rpartition("element")[2]
    assert "Equal" in str(explain("conv2d", **image, got=[[348.0, 393.0], [528.0, 573.0]]))
    assert "weight_gradient_of_the_last_place" in str(explain("conv2d", **image, got=99.0))
    assert "The sign is wrong" in str(explain("softmax", [1.0, 2.0, 3.0], dim=0, grad=True, got=0.1418171))
    with pytest.raises(Refused, match=r"shape of a gradient, \(4, 4\) or \(2, 2\). Got \(3,\)"):
        explain("conv2d", **image, got=[1.0, 2.0, 3.0])


def test_each_of_several_numbers_is_explained_and_differences_can_be_seen():
    told = str(explain("softmax", [1.0, 2.0, 3.0], dim=0, got=[0.09, 0.2447, 0.6653]))
    assert "y[0]     0.090031  0.0900  −3.0573e−05      9.4229e−08  digits given" in told
    assert "y[2]     0.665241  0.6653   5.9044e−05      3.3133e−07  nothing" in told
    assert "y[2]: not explained by float32 rounding" in told
    right = str(explain("softmax", [1.0, 2.0, 3.0], dim=0, got=[0.09, 0.2447, 0.6652]))
    assert right.endswith("Equal to the digits shown.") and "explained by" not in right
    alike = str(explain("softmax", [1.0, 2.0, 3.0], dim=0, got=[0.09003, 0.244728, 0.66524095]))
    assert "known mistake, maximum" not in alike  # it changes nothing here
    half = str(explain("softmax", [1.0, 2.0, 3.0], dim=0, dtype="float16"))
    assert "0.090031" in half.partition("exact")[2] and "0.090027" in half
