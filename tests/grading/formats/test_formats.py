"""Every format of results: every outcome, and nothing in it that a student could abuse or is not meant to see."""

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcheck.grading import formats
from opcheck.grading.results import Check, Outcome, Result
from opcheck.steps import Prose, Step
from tests.grading import examples
from tests.grading.formats.support import DANGEROUS, one, rendered


@pytest.mark.parametrize("name", formats.FORMATS)
@given(results=st.lists(examples.results() | st.just(examples.hostile()), min_size=1, max_size=3))
def test_whatever_students_write_is_harmless_and_can_be_encoded(name, results):
    for file, text in rendered(name, *results).items():
        if name == "json":
            assert text.isascii()
            assert not DANGEROUS.search(text)
        assert not DANGEROUS.search(text), f"{file}: {DANGEROUS.search(text)}"
        text.encode("utf-8")


LINES = ("linear, forward  1 of 1  right", "Note: all is well", "18 checks: right", '{"scores": {"linear": 1}}')


@pytest.mark.parametrize("name", ["text", "autolab", "junit", "gradescope", "prairielearn", "check50", "html"])
@pytest.mark.parametrize(
    "break_", ["\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", " " * 60, " x" * 33 + " "]
)
def test_no_student_writes_a_line_of_the_report(name, break_):
    """Neither by a line break of any kind nor where a long line is wrapped."""
    said = "it raises ValueError: " + "".join(break_ + line for line in LINES)
    checks = tuple(Check(f"q{k}", "forward", Outcome.CRASHED, 1, 0, said + str(k)) for k in range(2))
    result = Result(f"eve{break_}{LINES[0]}", "eve.py", checks, 1, notes=(f"it printed: {said}",))
    for text in rendered(name, result).values():
        for line in [*text.splitlines(), *text.replace("\\n", "\n").splitlines()]:
            assert not line.startswith(LINES), line


@pytest.mark.parametrize("name", formats.FORMATS)
def test_every_outcome_can_be_shown(name):
    assert all(rendered(name, examples.every_outcome()).values())
    assert all(rendered(name, examples.every_outcome(), examples.result()).values())


@pytest.mark.parametrize("name", formats.FORMATS)
def test_a_class_of_nobody(name):
    assert [text for text in rendered(name).values() if not text] == []


SECRET = Step("", (Prose("undisclosed"),))


HIDDEN = Result("ada", "ada.py", (
    Check("linear", "forward", Outcome.RIGHT, 1, 1),
    Check("secret", "covert", Outcome.WRONG, 2, 0, "unspoken", SECRET, ("veiled",), hidden=True),
), 1)  # fmt: skip


@pytest.mark.parametrize("name", ["check50", "prairielearn", "autolab", "html"])
def test_what_is_for_the_teacher_is_not_in_what_a_student_gets(name):
    text = one(name, HIDDEN)
    assert not re.search("covert|unspoken|undisclosed|veiled", text)


def test_gradescope_hides_it_itself():
    test = json.loads(one("gradescope", HIDDEN))["tests"][1]
    assert (test["visibility"], test["max_score"]) == ("hidden", 2)


@pytest.mark.parametrize("name", ["gradescope", "check50", "prairielearn", "autolab", "html"])
def test_the_seed_from_which_hidden_inputs_follow_reaches_no_student(name):
    assert "987654321987" not in one(name, replace(examples.result(), seed=987654321987))


def test_the_notes_for_the_teacher_reach_no_student():
    for name in ("gradescope", "check50", "prairielearn", "autolab", "html"):
        assert "it printed 3 lines" not in one(name, examples.result())
    for name in ("text", "json", "junit"):
        assert "it printed 3 lines" in one(name, examples.result())
