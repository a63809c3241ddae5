"""A lesson's questions in the sandbox: the answers are those of the terminal, and nothing else is within reach."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from opcheck.errors import CouldNotRun
from opcheck.learning import confined, lesson, shelf
from opcheck.learning.lesson import Question
from opcheck.learning.session import before
from opcheck.sandbox import NoSandbox

pytest.importorskip("starlette")
from opcheck.web import lessons


def asked(text: str, folder: Path):
    path = folder / "lesson.md"
    path.write_text(text)
    (place,) = (k for k, part in enumerate(lesson.read(path)) if isinstance(part, Question))
    return lessons.worked_out(path, place)


def question(*lines: str) -> str:
    prompts = "\n".join(f">>> {line}" for line in lines)
    return f"## What?\n\n<details>\n<summary>Answer</summary>\n\n```python\n{prompts}\n```\n\n</details>\n"


def test_the_answers_are_those_of_a_session(tmp_path):
    entry = shelf.find("3")
    parts = lesson.read(entry.path)
    place, last = max((k, part) for k, part in enumerate(parts) if isinstance(part, Question))
    found = lessons.worked_out(entry.path, place)
    session = before(parts, last, tmp_path)
    np.testing.assert_array_equal(found["right"], session.value(last.code))
    wrong = [(slip.sentence, session.value(slip.code)) for slip in last.slips] + list(session.mistaken(last.code))
    assert [sentence for sentence, _ in found["wrong"]] == [sentence for sentence, _ in wrong]
    for (_, a), (_, b) in zip(found["wrong"], wrong, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "line",
    ["open({path!r}).read()", "__import__('socket').socket().fileno()", "__import__('subprocess').run(['true'])",
     "__import__('pathlib').Path({path!r}).write_text('x')"],
)  # fmt: skip
def test_what_a_lesson_runs_reaches_nothing(line, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("7")
    with pytest.raises(CouldNotRun):
        asked(question(line.format(path=str(secret))), tmp_path)
    assert secret.read_text() == "7"


def test_without_a_sandbox_nothing_runs(tmp_path, monkeypatch):
    def none():
        raise NoSandbox("none here")

    monkeypatch.setattr(lessons, "choose", none)
    with pytest.raises(CouldNotRun, match="no sandbox"):
        asked(question("1 + 1"), tmp_path)


def test_values_are_plain_on_the_way_and_themselves_afterwards():
    values = (Fraction(1, 3), (1, 2.5, "same"), [True, np.float64(2)])
    assert confined.revived(confined.plain(values)) == (Fraction(1, 3), (1, 2.5, "same"), (True, 2.0))
