"""Cases from an operator's own sampler that are within an assignment's ranges: of optimisers, whose state and options
belong together, and of operators that have no family of cases here."""

import numpy as np

from opcheck.errors import CouldNotRun, Refused
from opcheck.grading.assignments.scope import Scope
from opcheck.grading.drawing import telling
from opcheck.language import say
from opcheck.operators.choosers import RandomChooser, Values
from opcheck.operators.spec import Case, Op

DRAWS = 20  # samples of which the numbers are drawn, until one is within the ranges
ATTEMPTS = 4000  # samples until one is within the ranges
_hopeless: set[telling.Asked] = set()  # what none of them was within


def sampled(scope: Scope, rng: np.random.Generator, values: Values, aim: str) -> Case:
    """A case that is within the ranges and not empty; raises CouldNotRun if none is found.

    The aim names what is to be given, or not to be its default (with "=" the value), or with a minus not to be given.
    Of the samples that are known to be within the ranges one that grants the most is taken, and its numbers are drawn.
    """
    words = [word for word in aim.split() if word[0] == "-" or any(scope.options(word.partition("=")[0], (0.5, True)))]
    legal = telling.legal(telling.asked(scope))
    granted = [sum(_grants(scope.op, case, word) for word in words) if words else 0 for _, case in legal]
    most = max(granted, default=0)
    best = [number for (number, _), many in zip(legal, granted, strict=True) if many == most]
    for number in rng.permutation(best)[:DRAWS]:
        case = telling.drawn(scope, int(number), (), values)
        if case is not None and scope.holds(case):
            return case
    return _searched(scope, rng, values)


def _searched(scope: Scope, rng: np.random.Generator, values: Values) -> Case:
    """One of many samples more, for narrow ranges."""
    asked = telling.asked(scope)
    chooser = RandomChooser([int(rng.integers(2**63)), 1], lambda rng: values)
    for _ in range(ATTEMPTS if asked not in _hopeless else 0):
        case = scope.narrowed(scope.op.sample(chooser))
        if scope.holds(case) and _is_legal(scope.op, case) and all(a.size and a.ndim for a in case.arrays.values()):
            return case
    _hopeless.add(asked)
    raise CouldNotRun(
        say("no case of {op} is within the ranges of the assignment: {ranges}", op=scope.op.name, ranges=scope.ranges)
    )


def _is_legal(op: Op, case: Case) -> bool:
    try:
        op.checked(case)
    except Refused:
        return False
    return True


def _grants(op: Op, case: Case, word: str) -> bool:
    name, _, value = word.removeprefix("-").partition("=")
    default = next((each.default for each in op.params if each.name == name), None)
    if value:
        return bool(case.params.get(name, default) == float(value))
    return (name in case.arrays or case.params.get(name, default) != default) != word.startswith("-")
