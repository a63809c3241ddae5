"""What a learner types, and how it compares with what was computed."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcheck.errors import Refused
from opcheck.learning.answers import Match, Number, compare, expected, places, read, shape
from opcheck.learning.tutor import shown

WHOLE = st.integers(-(10**6), 10**6)
SHAPES = st.lists(st.integers(1, 3), max_size=3).map(tuple)


@st.composite
def arrays(draw):
    size = draw(SHAPES)
    numbers = draw(st.lists(WHOLE, min_size=int(np.prod(size)), max_size=int(np.prod(size))))
    return np.array(numbers, dtype=float).reshape(size) / draw(st.sampled_from([1, 2, 8]))


@given(arrays())
def test_what_opcheck_shows_is_right_when_it_is_typed_in(array):
    assert compare(read(shown(array, None)), expected(array)) is Match.RIGHT


@given(arrays(), st.integers(0, 4))
def test_rounded_to_the_decimals_that_are_asked_for_is_right(array, decimals):
    assert compare(read(shown(array / 3, decimals)), expected(array / 3), decimals) is Match.RIGHT


@given(st.floats(-100, 100), st.integers(1, 6), st.sampled_from([-1, 1]))
def test_one_unit_of_the_last_decimal_off_is_never_right(number, decimals, sign):
    """A rounding slip is told as one; it does not pass."""
    truth = expected(number)
    off = round(truth.value, decimals) + Fraction(sign, 10**decimals)
    if abs(off - truth.value) > Fraction(1, 2 * 10**decimals):
        text = f"{float(off):.{decimals}f}"
        assert compare(read(text), truth, decimals) in (Match.ROUNDED, Match.WRONG)


@given(arrays(), st.data())
def test_one_wrong_number_is_seen_and_counted(array, data):
    wrong = array.copy().reshape(-1)
    wrong[data.draw(st.integers(0, wrong.size - 1))] += 1
    answer = read(shown(wrong.reshape(array.shape), None))
    assert compare(answer, expected(array)) is Match.WRONG
    assert places(answer, expected(array), None) == ((array.size - 1, array.size) if array.ndim else (0, 0))


@given(arrays())
def test_the_same_numbers_in_another_shape_are_told_so(array):
    flat = read(shown(array.reshape(-1), None))
    match = compare(flat, expected(array))
    assert match is (Match.RIGHT if array.ndim == 1 or array.size == 1 else Match.SHAPED)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7), ("-0.25", -0.25), ("−0.25", -0.25), ("+3", 3), (".5", 0.5), ("3.", 3), ("1e-3", 0.001),
        ("2.5E2", 250.0), ("1/3", Fraction(1, 3)), ("-4/6", Fraction(-2, 3)), (" 12 ", 12), ("nan", float("nan")),
        ("-inf", -np.inf), ("∞", np.inf), ("[1, 2]", [1, 2]), ("[1 2]", [1, 2]), ("(1, 2)", (1, 2)), ("1, 2", [1, 2]),
        ("1 2 3", [1, 2, 3]), ("[[1,2],[3,4]]", [[1, 2], [3, 4]]), ("[1 2] [3 4]", [[1, 2], [3, 4]]),
        ("[1/2, 0.5]", [0.5, Fraction(1, 2)]), ("2x3", (2, 3)), ("2×3×4", (2, 3, 4)), ("(3,)", (3,)), ("[]", []),
        ("Reverse", "reverse"), ("the  output.", "the output"), ("yes", True), ("No", False), ("TRUE", True),
        ("f", False), ("n", False), ("3;", 3), ("a number", ()), ("Scalar", ()), ("()", ()),
    ],
)  # fmt: skip
def test_forms_of_an_answer(text, value):
    wanted = expected(value)
    right = compare(read(text), wanted)
    assert right is (Match.RIGHT if text != "f" else Match.WRONG)  # "f" is a word, and no truth value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "an answer is a number, a fraction such as 1/3, a list such as [1, 2] or a word. Got ''"),
        ("  ", "an answer is a number, a fraction such as 1/3, a list such as [1, 2] or a word. Got ''"),
        ("[1, 2", "the brackets do not match. Got '[1, 2'"),
        ("1, 2]", "the brackets do not match. Got '1, 2]'"),
        ("[1, 2)", "the brackets do not match. Got '[1, 2)'"),
        ("[1, two]", "this is not a number. Got 'two'. write 0.25, 1/4 or 2.5e-1"),
        ("[1/0]", "this divides by zero. Got '[1/0]'"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_write(text, message):
    with pytest.raises(Refused) as refused:
        read(text)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("text", "value", "decimals", "match"),
    [
        ("0.73", 0.731058, 4, Match.ROUNDED),  # too few digits
        ("0.7310", 0.731058, 4, Match.ROUNDED),  # cut off
        ("0.7313", 0.731058, 4, Match.WRONG),
        ("0.731058", 0.731058, 4, Match.RIGHT),  # more digits than were asked for
        ("0.7311", 0.731058, 4, Match.RIGHT),
        ("0.8", 0.731058, 4, Match.WRONG),
        ("1", 0.731058, 4, Match.WRONG),  # a whole number is no rounding of it
        ("0.33", Fraction(1, 3), None, Match.ROUNDED),
        ("1/3", Fraction(1, 3), None, Match.RIGHT),
        ("0.0", 0.00001, None, Match.WRONG),
        ("47.25", 47.2512, None, Match.ROUNDED),
        ("0.1", 0.1, None, Match.RIGHT),  # a float stands for the decimal that it prints as
        ("nan", 1.0, None, Match.WRONG),
        ("inf", -np.inf, None, Match.WRONG),
        ("two", 2, None, Match.WRONG),
        ("2", "two", None, Match.WRONG),
        ("[1, 2]", [1, 2, 3], None, Match.WRONG),
    ],
)
def test_how_answers_compare(text, value, decimals, match):
    assert compare(read(text), expected(value), decimals) is match


def test_the_shape_of_ragged_rows_is_none():
    assert shape(read("[[1, 2], [3]]")) is None
    assert shape(read("[[1], 2]")) is None
    assert shape(read("[]")) == (0,)
    assert shape(Number(Fraction(1))) == ()


def test_a_value_that_nobody_could_type_in_is_an_error_of_the_lesson():
    with pytest.raises(TypeError, match="an answer is a number, an array, a word or a truth value, not dict"):
        expected({})
