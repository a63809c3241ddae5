"""A reader who is a list of lines goes through a lesson; the transcript shows what the tutor makes of it."""

from itertools import pairwise
from textwrap import dedent

import pytest

from opcheck.learning import shelf
from opcheck.learning.progress import Mark, Progress
from opcheck.learning.tutor import Quit, Tutor, shown

LESSON = dedent("""\
    ---
    operators: linear
    ---
    # 1. A layer

    ```python
    import numpy as np
    from opcheck.reference import linear
    x, w, b = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]]), np.array([10.0, 20.0])
    ```

    ```python file=note.txt
    a note
    ```

    ```console
    $ opcheck ops linear
    ```

    ## Question

    What is y?

    <details><summary>Hint</summary>

    Row times row.

    </details>

    <details><summary>Answer</summary>

    ```python
    >>> linear(x, w, b)
    array([[21., 37.]])
    ```

    Told afterwards.

    </details>

    <details><summary>Slip: That is w.</summary>

    ```python
    >>> w
    array([[3., 4.], [5., 6.]])
    ```

    </details>

    And a third of it?

    <details><summary>Answer, to 2 decimals</summary>

    ```python
    >>> print(linear(x, w, b)[0, 1] / 3)
    12.333333333333334
    ```

    </details>

    ```python needs=no_such_package
    >>> 1
    1
    ```
    """)


class Transcript:
    """A Screen that writes everything down; its reader types the given lines and then nothing more."""

    def __init__(self, *lines: str) -> None:
        self.lines = iter(lines)
        self.seen: list[str] = []

    def markdown(self, text):
        lines = text.strip().splitlines()
        self.seen.append("markdown: " + " | ".join([line for line in lines if line.startswith("#")] or lines[:1]))

    def code(self, text):
        self.seen.append(f"code: {text.strip().splitlines()[-1]}")

    def printed(self, text):
        self.seen.append(f"printed: {text}")

    def tell(self, text):
        self.seen.append(text)

    def pause(self, prompt, within_code):
        self.seen.append(prompt)
        return "" if within_code else next(self.lines, "")

    def ask(self, prompt):
        line = next(self.lines, None)
        self.seen.append(f"{prompt}{line}")
        return line

    def command(self, line, directory):
        assert (directory / "note.txt").read_text() == "a note\n"
        self.seen.append(f"ran: {line}")


@pytest.fixture
def lesson(tmp_path):
    (tmp_path / "01-layer.md").write_text(LESSON)
    entry = shelf.entry(tmp_path / "01-layer.md")

    def read(*lines: str) -> tuple[list[str], Mark]:
        screen = Transcript(*lines)
        tutor = Tutor(entry, screen, Progress(tmp_path / "progress.json"))
        try:
            tutor.teach()
        except Quit:
            screen.seen.append("quit")
        return screen.seen, Progress(tmp_path / "progress.json").of(entry.name)

    return read


def test_a_reader_who_knows(lesson):
    seen, mark = lesson("", "[[21, 37]]", "12.33")
    assert seen == [
        "markdown: # 1. A layer",
        "code: x, w, b = np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]]), np.array([10.0, 20.0])",
        "printed: ",
        "The file note.txt:",
        "code: a note",
        "code: $ opcheck ops linear",
        "[Enter to run it, q to quit]",
        "ran: opcheck ops linear",
        "[Enter to go on, q to quit]",
        "markdown: ## Question",
        "answer (h: a hint, 1 left; s skips, q quits): [[21, 37]]",
        "Right.",
        "code: >>> linear(x, w, b)",
        "printed: array([[21., 37.]])",
        "markdown: Told afterwards.",
        "markdown: And a third of it?",
        "answer (s skips, q quits): 12.33",
        "Right.",
        "code: >>> print(linear(x, w, b)[0, 1] / 3)",
        "printed: 12.333333333333334",
        "code: 1",
        "Left out: this needs no_such_package. Install it: pip install no_such_package",
    ]
    assert mark == Mark(9, 9, 2, {1: "right", 2: "right"})


KNOWN = "Not yet: this is a known mistake. "


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("[[11, 18]]", "Not yet."),
        ("[[21, 38]]", "Not yet: 1 of 2 numbers are right."),
        ("[[-21, -37]]", "Not yet: the sign is wrong."),
        ("[21, 37]", "The numbers are right; their shape is (1, 2), not (2,)."),
        ("[[21, 37], 1]", "Not yet."),
        ("[[3,4],[5,6]]", KNOWN + "That is w."),
        ("[[11, 17]]", KNOWN + "The bias was not added."),
        ("[[31, 57]]", KNOWN + "The bias was added to every product; it is added once to their sum."),
        (
            "[[23, 36]]",
            KNOWN + "The weight was not transposed: its rows belong to the outputs, so the product is x @ w.T.",
        ),
        ("[[21, x]]", "This is not a number. Got 'x'. Write 0.25, 1/4 or 2.5e-1."),
        ("h", "markdown: Row times row."),
    ],
)
def test_what_is_told_to_who_answers_something_else(lesson, answer, told):
    seen, mark = lesson("", answer)
    assert seen[seen.index("markdown: ## Question") + 2] == told
    assert seen[-1].startswith("Left out")  # nothing more is typed: the questions stay open, the lesson goes on
    assert mark == Mark(9, 9, 2, {})


def test_hints_come_one_at_a_time_and_then_no_more(lesson):
    seen, _ = lesson("", "h", "hint", "", "s")
    assert [line for line in seen if line.startswith(("answer", "markdown: R", "markdown: There", "The answer"))] == [
        "answer (h: a hint, 1 left; s skips, q quits): h",
        "markdown: Row times row.",
        "answer (s skips, q quits): hint",
        "markdown: There are no more hints; s shows the answer.",
        "answer (s skips, q quits): ",
        "answer (s skips, q quits): s",
        "The answer: [[21.0, 37.0]]",
        "answer (s skips, q quits): None",
    ]
    assert "Question 2 is left open." in seen


def test_rounding_is_told_as_rounding(lesson):
    seen, mark = lesson("", "s", "12.3", "12.34", "12.4", "37/3")
    told = [following for line, following in pairwise(seen) if line.startswith("answer (s skips")]
    rounding = "Only the rounding differs: give 2 decimals. Keep more digits along the way and round once, at the end."
    assert told == [rounding, rounding, "Not yet.", "Right."]
    assert mark.answers == {1: "skipped", 2: "right"}


def test_who_quits_goes_on_where_he_stopped(lesson):
    seen, mark = lesson("q")
    assert seen[-2:] == ["[Enter to go on, q to quit]", "quit"]
    assert mark == Mark(4, 9, 2, {})
    seen, mark = lesson("q")
    assert seen == [
        "Continuing where you stopped. (opcheck learn --reset starts over.)",
        "markdown: # 1. A layer",
        "markdown: ## Question",
        "answer (h: a hint, 1 left; s skips, q quits): q",
        "quit",
    ]
    assert mark == Mark(5, 9, 2, {})
    seen, mark = lesson("[[21, 37]]", "q")
    assert seen[1:3] == ["markdown: # 1. A layer", "markdown: ## Question"]  # the question is asked again, in full
    seen, mark = lesson("12.33")
    assert seen[1:3] == ["markdown: # 1. A layer | ## Question", "markdown: And a third of it?"]  # in its section
    assert "Right." in seen  # the names of the blocks before are there
    assert mark.finished
    assert mark.right == 2


def test_reading_again_begins_at_the_start_and_takes_nothing_back(lesson):
    lesson("", "[[21, 37]]", "12.33")
    seen, mark = lesson("", "s", "q")
    assert seen[0] == "markdown: # 1. A layer"
    assert mark == Mark(9, 9, 2, {1: "right", 2: "right"})


def test_a_lesson_that_was_rewritten_begins_anew(lesson, tmp_path):
    Progress(tmp_path / "progress.json").keep("01-layer", Mark(3, 8, 2, {1: "right"}))
    seen, mark = lesson("q")
    assert seen[0] == "markdown: # 1. A layer"
    assert mark == Mark(4, 9, 2, {})


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(2, None, "2"), (True, None, "yes (True)"), ("word", None, "word"), (0.12345, 2, "0.12"), (-0.001, 2, "0.00"),
     ([0.126, 2.0], 2, "[0.13, 2.0]"), ((2, 3), None, "(2, 3)")],
)  # fmt: skip
def test_answers_are_shown_as_one_would_write_them(value, decimals, text):
    assert shown(value, decimals) == text
