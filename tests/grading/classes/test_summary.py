"""What a class has in common."""

from dataclasses import replace
from statistics import fmean, median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcheck.grading.classes.summary import TENTHS, Standing, by_question, standing, summary, tenth
from opcheck.grading.results import EXTRA, Check, Outcome, Result
from tests.grading import examples


def check(outcome=Outcome.RIGHT, score=1.0, points=1.0, question="q", **more):
    return Check(question, "forward", outcome, points, score, **more)


def test_a_small_class():
    results = [examples.result("ada"), examples.result("bob", wrong=0), replace(examples.result("eve"), seconds=9.0)]
    found = summary(results)
    assert (found.students, found.mean, found.median, found.points) == (3, fmean([4.5, 10, 4.5]), 4.5, 10)
    assert found.histogram == [0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 1]
    conv = found.questions["conv2d"]
    assert (conv.points, conv.mean) == (5.5, 5.5 / 3)
    assert conv.standings == {Standing.FULL: 1, Standing.NONE: 2}
    assert found.mistakes == [(2, "conv2d", "kernel_flipped")]
    assert found.slowest[0] == (9.0, "eve")
    assert (found.crashed, found.not_loading) == ([], [])


def test_who_crashed_and_who_does_not_load():
    results = [
        Result("crashed", "", (check(Outcome.CRASHED, 0), check()), 1),
        Result("broken", "", (check(Outcome.DOES_NOT_LOAD, 0), check(Outcome.SKIPPED, 0)), 1),
        Result("half", "", (check(Outcome.DOES_NOT_LOAD, 0), check()), 1),
        Result("empty", "", (), 1),
    ]
    found = summary(results)
    assert (found.crashed, found.not_loading) == (["crashed"], ["broken"])


def test_a_mistake_counts_once_for_a_student_and_a_question():
    both = (check(Outcome.WRONG, 0, mistakes=("flipped", "other")), check(Outcome.WRONG, 0, mistakes=("flipped",)))
    found = summary([Result("a", "", both, 1), Result("b", "", both[:1], 1)])
    assert found.mistakes == [(2, "q", "flipped")]


@given(st.lists(examples.results(), max_size=6))
def test_every_student_is_in_the_histogram_and_in_each_of_their_questions(results):
    found = summary(results)
    assert sum(found.histogram) == found.students == len(results)
    assert found.mean == (fmean(result.score for result in results) if results else 0)
    assert found.median == (median(result.score for result in results) if results else 0)
    for name, question in found.questions.items():
        asked = sum(
            any(check.question == name and check.outcome not in EXTRA for check in result.checks) for result in results
        )
        assert sum(question.standings.values()) == len(question.scores) == asked
    assert len(found.slowest) == min(len(results), 5)


@given(st.integers(0, 1000), st.integers(1, 1000))
def test_the_last_bar_is_all_the_points_and_no_less(score, points):
    bar = tenth(score, points)
    assert (bar == TENTHS) == (score >= points)
    if score < points:
        assert bar * points <= TENTHS * score < (bar + 1) * points


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        ([check(), check()], Standing.FULL),
        ([check(points=0, score=0)], Standing.FULL),
        ([check(Outcome.WRONG, 0), check()], Standing.PARTLY),
        ([check(Outcome.WRONG, 0), check(Outcome.NOT_ATTEMPTED, 0)], Standing.NONE),
        ([check(Outcome.NOT_ATTEMPTED, 0), check(Outcome.SKIPPED, 0)], Standing.NOT_ATTEMPTED),
        ([check(Outcome.WRONG, 0, points=0)], Standing.NONE),
    ],
)
def test_standings(checks, expected):
    assert standing(checks) is expected


def test_checks_of_a_question_come_together_in_the_order_of_the_assignment():
    checks = (check(question="b"), check(question="a"), check(Outcome.WRONG, 0, question="b"))
    grouped = by_question(Result("", "", checks, 1))
    assert grouped == {"b": [checks[0], checks[2]], "a": [checks[1]]}
