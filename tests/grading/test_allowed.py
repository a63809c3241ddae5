"""`allowed`: an import that is not allowed behaves as if the library were not installed."""

import pytest

from opcheck.app import run
from opcheck.errors import Refused
from opcheck.grading.assignments.assignment import parse
from opcheck.grading.assignments.scaffold import scaffold
from opcheck.grading.results import Outcome
from tests.grading.students import graded

ASKED = 'allowed = ["numpy"]\n[[question]]\noperator = "relu"\npoints = { forward = 4 }\n'
RELU = "import numpy as np\ndef relu(x):\n    return np.maximum(x, 0)\n"


def test_an_import_that_nothing_needs_costs_nothing_and_is_noted():
    result = graded("import sympy as plt\n" + RELU, parse(ASKED))
    assert result.score == 4
    assert any("this assignment does not allow sympy (line 1 of submission.py)" in note for note in result.notes)


@pytest.mark.parametrize("where", ["top", "call"])
def test_a_graded_call_that_needs_it_is_refused(where):
    code = "import mpmath\ndef relu(x):\n    return 0 * x + mpmath.mpf(0)\n"
    if where == "call":
        code = "def relu(x):\n    import mpmath\n    return mpmath.mpf(0) * x\n"
    (check,) = graded(code, parse(ASKED)).checks
    assert check.outcome in (Outcome.CRASHED, Outcome.CRASHED_ALWAYS) and check.score == 0
    assert "this assignment does not allow mpmath" in check.message


def test_the_standard_library_is_always_allowed_and_wins_over_forbidden(tmp_path, capsys):
    asked = parse('forbidden = ["random", "mpmath"]\n' + ASKED)
    assert (asked.forbidden, asked.allowed) == ((), ("numpy",))
    assert graded("import random, statistics\n" + RELU, asked).score == 4
    (tmp_path / "hw.py").write_text(RELU)
    (tmp_path / "hw.toml").write_text('forbidden = ["torch"]\n' + ASKED)
    assert run(["grade", str(tmp_path / "hw.py"), "--assignment", str(tmp_path / "hw.toml")]) == 0
    assert "`forbidden` has no effect beside `allowed`" in capsys.readouterr().err


def test_without_the_key_forbidden_holds():
    asked = parse(ASKED.replace('allowed = ["numpy"]', 'forbidden = ["mpmath"]'))
    assert asked.allowed is None
    assert graded("import jinja2\n" + RELU, asked).notes == ()
    assert any("does not allow mpmath" in note for note in graded("import mpmath\n" + RELU, asked).notes)


def test_what_init_writes_allows_what_the_convention_needs():
    assert parse(scaffold(["relu"])).allowed == ("numpy",)
    assert parse(scaffold(["relu"], "module")).allowed == ("numpy", "torch")


def test_a_list_that_is_wrong_is_told():
    with pytest.raises(Refused, match="line 1, allowed: an allowed module is a top-level name, such as numpy"):
        parse(ASKED.replace('"numpy"', '"numpy.linalg"'))
