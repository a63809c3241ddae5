"""`opcheck practice` as a program: a session on a pipe, at a terminal, in words, and what is wrong usage."""

import io
import re
import sys

import pytest

from opcheck.learning.practice import Practice
from opcheck.operators import catalog
from tests.app.support import run
from tests.learning.test_practice import Learner, right
from tests.learning.test_problems import typed
from tests.render import snapshot


@pytest.fixture
def practise(tmp_path, monkeypatch):
    def program(*arguments: str, typed: str = "", **options):
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        environment = {"XDG_STATE_HOME": str(tmp_path)} | options.pop("env", {})
        return run("practice", *arguments, env=environment, **options)

    return program


def slip(op: str, number: int, **options) -> tuple[str, str]:
    """An answer that a known mistake gives, and its sentence."""
    asked = Practice(catalog.get(op), Learner(), **options).problem(number)
    for mistake, value in asked.mistaken():
        text = typed(value.tolist() if hasattr(value, "tolist") else value, asked.decimals)
        if mistake.sentence in asked.judge(text).told:
            return text, mistake.sentence
    raise AssertionError("no mistake shows here")


def test_a_session_at_80_columns(practise):
    answers = right("conv2d", 3, seed=4)
    wrong, _ = slip("conv2d", 1, seed=4, level=1)
    lines = ["h", "h", answers[0], wrong, "h", "h", "1*2+", answers[1], answers[2], "s"]
    ran = practise("conv2d", "--seed", "4", "--count", "4", typed="\n".join(lines))
    assert (ran.code, ran.err) == (0, "")
    assert max(map(len, ran.out.splitlines())) <= 80
    snapshot.matches("practice.conv2d.txt", ran.out.rstrip("\n"))


def test_a_known_mistake_is_named_and_may_be_mended(practise):
    wrong, sentence = slip("conv2d", 1, seed=4, level=1)
    answers = right("conv2d", 2, seed=4)
    ran = practise("conv2d", "--seed=4", "--count=2", "--width=1000", typed="\n".join([answers[0], wrong, answers[1]]))
    assert f"Not yet: this is a known mistake. {sentence} Try again." in ran.out
    assert ran.out.endswith("Right.\n\n2 of 2 right, 1 of them on the first try.\n")


@pytest.mark.parametrize("op", [op.name for op in catalog.every()])
def test_every_operator_can_be_practised(op, practise):
    ran = practise(op, "--seed=0", "--count=3", "--level=3", typed="s\nh\nh\ns\ns\n")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.endswith("\n0 of 3 right, 0 of them on the first try.\n")


def test_the_end_of_the_answers_ends_it_with_the_score(practise):
    ran = practise("softmax", typed="")
    assert ran.code == 0
    assert ran.out.endswith("s skips, q quits): \nNo problem was answered.\n")


def test_a_seed_repeats_and_without_one_problems_are_fresh(practise):
    assert practise("linear", "--seed=3").out == practise("linear", "--seed=3").out
    assert len({practise("linear").out for _ in range(4)}) > 1


def test_gradients_are_asked_for(practise):
    assert "What is x̄[" in practise("softmax", "--grad", "--seed=1").out


@pytest.mark.parametrize("style", ["--ascii", "--plain"])
def test_other_styles_are_ascii(style, practise):
    out = practise("conv2d", style, "--seed=4", typed="h\nh\nh\ns\nh\nh\nh\ns\n").out
    assert out.isascii()
    assert bool(re.search(r"\[ *\d+\]\[", out)) == (style == "--ascii")  # the marks of a window
    assert ("(marked)" in out) == (style == "--plain")


def test_colour_follows_the_flag_and_the_environment(practise):
    assert "\x1b[" not in practise("relu").out
    assert "\x1b[" in practise("relu", "--color=always").out
    assert "\x1b[" in practise("relu", tty=True).out
    assert "\x1b[" not in practise("relu", tty=True, env={"NO_COLOR": "1"}).out


def test_without_an_operator_it_lists_what_there_is_and_the_score(practise):
    assert "level" not in practise().out
    practise("relu", "--seed=1", "--count=2", typed="\n".join([right("relu", 1, seed=1)[0], "s"]))
    ran = practise("--width=200")
    assert ran.code == 0
    assert re.search(r"^relu .* 1/2, level 1$", ran.out, re.MULTILINE)
    assert [op.name for op in catalog.every()] == re.findall(r"^(\w+)  .*$", ran.out, re.MULTILINE)[
        1 : len(catalog.every()) + 1
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("conv2"), "there is no operator 'conv2'"),
        (("relu", "--level", "9"), "9 is not in the range 1<=x<=6"),
        (("relu", "--count", "0"), "0 is not in the range 1<=x<=1000"),
        (("relu", "--seed", "-1"), "-1 is not in the range"),
    ],
)
def test_bad_usage_is_one_message(arguments, message, practise):
    ran = practise(*([arguments] if isinstance(arguments, str) else arguments))
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
    assert "Traceback" not in ran.err
