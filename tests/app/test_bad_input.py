"""Bad input gets one sentence and exit code 2: never an internal error, a traceback, a hang or gigabytes."""

import json
import struct

import numpy as np
import pytest

from opcheck.operators.spec import Case
from opcheck.verification.casefile import Trial, to_json
from tests.app.support import run

DEEP, LONG, DIGITS = "[" * 5000 + "]" * 5000, "a" * 4096, "9" * 100_000


def refused(*arguments: str) -> str:
    """What is said of the command line; it is one message that can be read."""
    ran = run(*arguments)
    assert (ran.code, ran.out) == (2, ""), ran.err
    assert ran.err.startswith("opcheck: ") and "internal error" not in ran.err
    assert len(ran.err) < 2000
    return ran.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("grade", ""), "PATH is empty"),
        (("replay", ""), "CASE is empty"),
        (("grade", "x.py", "--assignment", ""), "--assignment is empty"),
        (("explain", "relu", "--input", "3", "-o", ""), "-o is empty"),
    ],
)
def test_an_empty_name_is_not_this_folder(words, told):
    """`opcheck grade "$WORK"`, where nothing says what WORK is, graded all that was there."""
    assert refused(*words) == f"opcheck: {told}\n  name a file or a folder; . is this folder\n"


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (DEEP, "can have at most 32 dimensions"),
        ("x".join("1" * 70), "can have at most 32 dimensions"),
        ("0..99999999999:2x3", "100000000000 numbers for (2, 3) (6 elements)"),
        (f"0..{DIGITS}:3", "at most 19 digits"),
        ("0x99999999999999999999", "can have at most 30000000 elements"),
        (f"1x{DIGITS}", "can have at most 30000000 elements"),
        (f"[1, {DIGITS}]", "a number has too many digits"),
        ("[1" + "0" * 400 + "]", "too large for float64"),
        (f"@{LONG}.npy", "File name too long"),
        ("[1, \ud800]", "is not a list of numbers"),
    ],
)
def test_an_array_that_is_none_or_too_large(array, told):
    assert told in refused("explain", "relu", "--input", array)
    assert told in refused("explain", "relu", "--input", "3", "--upstream", array)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.npy", b"(1000000000000,)", "mmap length is greater than file size"),
        ("a.npy", b"(-1,)", "negative dimensions"),
        ("a.npy", b"(99999999999999999999,)", "too large"),
        ("a.npy", b"'a'", "shape is not valid"),
        ("a.npy", b"[" * 5000, "cannot be read"),
        ("a.json", b"[" * 100_000, "at most 32 dimensions"),
        ("a.json", b'["\\ud800"]', "must hold only numbers"),
        ("a.json", b"\xff", "cannot be read"),
        ("a.csv", b"1,2\n3\n", "cannot be read"),
    ],
)
def test_a_file_that_lies(tmp_path, name, content, told):
    if name.endswith(".npy"):
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': " + content + b", }\n"
        content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(24)
    (tmp_path / name).write_bytes(content)
    assert told in refused("explain", "relu", "--input", f"@{tmp_path / name}")


@pytest.mark.parametrize("padding", ["1000000", "99999999999999999999"])
def test_an_output_that_is_too_large(padding):
    assert "the output has more than 30000000 elements" in refused(
        "explain", "conv2d", "--input", "4x4", "--padding", padding
    )


def test_a_seed_is_not_negative():
    assert "-1" in refused("explain", "linear", "--input", "3", "--seed", "-1")


RETURNED = {
    "(x for _ in ())": "must return numbers or arrays",
    "1j": "must return numbers or arrays",
    "x * 1j": "complex",
    "{1}": "must return numbers or arrays",
    "object()": "must return numbers or arrays",
    "10**400": "too large for float64",
    "quits()": "raised SystemExit: 3",
    "mute()": "raised Mute: (its message cannot be printed)",
}


@pytest.mark.parametrize("x", ["2", "[1,2]"])
@pytest.mark.parametrize("returned", RETURNED)
def test_a_traced_function_that_returns_no_numbers(tmp_path, returned, x):
    (tmp_path / "f.py").write_text(
        "class Mute(Exception):\n    def __str__(self):\n        raise ValueError\n"
        "def mute():\n    raise Mute\n"
        "def quits():\n    raise SystemExit(3)\n"
        f"def f(x):\n    return {returned}\n"
    )
    assert RETURNED[returned] in refused("trace", f"{tmp_path / 'f.py'}:f", "--at", f"x={x}")


@pytest.mark.parametrize("x", ["2", "[1,2]"])
def test_a_traced_function_that_returns_a_constant(tmp_path, x):
    (tmp_path / "f.py").write_text("def f(x):\n    return float('nan')\n")
    ran = run("trace", f"{tmp_path / 'f.py'}:f", "--at", f"x={x}", "--hessian")
    assert (ran.code, ran.err) == (0, "") and "NaN" in ran.out


def test_a_file_that_exits(tmp_path):
    (tmp_path / "f.py").write_text("raise SystemExit(3)\n")
    assert "cannot be run\n  got: SystemExit: 3" in refused("trace", f"{tmp_path / 'f.py'}:f", "--at", "x=2")


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("10**100000000*x", "more than 3000 digits"),
        ("2**2**2**2**2**2*x", "more than 3000 digits"),
        ("((x**9999)**9999)**9999", "more than 3000 digits"),
        (DIGITS, "too many digits"),
        (f"0x{DIGITS}*x", "too large for float64"),
        ("\ud800*x", "not a valid character"),
        ("(" * 5000, "is not an expression"),
    ],
)
def test_an_expression_that_nobody_can_work_out(expression, told):
    assert told in refused("trace", expression, "--at", "x=3", "--exact")


@pytest.mark.parametrize("x", [DIGITS, "1e400"])
def test_a_value_that_no_float_holds(x):
    assert "too large for float64" in refused("trace", "x", "--at", f"x={x}")


def test_the_hessian_of_a_constant():
    assert run("trace", "pi", "--hessian").code == 0


@pytest.mark.parametrize("x", ["[]", "0x2"])
def test_arrays_without_elements(tmp_path, x):
    (tmp_path / "f.py").write_text("def f(x):\n    return x.sum()\n")
    assert run("trace", f"{tmp_path / 'f.py'}:f", "--at", f"x={x}", "--hessian").code == 0


CASE = to_json(
    Trial(Case("relu", {"input": np.array([1.0, -2.0])}, {}), address=("relu", "float32", 1, 2)),
    claim="rounding", status="DIFFERS", name="", at=[0], expected="0x1p0", got="nan",
)  # fmt: skip
DAMAGE = [
    ("op", 3), ("op", []), ("dtype", "int64"), ("dtype", None), ("layout", "a"), ("policy", []), ("address", [1]),
    ("address", ["relu", "float32", "a", {}]), ("frozen", ["a"]), ("frozen", 3), ("params", []), ("params", {"a": 1}),
    ("params", {"a": {"hex": "0x1p99999"}}), ("arrays", {}), ("arrays", {"input": 3}), ("arrays", {"a": {}}),
    ("arrays", {"input": {"shape": [2], "dtype": "object", "data": [1, 2]}}),
    ("arrays", {"input": {"shape": [2], "dtype": "9" * 5000, "data": [1, 2]}}),
    ("arrays", {"input": {"shape": [10**30], "dtype": "float64", "data": []}}),
    ("arrays", {"input": {"shape": [1], "dtype": "float64", "data": ["0x1p99999"]}}),
    ("arrays", {"input": {"shape": [1], "dtype": "int64", "data": [10**30]}}),
    ("cotangent", {"output": {"shape": [9], "dtype": "float64", "data": ["0x0p0"] * 9}}), ("tangents", []),
    ("name", "a.b"), ("at", {}), ("at", ["a"]), ("expected", []), ("got", "z"), ("bound", 3), ("schema", "a"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), DAMAGE)
def test_a_case_file_with_wrong_types(tmp_path, field, value):
    (tmp_path / "case.json").write_text(json.dumps({**CASE, field: value}))
    (tmp_path / "k.py").write_text("import numpy as np\n\ndef relu(x):\n    return np.maximum(x, 0)\n")
    for more in ([], ["--snippet"]):
        refused("replay", str(tmp_path / "case.json"), "--impl", f"{tmp_path / 'k.py'}:relu", *more)


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 5000, "\ud800", ""])
def test_a_case_file_that_is_no_json(tmp_path, text):
    (tmp_path / "case.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    assert "a case file is" in refused("replay", str(tmp_path / "case.json"))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("title = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
        ("title = " + "9" * 5000, "is not TOML"),
        ("[[question]]\noperator = 'conv2d'\n[question.parameters]\ndilation = [1000000]", "can be at most 32"),
        ("[[question]]\noperator = 'conv2d'\n[question.parameters]\nkernel_size = [1000000]", "can be at most 32"),
        ("[[question]]\noperator = 'conv2d'\n[question.parameters]\nkernel_size = [true]", "a whole number"),
        ("[[question]]\noperator = 'linear'\n[question.parameters]\nbatch = [99999999]", "can be at most 1000"),
    ],
)
def test_an_assignment_that_asks_for_too_much(tmp_path, line, told):
    (tmp_path / "hw.toml").write_text(line)
    assert told in refused("grade", "nowhere", "--assignment", str(tmp_path / "hw.toml"))


@pytest.mark.parametrize(
    "command",
    [
        ("trace", LONG + ".py:f"),
        ("replay", LONG),
        ("verify", "relu", "--impl", LONG + ".py:f", "--in-process"),
        ("grade", "nowhere", "--assignment", LONG),
        ("grade", "--check", LONG),
        ("grade", LONG, "--bundle", "gradescope", "-o", "x.zip"),
    ],
)
def test_a_path_that_is_too_long(command):
    assert "File name too long" in refused(*command)


def test_a_submission_whose_path_is_too_long():
    assert "does not exist" in (told := refused("grade", LONG, "--op", "relu"))
    assert len(told) < 300


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [(("explain", "softmax", "--wrt", "x"), ""), (("explain", "softmax", "--precison", "3"), "--precision"),
     (("trace", "x", "--wtr", "x"), "--wrt")],
)  # fmt: skip
def test_an_option_that_is_none_suggests_only_what_is_like_it(arguments, meant):
    said = run(*arguments).err
    assert (f"Did you mean {meant}?" in said.replace("'", "")) if meant else "Did you mean" not in said


@pytest.mark.parametrize(
    ("option", "name"), [("--set", "NAME"), ("--dim", "dim"), ("--label-smoothing", "label_smoothing")]
)
def test_a_parameter_that_verify_does_not_set_is_fixed_instead(option, name):
    assert f"--fix {name}=VALUE keeps it at the only one" in refused("verify", "softmax", option, "1")
