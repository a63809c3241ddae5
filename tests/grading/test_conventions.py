"""Right solutions get full marks in each convention, from the real sandbox; layouts are inverses."""

import numpy as np
import pytest

from opcheck.grading import conventions
from opcheck.grading.assignments.check import check
from opcheck.grading.conventions import layouts
from tests.grading.students import assignment, complaints, solution

RIGHT = {
    "cs231n": ["linear", "relu", "conv2d", "max_pool2d", "cross_entropy", "sgd", "rmsprop", "adam"],
    "functional": ["linear", "conv2d", "relu", "softmax", "mse_loss", "cross_entropy"],
    "cmu": ["linear", "conv2d", "max_pool2d", "relu", "mse_loss", "cross_entropy", "sgd", "adam", "adamw"],
    "cmu2022": ["linear", "tanh", "mse_loss", "cross_entropy"],
    "coursera": ["linear", "relu", "conv2d", "max_pool2d"],
    "layer": ["linear", "relu", "cross_entropy"],
    "module": ["linear", "relu"],
}


@pytest.mark.parametrize("name", [n if n != "module" else pytest.param(n, marks=pytest.mark.torch) for n in RIGHT])
def test_a_right_solution_gets_full_marks(name):
    asked = assignment(*RIGHT[name], convention=name, changes={"memory = 2048": "memory = 8192"})
    for seed in (1, None):
        assert complaints(solution(name), asked, seed) == []


LATER = ["layer_norm", "batch_norm", "group_norm", "embedding", "lstm_cell", "dropout"]


@pytest.mark.share(3)
@pytest.mark.parametrize("op", LATER)
def test_the_later_assignments_of_cs231n(op):
    right, *mistakes = check(assignment(op, convention="cs231n"), seed=1)
    assert not right.caught, [(each.part, each.message) for each in right.checks]
    assert any(each.caught and each.named for each in mistakes)


def test_coursera_pools_average_too():
    asked = assignment("avg_pool2d", convention="coursera")
    assert complaints(solution("coursera"), asked) == []


def test_a_second_entry_of_an_operator_is_chosen_by_its_name():
    asked = assignment("sgd", convention="cs231n", changes={'entry = "sgd"': 'entry = "sgd_momentum"'})
    assert complaints(solution("cs231n"), asked) == []
    wrong = solution("cs231n").replace('- config["learning_rate"] * dw\n    return w + v', "- dw\n    return w + v")
    assert complaints(wrong, asked) != []


@pytest.mark.parametrize(
    "name",
    ["SAME", "TRANSPOSED", "CHANNELS_LAST", "KERNEL_LAST", "COLUMN", "ROW", "FOUR", "FLATTENED", "COLUMN_OF_COLUMNS"],
)
def test_layouts_are_inverses(name):
    layout = getattr(layouts, name)
    dims = {"TRANSPOSED": 2, "FLATTENED": 2, "CHANNELS_LAST": 4, "KERNEL_LAST": 4}.get(name, 1)
    for shape in [(2, 3, 4, 5)[:dims], (3, 4, 1, 2)[:dims]]:
        a = np.arange(np.prod(shape)).reshape(shape)
        given = layout.give(a)
        assert np.array_equal(layout.take(given), a)
        assert np.array_equal(layouts.scaled(0.5, layout).take(layouts.scaled(0.5, layout).give(a)), a)


def test_taking_never_hides_a_wrong_shape():
    assert layouts.COLUMN.take(np.ones((3, 2))).shape == (3, 2)
    assert layouts.ROW.take(np.ones((2, 3))).shape == (2, 3)
    assert layouts.FOUR.take(np.ones((1, 2, 1, 3))).shape == (1, 2, 1, 3)


def test_every_convention_is_listed_and_says_what_it_is():
    for name in conventions.NAMES:
        found = conventions.get(name)
        assert found.name == name and found.summary and found.entries
