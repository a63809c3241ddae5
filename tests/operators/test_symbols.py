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

FUNCTIONS = {"erf", "exp", "log", "ln", "max", "tanh", "σ", "e", "π"}
SIZES = {"n": "(1/n)·Σ_i", "N": "(1/N)·Σ_n", "divisor": "/ divisor", "C": "ε/C"}  # as they stand in the formula
WORD = r"[A-Za-zΑ-ωℓ][\u0302\w]*′?"


def symbols(formula):
    """The names in a formula; Σ and √ are signs."""
    return set(re.findall(WORD, re.sub("[Σ_²³ᵗ]", " ", formula))) - {"with"}


def bound(formula):
    """Indices (y[n,o], Σ_c, max_{u,v}), and what the formula itself defines (… = …)."""
    indices = re.findall(r"[Σx]_\{?([a-z,]+)", formula) + re.findall(r"^\w+\[([a-z,]+)\]", formula)
    indices += re.findall(r"(?:with|,) +\w\[([a-z])\] =", formula)
    indices += [names.replace(" ", "") for names in re.findall(r"\(([a-z](?:, [a-z])+)\) =", formula)]
    defined = re.findall(rf"(?:^|with |, +)({WORD})(?:\[[^\]]*\])?(?:\(x\))? =", formula)
    return {letter for index in indices for letter in index.split(",")} | set(defined)


def unexplained(op, formula):
    """The symbols of the formula that nobody explains."""
    sizes = {name for name, place in SIZES.items() if place in formula}
    return symbols(formula) - declared(op) - bound(formula) - FUNCTIONS - sizes


def declared(op):
    arrays = {each.symbol for each in (*op.inputs, *op.outputs)}
    hats = {f"{each.rstrip('′')}\u0302" for each in arrays}  # m̂ and v̂ have a line of their own in every calculation
    return arrays | hats | {letter for each in op.params for letter in (each.symbol or each.name[0]).split(", ")}


@pytest.mark.parametrize("op", catalog.every(), ids=lambda op: op.name)
def test_every_symbol_of_the_formula_is_declared(op):
    assert unexplained(op, op.formula) == set()


@pytest.mark.parametrize("op", catalog.every(), ids=lambda op: op.name)
@given(data=st.data())
def test_every_constant_with_a_name_is_declared_and_explained(op, data):
    """What a calculation calls ε is a parameter's symbol, and the head of the calculation says of which one."""
    case = data.draw(cases(op))
    calculation = prepare(op, {**op.call(case)})
    shapes = {name: array.shape for name, array in case.arrays.items()}
    assert unexplained(op, op.formula_of(calculation.p, shapes)) == set()
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
    assert "(μ = momentum)" in str(explain("sgd", momentum=0.9))
    assert "momentum" not in str(explain("sgd")).partition("\n\n")[0].partition("θ′ =")[2]
    assert "= stride" not in str(explain("conv2d"))


@pytest.mark.parametrize(
    ("name", "given", "formula"),
    [
        (
            "cross_entropy",
            {"target": [[0.2, 0.8]]},
            "ℓ[n] = −Σ_c t[n,c]·ln( exp(x[n,c]) / Σ_k exp(x[n,k]) ),   L = (1/N)·Σ_n ℓ[n]",
        ),
        ("cross_entropy", {"reduction": "sum"}, "ℓ[n] = −ln( exp(x[n,t[n]]) / Σ_c exp(x[n,c]) ),   L = Σ_n ℓ[n]"),
        (
            "cross_entropy",
            {"weight": [1, 2, 3]},
            "ℓ[n] = −w[t[n]]·ln( exp(x[n,t[n]]) / Σ_c exp(x[n,c]) ),   L = Σ_n ℓ[n] / Σ_n w[t[n]]",
        ),
        ("nll_loss", {"reduction": "none"}, "L[n] = −x[n,t[n]]"),
        ("mse_loss", {"reduction": "none"}, "L[i] = (x[i] − t[i])²"),
        ("mse_loss", {"weight": [1, 2, 3]}, "L = Σ_i w[i]·(x[i] − t[i])² / Σ_i w[i]"),
        (
            "batch_norm",
            {"training": False, "running_mean": [0, 0], "running_var": [1, 1]},
            "y[i,c] = w[c]·(x[i,c] − m[c])/σ[c] + b[c]   with σ[c] = √(v[c] + ε)",
        ),
        ("gelu", {"approximate": "tanh"}, "y = x·P   with P = (1 + tanh(u))/2, u = √(2/π)·(x + 0.044715·x³)"),
        ("sgd", {"momentum": 0.9, "maximize": True}, "g′ = −g,   v′ = g′,   θ′ = θ − lr·v′"),
        (
            "rmsprop",
            {"centered": True},
            "s′ = α·s + (1 − α)·g²,   a′ = α·a + (1 − α)·g,   θ′ = θ − lr·g/(√(s′ − a′²) + ε)",
        ),
        ("dropout", {"training": False}, "y[i] = x[i]"),
    ],
)
def test_the_formula_is_that_of_the_call(name, given, formula):
    assert formula in explain(name, **given).render("text", width=200).split("\n")


def test_a_mask_of_truth_values_and_a_row_that_sees_nothing_are_explained():
    closed = str(explain("scaled_dot_product_attention", attn_mask=[[True, True, False], [False, False, False]]))
    assert "True, here 1, takes part" in closed and "a query that sees no key" in closed
    added = str(explain("scaled_dot_product_attention", attn_mask=[[0.0, 1.0, 2.0], [0.0, 0.0, 0.0]]))
    assert "True" not in added and "sees no key" not in added
    assert "mask" not in str(explain("scaled_dot_product_attention"))
