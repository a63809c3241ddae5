"""With --all, and on a page, the arrays of a program stand as matrices."""

import numpy as np

import opcheck
from opcheck.render import render
from opcheck.steps import Grids, Step


def shown(trace, **options):
    blocks = trace.page(**options).step.blocks
    steps = [b for block in blocks for b in (getattr(block, "still", None) or (block,)) if isinstance(b, Step)]
    return {
        grid.title: grid for step in steps for block in step.blocks if isinstance(block, Grids) for grid in block.grids
    }


def values(grid):
    return [[float(cell.value.value) for cell in row] for row in grid.rows]


def loss(w, x):
    return ((x @ w) ** 2).sum()


def test_arrays_and_their_adjoints_are_matrices():
    w, x = np.array([[1.0, -1.0], [0.5, 2.0]]), np.array([[3.0, 4.0]])
    trace = opcheck.trace(loss, at={"w": w, "x": x})
    for options in ({"everything": True}, {"moves": True}):
        grids = shown(trace, **options)
        assert values(grids["v₋₁ = w"]) == w.tolist()
        assert values(grids["v₁"]) == (x @ w).tolist()
        assert values(grids["v̄₋₁"]) == (2 * x.T @ (x @ w)).tolist()
    assert shown(trace) == {}
    assert "the arrays" in render(trace.page(everything=True).step, "text")


def test_of_what_is_large_there_is_a_part():
    trace = opcheck.trace(lambda x: (x * x).sum(), at={"x": np.ones((5, 2, 13))})
    (*_, last) = (title for title in shown(trace, everything=True) if title.startswith("v₀ = x"))
    assert last == "v₀ = x [3] (the first 12 rows and columns) (and 1 more like it)"
