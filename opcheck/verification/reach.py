"""Trials that an implementation can take: what it has no counterpart of is left out, and counted.

Leaving an argument out may leave no legal call (a grouped convolution without `groups`), and some of what a backend
lacks is no argument (an image without a batch). Then one decision of the sampler is taken back to its simplest option,
so that a candidate of few parameters still gets a case at every address.
"""

from collections.abc import Iterator
from itertools import islice

import numpy as np

from opcheck.backends.base import Backend, given
from opcheck.language import say
from opcheck.operators.spec import Case, Op, Refused
from opcheck.verification.casefile import Trial
from opcheck.verification.directed import directed
from opcheck.verification.report import Report
from opcheck.verification.streams import noted_trial, with_directions


def within_reach(op: Op, made: Trial, backend: Backend, report: Report) -> Trial | None:
    """The trial, without what the implementation does not take; None if no call is left. Each lack is counted once."""
    missing: set[str] = set()
    made = by_default(op, made, backend, report)
    found = without(op, made, backend, missing)
    for other in simpler(op, made) if found is None else ():
        more: set[str] = set()
        found = without(op, other, backend, more)
        if found is not None:
            missing |= more
            break
    report.left_out.update((op.name, name) for name in missing)
    return found


def by_default(op: Op, made: Trial, backend: Backend, report: Report | None = None) -> Trial:
    """The trial as the implementation understands it: what the call leaves to its own default is that default."""
    own = {name: value for name, value in backend.defaults(op).items() if name not in given(op, made.case.params)}
    if not own:
        return made
    case = Case(op.name, made.case.arrays, {**made.case.params, **own})
    try:
        changed = with_directions(op, made.replace(case=case), np.random.default_rng(made.seeds))
    except Refused:
        return made
    if report is not None:
        report.left_out.update((op.name, say("torch's default of {name}", name=name)) for name in own)
    return changed


def without(op: Op, made: Trial, backend: Backend, missing: set[str]) -> Trial | None:
    """The trial without the arguments that the implementation lacks; None where what is left is no call."""
    made = by_default(op, made, backend)
    while lacking := backend.lacks(op, made.case):
        missing.add(lacking)
        if lacking not in made.case.arrays and lacking not in made.case.params:
            return None
        case = Case(
            op.name,
            {name: array for name, array in made.case.arrays.items() if name != lacking},
            {name: value for name, value in made.case.params.items() if name != lacking},
        )
        try:
            made = with_directions(op, made.replace(case=case), np.random.default_rng(made.seeds))
        except (Refused, KeyError):
            return None
        made = by_default(op, made, backend)
    return made


def simpler(op: Op, made: Trial) -> Iterator[Trial]:
    """The trial of the same address with one decision of the sampler taken back to its first option; of a directed one,
    with others."""
    if len(made.address) != 4:  # of an enumeration, which has the simpler trial anyway
        return
    _, dtype, seed, index = made.address
    if index < 0:
        yield from islice(directed(op, dtype, seed, index), 1, None)
        return
    _, taken = noted_trial(op, dtype, seed, index)
    for k, decision in enumerate(taken):
        if decision:
            yield noted_trial(op, dtype, seed, index, [*taken[:k], 0, *taken[k + 1 :]])[0]
