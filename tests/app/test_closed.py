"""Gradients in closed form beside a trace: proved on its numbers, of what is traced or of what it calls."""

import numpy as np

from opcheck import reference
from opcheck.app import closed, run
from opcheck.explanation.document import prepare
from opcheck.operators import catalog
from opcheck.steps import Prose
from opcheck.traces import trace


def texts(blocks):
    return [block.text for step in blocks for block in step.blocks if isinstance(block, Prose)]


def test_an_operator_has_its_own():
    op = catalog.get("softmax")
    found = texts(closed.of_operator(op, prepare(op, {}).case))
    assert found == ["of softmax, where x is input", op.closed[0].formula]
    assert closed.of_operator(catalog.get("sgd"), prepare(catalog.get("sgd"), {}).case) == []


def network(x, w, b):
    return reference.cross_entropy(reference.relu(reference.linear(x, w, b)), np.array([1, 0]))


def test_a_program_has_those_of_the_operators_that_it_calls_for_what_arrives_at_them():
    given = {"x": [[1.0, 2.0], [3.0, -1.0]], "w": [[0.5, 1.0], [-1.0, 2.0]], "b": [1.0, -1.0]}
    found = texts(closed.of_calls(trace(network, given), 1.0))
    assert found[0] == "of v₁ = linear(v₋₂, v₋₁, v₀), where x is v₋₂, w is v₋₁, b is v₀"
    assert found[1:4] == [each.formula for each in catalog.get("linear").closed]
    assert "x̄ = [x > 0]·ȳ" in found
    assert found[-2].startswith("of v₃ = cross_entropy(v₂")


def test_what_is_no_number_or_calls_nothing_has_none():
    assert closed.of_calls(trace(lambda x: x * x, {"x": [1.0, 2.0]}), 1.0) == []
    assert closed.of_calls(trace(lambda x: (x * x).sum(), {"x": [1.0, 2.0]}), 1.0) == []


def test_the_heading_of_a_trace_has_its_classes_too(tmp_path, capsys):
    program = tmp_path / "p.py"
    program.write_text(
        "from opcheck import reference as F\n\n\ndef f(x: 'N C', t: 'N < C'):\n    return F.nll_loss(x, t)\n"
    )
    for what, heading in ((f"{program}:f", "f(x, t)   x 2×3, t = [0, 1]"),
                          ("embedding", "embedding(weight, input)   weight 3×2, input = [0, 1, 2, 0]")):  # fmt: skip
        assert run(["trace", what]) == 0
        assert capsys.readouterr().out.startswith(heading)
