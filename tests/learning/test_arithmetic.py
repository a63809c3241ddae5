"""Calculations as learners write them: worked out exactly, and nothing else is ever run."""

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcheck.errors import Refused
from opcheck.learning.arithmetic import work_out

NUMBERS = st.integers(0, 99).map(str) | st.decimals(0, 9, places=2).map(str)
SIGNS = st.sampled_from([" + ", "-", "*", "·", " − "])
SUMS = st.recursive(
    NUMBERS,
    lambda part: st.tuples(part, SIGNS, part).map(lambda each: f"({''.join(each)})"),
    max_leaves=12,
)  # fmt: skip


@given(text=SUMS)
def test_rational_calculations_are_exact(text):
    source = text.replace("·", "*").replace("−", "-")
    decimals = re.sub(r"\d+(\.\d+)?", lambda number: f"Fraction('{number[0]}')", source)
    assert work_out(text) == eval(decimals, {"Fraction": Fraction})  # what hypothesis made, and no learner


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1*2+3*4", 14), ("1·2 + 3·4", 14), ("2^3", 8), ("2**-1", Fraction(1, 2)), ("−3·(−2)", 6),
        ("1/3 + 1/6", Fraction(1, 2)),
        ("0.1 + 0.2", Fraction(3, 10)), ("max(7, −5, 3)", 7), ("abs(-3)", 3), ("√(9)", 3), ("exp(0)", 1), ("ln(1)", 0),
        ("[1*2, [3, -4]]", [2, [3, -4]]), ("(1, 2+2)", [1, 4]), ("1e-3", Fraction(1, 1000)), ("4^0.5", 2),
    ],
)  # fmt: skip
def test_what_can_be_written(text, value):
    assert work_out(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')", "open(1)", "x", "1 if 2 else 3", "[x for x in 1]", "(1).real", "f'{1}'",
        "'a'*9",
        "lambda: 1", "1 @ 2", "1 // 2", "True + 1", "1j", "exp()", "exp(1, base=2)", "9**9**9**9", "10**(10**9)",
        "(" * 2000,
        "exp(1000)", "sqrt(-1)", "(-8)^(1/3)", "1" * 501, "not 1", "1 < 2", "[1] + [2]", "-[1]", "max([1, 2])",
        "log(0)", "",
        "1+" * 249 + "1" + "+1" * 10,
    ],
)  # fmt: skip
def test_anything_else_is_refused(text):
    with pytest.raises(Refused, match=r"this cannot be worked out. Got .*write numbers, \+"):
        work_out(text)


def test_a_division_by_zero_is_called_one():
    with pytest.raises(Refused, match=r"this divides by zero. Got '1/\(2-2\)'"):
        work_out("1/(2-2)")


@given(text=st.text(alphabet="0123456789.+-*/^()[], eExpln√·×x", max_size=40))
def test_no_text_does_harm(text):
    try:
        work_out(text)
    except Refused as refused:
        assert refused.got
