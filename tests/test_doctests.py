"""Every example (>>>) in a docstring of the package runs and prints what it shows."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

import opcheck

PACKAGE = Path(opcheck.__file__).parent
SHOWN = re.compile(r"^\s*>>> ", re.MULTILINE)
SUBMISSION = """
def linear(x, weight, bias=0):
    return x @ weight.T + bias
def linear_backward(dy, x, weight, bias=None):
    return (dy @ weight, dy.T @ x, dy.sum(axis=0))[: 2 if bias is None else 3]
"""


def modules() -> list[str]:
    shown = (path for path in sorted(PACKAGE.rglob("*.py")) if SHOWN.search(path.read_text(encoding="utf-8")))
    names = (".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in shown)
    return [name.removesuffix(".__init__") for name in names]


@pytest.fixture
def homework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory that the examples of the grader speak of: an assignment and what was handed in."""
    monkeypatch.chdir(tmp_path)
    Path("hw2.toml").write_text('[[question]]\noperator = "linear"\npoints = { forward = 6, vjp = 3 }\n')
    Path("submissions").mkdir()
    for path in (Path("hw2.py"), Path("submissions/ada.py")):
        path.write_text(SUBMISSION)


@pytest.mark.parametrize("name", modules())
@pytest.mark.usefixtures("homework")
def test_the_examples_run(name: str) -> None:
    found = [test for test in doctest.DocTestFinder().find(importlib.import_module(name)) if test.examples]
    assert found, "an example stands where no docstring is"
    for test in found:
        assert not any(doctest.SKIP in example.options for example in test.examples)
        outcome = doctest.DocTestRunner(verbose=False).run(test)
        assert outcome.failed == 0 and outcome.attempted == len(test.examples)
