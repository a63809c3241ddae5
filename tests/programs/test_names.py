"""Names of a program's own variables, and who else may watch its calls."""

import cProfile

import opcheck


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
