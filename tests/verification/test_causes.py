"""Failures by cause: one bug does not hide another, and what its failing cases share is said where it is so."""

import numpy as np

from opcheck import verify
from opcheck.app import failures, page, reports
from opcheck.verification.causes import shared


def tail_dropped(input, weight, bias=None):
    """The last K % 32 terms are lost where there is a whole block before them."""
    size = weight.shape[-1]
    used = size - size % 32 if size > 32 else size
    y = input[..., :used] @ weight[..., :used].T
    return y if bias is None else y + bias


def flat_and_nan_blind(input):
    """Another shape for two dimensions, and NaN taken for 0."""
    return input[0] if input.ndim == 2 and len(input) else np.maximum(np.nan_to_num(input, posinf=np.inf), 0)


def causes_of(op, candidate, claims):
    report = verify(op, candidate, arrays="numpy", seed=1, claims=claims)
    return report, report.causes()[op, "float32"]


def test_a_lost_tail_is_told_by_its_sizes_in_every_report():
    report, (cause, *others) = causes_of("linear", tail_dropped, ["exact", "rounding"])
    assert all(each.failing == 1 for each in others)  # a tail of tiny numbers is lost as TF32 would lose it
    assert cause.condition == "In > 32 and In % 32 != 0" and cause.hidden <= cause.failing // 8
    assert {claim for claim, _ in cause.members} == {"exact", "rounding"}
    said = cause.sentence()
    assert said.startswith("only where In > 32 and In % 32 != 0: all ")
    assert said in page.html(report, "kernels.py:linear", "", {}).replace("&gt;", ">")
    assert cause.condition in " ".join(reports.junit(report, 0.0).replace("&gt;", ">").split())
    assert cause.condition in [each["condition"] for each in report.to_json()["causes"]]
    group = next(each for part in failures.by_cause(report) for each in part if each.shared)
    shown = failures.opened(report.failures[group.places[0]], "", None, 80, group.shared)
    assert cause.condition in " ".join(shown.split())


def test_many_equal_failures_hide_no_other_cause():
    report, causes = causes_of("relu", flat_and_nan_blind, ["exact", "special"])
    assert report.rows["relu", "float32", "shape"].failed > 8
    assert causes[0].condition == "input has 2 dimensions"
    assert ("special", "DIFFERS number for NaN") in [member for each in causes for member in each.members]
    assert len(failures.by_cause(report)[0]) >= 2


def sizes(*numbers):
    return [{"size K": n, "param stride": n % 3, "layout": "contiguous"} for n in numbers]


def test_nothing_is_said_where_nothing_simple_tells_them_apart():
    assert shared(sizes(5, 7, 11, 13), sizes(*(n for n in range(1, 40) if n not in (5, 7, 11, 13)))) == ("", 0)
    assert shared(sizes(5), sizes(6)) == ("", 0)
    assert shared(sizes(5), []) == ("", 0)


def test_special_numbers_and_parameters_are_conditions():
    agreeing = [{"param stride": 1, "param padding": n % 3} for n in range(60)]
    agreeing += [{"param stride": 2, "param padding": 0} for _ in range(9)]
    failing = [{"param stride": 2 + n % 2, "param padding": 1 + n % 2} for n in range(9)]
    assert shared(failing, agreeing)[0] == "stride > 1 and padding > 0"
    subnormal = [{"special subnormal numbers": True, "size K": n} for n in range(4)]
    assert shared(subnormal, sizes(*range(60)))[0] == "the input has subnormal numbers"
