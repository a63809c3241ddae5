"""A page that moves: its frames say what the written calculation says, and the browser shows each of them."""

import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import opcheck
from opcheck import explain
from opcheck.operators import catalog
from opcheck.render import json, motion, render, still
from opcheck.render.motion import Sheet, spans
from opcheck.steps import Block, Cell, Formula, Grid, Grids, Motion, Number, Prose, Step

OPERATORS = [op.name for op in catalog.every() if op.name != "linear"]  # linear's default has one step
CONV = {"input": (4, 4)}
WIDE = {"shapes": {"input": (1, 2, 5, 5), "weight": (1, 2, 3, 3)}, "padding": 1}
ZERO = Number(Fraction(0))


def motion_of(step: Step) -> Motion:
    return next(block for block in step.blocks if isinstance(block, Motion))


def moving(name: str, **options) -> Motion:
    return motion_of(explain(name, **options).document("html"))


def formulas(blocks: tuple[Block, ...]) -> Iterator[Formula]:
    for block in blocks:
        if isinstance(block, Formula):
            yield block
        elif isinstance(block, Step):
            yield from formulas(block.blocks)


def numbers(text: str) -> set[int]:
    found: set[int] = set()
    for run in text.split():
        first, _, end = run.partition("-")
        found.update(range(int(first), int(end or first) + 1))
    return found


# --- the model ------------------------------------------------------------------------------------------------------


@given(st.sets(st.integers(0, 60)))
def test_spans_name_exactly_the_frames(frames):
    text = spans(sorted(frames))
    assert numbers(text) == frames
    runs = text.split()
    assert all(int(a.split("-")[-1]) + 1 < int(b.split("-")[0]) for a, b in pairwise(runs)), "two runs are one"


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("name", OPERATORS)
def test_the_frames_are_the_written_formulas_in_order(name, grad):
    frames = moving(name, grad=grad).frames
    shown = [next(f for f in formulas(frame.blocks[::-1])) for frame in frames]
    said = formulas(written(explain(name, grad=grad, all=True).step))
    assert shown == [each for each in said if each.rights != (ZERO,)]  # what no output depends on has no step
    assert [frame.title.partition(":")[0] for frame in frames] == [
        f"step {k + 1} of {len(frames)}" for k in range(len(frames))
    ]


def written(step: Step) -> tuple[Block, ...]:
    """What is below the heading: its formulas are sizes, which stand still."""
    return tuple(block for block in step.blocks if isinstance(block, Step))


def at(sheet: Sheet, frame: int) -> Grid:
    """A grid of the page as its script shows it in one frame."""
    rows = []
    for spots in sheet.rows:
        cells = [
            s.cell._replace(value=s.cell.value if frame in numbers(s.seen) else None, marked=frame in numbers(s.marked))
            for s in spots
        ]
        rows.append(tuple(cells))
    return Grid(sheet.title, tuple(rows))


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("name", OPERATORS)
def test_the_page_holds_every_frame_as_it_was(name, grad):
    frames = moving(name, grad=grad).frames
    sheets = motion.sheets(frames)
    for k, frame in enumerate(frames):
        wanted = [grid for block in frame.blocks if isinstance(block, Grids) for grid in block.grids]
        assert sorted(at(sheet, k) for sheet in sheets if k in numbers(sheet.seen)) == sorted(wanted)


@pytest.mark.parametrize("name", OPERATORS)
def test_the_last_frame_knows_everything_and_earlier_ones_know_less(name):
    explanation = explain(name)
    whole = next((block for block in explanation.step.blocks if isinstance(block, Grids)), None)
    frames = moving(name).frames
    unknown = [sum(cell.value is None and not cell.padding for cell in cells(frame.blocks)) for frame in frames]
    assert unknown == sorted(unknown, reverse=True)
    assert unknown[-1] == 0
    if whole is not None:
        values = {(grid.title, tuple(c.value for row in grid.rows for c in row)) for grid in whole.grids}
        last = {(g.title, tuple(c.value for row in g.rows for c in row)) for g in grids(frames[-1].blocks)}
        assert {title for title, _ in last} >= {title for title, _ in values}


def grids(blocks: tuple[Block, ...]) -> list[Grid]:
    return [grid for block in blocks if isinstance(block, Grids) for grid in block.grids]


def cells(blocks: tuple[Block, ...]) -> list[Cell]:
    return [cell for grid in grids(blocks) for row in grid.rows for cell in row]


def test_the_window_slides_by_the_stride():
    frames = moving("conv2d", shapes={"input": (5, 5)}, stride=2, padding=1).frames
    taps = [{(i, j) for i, row in enumerate(grids(f.blocks)[0].rows) for j, c in enumerate(row) if c.marked}
            for f in frames]  # fmt: skip
    assert taps[0] == {(0, 0), (0, 1), (1, 0), (1, 1)}  # the padding is drawn, and read
    for k, window in enumerate(taps):
        assert window == {(i + 2 * (k // 3), j + 2 * (k % 3)) for i, j in taps[0]}


def test_in_sight_are_all_channels_even_where_a_line_reads_none():
    frames = moving("conv2d", shapes={"input": (1, 2, 4, 4), "weight": (1, 2, 2, 2)}).frames
    assert len({tuple(grid.title for grid in grids(frame.blocks)) for frame in frames}) == 1
    assert [len(list(formulas(frame.blocks))) for frame in frames[:3]] == [1, 1, 3]  # the sum names both channels


def test_very_long_calculations_say_where_they_end():
    frames = moving("conv2d", shapes={"input": (14, 14)}).frames
    assert len(frames) == 120
    assert frames[4].title == "step 5 of the first 120"
    assert isinstance(frames[-1].blocks[-1], Prose)
    assert [sheet.title.partition(" ")[0] for sheet in motion.sheets(frames)][-1] == "y"  # crops of x stand before w
    assert frames[-1].blocks[-1].text == "The page moves no further. (--all writes every step down.)"


def test_what_is_large_or_one_step_stands_still():
    for step in (
        explain("linear").document("html"),
        explain("conv2d", shapes={"input": (1, 3, 40, 40), "weight": (2, 3, 5, 5)}).document("html"),
        opcheck.trace("x", at={"x": 1}).page(moves=True).step,
    ):
        assert not any(isinstance(block, Motion) for block in step.blocks)
        assert "<script>" not in render(step, "html")


def test_a_trace_lights_up_forwards_and_then_backwards():
    trace = opcheck.trace("ln(x1) + x1*x2 - sin(x2)", at={"x1": 2, "x2": 5})
    frames = motion_of(trace.page(moves=True).step).frames
    assert len(frames) == 7 + 7 + 9
    graphs = motion.diagrams(frames)
    assert len(graphs) == len(frames)
    assert [[box.details[0] != "" for box in graph.boxes].count(True) for graph in graphs[:8]] == [*range(1, 8), 7]
    first = graphs[-1].boxes[0]
    assert (first.title, first.details) == ("v₋₁ = x1", ("2", "v̇₋₁ = 1, 0", "v̄₋₁ = 5.5"))
    assert any(box.details[2] == "v̄₋₁ = 5" for graph in graphs for box in graph.boxes)  # before it was added to
    for graph in graphs[14:]:  # backwards, an edge and the boxes at its ends
        assert {k for edge in graph.marked for k in edge} <= {k for k, box in enumerate(graph.boxes) if box.marked}
    lists = motion.listings(frames)
    assert [len(each.rows) for each in lists] == [7, 7, 9]
    assert [row[1] for row in lists[0].rows] == [str(k) for k in range(7)]


def test_tangents_of_other_directions_do_not_stay_in_the_graph():
    trace = opcheck.trace("x*y*z", at={"x": 2, "y": 3, "z": 5})
    graphs = motion.diagrams(motion_of(trace.page(moves=True).step).frames)
    shown = ["; ".join(filter(None, graph.boxes[-1].details)) for graph in graphs]
    assert list(dict.fromkeys(shown)) == ["", "30", "30; v̇₂ = 15, 10", "30; v̇₂ = 6", "30; v̄₂ = 1"]


def test_a_program_of_arrays_moves_too():
    def loss(w, x):
        return ((w @ x) ** 2).sum()

    trace = opcheck.trace(loss, at={"w": [[1.0, 2.0]], "x": [[3.0], [4.0]]})
    graphs = motion.diagrams(motion_of(trace.page(moves=True).step).frames)
    assert graphs[-1].boxes[-1].details[0] == "121"
    assert graphs[-1].boxes[0].details[2] == "v̄₋₁: shape 1×2"


# --- other formats --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["text", "latex", "markdown"])
def test_elsewhere_it_stands_still(format):
    explanation = explain("conv2d", shapes=CONV)
    assert render(explanation.document("html"), format) == render(explanation.step, format)
    assert still(explanation.document("html")) == explanation.step


def test_a_fragment_stands_still():
    shown = explain("conv2d", shapes=CONV)._repr_html_()
    assert "<script" not in shown
    assert "stage" not in shown


def test_a_diagram_in_text_is_a_table():
    graph = motion.diagrams(motion_of(opcheck.trace("x*x", at={"x": 3}).page(moves=True).step).frames)[-1]
    shown = render(Step("", (graph,)), "text")
    assert "v₁ = v₀·v₀" in shown
    assert "9" in shown
    assert render(Step("", (graph,)), "html").count("<rect") == 2


def test_json_keeps_motions_and_diagrams():
    for step in (
        explain("softmax").document("html"),
        opcheck.trace("x*x + sin(x)", at={"x": 2}).page(moves=True).step,
    ):
        assert json.load(json.render(step)) == step


def test_without_a_script_everything_stands_there_as_it_did():
    explanation = explain("conv2d", shapes=CONV)
    page = explanation.render("html")
    assert re.search(r'<section class="stage"[^>]* hidden>', page)
    opened = page.partition('<details class="still" open>')[2].partition("</details>")[0]
    body = render(explanation.step, "html", page=False)
    for figure in re.findall(r"<figure.*?</figure>|<table.*?</table>", body, re.DOTALL)[2:]:
        assert figure in opened
    assert page.count("<script>") == 1
    assert not re.search(r"""(src|href)=|https?://(?!www\.w3\.org)|fetch\(|eval\(""", page)


def test_frames_are_told_in_words():
    page = explain("conv2d", shapes=CONV).render("html")
    assert (
        'data-say="step 2 of 9: y[0,1] equals 2 times 1 plus 3 times 2 plus 6 times 3 plus 7 times 4 equals 54"' in page
    )


def test_the_script_is_short_and_needs_nothing():
    from pathlib import Path

    source = (Path(motion.__file__).parent / "motion.js").read_text()
    assert len(source.splitlines()) < 200
    assert not re.search(r"\{[{%#]|https?:|import |fetch|innerHTML", source)
