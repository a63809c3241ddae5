"""What a grader must withstand: each cheat and each fault earns nothing, and the next submission is graded as ever."""

import pytest

from opcheck.grading.results import Outcome
from tests.grading import cheats
from tests.grading.judging.test_judge import LINEAR, RELU
from tests.grading.students import assignment, graded

CHEATS = {name.lower(): code for name, code in vars(cheats).items() if name.isupper()}
LIMITS = {"seconds = 10": "seconds = 1", "total_seconds = 60": "total_seconds = 4", "memory = 2048": "memory = 1024"}


@pytest.mark.parametrize("name", sorted(CHEATS))
def test_a_cheat_or_a_fault_earns_nothing_and_the_rest_is_graded(name):
    asked = assignment("linear", "relu", changes=LIMITS)
    result = graded(CHEATS[name], asked, seed=None)
    earned = {check.part: check.score for check in result.checks if check.question == "linear" and check.score}
    # what these return has the right shape and type, and that alone is what they are paid for
    allowed = {"shapes"} if name in ("array_function", "nan", "patches", "frames", "mutates") else set()
    assert set(earned) <= allowed, earned
    assert result.points == 18
    again = graded(LINEAR + RELU, asked, seed=None)  # the next submission
    assert again.score == again.points


@pytest.mark.parametrize("name", ["hard_exit", "segfault", "endless", "memory", "recurses", "exit_in_call"])
def test_a_fault_in_one_question_leaves_the_others_their_marks(name):
    result = graded(CHEATS[name] + RELU, assignment("linear", "relu", changes=LIMITS), seed=None)
    assert sum(check.score for check in result.checks if check.question == "relu") == 9
    assert {check.outcome for check in result.checks if check.question == "linear"} <= {
        Outcome.CRASHED,
        Outcome.CRASHED_ALWAYS,
        Outcome.TOO_SLOW,
        Outcome.NOT_ATTEMPTED,
    }


def test_a_crash_half_way_through_keeps_what_was_right_before_it():
    code = RELU + "\nimport os\ndef linear(*a): os.kill(os.getpid(), 11)"
    result = graded(code, assignment("relu", "linear", changes=LIMITS), seed=None)
    assert [check.score for check in result.checks if check.question == "relu"] == [4, 4, 1]


def test_what_is_printed_reaches_no_student_and_is_cut():
    result = graded("print('x' * 10 ** 7)\n" + LINEAR, assignment("linear"))
    assert result.score == result.points
    assert len(result.notes[0]) < 500
