"""A lesson's question, worked out in the sandbox: this file is loaded there as a submission is, and sees opcheck as its
own folder. Plain numbers and arrays leave it."""

import importlib.util
import sys
import tempfile
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

HOME = Path(__file__).resolve().parents[1]


def answers(text: str, place: int) -> dict[str, Any]:
    """Of the lesson that `text` is: the right answer to the question that is its part number `place`, and the wrong
    ones that are known, each with its sentence."""
    _find_opcheck()
    from opcheck.learning import lesson
    from opcheck.learning.session import before

    parts = lesson.parts(text)
    question = parts[place]
    assert isinstance(question, lesson.Question)
    with tempfile.TemporaryDirectory(prefix="opcheck-") as directory:
        session = before(parts, question, Path(directory))
        right = session.value(question.code)
        slips = [(slip.sentence, plain(session.value(slip.code))) for slip in question.slips]
        mistakes = [(sentence, plain(value)) for sentence, value in session.mistaken(question.code)]
        return {"right": plain(right), "wrong": [list(each) for each in (*slips, *mistakes)]}


def plain(value: Any) -> Any:
    """A value as numbers, arrays, texts and tuples of them; fractions, which have to be plain, too, as a dict."""
    from fractions import Fraction

    import numpy as np

    if isinstance(value, tuple | list):
        return tuple(plain(each) for each in value)
    if isinstance(value, Fraction):
        return {"numerator": value.numerator, "denominator": value.denominator}
    if isinstance(value, bool | int | float | str | np.ndarray):
        return value
    return plain(value.tolist()) if hasattr(value, "tolist") else str(value)


def revived(value: Any) -> Any:
    """The value that `plain` made plain."""
    from fractions import Fraction

    if isinstance(value, dict):
        return Fraction(value["numerator"], value["denominator"])
    return tuple(map(revived, value)) if isinstance(value, tuple | list) else value


class _Own:
    """Finds the modules of opcheck, which the sandbox otherwise keeps from what runs in it."""

    @staticmethod
    def find_spec(name: str, path: Any, target: Any = None) -> Any:
        return PathFinder.find_spec(name, path, target) if name.startswith("opcheck.") else None


def _find_opcheck() -> None:
    """In the sandbox opcheck is not installed: it is the folder in which this file lies."""
    if "opcheck" in sys.modules:
        return
    places = [str(HOME)]
    spec = importlib.util.spec_from_file_location("opcheck", HOME / "__init__.py", submodule_search_locations=places)
    assert spec is not None and spec.loader is not None
    sys.meta_path.insert(0, _Own)
    sys.modules["opcheck"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
