"""An assignment is graded itself: the right solution by many seeds, and what cannot be checked."""

import pytest

from opcheck.errors import Refused
from opcheck.grading.assignments import check as grading_check
from opcheck.grading.assignments.assignment import parse
from opcheck.grading.assignments.check import check, repeat
from opcheck.operators import catalog


def asked(convention, op):
    return parse(f'convention = "{convention}"\nforbidden = []\n[[question]]\noperator = "{op}"\n')


@pytest.mark.parametrize("op", ["linear", "conv2d", "max_pool2d", "cross_entropy"])
def test_a_right_solution_is_right_whatever_the_seed(op):
    assert [each.wrong for each in repeat(asked("cs231n", op), seeds=10)] == [()]


def test_a_solution_that_some_seeds_mark_wrong_is_told_with_them(monkeypatch):
    real = grading_check.one
    wrong = next(each for each in catalog.get("relu").mistakes if not each.is_subgradient)
    monkeypatch.setattr(grading_check, "SEEDS", 4)
    monkeypatch.setattr(grading_check, "one", lambda *a: real(*a[:3], wrong if a[4] in (8, 9, 12) else None, a[4]))
    found = list(repeat(asked("cs231n", "relu"), seeds=9, first=5))
    assert [each.seeds for each in found] == [range(5, 9), range(9, 13), range(13, 14)]
    assert [[seed for seed, _ in each.wrong] for each in found] == [[8], [9, 12], []]


def test_seeds_are_divided_among_processes(monkeypatch):
    monkeypatch.setattr(grading_check, "SEEDS", 3)
    (alone, divided) = (list(repeat(asked("functional", "relu"), seeds=6, jobs=jobs)) for jobs in (1, 2))
    assert alone == divided and [each.seeds for each in alone] == [range(3), range(3, 6)]


def test_a_convention_without_solutions_is_refused(tmp_path):
    (tmp_path / "ours.py").write_text(
        "from opcheck.grading.conventions import *\nfrom opcheck.grading.conventions import Convention, Entry\n"
        "CONVENTION = Convention('ours', '', {'relu': Entry(('relu',))}, None, None)\n"
    )
    (tmp_path / "hw.toml").write_text('convention = "ours.py"\n[[question]]\noperator = "relu"\n')
    from opcheck.grading.assignments.assignment import read

    with pytest.raises(Refused, match="the convention ours has no solutions to check relu with"):
        list(check(read(tmp_path / "hw.toml")))
