"""The second derivative of an operator of the catalogue: how its VJP changes as its inputs move."""

from collections.abc import Mapping

import numpy as np

from opcheck.errors import Refused
from opcheck.language import say
from opcheck.operators.program import Recording
from opcheck.operators.spec import MULTILINEAR, PIECEWISE_LINEAR, Array, Case, Op, Params, widened
from opcheck.programs.sweeps import forward
from opcheck.tracing import Tape, Tracer, View, forward_over_reverse, values

MOST_LINES = 200_000  # of a definition that is recorded: beyond, a second derivative would take a minute


def vjp_tangent(
    op: Op, p: Params, case: Case, cotangents: Mapping[str, Array], along: Mapping[str, Array]
) -> dict[str, Array]:
    """The derivative of op.vjp(p, cotangents, **inputs) as the inputs move in the direction `along`, by input name.

    A VJP of sums of products (linear, convolution) is affine in the inputs, so it is its own second derivative; that
    of what is linear in pieces (relu, pools) stays as it is. Any other operator's program is swept over, forward over
    reverse; without a program its definition is, number by number. Raises Refused where that takes more than
    MOST_LINES lines.
    """
    if op.degree == PIECEWISE_LINEAR:
        return {}
    if op.degree == MULTILINEAR:
        origin = {name: np.zeros(array.shape) for name, array in case.arrays.items()}
        (g,) = cotangents.values()
        at_origin = op.vjp(p, g, **origin)
        return {name: moved - at_origin[name] for name, moved in op.vjp(p, g, **{**origin, **along}).items()}
    if op.has_program:
        return by_program(op, p, case, cotangents, along)
    return by_definition(op, p, case, cotangents, along)


def by_program(
    op: Op, p: Params, case: Case, cotangents: Mapping[str, Array], along: Mapping[str, Array]
) -> dict[str, Array]:
    """The same from the program: its reverse sweep is recorded, and a forward sweep goes over both."""
    recording = Recording(op, p, widened(case.arrays), expanded=True)
    gradients = recording.traced_gradients(cotangents)
    moved = forward(recording.tape.nodes, {recording.leaves[name]: t for name, t in along.items()}, recording.value)
    return {
        name: recording.full(None if found is None else moved[found.id], recording.leaves[name])
        for name, found in gradients.items()
    }


def by_definition(
    op: Op, p: Params, case: Case, cotangents: Mapping[str, Array], along: Mapping[str, Array]
) -> dict[str, Array]:
    """The same from the scalar graph of every output element: exact for any operator, and as slow as it is long."""
    if sum(array.size for array in case.arrays.values()) > MOST_LINES:  # a line each, before anything is computed
        raise too_long(op, case)
    tape = Tape()
    views = {name: View(tape, name, array) if array.dtype.kind == "f" else array for name, array in case.arrays.items()}
    inputs = {name: view for name, view in views.items() if op.input(name).differentiable and isinstance(view, View)}
    leaves = {name: [view[at].id for at in np.ndindex(*view.shape)] for name, view in inputs.items()}
    seeds: dict[int, float] = {}
    for at in np.ndindex(*next(iter(cotangents.values())).shape):
        if len(tape.nodes) > MOST_LINES:
            raise too_long(op, case)
        elements = op.by_name(op.element(p, at, **views), tuple(cotangents))
        for name, g in cotangents.items():
            if isinstance(elements[name], Tracer):
                seeds[elements[name].id] = seeds.get(elements[name].id, 0.0) + float(g[at])
    moved = {
        id: float(step)
        for name, ids in leaves.items()
        if name in along
        for id, step in zip(ids, along[name].ravel(), strict=True)
    }
    graph = tape.graph()
    duals = forward_over_reverse(graph, seeds, moved, values(graph))
    tangents = [None if each is None else each.tangent for each in duals]
    return {
        name: np.array([tangents[id] or 0.0 for id in ids], dtype=np.float64).reshape(views[name].shape)
        for name, ids in leaves.items()
    }


def too_long(op: Op, case: Case) -> Refused:
    shapes = ", ".join(f"{name} {'×'.join(map(str, array.shape))}" for name, array in case.arrays.items())
    return Refused(
        say("the second derivative of {op} comes from its definition, which is too long here", op=op.name),
        got=say("{shapes}: more than {n} lines", shapes=shapes, n=f"{MOST_LINES:,}"),
        fix=say("trace a smaller batch, or write that part with array arithmetic (@, +, np.exp, ...)"),
    )
