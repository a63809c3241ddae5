"""The expression language: what it takes, and what it says of what it does not take."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

import opcheck
from opcheck.traces.scalar.expression import FUNCTIONS, ExpressionRefused, parse
from tests.traces.scalar import expressions


@given(tree=expressions.SMOOTH)
def test_the_value_is_that_of_sympy_within_the_bound(tree):
    from opcheck.tracing import bound

    text = expressions.text(tree)
    names = parse(text).names
    trace = opcheck.trace(text, at={name: expressions.POINT[name] for name in names})
    value, _ = expressions.sympy_gradient(tree)
    # π, e and 1/3 are rounded once each before they are used: each counts as one more operation on its value
    allowed = bound(trace.graph, trace.graph.outputs[0], "float64", trace.values) + constants_error(trace)
    assert abs(trace.value - value) <= allowed


def constants_error(trace):
    """How far the value can move because π, e and decimals such as 0.3 are rounded."""
    from opcheck.tracing import reverse

    adjoints = reverse(trace.graph, {trace.graph.outputs[0]: 1.0}, trace.values)
    return sum(
        abs(adjoint * node.value) * 2**-53
        for node, adjoint in zip(trace.graph.nodes, adjoints, strict=True)
        if node.op == "constant" and adjoint is not None and not float(node.value).is_integer()
    )


@pytest.mark.parametrize(
    ("text", "at", "value"),
    [
        ("2^3", {}, 8), ("-2^2", {}, -4), ("2**-1", {}, 0.5), ("1 - 2 - 3", {}, -4), ("8/4/2", {}, 1),
        ("2*3+4", {}, 10),
        ("+x", {"x": 3}, 3), ("pow(x, 2)", {"x": 3}, 9), ("max(1, 5, 3)", {}, 5), ("min(x, 2)", {"x": 3}, 2),
        ("relu(x)", {"x": -3}, 0), ("abs(x)", {"x": -3}, 3), ("ln(e)", {}, 1), ("log(e)", {}, 1),
        ("sqrt(x)", {"x": 9}, 3),
        ("x·y − 2", {"x": 3, "y": 4}, 10), ("2×x", {"x": 3}, 6), (" x\n + 1 ", {"x": 3}, 4),
        ("θ + α1", {"θ": 1, "α1": 2}, 3),
        ("cos(0)", {}, 1), ("sigmoid(0)", {}, 0.5),
        ("σ(0)*σ", {"σ": 3}, 1.5), ("tanh(0)+sinh(0)+sin(0)+tan(0)", {}, 0), ("cosh(0)", {}, 1),
        ("_a_1 * 1e2", {"_a_1": 2}, 200), ("x^2^3", {"x": 2}, 256),
    ],
)  # fmt: skip
def test_values(text, at, value):
    assert opcheck.trace(text, at=at).value == value


def test_several_outputs():
    assert opcheck.trace("x*y, x+y, 3", at={"x": 2, "y": 5}).value == (10, 7, 3)


def test_operations_are_numbered_level_by_level_as_in_a_lecture():
    trace = opcheck.trace("ln(x1) + x1*x2 - sin(x2)", at={"x1": 2, "x2": 5})
    assert [node.op for node in trace.graph.nodes] == ["input", "input", "log", "mul", "sin", "sum", "sub"]
    assert trace.lines.names == ["v-1", "v0", "v1", "v2", "v3", "v4", "v5"]


@pytest.mark.parametrize(
    ("text", "caret", "message"),
    [
        ("ln(x1)+", "       ^", "the expression ends too early"),
        ("|x|", "^", "an absolute value is written abs(x)"),
        ("2x", "^", "a product needs its sign: 2*x and not 2x"),
        ("(x)(y)", " ^", "there is no function x"),
        ("x y", "  ^", "a product needs its sign"),
        ("exp x", "    ^", "call it: exp(x)"),
        ("x1 ^^ 2", "    ^", "this is not an expression"),
        ("1 + foo(x)", "    ^^^", "there are abs, acos, acosh"),
        ("θ*sni(x)", "  ^^^", "Did you mean sin or sinh?"),
        ("ln", "^^", "call it: ln(x)"),
        ("ln(x, y)", "^^^^^^^^", "ln takes 1 argument and not 2"),
        ("max(x)", "^^^^^^", "max takes 2 or more arguments and not 1"),
        ("exp()", "^^^^^", "exp takes 1 argument and not 0"),
        ("exp(x=1)", "^^^^^^^^", "exp takes its arguments by position"),
        ("(x", "^", "this parenthesis is never closed"),
        ("x)", " ^", "this parenthesis was never opened"),
        ("'a' + x", "^^^", "this is not a real number"),
        ("2j", "^^", "this is not a real number"),
        ("True", "^^^^", "this is not a real number"),
        ("1e999*x", "^^^^^", "too large for float64"),
        ("x + " + "9" * 400, "    " + "^" * 400, "too large for float64"),
        ("y = x", "  ^", "only the right-hand side"),
        ("pi(x)", "^^", "pi*(...)"),
        ("2(x+1)", "^", "2*(...)"),
        ("x if y else z", "^^^^^^^^^^^^^", "max, min, relu or abs"),
        ("x and y", "^^^^^^^", "an expression has no conditions"),
        ("x < y", "^^^^^", "an expression has no conditions"),
        ("x[0]", "^^^^", "this is not allowed in an expression"),
        ("x // y", "^^^^^^", "this is not allowed in an expression"),
        ("x.real", "^^^^^^", "this is not allowed in an expression"),
        ("[x]", "^^^", "this is not allowed in an expression"),
        ("lambda: x", "^^^^^^^^^", "this is not allowed in an expression"),
        ("", "^", "there is no expression"),
        ("x +\n\ty z", "       ^", "a product needs its sign"),
    ],
)
def test_a_caret_stands_under_the_place(text, caret, message):
    with pytest.raises(ExpressionRefused) as caught:
        parse(text)
    lines = str(caught.value).splitlines()
    assert lines[2] == "  " + caret
    assert lines[1] == "  " + text.replace("\n", " ").replace("\t", " ")
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["(" * 300 + "x" + ")" * 300, "+".join(["x"] * 50_000), "-" * 20_000 + "x"])
def test_what_is_nested_too_deeply_is_refused(text):
    with pytest.raises(ExpressionRefused, match=r"nested too deeply|not an expression"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    ["__import__('os').system('true')", "x.__class__.__bases__", "().__class__", "[c for c in ()]", "exec('1')",
     "f'{x}'",
     "(lambda: 1)()", "x:=1", "open(x)", "eval(x)", "globals()", "x@y", "~x", "not x", "*x", "max(*x)", "b'1'",
     "None", "..."],
)  # fmt: skip
def test_nothing_but_the_whitelist(text):
    with pytest.raises(ExpressionRefused):
        parse(text)


def test_no_module_of_ours_evaluates_text():
    from pathlib import Path

    root = Path(opcheck.__file__).parent / "traces"
    for path in root.rglob("*.py"):
        calls = [node.func.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
                 and isinstance(node.func, ast.Name)]  # fmt: skip
        assert not {"eval", "exec", "sympify", "compile"} & set(calls), path


@given(st.text(alphabet="xy01.+-*/^(), lnexpsin·−∞'\"[]=<>:", max_size=30))
def test_any_text_is_read_or_refused(text):
    try:
        expression = parse(text)
    except ExpressionRefused as error:
        assert "^" in str(error).splitlines()[2]
    else:
        assert set(expression.names).isdisjoint(FUNCTIONS)


def test_a_missing_value():
    with pytest.raises(ExpressionRefused) as caught:
        opcheck.trace("ln(x1) + x2*x1", at={"x1": 2})
    assert str(caught.value).splitlines() == [
        "x2 has no value", "  ln(x1) + x2*x1", "           ^^", "give it one: --at x2=2 (in Python: at={'x2': 2})",
    ]  # fmt: skip


def test_a_value_that_is_not_used():
    with pytest.raises(opcheck.Refused, match=r"x3 has a value but does not appear.*its variables are x1, x2"):
        opcheck.trace("x1*x2", at={"x1": 1, "x2": 2, "x3": 3})


@pytest.mark.parametrize("value", ["2", True, None, 2j, [1, [2]]])
def test_a_value_that_is_no_number(value):
    with pytest.raises(opcheck.Refused, match="x must be a real number"):
        opcheck.trace("x", at={"x": value})


def test_notes():
    assert parse("x^2").notes == ("^ is read as a power (in Python it is **)",)
    assert parse("log(x)").notes == ("log is the natural logarithm, the same as ln",)
    assert parse("x**2 + ln(x)").notes == ()


@pytest.mark.parametrize(("text", "value"), [("x²", 9), ("x¹⁰", 3**10), ("2·x⁻¹", 2 / 3), ("x²·x", 27)])
def test_raised_digits_are_powers(text, value):
    assert opcheck.trace(text, at={"x": 3}).value == value


def test_names_that_stand_together_may_be_a_product():
    with pytest.raises(opcheck.Refused, match=r"its variables are xy; for a product, write the sign: x\*y"):
        opcheck.trace("xy", at={"x": 1, "y": 2})
