"""Names of a program's own variables, and who else may watch its calls."""

import cProfile

import opcheck
from opcheck.programs.names import free


def test_intermediate_arrays_have_the_names_of_the_program():
    assert "e[0]" in str(opcheck.explain("softmax", [1.0, 2.0], dim=0))


def test_what_is_measured_with_cprofile_runs_on():
    """cProfile's own watcher cannot be put back by Python code, and so keeps its place."""
    profile = cProfile.Profile()
    profile.enable()
    try:
        assert opcheck.verify("relu", lambda x: x * (x > 0), arrays="numpy", cases=2).checked
        assert str(opcheck.explain("softmax", [1.0, 2.0], dim=0))
    finally:
        profile.disable()


def centred(x):
    mean = x.sum() / 2
    return x - mean


def test_variables_of_helpers_name_lines_too_and_a_second_call_is_told_apart():
    def f(x: "N"):  # noqa: F821
        y = centred(x)
        return centred(y * y)

    text = str(opcheck.explain(f, shapes={"x": (2,)}))
    assert "mean = (x[0] + x[1])/2 = (1 + 2)/2" in " ".join(text.split())
    assert "y[0] = x[0] − mean" in text  # and the output, which is another one, is called z
    assert "mean2 = " in text


def test_a_name_that_is_taken_gets_a_number():
    assert [free("mean", ()), free("mean", {"mean"}), free("h1", {"h1", "h1_2"})] == ["mean", "mean2", "h1_3"]
