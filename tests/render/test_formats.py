"""What every renderer promises, over every operator's explanations and declarations."""

import ast
import html.parser
import json as standard_json
import math
import re
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import pytest

import opcheck
from opcheck import explain
from opcheck.app.ops import describe, listing
from opcheck.operators import catalog
from opcheck.render import FORMATS, json, latex, render, text
from opcheck.render.layout import width
from opcheck.render.numbers import Style, digits
from opcheck.render.signs import to_ascii
from opcheck.render.tex import definition, escaped
from opcheck.steps import Apply, Cell, Elided, Formula, Grid, Grids, Number, Prose, Step, Symbol, Table

OPERATORS = [op.name for op in catalog.every()]


def documents(name: str) -> list[Step]:
    """What there is to print about an operator."""
    return [
        explain(name).step,
        explain(name, grad=True, dtype="float32").step,
        Step("", tuple(describe(catalog.get(name)))),
    ]


# --- text -----------------------------------------------------------------------------------------------------------


@pytest.mark.share(12)
@pytest.mark.parametrize("name", OPERATORS)
def test_no_line_is_wider_than_the_page(name):
    for step in documents(name):
        for page in (*range(40, 90, 5), 120, 200):
            for style in ({}, {"ascii": True}, {"plain": True}):
                for line in text.render(step, text.Options(width=page, **style)).split("\n"):
                    assert width(line) <= page, line


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("style", [{"ascii": True}, {"plain": True}])
def test_ascii_is_ascii_and_every_sign_has_a_name_in_it(name, style):
    for step in documents(name):
        shown = render(step, "text", **style)
        assert shown.isascii()
        questions = sum(str(block).count("?") for block in step.blocks)
        assert shown.count("?") <= questions, "a sign without a name was printed as ?"


def test_every_sign_of_a_sentence_has_a_name_in_ascii():
    """Whatever is shown: sentences and formulas that are spelled out in the code."""
    home = Path(opcheck.__file__).parent
    for path in (*home.glob("traces/**/*.py"), *home.glob("explanation/*.py"), *home.glob("operators/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\ud800" not in node.value:
                assert to_ascii(node.value).count("?") == node.value.count("?"), (path.name, node.value)
    assert to_ascii("a ≠ b, ∇f") == "a != b, grad f"


def test_a_long_definition_breaks_between_its_clauses():
    short = "y = a·b + c,   z = d·e   with a = f(1, 2), b = " + "1 + " * 10 + "1"
    rows = ["y = a·b + c,   z = d·e   with a = f(1, 2),", "    b = " + "1 + " * 10 + "1"]
    assert render(Step("", (Prose(short, "definition"),)), "text", width=60).split("\n") == rows
    many = "y = a   with " + ", ".join(f"{letter} = {'1' * 12}" for letter in "abcde")
    shown = render(Step("", (Prose(many, "definition"),)), "text")
    assert shown.split("\n")[:3] == ["y = a", "    with a = 111111111111,", "    b = 111111111111,"]
    assert "one-each" in render(Step("", (Prose(many, "definition"),)), "html")
    aligned = latex.render(Step("", (Prose(many, "definition"),)), latex.Options())
    assert aligned.count(r"\\ ") + aligned.count("\\\\\n") == 5
    structure(aligned)


def test_words_have_no_drawing():
    shown = render(explain("conv2d", shapes={"input": (4, 4)}).step, "text", plain=True)
    assert "row 0: 1 (marked), 2 (marked), 3, 4" in shown
    assert not re.search(r" [=·|] |\[ *\d+\] ", shown)


def test_a_number_is_never_broken():
    value = Fraction(123456789012345678901234567890, 7)
    formula = Formula(Symbol("y"), (Apply("sum", (Number(value), Number(value))), Number(value)))
    shown = render(Step("", (formula,)), "text", width=40, precision=30)
    assert shown.count(digits(value, Style(30))) == 3


def test_a_long_sum_breaks_where_its_array_does():
    terms = tuple(
        Apply("mul", (Symbol("x", (i, j)), Symbol("weight", (i, j)))) for i in range(2) for j in range(3)
    )  # fmt: skip
    shown = render(Step("", (Formula(Symbol("y"), (Apply("sum", (*terms, Symbol("b", (0,)))),)),)), "text")
    assert shown.split("\n") == [
        "y = x[0,0]·weight[0,0] + x[0,1]·weight[0,1] + x[0,2]·weight[0,2]",
        "  + x[1,0]·weight[1,0] + x[1,1]·weight[1,1] + x[1,2]·weight[1,2]",
        "  +        b[0]",
    ]


def test_a_table_wraps_its_widest_column_and_a_narrow_page_stacks_it():
    table = Table(("name", ""), (("one", "a sentence of several words"), ("two", "short")))
    wide = render(Step("", (table,)), "text", width=24)
    assert wide.split("\n") == [
        "name",
        "────  ──────────────────",
        "one   a sentence of",
        "      several words",
        "two   short",
    ]
    assert render(Step("", (table,)), "text", width=11).split("\n")[:2] == ["name: one", "  a"]


def product(*factors):
    return Apply("mul", tuple(Number(Fraction(each)) for each in factors))


@pytest.mark.parametrize(
    ("expression", "written"),
    [
        (Apply("mul", (Symbol("a"), Number(Fraction(-2)))), "a·(−2)"),
        (Apply("mul", (Number(Fraction(-2)), Symbol("a"))), "−2·a"),
        (Apply("neg", (Number(Fraction(-2)),)), "−(−2)"),
        (Apply("sub", (Symbol("a"), Number(Fraction(-2)))), "a − (−2)"),
        (Apply("sum", (Symbol("a"), Apply("neg", (Number(Fraction(-2)),)))), "a − (−2)"),
        (Apply("sum", (Symbol("a"), Apply("neg", (product(-2, 3),)))), "a − (−2)·3"),
        (Apply("sum", (Symbol("a"), Apply("mul", (Apply("neg", (Number(Fraction(-2)),)), Symbol("b"))))), "a − (−2)·b"),
        (Apply("sub", (Symbol("a"), Apply("sum", (Symbol("b"), Symbol("c"))))), "a − (b + c)"),
        (Apply("sum", (Symbol("a"), Apply("neg", (Symbol("b"),)))), "a − b"),
        (Apply("div", (Symbol("a"), Apply("mul", (Symbol("b"), Symbol("c"))))), "a/(b·c)"),
        (Apply("power", (Number(Fraction(-2)), Number(Fraction(2)))), "(−2)²"),
        (Apply("power", (Apply("sum", (Symbol("a"), Symbol("b"))), Number(Fraction(3)))), "(a + b)^3"),
        (Apply("exp", (Apply("neg", (Symbol("x"),)),)), "exp(−x)"),
        (Elided(5), "… 5 terms …"),
        (Elided(5, Number(Fraction(3))), "[5 terms: 3]"),
        (Symbol("x", (0, 1), adjoint=True), "x̄[0,1]"),
        (Number(-0.0), "−0"),
        (Number(math.inf), "∞"),
        (Number(math.nan), "NaN"),
        (Number(Fraction(1), inexact=True), "1.0000"),
    ],
)
def test_expressions_have_the_parentheses_that_they_need_and_no_others(expression, written):
    assert text.Options().notation.write(expression) == written


# --- JSON -----------------------------------------------------------------------------------------------------------

EVERYTHING = Step(
    "title",
    (
        Prose("sentence", "note"),
        Formula(Symbol("y", (0,), adjoint=True), (Apply("sum", (Elided(3, Number(Fraction(1, 3))), Elided(2))),), True),
        Grids((Grid("x", ((Cell(Number(-0.0), marked=True), Cell(None, padding=True)),)),)),
        Table(("a", "b"), (("text", Number(Fraction(2), inexact=True)), (Number(math.inf), Symbol("v", tangent=True)))),
        Step("", (Formula(Symbol("z"), (Number(Fraction(7, 2**20000)),)),)),
    ),
)


@pytest.mark.parametrize(
    ("op", "in_text", "in_latex", "in_mathml"),
    [
        ("expm1", "a·(exp(x) − 1)", r"a \cdot (\exp(x) - 1)", "<mi>exp</mi>"),
        ("erf", "a·erf(x)", r"a \cdot \mathrm{erf}(x)", "<mi>erf</mi>"),
        ("erf_slope", "a·2/√(π)·exp(−x²)", r"a \cdot \frac{2}{\sqrt{\pi}} \cdot \exp(-x^{2})", "<msqrt>"),
    ],
)
def test_functions_that_have_no_sign_are_written_as_what_they_are(op, in_text, in_latex, in_mathml):
    expression = Apply("mul", (Symbol("a"), Apply(op, (Symbol("x"),))))
    step = Step("", (Formula(Symbol("y"), (expression,)),))
    assert f"y = {in_text}" in render(step, "text")
    assert in_latex in render(step, "latex")
    assert in_mathml in render(step, "html")


def test_json_says_everything_and_reads_back():
    assert json.load(json.render(EVERYTHING)) == EVERYTHING
    assert str(json.load(json.render(EVERYTHING)).blocks[2]) == str(EVERYTHING.blocks[2])  # -0.0 == 0


@pytest.mark.parametrize("name", OPERATORS)
def test_json_of_an_explanation_reads_back(name):
    for step in documents(name):
        written = json.render(step)
        standard_json.loads(written, parse_constant=lambda word: pytest.fail(f"{word} is not valid JSON"))
        assert json.load(written) == step


@pytest.mark.parametrize("wrong", ['{"schema": "opcheck.report/1"}', "[]"])
def test_json_of_something_else_is_refused(wrong):
    with pytest.raises(ValueError, match=r"opcheck\.explanation/1"):
        json.load(wrong)


# --- LaTeX ----------------------------------------------------------------------------------------------------------


def structure(source: str) -> None:
    """Asserts that braces and environments are closed in order, and that no character is left that LaTeX lacks."""
    opened = []
    for token in re.findall(r"\\begin\{(\w+\*?)\}|\\end\{(\w+\*?)\}|\\[\\{}]|([{}])|\\(left|right)\b", source):
        begin, end, brace, side = token
        if begin or brace == "{" or side == "left":
            opened.append(begin or brace or side)
        elif end or brace == "}" or side == "right":
            assert opened, source
            assert opened.pop() == (end or {"}": "{"}.get(brace) or "left"), source
    assert opened == []
    assert source.isascii(), {c for c in source if not c.isascii()}


@pytest.mark.parametrize("name", OPERATORS)
def test_latex_is_well_formed(name):
    for step in documents(name):
        structure(latex.render(step, latex.Options(page=True)))


def test_a_structure_that_is_wrong_is_seen():
    for wrong in (r"\begin{a}\end{b}", "{", r"\left( x", "x}", "é"):
        with pytest.raises(AssertionError):
            structure(wrong)


def test_latex_escapes_what_latex_would_read():
    assert escaped("a_b & 50% #1 {x} ~ ^ \\ $ --all") == (
        r"a\_b \& 50\% \#1 \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{} \$ -{}-all"
    )


def compiles(source: str, folder: Path) -> None:
    """pdflatex takes it, where there is one; `structure` is held everywhere."""
    if shutil.which("pdflatex") is None:
        pytest.skip("needs pdflatex")
    (folder / "page.tex").write_text(source)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "page.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="latin-1", check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_latex_compiles(tmp_path):
    blocks = tuple(block for name in OPERATORS for step in documents(name) for block in step.blocks)
    compiles(render(Step("", blocks), "latex", page=True), tmp_path)


@pytest.mark.parametrize(
    ("text", "tex"),
    [
        ("y[n,i] = Σ_k x[n,i+k]·w[k]", r"y_{n,i} = \sum_{k} x_{n,i+k}\cdot w_{k}"),
        (
            "θ′ = θ − lr·m̂/(√(v̂) + ε)",
            r"\theta^{\prime} = \theta - \mathrm{lr}\cdot\hat{m}/(\sqrt{\hat{v}} + \varepsilon)",
        ),
        ("m = β₁·g² + β2ᵗ", r"m = \beta_{1}\cdot g^{2} + \beta_{2}^{t}"),
        ("e^−x, w[t[n]]", r"e^{-x}, w_{t_{n}}"),
        ("v̄₁[0,0] = h_1[2]", r"\bar{v}_{1;0,0} = h_{1;2}"),  # and not those of v₁₀
        ("y = max_{u,v} x with p = 0.5", r"y = \max_{u,v} x \text{ with } p = 0.5"),
    ],
)
def test_definitions_are_set_as_a_textbook_does(text, tex):
    assert definition(text) == tex


# --- HTML and Markdown --------------------------------------------------------------------------------------------


class Page(html.parser.HTMLParser):
    """Asserts that tags are closed in order, and keeps what a reader and a browser would want to know."""

    VOID = frozenset({"meta", "mspace", "br"})

    def __init__(self, source: str) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.links: list[str] = []
        self.marked = 0
        self.feed(source)
        self.close()
        assert self.opened == []

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("href", "src")]
        self.marked += ("class", "marked") in attrs
        if tag not in self.VOID:
            self.opened.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.opened and self.opened.pop() == tag


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("page", [True, False])
def test_html_is_well_formed_and_needs_no_network(name, page):
    for step in documents(name):
        source = render(step, "html", page=page)
        read = Page(source)
        assert read.links == []
        assert not re.search(r"https?:|url\(|@import|<script", source)
        assert source.startswith("<!DOCTYPE html>") == page
        grids = [grid for block in step.blocks if isinstance(block, Grids) for grid in block.grids]
        assert read.marked >= sum(cell.marked for grid in grids for row in grid.rows for cell in row)


def test_html_escapes_what_a_browser_would_read():
    step = Step("<b>", (Prose("<script>alert(1)</script> & more"), Table(("<i>",), (("<u>",),))))
    source = render(step, "html", page=False)
    assert not re.search(r"<(b|script|i|u)>", source)
    assert "&lt;script&gt;" in source


def test_markdown_shows_its_tables_grids_and_formulas():
    shown = render(explain("conv2d", shapes={"input": (4, 4)}, dtype="float32").step, "markdown")
    assert "```text\n" in shown and "| --- |" in shown
    assert shown.count("$$") % 2 == 0
    assert shown.startswith("## conv2d x 4×4")
    assert "\\_" in render(Step("", tuple(describe(catalog.get("max_pool2d")))), "markdown")


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_prints_the_list_of_operators(format):
    shown = render(Step("", tuple(listing())), format)
    for name in OPERATORS:
        assert name in shown.replace("\\_", "_")
