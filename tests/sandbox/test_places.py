from types import SimpleNamespace

import numpy as np
import pytest

from opcheck.sandbox.inside.places import Absent, assign, find


@pytest.fixture
def kept():
    layer = SimpleNamespace(W={"grad": 5}, items=[1, [2, 3]])
    return {"layer": layer, "out": (7, {"a": 8}), "sum": "kept before builtin", "row": np.ones(3), "one": np.float32(1)}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("out[0]", 7),
        ("out[-1]['a']", 8),
        ('out[1]["a"]', 8),
        ("layer.W['grad']", 5),
        ("layer.items[1][0]", 2),
        ("sum", "kept before builtin"),
        ("max", max),
        ("math.tau", __import__("math").tau),
    ],
)
def test_a_place_is_read_as_python_would(kept, text, value):
    assert find(text, kept) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layer.b", "there is no layer.b: SimpleNamespace has no .b"),
        ("out[2]", r"there is no out\[2\]: tuple has no \[2\]"),
        ("out[0][0]", r"there is no out\[0\]\[0\]: int has no \[0\]"),
        ("layer.W['x']", r"there is no layer.W\['x'\]: dict has no \['x'\]"),
        ("row[0]", r"there is no row\[0\]: ndarray has no \[0\]"),
        ("one[1]", r"there is no one\[1\]: float32 has no \[1\]"),
        ("nowhere", "there is no nowhere"),
        ("1x", "'1x' is not a place"),
        ("out[0", "is not a place"),
        ("out + 1", "is not a place"),
        ("out()", "is not a place"),
        ("", "'' is not a place"),
    ],
)
def test_a_place_that_leads_nowhere_is_absent(kept, text, message):
    with pytest.raises(Absent, match=message):
        find(text, kept)


def test_attributes_items_and_names_can_be_set(kept):
    assign("layer.b", 1, kept)
    assign("layer.W['grad']", 2, kept)
    assign("layer.items[1][0]", 3, kept)
    assign("x", 4, kept)
    assert (kept["layer"].b, kept["layer"].W, kept["layer"].items, kept["x"]) == (1, {"grad": 2}, [1, [3, 3]], 4)
