"""Shapes as letters: what they match, what they solve, what they refuse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcheck.errors import Refused
from opcheck.operators.shapes import Letters, Sizes, letters_in


def matched(declared: dict[str, str], shapes: dict[str, tuple[int, ...]]) -> Sizes:
    return Sizes.match({name: Letters.parse(text) for name, text in declared.items()}, shapes)


@pytest.mark.parametrize(
    ("declared", "shapes", "sizes"),
    [
        ({"x": "N In", "w": "Out In"}, {"x": (2, 3), "w": (4, 3)}, {"N": 2, "In": 3, "Out": 4}),
        ({"w": "4*H In"}, {"w": (12, 3)}, {"H": 3, "In": 3}),
        ({"w": "4*H In", "h": "H"}, {"w": (12, 3), "h": (3,)}, {"H": 3, "In": 3}),
        ({"w": "Out Cin/groups 3"}, {"w": (4, 2, 3)}, {"Out": 4, "Cin": 2}),
        ({"y": "H-2 W+1"}, {"y": (3, 3)}, {"H": 5, "W": 2}),
        ({"x": "... D", "w": "D"}, {"x": (2, 5, 3), "w": (3,)}, {"D": 3}),
        ({"x": "*"}, {"x": ()}, {}),
    ],
)
def test_sizes_are_found(declared, shapes, sizes):
    if "Cin/groups" in declared.get("w", ""):
        sizes = {**sizes, "groups": 1}
        declared = {**declared, "g": "groups"}
        shapes = {**shapes, "g": (1,)}
    assert matched(declared, shapes).of == sizes


@given(st.integers(1, 9), st.integers(1, 9), st.lists(st.integers(0, 3), max_size=3))
def test_shape_is_the_inverse_of_match(n, h, leading):
    declared = {"x": "... N", "w": "4*H N+1", "b": "H"}
    letters = {name: Letters.parse(text) for name, text in declared.items()}
    sizes = Sizes({"N": n, "H": h}, tuple(leading))
    found = Sizes.match(letters, {name: sizes.shape(each) for name, each in letters.items()})
    assert (found.of, found.leading) == (sizes.of, sizes.leading)


@pytest.mark.parametrize(
    ("declared", "shapes", "message"),
    [
        ({"x": "N In"}, {"x": (2,)}, r'x has the shape "N In"\. Got x \(2,\)'),
        ({"x": "N In", "w": "Out In"}, {"x": (2, 3), "w": (4, 5)}, r"Got w \(4, 5\) with In = 3"),
        ({"w": "4*H"}, {"w": (6,)}, r'w has the shape "4\*H"'),
        ({"x": "3"}, {"x": (4,)}, r'x has the shape "3"\. Got x \(4,\)'),
        ({"x": "... D", "y": "... D"}, {"x": (2, 3), "y": (4, 3)}, r'y has the shape "\.\.\. D"'),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(declared, shapes, message):
    with pytest.raises(Refused, match=message):
        matched(declared, shapes)


@pytest.mark.parametrize("text", ["N[0]", "f(x)", "N In)", "-N", "1.5", "N**2", "a.b", "'x'"])
def test_what_is_no_shape_is_refused(text):
    with pytest.raises(Refused, match="a shape is letters and numbers separated by spaces"):
        Letters.parse(text)


def test_classes_are_below_a_letter():
    letters = [Letters.parse("N C"), Letters.parse("N < C"), Letters.parse("M < K")]
    assert [each.below for each in letters] == ["", "C", "K"]
    assert letters_in(letters) == ["N", "C", "M", "K"]
