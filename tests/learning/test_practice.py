"""A practice as whoever answers sees it: tries, hints, levels and the score; and what is kept of it."""

import json

import pytest

from opcheck.learning import scores
from opcheck.learning.practice import Practice, Score
from opcheck.operators import catalog
from opcheck.render import render
from opcheck.steps import Step
from tests.learning.test_problems import typed


class Learner:
    """A screen whose answers are a list, or a function of the practice and the problem's number."""

    def __init__(self, *lines):
        self.lines, self.seen, self.prompts = list(lines), [], []

    def document(self, blocks):
        self.seen.append(render(Step("", blocks), "text"))

    def tell(self, text):
        self.seen.append(text)

    def ask(self, prompt):
        self.prompts.append(prompt)
        return self.lines.pop(0) if self.lines else None


def practice(op, *lines, **options):
    learner = Learner(*lines)
    return learner, Practice(catalog.get(op), learner, **{"seed": 1, **options})


def right(op, count, **options):
    """The right answers, as a learner who makes no mistakes gives them: the levels grow as they would."""
    _, session = practice(op, count=count, **options)
    found = []
    for number in range(count):
        session.score.level = min(5, options.get("level", 1) + number // 2)
        asked = session.problem(number)
        found.append(typed(asked.wanted, asked.decimals))
    return found


@pytest.mark.parametrize("op", ["conv2d", "softmax", "adam"])
def test_who_makes_no_mistakes_climbs_to_the_top(op):
    learner, session = practice(op, *right(op, 10), count=10)
    assert session.run() == Score(asked=10, right=10, at_once=10, level=5)
    titles = [text for text in learner.seen if text.startswith("problem ")]
    assert titles == [f"problem {k + 1} of 10, level {min(5, 1 + k // 2)}" for k in range(10)]
    assert learner.seen[-1] == "10 of 10 right, 10 of them on the first try."


def test_after_three_tries_the_calculation_is_shown():
    learner, session = practice("linear", "97x98", "what?", "[1,", "95x96", "93x94", count=1, level=2)
    assert session.run() == Score(asked=1, right=0, at_once=0, level=2)
    assert (
        learner.seen[2:]
        == [
            "What is the shape of y?",
            "Not yet. Try again.",
            "The answer must be a list of numbers, such as [1, 2], or sizes, such as 2x3.",  # a word is no try
            "The brackets do not match. Got '[1,'.",  # nor is what cannot be read
            "Not yet. Try again.",
            "Not yet.",
            *learner.seen[-2:],
        ]
    )
    assert (
        learner.seen[-2].startswith("It goes like this:\n\nThe shape of y is ")
        or "It goes like this" in learner.seen[-2]
    )
    assert learner.seen[-1] == "0 of 1 right, 0 of them on the first try."


def test_a_hint_or_a_second_try_is_not_at_once():
    answers = right("tanh", 2)
    learner, session = practice("tanh", "h", answers[0], "77", answers[1], count=2)
    assert session.run() == Score(asked=2, right=2, at_once=0, level=1)
    assert learner.prompts[:2] == [
        "answer (h: a hint, 4 left; s skips, q quits): ",
        "answer (h: a hint, 3 left; s skips, q quits): ",
    ]
    assert "77" not in "".join(learner.seen)


def test_hints_end():
    learner, session = practice("relu", *["h"] * 5, count=1)
    session.run()
    assert learner.seen[-2] == "There are no more hints; s shows the answer."
    assert learner.prompts[-1] == "answer (s skips, q quits): "


@pytest.mark.parametrize("lines", [[], ["q"], ["quit"], ["h", "Q"]])
def test_who_goes_gets_the_score(lines):
    learner, session = practice("conv1d", *lines)
    assert session.run().asked == 0
    assert learner.seen[-1] == "No problem was answered."


def test_gradients_only():
    _, session = practice("mse_loss", grad=True)
    assert {session.problem(number).kind.value for number in range(6)} == {"gradient"}


def test_scores_are_kept_and_added_up(tmp_path):
    path = tmp_path / "state" / "practice.json"
    assert scores.read(path) == {}
    assert scores.add(path, "relu", Score()) == ""
    assert not path.exists()
    assert scores.add(path, "relu", Score(5, 4, 3, level=2)) == ""
    assert scores.add(path, "relu", Score(2, 1, 0, level=1)) == ""
    assert scores.read(path) == {"relu": scores.Practised(asked=7, right=5, level=2)}
    assert json.loads(path.read_text())["schema"] == "opcheck.practice/1"


@pytest.mark.parametrize(
    "text", ["", "[]", '{"schema": "other"}', '{"schema": "opcheck.practice/1", "operators": {"a": 1}}']
)
def test_a_broken_file_counts_as_none(text, tmp_path):
    path = tmp_path / "practice.json"
    path.write_text(text)
    assert scores.read(path) == {}


def test_what_cannot_be_kept_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    assert "File exists" in scores.add(tmp_path / "file" / "practice.json", "relu", Score(1, 1, 1))
