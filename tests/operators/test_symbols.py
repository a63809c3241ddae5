"""Every symbol of a formula is declared: the letter of an array or of a parameter, or bound by the formula itself."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcheck import explain
from opcheck.explanation.document import prepare
from opcheck.operators import catalog
from opcheck.tracing import Tape
from tests.operators.support import cases

FUNCTIONS = {"erf", "exp", "log", "ln", "max", "tanh", "σ", "e"}
SIZES = {"n": "(1/n)·Σ_i", "divisor": "/ divisor"}  # of a mean, as it stands in the formula
WORD = r"[A-Za-zΑ-ωℓ][\u0302\w]*′?"


def symbols(formula):
    """The names in a formula; Σ and √ are signs."""
    return set(re.findall(WORD, re.sub("[Σ_²]", " ", formula))) - {"with"}


def bound(formula):
    """Indices (y[n,o], Σ_c, max_{u,v}), and what the formula itself defines (… = …)."""
    indices = re.findall(r"[Σx]_\{?([a-z,]+)", formula) + re.findall(r"^\w+\[([a-z,]+)\]", formula)
    indices += re.findall(r"(?:with|,) +\w\[([a-z])\] =", formula)
    indices += [names.replace(" ", "") for names in re.findall(r"\(([a-z](?:, [a-z])+)\) =", formula)]
    defined = re.findall(rf"(?:^|with |, +)({WORD})(?:\[[^\]]*\])?(?:\(x\))? =", formula)
    return {letter for index in indices for letter in index.split(",")} | set(defined)


def declared(op):
    arrays = {each.symbol for each in (*op.inputs, *op.outputs)}
    hats = {f"{each.rstrip('′')}\u0302" for each in arrays}  # m̂ and v̂ have a line of their own in every calculation
    return arrays | hats | {letter for each in op.params for letter in (each.symbol or each.name[0]).split(", ")}


@pytest.mark.parametrize("op", catalog.every(), ids=lambda op: op.name)
def test_every_symbol_of_the_formula_is_declared(op):
    sizes = {name for name, place in SIZES.items() if place in op.formula}
    assert symbols(op.formula) - declared(op) - bound(op.formula) - FUNCTIONS - sizes == set()


@pytest.mark.parametrize("op", catalog.every(), ids=lambda op: op.name)
@given(data=st.data())
def test_every_constant_with_a_name_is_declared_and_explained(op, data):
    """What a calculation calls ε is a parameter's symbol, and the head of the calculation says of which one."""
    case = data.draw(cases(op))
    calculation = prepare(op, {**op.call(case)})
    tape = Tape()
    calculation.record(tape, calculation.cells[:1])
    named = {node.label for node in tape.nodes if node.op == "constant" and node.label}
    assert named <= declared(op)
    head = str(explain(op.name, **op.call(case))) if named else ""
    for name in named - {each.symbol for each in op.inputs}:
        (param,) = [each for each in op.params if name in each.symbol.split(", ")]
        assert param.name.startswith(name) or f"{param.symbol} = {param.name}" in " ".join(head.split())


def test_label_smoothing_is_named():
    text = str(explain("cross_entropy", [[1.0, 2.0, 3.0]], [0], label_smoothing=0.1))
    assert "(ε = label_smoothing)" in text
    assert "ε = " not in str(explain("cross_entropy", [[1.0, 2.0, 3.0]], [0]))


def test_only_the_symbols_that_the_formula_or_the_call_uses_are_named():
    assert "(t = step; β1, β2 = betas; ε = eps)" in str(explain("adam"))
    assert "(t = step; β1, β2 = betas; ε = eps; λ = weight_decay)" in str(explain("adam", weight_decay=0.1))
    assert "(μ = momentum; τ = dampening)" in str(explain("sgd"))
    assert "= stride" not in str(explain("conv2d"))
