"""The tables of a tensor program, read back as they are printed: every line is computed again from what it says.

A line is computed twice: its formula by numpy and the reference functions, and its rule by torch, which differentiates
the line that the evaluation trace prints and knows nothing of the formula.
"""

import json

import numpy as np
import pytest
from hypothesis import given

import opcheck
from opcheck import reference as F
from opcheck.autodiff import value_and_gradient
from opcheck.programs.rules import RULES
from opcheck.steps import Apply, Prose
from opcheck.traces.scalar.lines import TEXT
from opcheck.traces.tensor import tables
from opcheck.traces.tensor.formulas import computes
from tests.traces.printed import markdown_rows, rows_of
from tests.traces.tensor import programs
from tests.traces.tensor.jacobians import Jacobians
from tests.traces.tensor.programs import EXACT, SMOOTH, WHOLE
from tests.traces.tensor.reread import NUMPY, Printed, again, agrees, line_of, name
from tests.traces.tensor.test_trace import is_exact, traced

ONES = np.ones((2, 4))


def check_evaluation(program):
    known = {}
    for line, told, *entries in program.evaluation:
        value = program.values[name(line)]
        if name(line) not in program.inputs:
            np.testing.assert_array_equal(again(told, known, NUMPY), value, err_msg=told)
        agrees(entries, value, told=told)
        known[name(line)] = value


def check_formulas(program, jacobians=None):
    """Every tangent and every adjoint by its formula, from the numbers of the lines that it names.

    Exactly, or with `jacobians` up to the rounding of one step.
    """
    known = dict(program.values)
    for line, told, *entries in program.forward:
        to = line_of(line)
        slack = jacobians.push(to, program.tangents, slack=True) if jacobians and to not in program.inputs else 0.0
        agrees(entries, again(told, known, NUMPY), slack, told)
        known[name(line)] = program.tangents[to]
    for (origin, line, told, *entries), total in zip(program.reverse, program.totals, strict=True):
        slack = off(program, jacobians, origin, line, total) if jacobians else 0.0
        found = again(told, known, NUMPY)
        agrees(entries, found if origin else np.broadcast_to(found, total.shape), slack, told)
        known[name(line)] = total


def check_rules(program, jacobians, exact):
    """Every tangent and every adjoint by torch's derivative of the line that the evaluation trace prints."""
    for line, told, *entries in program.forward:
        to = line_of(line)
        if to not in program.inputs:
            slack = 0.0 if exact else jacobians.push(to, program.tangents, slack=True)
            agrees(entries, jacobians.push(to, program.tangents), slack, told)
    before, (_, *rows), (_, *totals) = {}, program.reverse, program.totals
    for k, ((origin, line, told, *entries), total) in enumerate(zip(rows, totals, strict=True)):
        if k + 1 < len(rows) and rows[k + 1][:2] == [origin, line]:
            continue  # v·v: one line gives another two shares, and torch knows their sum
        to, by = line_of(line), line_of(origin)
        slack = 0.0 if exact else off(program, jacobians, origin, line, total)
        agrees(entries, before.get(to, 0.0) + jacobians.pull(by, to, program.adjoints[by]), slack, told)
        before[to] = total


def off(program, jacobians, origin, line, total):
    """By how much the sum of a share and of what was there may be off."""
    if not origin:
        return 0.0
    share = jacobians.pull(line_of(origin), line_of(line), program.adjoints[line_of(origin)], slack=True)
    return share + 4 * 2.0**-53 * np.abs(total)


def check_sweep(program, jacobians):
    """The whole reverse sweep again, by torch's derivative of each line: no row of the table is missing."""
    adjoints = {line_of(program.reverse[0][1]): program.totals[0]}
    for line in reversed(program.computes):
        for to in jacobians.of.get(line, ()) if line in adjoints else ():
            adjoints[to] = adjoints.get(to, 0.0) + jacobians.pull(line, to, adjoints[line])
    for line, adjoint in adjoints.items():
        assert np.array_equal(program.adjoints.get(line, np.zeros_like(adjoint)), adjoint), line


# --- the three tables -------------------------------------------------------------------------------------------------


@given(program=programs.programs(EXACT), x=WHOLE, y=WHOLE)
def test_every_line_says_what_it_computes(program, x, y):
    trace = traced(program, EXACT, x, y)
    check_evaluation(Printed(trace))
    if is_exact(trace, {"x": ONES, "y": ONES}):
        check_formulas(Printed(trace))


@pytest.mark.torch
@given(program=programs.programs(EXACT), x=WHOLE, y=WHOLE)
def test_every_tangent_and_every_adjoint_is_what_torch_makes_of_its_line(program, x, y):
    trace = traced(program, EXACT, x, y)
    if is_exact(trace, {"x": ONES, "y": ONES}):
        program = Printed(trace)
        jacobians = Jacobians(program)
        check_rules(program, jacobians, exact=True)
        check_sweep(program, jacobians)


@pytest.mark.torch
@given(program=programs.programs(EXACT | SMOOTH), x=WHOLE, y=WHOLE)
def test_every_line_of_a_smooth_program_too(program, x, y):
    program = Printed(traced(program, EXACT | SMOOTH, x, y))
    if program.is_finite():
        jacobians = Jacobians(program)
        check_evaluation(program)
        check_formulas(program, jacobians)
        check_rules(program, jacobians, exact=False)


@pytest.mark.torch
@pytest.mark.parametrize("operation", sorted(EXACT | SMOOTH))
def test_every_operation_can_be_read_back_at_ties_and_zeros(operation):
    x = np.array([[0.0, 1, 1, -2], [2, 0, 1, 1]])
    y = np.array([[0.0, 1, -1, 2], [2, 2, -3, 1]])
    program = Printed(traced([(operation, 0, 1)], EXACT | SMOOTH, x, y))
    check_evaluation(program)
    check_formulas(program, Jacobians(program))
    check_rules(program, Jacobians(program), exact=operation in EXACT)


@given(program=programs.programs(EXACT | SMOOTH), x=WHOLE, y=WHOLE)
def test_markdown_says_the_same(program, x, y):
    trace = traced(program, EXACT | SMOOTH, x, y)
    for table in (tables.values_table, tables.tangents_table, tables.adjoints_table):
        blocks = table(trace, everything=True)
        assert list(markdown_rows(blocks)) == list(rows_of(blocks))


@given(program=programs.programs(EXACT), x=WHOLE, y=WHOLE)
def test_json_alone_can_be_computed_again(program, x, y):
    trace = traced(program, EXACT, x, y)
    if is_exact(trace, {"x": ONES, "y": ONES}):
        check_json(json.loads(trace.to_json()))


def check_json(data):
    """Every formula from the numbers that the document holds, and nothing else."""
    known = {}

    def check(formula, key, array):
        expected = np.array(array["values"])
        np.testing.assert_array_equal(again(formula, known, NUMPY), expected, err_msg=formula)
        known[key] = expected

    for node in data["nodes"]:
        known |= {node["label"]: np.array(node["value"]["values"])} if node["label"] else {}
        check(node["formula"], node["name"].replace("-", "m"), node["value"])
    for node in data["nodes"]:
        if node["tangent"]:
            check(node["tangent_formula"], node["name"].replace("-", "m").replace("v", "vd"), node["tangent"])
    known[data["outputs"][0].replace("v", "vb")] = np.ones(())
    for row in data["reverse"]:
        check(row["formula"], row["to"].replace("-", "m").replace("v", "vb"), row["value"])
    for node in data["nodes"]:
        if node["adjoint"]:
            key = node["name"].replace("-", "m").replace("v", "vb")
            np.testing.assert_array_equal(known[key], np.array(node["adjoint"]["values"]))


# --- and these tests can fail -----------------------------------------------------------------------------------------


X = np.array([[3.0, -1, 2, 1], [2, 5, 1, -2]])
Y = np.array([[1.0, 2, -3, 2], [2, -4, 1, 1]])


def doubled(x):
    if isinstance(x, dict):
        return {name: doubled(each) for name, each in x.items()}
    return list(map(doubled, x)) if isinstance(x, (list, tuple)) else None if x is None else x * 2


@pytest.mark.torch
@pytest.mark.parametrize("mode", ["vjp", "jvp"])
@pytest.mark.parametrize(
    ("operation", "rule"),
    [("mul", "mul"), ("row_sum", "total"), ("matmul", "matmul"), ("maximum", "max"), ("gather", "getitem"),
     ("concatenate", "concatenate"), ("largest", "largest"), ("half", "div"), ("transpose", "reshape")],
)  # fmt: skip
def test_a_wrong_rule_is_seen(monkeypatch, mode, operation, rule):
    """Its formula is read off the rule, so it agrees with the wrong numbers; torch does not."""
    right = getattr(RULES[rule], mode)
    wrong = RULES[rule]._replace(**{mode: lambda first, *rest, **params: right(doubled(first), *rest, **params)})
    monkeypatch.setitem(RULES, rule, wrong)
    program = Printed(traced([(operation, 0, 1)], EXACT, X, Y))
    check_formulas(program)
    with pytest.raises(AssertionError):
        check_rules(program, Jacobians(program), exact=True)


@pytest.mark.parametrize(("operator", "mode"), [("relu", "vjp"), ("relu", "jvp"), ("linear", "vjp"), ("linear", "jvp")])
@pytest.mark.torch
def test_a_wrong_operator_of_the_catalogue_is_seen(monkeypatch, operator, mode):
    op = getattr(F, operator).op
    right = getattr(op, mode)
    monkeypatch.setattr(op, mode, lambda p, given, **arrays: right(p, doubled(given), **arrays))
    program = Printed(traced([(operator, 0, 1)], EXACT, X, Y))
    with pytest.raises(AssertionError):
        check_rules(program, Jacobians(program), exact=True)


@pytest.mark.parametrize(("word", "instead"), [("mul", "sum"), ("sum", "sub"), ("neg", "abs")])
def test_a_wrong_formula_is_seen(monkeypatch, word, instead):
    monkeypatch.setitem(TEXT.functions, word, lambda *args: Apply(instead, args))
    program = Printed(traced([("mul", 0, 1), ("sub", 2, 0), ("matmul", 3, 1)], EXACT, X, Y))
    with pytest.raises(AssertionError):
        check_formulas(program)


@pytest.mark.parametrize("table", ["forward", "reverse"])
@pytest.mark.parametrize(
    ("column", "change"),
    [(-4, ("+", "−")), (-3, ("×", "×1")), (-2, ("2", "3")), (-1, ("2", "3"))],
    ids=["formula", "shape", "values", "norm"],
)
def test_a_row_that_is_printed_wrong_is_seen(table, column, change):
    """Each single row: a sign, a size, a digit of a value or of a norm."""
    trace = traced([("mul", 0, 1), ("row_sum", 2, 0), ("sub", 3, 2), ("half", 4, 4)], EXACT, X, Y)
    changed = 0
    for k in range(len(getattr(Printed(trace), table))):
        program = Printed(trace)
        row = getattr(program, table)[k]
        before, row[column] = row[column], row[column].replace(*change)
        if row[column] != before:
            changed += 1
            with pytest.raises(AssertionError):
                check_formulas(program)
    assert changed > 1


@pytest.mark.torch
def test_a_row_that_is_missing_is_seen():
    program = Printed(traced([("mul", 0, 1), ("sub", 2, 0)], EXACT, X, Y))
    program.adjoints["v1"] = program.adjoints["v1"] * 2
    with pytest.raises(AssertionError, match="v1"):
        check_sweep(program, Jacobians(program))


# --- what is written --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "line"),
    [
        (lambda x: x + np.array([1, -0.5]), "v₀ + [1, −0.5]"),
        (lambda x: x + np.full((3, 2), 7), "v₀ + array 3×2"),
        (lambda x: x + np.ones((3, 2)), "v₀ + ones(3×2)"),
        (lambda x: x[:, [1, 0]], "v₀[:, [1, 0]]"),
        (lambda x: x[:, np.array([True, False])], "v₀[:, [True, False]]"),
        (lambda x: F.linear(x, np.full((5, 2), 7)), "linear(v₀, array 5×2)"),
        (lambda x: F.avg_pool1d(x, 2, padding=1), "avg_pool1d(v₀, kernel_size=2, padding=1)"),
        (lambda x: F.softmax(x, dim=1), "softmax(v₀, dim=1)"),
        (
            lambda x: F.mse_loss(x, np.zeros((3, 2)), weight=np.ones((3, 2))),
            "mse_loss(v₀, zeros(3×2), weight=ones(3×2))",
        ),
    ],
)
def test_constants_and_settings_are_written_as_a_program_writes_them(function, line):
    trace = opcheck.trace(function, at={"x": np.ones((3, 2))})
    assert computes(trace, list(trace.names)[-1]) == line


@pytest.mark.parametrize("moves", [False, True])
def test_words_that_no_program_uses_are_explained(moves):
    trace = opcheck.trace(lambda x: x[0] + x.max(), at={"x": np.ones(2)})
    blocks = trace.page(moves=moves).step.blocks
    notes = [block.text for block in blocks if isinstance(block, Prose) and block.kind == "note"]
    assert notes[0] == "put(a, at=[…], shape=s) is an array of zeros of shape s with a added at these positions."
    assert notes[1] == "first_max(a) is true at the maximum of a; of equal ones, at the first."


def test_a_gradient_inside_of_a_program_is_written_as_reference_has_it():
    def penalty(x, w):
        value, (by_x,) = value_and_gradient(lambda x: F.relu(F.linear(x, w)).sum())(x)
        return value + (by_x * by_x).sum()

    trace = opcheck.trace(penalty, at={"x": np.ones((1, 2)), "w": np.array([[1.0, 2.0]])})
    told = [row[1] for row in rows_of(tables.values_table(trace))]
    assert 'linear.vjp(v₅, v₋₁, v₀)["input"]' in told
    (_, *rows) = rows_of(tables.adjoints_table(trace))
    assert [told for _, _, told, *_ in rows if "second" in told] == ["second derivative of linear"] * 3
