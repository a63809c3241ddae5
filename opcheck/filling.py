"""What `opcheck trace` fills in of a spec: the arrays that were not given."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from opcheck import specs
from opcheck.explanation.document import prepare
from opcheck.language import say
from opcheck.operators.fills import upstream
from opcheck.operators.spec import Case, Op, Params, Refused, results_of
from opcheck.traces.given import value
from opcheck.traces.tensor.trace import ArrayTrace, trace_arrays


def completed(
    place: str, function: Callable[..., Any], given: dict[str, Any]
) -> tuple[Callable[..., Any], dict[str, Any]]:
    """A spec as a function to trace, and its real arrays: those that were given, and 1, 2, 3, ... for the others.
    Integers (classes) are not inputs of a trace, and stay integers."""
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
        p, _ = op.checked(case)
        known = partial(traceable(op), p, whole)
        params = {}
    setattr(known, "__name__", op.title)  # noqa: B010  # a partial has none of its own
    setattr(known, "whole", whole)  # noqa: B010  # for the heading of its trace
    return known, {**{name: given[name] for name in unknown}, **real, **params}


def operator_case(op: Op, words: Mapping[str, str]) -> Case:
    """The call that `operator_trace` traces."""
    return prepare(op, operator_call(op, words)).case


def operator_call(op: Op, words: Mapping[str, str]) -> dict[str, Any]:
    """What was given of an operator's arguments."""
    known = [each.name for each in op.arguments]
    for name in words:
        if name not in known:
            raise Refused(
                say("{op} has no argument {name}", op=op.name, name=name),
                fix=say("its arguments are {names}", names=", ".join(known)),
            )
    kinds = {each.name: each.kind for each in op.params}
    return {name: kinds[name].parse(name, text) if name in kinds else value(name, text) for name, text in words.items()}


def operator_trace(op: Op, words: Mapping[str, str], wrt: Iterable[str] | None) -> ArrayTrace:
    """The trace of the program of an operator of the catalogue; the arrays that were not given are filled in."""
    return traced(op, operator_call(op, words), wrt)


def traced(op: Op, given: dict[str, Any], wrt: Iterable[str] | None) -> ArrayTrace:
    """The same of arguments that are no text any more."""
    program, arrays = completed(op.name, op.program, given)
    notes: list[str] = []
    smooth = [output for output in op.outputs if output.differentiable]
    like = "1, −4, 9, −16, ..." if smooth[0].upstream == "squares" else "1, 2, 3, ..."

    def loss(**arrays: Any) -> Any:
        found = results_of(op, program(**arrays))
        results = [(each, found[each.name]) for each in smooth if each.name in found]
        if len(results) == 1 and np.size(results[0][1]) == 1:
            return results[0][1]
        notes.append(
            say("The output of {op} is not a single number, so the trace ends with a loss: the sum of its elements "
                "times {like}, the upstream gradient that the worked calculation of {op} has.", op=op.name, like=like)
        )  # fmt: skip
        terms = [np.sum(y * upstream(output, np.shape(y))) for output, y in results]
        return sum(terms[1:], start=terms[0])

    setattr(loss, "whole", getattr(program, "whole"))  # noqa: B009, B010
    return trace_arrays(loss, arrays, {}, op.name, wrt, notes)


def traceable(op: Op) -> Callable[..., Any]:
    """The program of an operator as a function of its real arrays."""

    def program(p: Params, whole: dict[str, Any], **arrays: Any) -> Any:
        return op.program(p, **whole, **arrays)

    return program
