"""How far an operator's forms may be from the right answer: what they lose by rounding, and what they add on purpose.

A form (`opcheck.operators.spec.Form`) is the right function with fewer digits or a smaller range. Its width is what it
is off by in exact numbers (an eps inside a logarithm) and what rounding adds to that (a difference of nearly equal
numbers); infinite where something on its way overflows, as anything may come out then.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from opcheck.operators.program import Recording, bound_of
from opcheck.operators.spec import Array, Form, Op, Params, results_of
from opcheck.programs.arrays import TracedArray, recording
from opcheck.programs.bound import running
from opcheck.programs.running import Format

Arrays = Mapping[str, Array]


def output_widths(op: Op, p: Params, f: Format, form: Form, arrays: Arrays, expected: Arrays) -> dict[str, Array]:
    """How far each element of the outputs may be from what is expected when the form computes it in `f`."""
    made = Recording(op, p, arrays, expanded=True, written=form.forward)
    return _widths(f, made, made.outputs, expected)


def gradient_widths(
    op: Op, p: Params, f: Format, form: Form, arrays: Arrays, cotangent: Arrays, expected: Arrays
) -> dict[str, Array]:
    """The same of the gradients."""
    made = Recording(op, p, arrays, expanded=True, written=form.forward)
    if form.vjp is None:
        return _widths(f, made, made.traced_gradients(cotangent), expected)
    seeds = {name: made.tape.input(f"cotangent of {name}", g) for name, g in cotangent.items()}
    with recording(made.tape):
        found = form.vjp(op, p, next(iter(seeds.values())) if len(seeds) == 1 else seeds, **made.inputs)
    return _widths(f, made, found, expected)


def written_outputs(op: Op, p: Params, form: Form, arrays: Arrays) -> dict[str, Array]:
    """What the form makes of these arrays, in their own precision."""
    with np.errstate(all="ignore"):
        return {name: np.asarray(y) for name, y in results_of(op, form.forward(op, p, **arrays)).items()}


def written_gradients(op: Op, p: Params, form: Form, arrays: Arrays, cotangent: Arrays) -> dict[str, Array]:
    """The gradients that the form makes, in the precision of the arrays where it says how."""
    with np.errstate(all="ignore"):
        if form.vjp is None:
            return Recording(op, p, arrays, written=form.forward).gradients(cotangent)
        g = next(iter(cotangent.values())) if len(cotangent) == 1 else cotangent
        return {name: np.asarray(each) for name, each in form.vjp(op, p, g, **arrays).items()}


def in_precision(arrays: Arrays, dtype: str) -> dict[str, Array]:
    """The arrays with their real numbers in that type."""
    return {name: each.astype(dtype) if each.dtype.kind == "f" else each for name, each in arrays.items()}


def _widths(f: Format, made: Recording, results: Mapping[str, Any], expected: Arrays) -> dict[str, Array]:
    traced = {name: y for name, y in results.items() if isinstance(y, TracedArray) and name in expected}
    found = running(made.tape.nodes, f, only=[y.id for y in traced.values()], largest=f.largest)
    widths = {}
    with np.errstate(all="ignore"):
        for name, y in traced.items():
            error = bound_of(f, found[y.id], y.shape).error
            off = np.abs(np.broadcast_to(made.value(y.id), y.shape) - expected[name])
            width = off + error if off.shape == error.shape else np.full(expected[name].shape, np.inf)
            widths[name] = np.where(np.isnan(width), np.inf, width)
    return widths
