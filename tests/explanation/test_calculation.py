"""The places of an output that nobody could list."""

import numpy as np
import pytest

from opcheck.errors import Refused
from opcheck.explanation.calculation import Pages, Places
from opcheck.explanation.document import explain


def test_places_of_a_large_output_are_not_made():
    places = Places((10**5, 10**5))
    assert len(places) == 10**10
    assert (places[1], places[-1], places[:2]) == ((0, 1), (99_999, 99_999), [(0, 0), (0, 1)])
    assert places.index((2, 3)) == 200_003


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0), (2, 3)])
def test_places_are_those_of_numpy_in_its_order(shape):
    places, expected = Places(shape), list(np.ndindex(*shape))
    assert (list(places), places[:], bool(places)) == (expected, expected, bool(expected))
    assert [places.index(at) for at in expected] == list(range(len(expected)))
    assert list(reversed(places)) == expected[::-1]


def test_a_calculation_that_nobody_could_read_is_refused_before_it_is_recorded(monkeypatch):
    recorded = []
    monkeypatch.setattr(Pages, "_append", lambda self, node: recorded.append(node) or super(Pages, self)._append(node))
    with pytest.raises(Refused, match="more than 1000000 lines"):
        explain("matmul", np.ones((110, 100)), np.ones((100, 110)), all=True)
    assert len(recorded) < 5000
