"""An assignment is graded itself: in every convention the right solution gets full marks, and mistakes lose theirs and
are named. What a convention cannot say, no case can ask."""

import pytest

from opcheck import catalog
from opcheck.errors import Refused
from opcheck.grading import check as grading_check
from opcheck.grading import conventions
from opcheck.grading.assignment import parse
from opcheck.grading.check import check, repeat

# What the ranges of `opcheck grade --init` leave out, or a convention has no word for, by the mistakes' names.
PARAMETERS = (
    "dilation",
    "group",
    "padding_mode",
    "reflection",
    "same_padding",
    "swapped",
    "window_of_padding",
    "divisor",
    "counted",
    "weight",
    "smoothing",
    "probabilities",
    "decay",
    "second_moment",
    "centering",
    "nesterov",
    "padding_ignored",
    "padded_with_zeros",
    "every_pair",
    "clipped",
    "moment",
    "velocity",
    "dampened",
)
UNTOLD = {  # by (convention, operator): mistakes that look right in this convention's layout, or have no place in it
    ("cmu", "linear"): {"bias_gradient_kept_as_a_row"},
    ("cmu2022", "linear"): {"bias_gradient_kept_as_a_row"},
    ("coursera", "linear"): {"bias_gradient_kept_as_a_row"},
    # torch sums a broadcast gradient itself, so these come out right
    ("module", "linear"): {"bias_gradient_not_summed", "bias_gradient_kept_as_a_row"},
    ("cmu2022", "sigmoid"): {"upstream_gradient_missing"},
    ("cmu2022", "tanh"): {"upstream_gradient_missing"},
    ("coursera", "max_pool2d"): {"gradient_to_every_tie", "gradient_to_the_last_tie"},
    ("cs231n", "sgd"): {"state_forgotten", "velocity_as_average", "learning_rate_inside_velocity", "old_velocity_used"},
}
UNNAMED = {  # caught by their shape, which says what is wrong; no layout of the convention leads back to torch's
    ("cmu", "linear"): {"bias_gradient_not_summed"},
    ("cmu2022", "linear"): {"bias_gradient_not_summed"},
    ("coursera", "linear"): {"bias_gradient_not_summed"},
    # torch's autograd refuses a gradient of another shape before opcheck sees it, and says so
    ("module", "linear"): {"weight_gradient_transposed"},
    ("module", "conv1d"): {"padding_kept_in_input_gradient", "input_gradient_cropped_to_nothing"},
    ("module", "conv2d"): {"padding_kept_in_input_gradient", "input_gradient_cropped_to_nothing"},
}
ALL = [(name, op) for name in conventions.NAMES for op in sorted(conventions.get(name).entries)]
FAST = [
    ("cs231n", "linear"),
    ("functional", "relu"),
    ("cmu", "cross_entropy"),
    ("coursera", "linear"),
    ("layer", "linear"),
]


def asked(convention, op, parameters=""):
    return parse(f'convention = "{convention}"\nforbidden = []\n[[question]]\noperator = "{op}"\n{parameters}')


def verdicts(convention, op, parameters="", seed=0):
    right, *mistakes = check(asked(convention, op, parameters), seed)
    assert right.mistake is None
    assert not right.caught, [(c.part, c.message) for c in right.checks if c.score != c.points]
    return mistakes


def grades_every_mistake(convention, op):
    for each in verdicts(convention, op):
        name = each.mistake.name
        if name in UNTOLD.get((convention, op), ()):
            continue
        if not each.caught:
            assert any(word in name for word in PARAMETERS), f"{convention} {op} does not catch {name}"
        elif name not in UNNAMED.get((convention, op), ()):
            assert each.named, (name, [(c.part, c.message, c.mistakes) for c in each.checks if c.score != c.points])


@pytest.mark.parametrize(("convention", "op"), FAST)
def test_mistakes_lose_marks_and_are_named(convention, op):
    grades_every_mistake(convention, op)


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize(("convention", "op"), [each for each in ALL if each not in FAST])
def test_mistakes_lose_marks_and_are_named_everywhere(convention, op):
    grades_every_mistake(convention, op)


WIDE = {
    "conv2d": "stride = [1, 2, [1, 2], [2, 1]]\npadding = [0, 1, [0, 1], [2, 1]]\n"
    "dilation = [1, 2, [1, 2]]\ngroups = [1, 2]",
    "max_pool2d": "dilation = [1, 2]\nceil_mode = [false, true]",
    "avg_pool2d": "ceil_mode = [false, true]\ncount_include_pad = [true, false]\ndivisor_override = [3]",
    "cross_entropy": "weight = [true, false]\nlabel_smoothing = [0.0, 0.25]\nignore_index = [-100, 1]",
    "nll_loss": "weight = [true, false]\nignore_index = [-100, 1]",
}
MISSED = {  # what these ranges still leave out
    "conv2d": {"same_padding_odd_place_before", "padding_mode_ignored", "reflection_repeats_the_edge"},
    "avg_pool2d": {
        "divisor_is_always_the_kernel",
        "padding_always_counted",
        "padding_never_counted",
        "padding_ignored",
    },
    "cross_entropy": {"probabilities_taken_for_classes"},
}


@pytest.mark.slow
@pytest.mark.parametrize("op", sorted(WIDE))
def test_wider_ranges_catch_what_they_teach(op):
    missed = {
        each.mistake.name
        for each in verdicts("functional", op, f"[question.parameters]\n{WIDE[op]}")
        if not each.caught
    }
    assert missed <= MISSED.get(op, set())


def test_an_assignment_that_asks_less_catches_less():
    missed = {
        each.mistake.name for each in verdicts("functional", "linear", "points = { forward = 1 }") if not each.caught
    }
    assert missed == {each.name for each in catalog.get("linear").mistakes if each.vjp is not None}


@pytest.mark.parametrize("op", ["linear", "conv2d", "max_pool2d", "cross_entropy"])
def test_a_right_solution_is_right_whatever_the_seed(op):
    assert [each.wrong for each in repeat(asked("cs231n", op), seeds=10)] == [()]


def test_a_solution_that_some_seeds_mark_wrong_is_told_with_them(monkeypatch):
    real = grading_check.one
    wrong = catalog.get("relu").mistakes[0]
    monkeypatch.setattr(grading_check, "SEEDS", 4)
    monkeypatch.setattr(grading_check, "one", lambda *a: real(*a[:3], wrong if a[4] in (8, 9, 12) else None, a[4]))
    found = list(repeat(asked("cs231n", "relu"), seeds=9, first=5))
    assert [each.seeds for each in found] == [range(5, 9), range(9, 13), range(13, 14)]
    assert [[seed for seed, _ in each.wrong] for each in found] == [[8], [9, 12], []]


def test_seeds_are_divided_among_processes(monkeypatch):
    monkeypatch.setattr(grading_check, "SEEDS", 3)
    (alone, divided) = (list(repeat(asked("functional", "relu"), seeds=6, jobs=jobs)) for jobs in (1, 2))
    assert alone == divided and [each.seeds for each in alone] == [range(3), range(3, 6)]


def test_a_mistake_loses_the_same_marks_by_any_seed():
    scores = {each.mistake.name: each.score for each in verdicts("cs231n", "linear", seed=0)}
    for seed in range(1, 6):
        assert {each.mistake.name: each.score for each in verdicts("cs231n", "linear", seed=seed)} == scores


def test_a_convention_without_solutions_is_refused(tmp_path):
    (tmp_path / "ours.py").write_text(
        "from opcheck.grading.conventions import *\nfrom opcheck.grading.conventions import Convention, Entry\n"
        "CONVENTION = Convention('ours', '', {'relu': Entry(('relu',))}, None, None)\n"
    )
    (tmp_path / "hw.toml").write_text('convention = "ours.py"\n[[question]]\noperator = "relu"\n')
    from opcheck.grading.assignment import read

    with pytest.raises(Refused, match="no solutions to check relu by in the convention ours"):
        list(check(read(tmp_path / "hw.toml")))
