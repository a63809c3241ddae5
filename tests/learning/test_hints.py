"""What a solution of a problem says: not the answer alone, but where it comes from."""

import re

import numpy as np
import pytest

from opcheck.learning import hints, problems
from opcheck.learning.problems import Kind
from opcheck.operators import catalog
from opcheck.steps import Formula, Prose

SHAPED = [op for op in catalog.own() if Kind.SHAPE in problems.kinds(op)]


@pytest.mark.parametrize("op", SHAPED, ids=lambda op: op.name)
@pytest.mark.parametrize("seed", range(8))
def test_a_shape_has_its_reason_beside_it(op, seed):
    problem = problems.drawn(op, Kind.SHAPE, 1 + seed % 3, np.random.default_rng(seed))
    *reasons, answer = hints.hints(problem)[-1]
    assert reasons and answer.text.startswith("The shape of ")
    if any(isinstance(each, Formula) for each in reasons):
        return
    sizes: dict[str, set[str]] = {}
    for reason in reasons[:-1]:
        assert isinstance(reason, Prose)
        letters, numbers = re.fullmatch(r".+ has the shape (.+), here (.+)\.", reason.text).groups()
        names, found = letters.split("×"), numbers.split("×")
        assert len(names) == len(found) or names[0] == "..."
        for name, number in zip(reversed(names), reversed(found), strict=False):
            sizes.setdefault(name, set()).add(number)
    assert all(len(each) == 1 for name, each in sizes.items() if name != "...")
    letters = reasons[-1].text.partition("the shape ")[2].rstrip(".").split("×")
    wanted = answer.text.rpartition(" ")[2].rstrip(".").split("×")
    for name, number in zip(reversed(letters), reversed(wanted), strict=False):
        assert name == "..." or sizes.get(name, {number}) == {number}
