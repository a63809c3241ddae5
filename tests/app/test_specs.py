"""Specs of files on the command line."""

import pytest

from tests.app.support import run

SPECS = '''
"""Specs."""
import numpy as np

def scaled(x: "N D", seed=2.0, width: "D" = None, all=False):
    """A product.

    x: what is scaled.
    width: by column
    """
    y = x * seed
    return y if width is None else y * width

def loss(x: "N C", w: "C C", target: "N < C"):
    z = x @ w
    m = z.max(axis=1, keepdims=True)
    return (np.log(np.exp(z - m).sum(axis=1)) + m[:, 0] - z[np.arange(len(target)), target]).mean()

def helper(x):
    return x
'''


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(SPECS)
    return path


def test_a_file_without_a_name_lists_its_specs(file):
    ran = run("explain", str(file))
    assert (ran.code, f"{file}:scaled, {file}:loss" in ran.err, "helper" in ran.err) == (2, True, False)


def test_parameters_that_are_named_like_options_are_set(file):
    ran = run("explain", f"{file}:scaled", "--x", "1x2", "--set", "seed=3", "--set", "width=[2,2]", "--set", "all=yes")
    assert ran.code == 0, ran.err
    assert "scaled   x 1×2 · width 2 · seed 3.0 · all" in ran.out
    assert "Give seed as --set seed=VALUE: an option already has that name." in " ".join(
        run("explain", f"{file}:scaled", "-h").out.split()
    )


def test_the_option_itself_still_works(file):
    assert run("explain", f"{file}:scaled", "--x", "1x2", "--seed", "3").code == 0


def test_set_names_what_there_is(file):
    ran = run("explain", f"{file}:scaled", "--x", "1x2", "--set", "size=3")
    assert (ran.code, "its parameters are x, seed, width, all" in ran.err) == (2, True)


def test_the_docstring_describes_the_parameters(file):
    out = run("ops", f"{file}:scaled").out
    assert out.startswith("scaled(x, seed=2.0, width=None, all=False)")
    rows = [line.split() for line in out.splitlines()]
    assert ["x", "x", "N", "D", "what", "is", "scaled"] in rows
    assert ["width", "width", "D", "by", "column", "(optional)"] in rows


def test_trace_fills_what_was_not_given(file):
    ran = run("trace", f"{file}:loss")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("loss(x, w, target)   x 2×3, w 3×3, target = [0, 1]")
    assert run("trace", f"{file}:loss", "--at", "target=[1,0]", "--at", "x=[[1,2,3],[4,5,6]]").code == 0


@pytest.mark.parametrize("format", ["text", "html", "json", "markdown", "latex"])
def test_every_format_takes_a_spec(file, format):
    ran = run("explain", f"{file}:loss", "--grad", "--format", format)
    assert (ran.code, "loss" in ran.out) == (0, True)


def test_practice_takes_a_spec(file):
    assert "problem 1 of 1" in run("practice", f"{file}:loss", "--count", "1", "--seed", "1").out
