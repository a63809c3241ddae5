"""Random expressions for tests: a tree, its text, and the same in sympy and torch (which know nothing of opcheck)."""

from fractions import Fraction

import sympy
from hypothesis import strategies as st

import opcheck
from opcheck.traces.scalar.expression import parse

NAMES = ("x", "y", "z1")
POINT = {"x": 1.5, "y": -0.75, "z1": 2.25}  # dyadic
SYMBOLS = {name: sympy.Symbol(name, real=True) for name in NAMES}

LEAVES = st.one_of(
    st.sampled_from(NAMES).map(lambda name: ("name", name)),
    st.sampled_from(NAMES).map(lambda name: ("name", name)),
    st.sampled_from([1, 2, 3, 0.5, 0.25]).map(lambda number: ("number", number)),
)


def trees(binary, unary, leaves=6):
    def extend(children):
        return st.one_of(
            st.tuples(st.sampled_from(binary), children, children), st.tuples(st.sampled_from(unary), children)
        )

    return st.recursive(LEAVES, extend, max_leaves=leaves)


RATIONAL = trees(("+", "-", "*"), ("-", "square", "cube", "half", "abs"))
DIVIDED = trees(("+", "-", "*", "/"), ("-", "square", "inverse", "abs"), 5)
TWICE = trees(("+", "-", "*", "/"), ("-", "square", "inverse"), 4)  # no kinks
SMOOTH = trees(
    ("+", "-", "*", "/", "power", "max", "min"),
    ("-", "exp", "ln", "log1p", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "sigmoid", "abs", "relu", "pi",
     "asin", "acos", "atan", "asinh", "acosh", "atanh", "atan2"),
    5,
)  # fmt: skip


def text(tree):
    """As a user writes it; functions are kept away from their poles."""
    head, *parts = tree
    if head == "name":
        return parts[0]
    if head == "number":
        return str(parts[0])
    a, *rest = map(text, parts)
    b = rest[0] if rest else ""
    return {
        "+": f"({a} + {b})", "-": f"({a} - {b})" if rest else f"(-{a})", "*": f"{a}*{b}",
        "/": f"({a}/(({b})**2 + 1))", "square": f"({a})^2", "cube": f"({a})**3", "half": f"({a})/2", "abs": f"abs({a})",
        "inverse": f"1/({a}*{a} + 1)",
        "power": f"(abs({a}) + 1)**sin({b})",
        "max": f"max({a}, {b} + 1/3)",
        "min": f"min({a}, {b} - 1/3)",
        "ln": f"ln(({a})**2 + 1)", "log1p": f"log1p(({a})^2)", "sqrt": f"sqrt(({a})**2 + 1)",
        "exp": f"exp(sin({a}))", "sinh": f"sinh(cos({a}))", "cosh": f"cosh(sin({a}))", "tan": f"tan(sin({a}))",
        "asin": f"arcsin(sin({a})/2)", "acos": f"acos(sin({a})/2)", "atanh": f"atanh(sin({a})/2)",
        "acosh": f"arcosh(({a})^2 + 2)", "atan2": f"atan2({a}, ({a})^2 + 1)",
        "relu": f"relu({a} + 0.3)", "pi": f"(pi*{a} + e)",
    }.get(head, f"{head}({a})")  # fmt: skip


def formula(tree, k):
    """The tree in `k`, which is sympy or torch with a few names added: see `SYMPY` and `torch_functions`."""
    head, *parts = tree
    if head in ("name", "number"):
        return k[head](parts[0])
    a, *rest = (formula(part, k) for part in parts)
    b = rest[0] if rest else None
    plain = {
        "+": lambda: a + b, "-": lambda: -a if b is None else a - b, "*": lambda: a * b, "/": lambda: a / (b * b + 1),
        "square": lambda: a * a, "cube": lambda: a * a * a, "half": lambda: a / 2, "abs": lambda: k["abs"](a),
        "inverse": lambda: 1 / (a * a + 1), "power": lambda: (k["abs"](a) + 1) ** k["sin"](b),
        "max": lambda: k["max"](a, b + k["number"](Fraction(1, 3))),
        "min": lambda: k["min"](a, b - k["number"](Fraction(1, 3))),
        "ln": lambda: k["log"](a * a + 1), "log1p": lambda: k["log"](1 + a * a), "sqrt": lambda: k["sqrt"](a * a + 1),
        "exp": lambda: k["exp"](k["sin"](a)), "sinh": lambda: k["sinh"](k["cos"](a)),
        "cosh": lambda: k["cosh"](k["sin"](a)), "tan": lambda: k["tan"](k["sin"](a)),
        "relu": lambda: k["max"](a + k["number"](0.3), k["number"](0)), "pi": lambda: k["pi"] * a + k["e"],
        "sigmoid": lambda: 1 / (1 + k["exp"](-a)), "acosh": lambda: k["acosh"](a * a + 2),
        "atan2": lambda: k["atan2"](a, a * a + 1),
        **{name: lambda name=name: k[name](k["sin"](a) / 2) for name in ("asin", "acos", "atanh")},
    }  # fmt: skip
    return plain[head]() if head in plain else k[head](a)


SYMPY = {
    "name": SYMBOLS.__getitem__, "number": lambda x: sympy.Rational(*Fraction(x).as_integer_ratio()),
    "abs": sympy.Abs, "sin": sympy.sin, "cos": sympy.cos, "tan": sympy.tan, "sinh": sympy.sinh, "cosh": sympy.cosh,
    "tanh": sympy.tanh, "exp": sympy.exp, "log": sympy.log, "sqrt": sympy.sqrt, "max": sympy.Max, "min": sympy.Min,
    "pi": sympy.pi, "e": sympy.E,
    **{name: getattr(sympy, name) for name in ("asin", "acos", "atan", "asinh", "acosh", "atanh", "atan2")},
}  # fmt: skip


def torch_functions(torch, leaves):
    names = (
        "abs",
        "sin",
        "cos",
        "tan",
        "sinh",
        "cosh",
        "tanh",
        "exp",
        "log",
        "sqrt",
        "asin",
        "acos",
        "atan",
        "asinh",
        "acosh",
        "atanh",
        "atan2",
    )
    return {
        **{name: getattr(torch, name) for name in names}, "name": leaves.__getitem__,
        "number": lambda x: torch.tensor(float(x), dtype=torch.float64),
        "max": lambda a, b: torch.stack([a, b]).max(dim=0).values,
        "min": lambda a, b: torch.stack([a, b]).min(dim=0).values,
        "pi": torch.pi, "e": torch.e,
    }  # fmt: skip


PLACE = {SYMBOLS[name]: SYMPY["number"](x) for name, x in POINT.items()}


def sympy_gradient(tree):
    """The value at POINT and the derivative by each name, to 40 digits."""
    whole = formula(tree, SYMPY)
    return sympy.N(whole.subs(PLACE), 40), {name: sympy.N(whole.diff(SYMBOLS[name]).subs(PLACE), 40) for name in NAMES}


def exactly(formula):
    """A rational formula at POINT as a Fraction."""
    number = formula.subs(PLACE)
    assert number.is_Rational, number
    return Fraction(int(number.p), int(number.q))


def traced(tree, **options):
    """The trace of an expression at POINT."""
    spelled = text(tree)
    return opcheck.trace(spelled, at={name: POINT[name] for name in parse(spelled).names}, **options)
