"""A page that moves: its frames say what the written calculation says, and the browser shows each of them."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import opcheck
from opcheck.render import json, motion, render
from opcheck.render.motion import spans
from opcheck.steps import Motion, Step


def motion_of(step: Step) -> Motion:
    return next(block for block in step.blocks if isinstance(block, Motion))


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


def test_a_diagram_in_text_is_a_table():
    graph = motion.diagrams(motion_of(opcheck.trace("x*x", at={"x": 3}).page(moves=True).step).frames)[-1]
    shown = render(Step("", (graph,)), "text")
    assert "v₁ = v₀·v₀" in shown
    assert "9" in shown
    assert render(Step("", (graph,)), "html").count("<rect") == 2


def test_json_keeps_motions_and_diagrams():
    step = opcheck.trace("x*x + sin(x)", at={"x": 2}).page(moves=True).step
    assert json.load(json.render(step)) == step


def test_what_is_one_step_stands_still():
    step = opcheck.trace("x", at={"x": 1}).page(moves=True).step
    assert not any(isinstance(block, Motion) for block in step.blocks)
    assert "<script>" not in render(step, "html")


@pytest.mark.parametrize("name", ["motion.js", "board.js", "writing.js"])
def test_the_scripts_need_nothing(name):
    source = (Path(motion.__file__).parent / name).read_text()
    assert not re.search(r"\{[{%#]|https?:(?!//www\.w3\.org/1998/Math/MathML)|import |fetch|innerHTML", source)
