"""What `opcheck trace` fills in of a spec: the arrays that were not given."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from opcheck import specs
from opcheck.explanation.document import prepare
from opcheck.operators.spec import Op, Params


def completed(
    place: str, function: Callable[..., Any], given: dict[str, Any]
) -> tuple[Callable[..., Any], dict[str, Any]]:
    """A spec as a function to trace, and its real arrays: those that were given, and 1, 2, 3, ... for the others.
    Whole numbers (classes) are no inputs of a trace, and stay whole."""
    op = specs.get(place)
    params = {each.name: given[each.name] for each in op.params if each.name in given}
    unknown = [name for name in given if name not in {each.name for each in op.arguments}]
    arrays = {name: value for name, value in given.items() if name not in params and name not in unknown}
    for each in op.inputs:
        if each.whole and each.name in arrays:
            arrays[each.name] = np.asarray(arrays[each.name]).astype(np.int64)
    case = prepare(op, {**arrays, **params}, {}, None).case
    whole = {name: array for name, array in case.arrays.items() if array.dtype.kind != "f"}
    real = {name: array for name, array in case.arrays.items() if array.dtype.kind == "f"}
    if hasattr(op, "function") and op.code is not None:
        known = partial(function, **whole)
    else:
        p = op.parameters(case.params)
        known = partial(traceable(op), p, whole)
        params = {}
    setattr(known, "__name__", op.title)  # noqa: B010  # a partial has none of its own
    return known, {**{name: given[name] for name in unknown}, **real, **params}


def traceable(op: Op) -> Callable[..., Any]:
    """The program of an operator as a function of its real arrays."""

    def program(p: Params, whole: dict[str, Any], **arrays: Any) -> Any:
        return op.program(p, **whole, **arrays)

    return program
