"""Gradients in closed form: the text that is printed is evaluated, and is what the sweep over the definition gives."""

import numpy as np
import pytest

import opcheck
from opcheck.explanation import closed as forms
from opcheck.explanation.calculation import Calculation
from opcheck.explanation.gradient import Sweep, closed_forms, once
from opcheck.operators import catalog
from opcheck.operators.choosers import ExactValues, RandomChooser
from opcheck.operators.spec import Closed
from opcheck.render.names import clauses

DECLARED = [op for op in catalog.own() if op.closed]
ENOUGH, MOST = 3, 4000  # cases that a formula is proved on, and seeds that are looked through for them


def drawn(op, seed):
    case = op.completed(op.sample(RandomChooser(seed, ExactValues)))
    calculation = Calculation(op, case)
    shape = calculation.shapes[calculation.main_output]
    return calculation, RandomChooser(seed + 1, ExactValues).array(*shape)


@pytest.mark.parametrize("op", DECLARED, ids=lambda op: op.name)
def test_what_is_printed_is_the_gradient_in_every_case_that_it_is_printed_for(op):
    waiting = {(closed.input, closed.formula): ENOUGH for closed in op.closed}
    for seed in range(MOST):
        calculation, g = drawn(op, seed)
        arrays = calculation.case.arrays
        shapes = {name: array.shape for name, array in arrays.items()}
        held = [closed for closed in op.closed if waiting.get((closed.input, closed.formula))
                and closed.input in arrays and 0 < arrays[closed.input].size <= 40
                and closed.letters(calculation.p, shapes) is not None]  # fmt: skip
        if not held or not calculation.cells or not calculation.is_small or "ignore_index" in calculation.case.params:
            continue
        found = closed_forms(calculation, g, Sweep(calculation, g, {}))
        for closed in held:
            if is_covered(op, calculation):
                assert clauses(found[closed.input][0].text)[0] == clauses(closed.formula)[0], (seed, calculation.case)
                waiting[closed.input, closed.formula] -= 1
        if not any(waiting.values()):
            return
    pytest.fail(f"never asked for: {waiting}")


def is_covered(op, calculation):
    """Not a probability of 0 or 1, where a logarithm is infinite and held; not a row that is ignored; no two maxima;
    numbers as a mask."""
    arrays = calculation.case.arrays
    if "attn_mask" in arrays:
        return arrays["attn_mask"].dtype.kind == "f"
    if op.name.startswith("max_pool"):
        return len(set(arrays["input"].flat)) == arrays["input"].size
    if op.name == "binary_cross_entropy":
        return bool(((arrays["input"] > 0) & (arrays["input"] < 1)).all())
    return "target" not in arrays or arrays["target"].dtype.kind == "f" or bool((arrays["target"] >= 0).all())


@pytest.mark.parametrize(
    "wrong",
    ["x̄[i] = y[i]·(ȳ[i] + Σ_k y[k]·ȳ[k])", "x̄[i] = y[i]·(ȳ[i] − Σ_k y[k])", "x̄[i] = y[i]·ȳ[i]", "x̄[i] = ȳ[i]",
     "x̄[i] = y[i]·(ȳ[i] − Σ_k x[k]·ȳ[k])"],
)  # fmt: skip
def test_what_is_not_the_gradient_is_not_printed(wrong, monkeypatch):
    op = catalog.get("softmax")
    right = op.closed
    assert right[0].formula in str(opcheck.explain("softmax", [1.0, 2.0, 4.0], dim=0, grad=True))
    monkeypatch.setattr(type(op), "closed", (right[0]._replace(formula=wrong),))
    assert wrong not in str(opcheck.explain("softmax", [1.0, 2.0, 4.0], dim=0, grad=True))


def test_a_place_outside_of_an_array_or_between_its_elements_is_zero():
    x = np.array([forms.Fraction(n) for n in (1, 2, 3)], dtype=object)
    text = forms.Text.read("y[i] = x[(i − 1)/2] + [i = 2]·n   with n = 7")
    reading = forms.Reading(text, {"x": x, "y": np.zeros(6, dtype=object)}, {})
    assert [reading.element((i,)) for i in range(6)] == [0, 1, 7, 2, 0, 3]


@pytest.mark.parametrize("wrong", ["x̄[i] = ", "x̄[i] = (1", "x̄[i] = 1 2", "x̄[i] = ·2", "x̄[i] ≈ 2"])
def test_what_cannot_be_read_is_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        forms.Text.read(wrong)


def test_a_case_without_such_a_formula_has_none():
    targets = np.array([0, 1])
    x = np.array([[1.0, 2.0], [3.0, 5.0]])
    assert "p[n,c]" in str(opcheck.explain("cross_entropy", x, targets, grad=True))
    total = str(opcheck.explain("cross_entropy", x, targets, reduction="sum", grad=True))
    assert "x̄[n,c] = (p[n,c] − [c = t[n]])·L̄ " in total
    smoothed = str(opcheck.explain("cross_entropy", x, targets, label_smoothing=0.5, grad=True))
    assert smoothed.count("q[n,c] = (1 − ε)·[c = t[n]] + ε/C") == 2  # of the loss and of its gradient
    weighted = {"weight": np.ones(2), "label_smoothing": 0.5}
    assert "x̄[n,c] =" not in str(opcheck.explain("cross_entropy", x, targets, **weighted, grad=True))
    assert "p[n,c]" not in str(opcheck.explain("cross_entropy", x, targets, ignore_index=1, grad=True))
    assert isinstance(catalog.get("linear").closed[0], Closed)


def test_an_empty_batch_has_gradients_of_zero():
    arrays = {"weight": np.ones(2), "bias": np.ones(2)}
    assert "b̄[1] = 0" in str(opcheck.explain("group_norm", np.ones((0, 2, 2)), 1, **arrays, grad=True))


def test_what_stands_behind_with_is_said_once():
    told = set()
    assert once("ā = b·p[n]   with p[n] = c, q = 2", told) == "ā = b·p[n]   with p[n] = c, q = 2"
    assert once("b̄ = a·p[n]   with p[n] = c, q = 2", told) == "b̄ = a·p[n]   with p as above"
    assert once("c̄ = q·r   with r = 3·p, p[n] = c, q = 2", told) == "c̄ = q·r   with r = 3·p, p, q as above"
    assert once("d̄ = r + qq", told) == "d̄ = r + qq"
    shown = str(opcheck.explain("lstm_cell", grad=True))
    assert shown.count("z[n,k] = Σ_j") == shown.count("c̄′[n,r] =") == 1
    assert "V̄[k,a] = Σ_n z̄[n,k]·h[n,a]   with z̄ as above" in shown
    assert "c̄[n,r] = f[n,r]·c̄′[n,r]   with c̄′, f as above" in shown
