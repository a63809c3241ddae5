"""--all and the page of a tensor program show every line as the array that it is, with its adjoint."""

import numpy as np

import opcheck
from opcheck.render import render
from opcheck.steps import Grids, Step


def loss(x, w):
    y = x @ w
    return (y * y).sum()


def shown(**options):
    x, w = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0], [-1.0]])
    trace = opcheck.trace(loss, {"x": x, "w": w})
    page = trace.page(**options).step
    (part,) = [block for block in page.blocks if isinstance(block, Step) and block.title == "the arrays"] or [None]
    return trace, page, part


def test_values_and_adjoints_stand_side_by_side():
    trace, page, part = shown(everything=True)
    drawn = [grid for step in part.blocks for block in step.blocks if isinstance(block, Grids) for grid in block.grids]
    found = {grid.title: [[float(cell.value.value) for cell in row] for row in grid.rows] for grid in drawn}
    assert found["v₋₁"] == [[1, 2], [3, 4]]
    gradient = trace.reverse()
    assert found["v̄₋₁"] == gradient["x"].tolist()
    assert found["v̄₀"] == gradient["w"].tolist()
    assert "3  4" in render(page, "text")


def test_the_page_has_them_and_the_short_text_has_not():
    assert "the arrays" in render(shown(moves=True)[1], "html")
    assert shown()[2] is None
