"""The graph as text, DOT, Mermaid and SVG: every node and edge is there, and nothing overlaps."""

import re
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given

import opcheck
from opcheck import reference as F
from opcheck.render.layers import layers
from opcheck.steps import Prose, Step
from opcheck.traces.scalar.expression import parse
from tests.traces.scalar import expressions

LECTURE = """\
         v₋₁ = x1        v₀ = x2
      ┌────┘   └──┐   ┌───┘   └────┐
      │           │   │            │
v₁ = ln(v₋₁)   v₂ = v₋₁·v₀   v₃ = sin(v₀)
      └────────┐   ┌┘      ┌───────┘
               │   │       │
           v₄ = v₁ + v₂    │
                 └──┐   ┌──┘
                    │   │
                v₅ = v₄ − v₃"""


def traced(tree):
    text = expressions.text(tree)
    return opcheck.trace(text, at={name: expressions.POINT[name] for name in parse(text).names})


def lecture():
    return opcheck.trace("ln(x1) + x1*x2 - sin(x2)", at={"x1": 2, "x2": 5})


def test_the_lecture_as_text():
    assert lecture().draw("text") == LECTURE


@given(tree=expressions.SMOOTH)
def test_text_names_every_node_once_and_every_wire_ends(tree):
    trace = traced(tree)
    try:
        drawn = trace.draw("text")
    except opcheck.Refused:
        return
    boxes = trace.boxes()
    for box in boxes.values():
        assert drawn.count(box.title) >= 1
    lines = drawn.splitlines()
    for row, line in enumerate(lines):  # what goes down from a sign arrives at one or at a box
        for column, sign in enumerate(line):
            if sign in "│┌┐┼├┤┬":
                spans = [match.span() for match in re.finditer(r"\S+( \S+)*", lines[row + 1])]
                assert any(start <= column < end for start, end in spans), (row, column, drawn)


@given(tree=expressions.SMOOTH)
def test_every_edge_is_in_every_notation(tree):
    trace = traced(tree)
    boxes = trace.boxes()
    edges = sorted((arg, id) for id, box in boxes.items() for arg in box.args)
    dot = re.findall(r"n(\d+) -> n(\d+);", trace.draw("dot"))
    assert sorted((int(a), int(b)) for a, b in dot) == edges
    mermaid = re.findall(r"n(\d+) --> n(\d+)", trace.draw("mermaid"))
    assert sorted((int(a), int(b)) for a, b in mermaid) == edges
    svg = ElementTree.fromstring(trace.draw("svg"))
    space = "{http://www.w3.org/2000/svg}"
    assert len(svg.findall(f"{space}rect")) == len(boxes)
    arrows = [path for path in svg.findall(f"{space}path") if path.get("marker-end")]
    assert len(arrows) == len(edges)
    texts = {text.text for text in svg.findall(f"{space}text")}
    assert {box.title for box in boxes.values()} <= texts


@given(tree=expressions.SMOOTH)
def test_boxes_of_a_layer_do_not_overlap_and_edges_go_down(tree):
    boxes = traced(tree).boxes()
    rows = layers({id: box.args for id, box in boxes.items()}, lambda id: 1.0 if id is None else 10.0, 3.0)
    for row in rows:
        for left, right in pairwise(row):
            assert right.x - left.x > (left.width + right.width) / 2 + 2.999
        for place in row:
            assert all(lower.layer == place.layer + 1 for lower in place.below)
            assert all(upper.layer == place.layer - 1 for upper in place.above)
    assert sum(place.id is not None for row in rows for place in row) == len(boxes)
    assert round(min((place.x - place.width / 2 for row in rows for place in row), default=0), 6) == 0


def test_what_is_too_large_for_text_says_what_to_do():
    def large(x):
        for _ in range(60):
            x = x * x
        return x

    with pytest.raises(opcheck.Refused, match=r"too large to read as text: 61 nodes.*--graph svg -o graph.svg"):
        opcheck.trace(large, at={"x": 1.0}).draw("text")


def test_a_page_shows_no_tangle_and_says_what_draws_it():
    def tangled(x, y):
        return sum(x**k * y for k in range(4))

    blocks = opcheck.trace(tangled, at={"x": 2.0, "y": 3.0}).page(room=80).step.blocks
    assert [block.text for block in blocks if isinstance(block, Prose) and "--graph svg" in block.text]
    assert not any(isinstance(block, Step) for block in blocks)
    assert any(isinstance(block, Step) for block in lecture().page(room=80).step.blocks)
    assert not any(isinstance(block, Step) for block in lecture().page(room=30).step.blocks)


def test_an_unknown_notation():
    with pytest.raises(opcheck.Refused, match="text, dot, mermaid, svg"):
        lecture().draw("png")


def test_text_is_escaped():
    trace = opcheck.trace("max(x, 1)", at={"x": 1})
    assert "<svg" in trace.draw("svg")
    quoted = opcheck.trace(lambda x: (x < 1) * x, at={"x": 0.5})
    assert ElementTree.fromstring(quoted.draw("svg")) is not None
    assert "#lt; 1" in quoted.draw("mermaid")
    summed = opcheck.trace(lambda x: F.mse_loss(x, [0.0], reduction="sum"), at={"x": np.ones(1)})
    assert """["v₁ = mse_loss(v₀, [0], reduction='sum')<br/>1"]""" in summed.draw("mermaid").replace("[[", "[")
