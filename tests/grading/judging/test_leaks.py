"""No format tells a student more than the feedback level allows, whatever the student's code does with its inputs.

All numbers that are drawn here have four digits and more, and nothing else that a student reads has.
"""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from opcheck.grading import formats
from opcheck.grading.assignments.assignment import FEEDBACK, Assignment, parse
from opcheck.grading.assignments.scaffold import scaffold
from opcheck.grading.drawing.cases import Drawn, draw
from opcheck.grading.judging import judge
from opcheck.grading.results import Outcome, Result
from opcheck.language import say
from opcheck.verification.casefile import Trial
from tests.grading.students import graded

DRAWN = re.compile(r"\d{4,}")
OPS = ("linear", "softmax", "cross_entropy")
HIDDEN = "cross_entropy"
STUDENTS = ("gradescope", "check50", "prairielearn", "autolab", "html", "csv")  # what a student may get to see
RIGHT_SO_FAR = """
import numpy as np, os, sys, warnings
def linear(x, weight, bias=None): return {linear}
def softmax(x, dim=-1): return {softmax}
def cross_entropy(x, target): return {cross_entropy}
def linear_backward(dy, *arrays): return {backward}
def softmax_backward(dy, *arrays, **k): return {backward}
def cross_entropy_backward(dy, *arrays): return {backward}
"""
MISTAKEN = RIGHT_SO_FAR.format(
    linear="x @ weight.T",
    softmax="np.exp(x - x.max()) / np.exp(x - x.max()).sum()",
    cross_entropy="-(x - np.log(np.exp(x).sum(1, keepdims=True)))[np.arange(len(x)), target].sum()",
    backward="tuple(3 * a for a in arrays)",
)


def does(body: str) -> str:
    """Code whose every call does this with its arrays."""
    call = dict.fromkeys(("linear", "softmax", "cross_entropy"), "f(x)") | {"backward": "f(arrays[0])"}
    lines = "\n".join("    " + line for line in body.split("\n"))
    return f"{RIGHT_SO_FAR.format(**call)}\ndef f(a):\n    told = repr(a.tolist())\n{lines}\n"


SUBMISSIONS = {
    "catalogue mistakes": MISTAKEN,
    "its input": does("return a"),
    "another shape": does("return np.zeros(int(abs(a).max()))"),
    "a class named after it": does("return type(told, (), {})()"),
    "a message": does("raise ValueError(told)"),
    "an exception of its own": does("raise type(told, (Exception,), {})(told)"),
    "an exception of a known name": does("raise type('ValueError: ' + told, (ValueError,), {})"),
    "not attempted in a file of that name": does("exec(compile('raise NotImplementedError', told, 'exec'))"),
    "not attempted in that line": does(
        "exec(compile('\\n' * int(abs(a).max()) + 'raise NotImplementedError', __file__, 'exec'))"
    ),
    "not attempted, with a message": does("raise NotImplementedError(told)"),
    "an exit": does("sys.exit(told)"),
    "prints": does("print(told)\nprint(told, file=sys.stderr)\nwarnings.warn(told)\nreturn None"),
    "prints and dies": does("os.write(1, told.encode())\nos.write(2, told.encode())\nos.abort()"),
    "prints and loops": does("print(told, flush=True)\nwhile True: pass"),
}


def asked(level: str) -> Assignment:
    text = scaffold(OPS).replace('feedback = "worked calculation"', f'feedback = "{level}"')
    text = text.replace("seconds = 10 ", "seconds = 0.5 ").replace("integers = [true, false]", "integers = [false]")
    text = text.replace(f'operator = "{HIDDEN}"', f'operator = "{HIDDEN}"\nhidden = true')
    return parse(text)


@pytest.fixture(autouse=True)
def distinctive(monkeypatch):
    """Cases in which every real number shows where it comes up."""

    def numbers(array, first):
        return (
            first + np.arange(array.size, dtype=np.float64).reshape(array.shape) if array.dtype.kind == "f" else array
        )

    def marked(trial: Trial) -> Trial:
        arrays = {name: numbers(array, 31337.0) for name, array in trial.case.arrays.items()}
        cotangent = {name: numbers(array, 27183.0) for name, array in trial.cotangent.items()}
        return trial.replace(case=trial.case._replace(arrays=arrays), cotangent=cotangent)

    def drawn(*arguments):
        found = draw(*arguments)
        kinds = (found.ordinary, found.special, found.whole, found.accuracy)
        alone = tuple((name, marked(trial)) for name, trial in found.separate)
        return Drawn(*(tuple(map(marked, trials)) for trials in kinds), alone)

    monkeypatch.setattr(judge, "draw", drawn)


def texts(result: Result, assignment: Assignment) -> dict[str, str]:
    """What each format makes of it; of Gradescope's, what the student is shown."""
    found = {name: formats.render(name, [result], assignment) for name in formats.FORMATS}
    page = json.loads(found["gradescope"])
    page["tests"] = [test for test in page["tests"] if test["visibility"] != "hidden"]
    share = json.loads(found["prairielearn"])  # of the points, with all its digits
    return {
        **found,
        "gradescope": json.dumps({**page, "execution_time": 0}, ensure_ascii=False),
        "prairielearn": json.dumps({**share, "score": 0}, ensure_ascii=False),
    }


def plain(text: str) -> str:
    """Without what every page has: styles, and the name of a character."""
    return re.sub(r"(?s)<style>.*?</style>|&#\w+;|\\u[0-9a-f]{4}", "", text)


def sentences(assignment: Assignment, *ops: str) -> set[str]:
    """Of mistakes and relations: what tells the student why."""
    questions = [each for each in assignment.questions if each.op.name in ops]
    named = {say(each.convention.sentence(each.op, known)) for each in questions for known in each.op.mistakes}
    return named | {"What this looks like", "times the right", "right one", Outcome.OTHER_CONVENTION.value}


@pytest.mark.share(18)
@pytest.mark.parametrize("level", ["score", "part"])
@pytest.mark.parametrize("submission", SUBMISSIONS)
def test_no_number_and_no_diagnosis_below_the_level_that_shows_them(submission, level):
    assignment = asked(level)
    result = graded(SUBMISSIONS[submission], assignment)
    assert result.score < result.points
    for name, text in texts(result, assignment).items():
        assert not DRAWN.findall(plain(text)), name
        assert not [each for each in sentences(assignment, *OPS) if each in text], name
    if level == "score":
        assert [(check.part, check.message) for check in result.checks if check.message] in (
            [],
            [("all parts", "right")],
        )


@pytest.mark.parametrize("level", FEEDBACK)
@pytest.mark.parametrize("submission", ["catalogue mistakes", "a message"])
def test_of_a_hidden_question_no_student_learns_anything(submission, level):
    assignment = asked(level)
    code = SUBMISSIONS[submission]
    result = graded(code, replace(assignment, questions=assignment.questions[-1:]))
    assert {check.question for check in result.checks} == {HIDDEN} and result.score < result.points
    for name in STUDENTS:
        text = texts(result, assignment)[name]
        assert not DRAWN.findall(plain(text)), name
        assert not [each for each in sentences(assignment, HIDDEN) if each in text], name


@pytest.mark.parametrize("level", FEEDBACK)
def test_each_level_adds_one_thing(level):
    """That the tests above can fail: what a level shows is found by the same means."""
    assignment = asked(level)
    found = texts(graded(MISTAKEN, assignment), assignment)
    for name in ("text", "gradescope", "check50", "prairielearn", "html", "junit", "json", "autolab"):
        text = found[name]
        shown = [
            "the forward pass is not right yet" in text,
            "smallest case that fails" in text,
            any(each in text for each in sentences(assignment, "linear", "softmax")),
            "How this number is computed" in text,
        ]
        place = FEEDBACK.index(level)
        assert shown == [place == 1, place >= 2, place >= 3, place >= 4], name
