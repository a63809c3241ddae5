"""`opcheck trace` from the shell: options, formats, exit codes, messages, and what it imports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LECTURE = ("ln(x1)+x1*x2-sin(x2)", "--at", "x1=2,x2=5")


def run(*arguments, code=0):
    done = subprocess.run(
        [sys.executable, "cli.py", "trace", *arguments], cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code in (0, 1) else done.stderr


def test_the_lecture():
    text = run(*LECTURE)
    for line in (
        "v₂    v₋₁·v₀   2·5", "v̇₂    v̇₋₁·v₀ + v̇₀·v₋₁  1·5 + 0·2", "v₂    v̄₀       v̄₀ + v̄₂·v₋₁   −0.2837 + 1·2   1.7163",
        "x1          5.5", "v₁ = ln(v₋₁)   v₂ = v₋₁·v₀   v₃ = sin(v₀)", "forward mode agrees with reverse mode",
        "as h halves (h², as it must)",
    ):  # fmt: skip
        assert line in text or line in " ".join(text.split())
    assert all(len(line.replace("\u0304", "").replace("\u0307", "")) <= 80 for line in text.splitlines())


def test_modes():
    assert "adjoints" not in run(*LECTURE, "--mode", "forward")
    assert "gradient" not in run(*LECTURE, "--mode", "forward")
    assert "not tracked: x2" in run(*LECTURE, "--mode", "forward", "--wrt", "x1")
    assert "tangents" not in run(*LECTURE, "--mode", "reverse")


def test_wrt():
    text = run(*LECTURE, "--wrt", "x1")
    assert "x2     not tracked" in text
    assert "∂/∂x2" not in text


def test_second_derivatives_and_matrices():
    text = run(*LECTURE, "--jacobian", "--hessian", "--hvp", "x1=1,x2=2")
    assert "2 in forward mode (one per input), 1 in reverse mode" in text
    assert "Hessian times v, by forward over reverse" in text
    assert "x2      1  −0.9589                  x2     2  −0.9178" in text
    assert "symmetric: u·Hv = 6.25355 and v·Hu = 6.25355 (difference 0" in text


def test_passes_and_seeds():
    text = run("x*x", "--at", "x=3", "--passes", "2", "--width", "200")
    assert "6 + 6" in text
    assert "v̄₁       3" in run("x*x", "--at", "x=1", "--seed", "3")


def test_inputs_may_be_worked_out():
    text = run("sin(x) + y", "--at", "x=pi/2,y=1/4", "--mode", "reverse")
    assert "x ≈ 1.5708" in text
    assert "1 + 0.25        1.25" in text
    assert "2/21" in run("x*y", "--at", "x=1/3,y=2/7", "--exact", "--mode", "reverse")


def test_exact():
    text = run("x^2/3", "--at", "x=0.1", "--exact")
    assert "1/300" in text
    assert "sympy: ∂f/∂x = 2*x/3" in text


def test_step():
    text = run(*LECTURE, "--step")
    assert "step 1 of 5" in text
    assert "back 9 of 9" in text


@pytest.mark.parametrize(("format", "sign"), [("latex", r"\toprule"), ("markdown", "| --- |"), ("html", "<table")])
def test_formats(format, sign):
    assert sign in run(*LECTURE, "--format", format)


def test_json():
    data = json.loads(run(*LECTURE, "--format", "json"))
    assert data["schema"] == "opcheck.trace/1"
    assert [node["name"] for node in data["nodes"]] == ["v-1", "v0", "v1", "v2", "v3", "v4", "v5"]
    assert data["nodes"][0]["adjoint"] == 5.5


@pytest.mark.parametrize(
    ("notation", "sign"), [("text", "└"), ("dot", "digraph"), ("mermaid", "flowchart"), ("svg", "<svg")]
)
def test_graphs(notation, sign, tmp_path):
    assert sign in run(*LECTURE, "--graph", notation)
    run(*LECTURE, "--graph", notation, "-o", str(tmp_path / "graph"))
    assert sign in (tmp_path / "graph").read_text(encoding="utf-8")


def test_ascii_and_plain():
    assert run(*LECTURE, "--ascii").isascii()
    plain = run(*LECTURE, "--plain")
    assert "with numbers: 2 times 5" in plain
    assert "┌" not in plain


def test_a_program_of_arrays(tmp_path):
    (tmp_path / "net.py").write_text(
        "import numpy as np\nfrom opcheck import reference\n\n"
        "def loss(w=np.eye(2), x=np.ones((1, 2))):\n    return reference.relu(reference.linear(x, w)).sum()\n"
    )
    text = run(f"{tmp_path / 'net.py'}:loss", "--wrt", "w")
    assert 'linear.vjp(v̄₁, v₀, v₋₁)["weight"]' in text
    assert "x      not tracked" in text
    other = run(f"{tmp_path / 'net.py'}:loss", "--at", "x=[[3,4]]", "--at", "w=2x2", "--graph", "mermaid")
    assert "linear" in other


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("2x",), "opcheck: this is not an expression\n  2x\n  ^\n  a product needs its sign"),
        (("x*y", "--at", "x=1"), "y has no value"),
        (("x", "--at", "x=1,z=2"), "z has a value but does not appear"),
        (("x", "--at", "x"), "--at takes a value for each input"),
        (("x", "--at", "x=1,x=2"), "--at gives x two values"),
        (
            ("x", "--at", "x=one"),
            "x must be a number or an array\n  got: 'one'\n  for example --at x=2, x=1/3 or x=pi/2",
        ),
        (
            ("x*y", "--at", "x=1", "y=2"),
            "write the inputs without spaces, separated by commas\n  got: y=2\n  --at x=1,y=2",
        ),
        (("sin", "x"), 'the expression must be one argument\n  got: sin x\n  put it in quotes: opcheck trace "sin x"'),
        (("x", "--at", "x=1", "--hvp", "1"), "--hvp takes a value for each input: --hvp x1=2,x2=5"),
        (("x", "--at", "x=1", "--wrt", "y"), "there is no input y"),
        (("missing.py:f",), "there is no file missing.py"),
        (("x", "--at", "x=1", "--graph", "png"), "is not one of"),
        (("x", "--at", "x=1", "--format", "svg"), "'svg' is a format for the graph only: use --graph svg"),
        (("x", "--at", "x=[[1,2],[3]]"), "--at x must be rectangular"),
        (("x", "--at", "x=[1,2]"), "x must be a real number\n  got: array([1, 2])\n  arrays are for a function"),
        (("x", "--at", "x=@none.npy"), "--at x: there is no file none.npy"),
        ((), "Missing argument 'WHAT'"),
    ],
)
def test_bad_input_is_one_message_and_exit_code_2(arguments, message):
    assert message in run(*arguments, code=2)


def test_a_nan_says_where_it_was_born():
    text = run("ln(x)*3 + y", "--at", "x=-1,y=2")
    assert "v₁ is NaN: the logarithm of a negative number is not real" in text


def imported(*arguments):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "cli.py", "trace", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line}


def test_a_trace_of_numbers_imports_nothing_heavy():
    heavy = {"numpy", "sympy", "mpmath", "torch", "rich", "hypothesis"}
    assert imported(*LECTURE) & heavy == set()
    assert {"sympy", "mpmath"} <= imported(*LECTURE, "--exact")  # this test can fail
