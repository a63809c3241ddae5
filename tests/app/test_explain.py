"""`opcheck explain`: what it prints, and what it answers to bad input."""

import json

import numpy as np
import pytest

from opcheck.render import FORMATS
from tests.app.support import run

FORMS = (
    "4x4, [[1,2],[3,4]], @x.npy, @x.csv, @x.json, @x.png, ones:4x4, zeros:4x4, random:4x4, randn:4x4, 0..15:4x4, "
    "or a kernel: "
    "blur, sharpen, sobel-x, sobel-y, emboss, outline"
)

BAD_INPUT = [
    (("convd2",), "there is no operator 'convd2'\n  Did you mean conv2d or conv1d or conv_transpose2d?"),
    (("qqq",), "there is no operator 'qqq'\n  opcheck ops lists them"),
    (
        ("conv2d", "--input", "2x2", "--weight", "3x3"),
        "the kernel must fit into the padded input\n"
        "  got: 2 positions with padding, and a kernel that spans 3 (with dilation)\n"
        "  use more padding, less dilation or a smaller kernel",
    ),
    (
        ("conv2d", "--input", "[[1,2],[3]]"),
        "--input must be rectangular: rows of equal length\n  got: [0] has 2 entries, [1] has 1 entry",
    ),
    (
        ("conv2d", "--input", "[1,[2]]"),
        "--input must be rectangular: rows of equal length\n  got: [0] has a number, [1] has 1 entry",
    ),
    (
        ("conv2d", "--input", "[[1,true]]"),
        "--input must hold only numbers, or only true and false\n  got: [0][1] = true",
    ),
    (
        ("conv2d", "--input", "[[1,2}"),
        "--input is not a list of numbers: 2} is not a number\n  got: [[1,2}\n            ^",
    ),
    (("conv2d", "--input", "@nope.npy"), "--input: there is no file nope.npy"),
    (("conv2d", "--input", "4y4"), f"--input is an array: {FORMS}\n  got: '4y4'"),
    (
        ("conv2d", "--input", "99999x99999"),
        "--input can have at most 30000000 elements\n  got: 99999x99999",
    ),
    (
        ("conv2d", "--input", "1..3:4x4"),
        "a range must fill its shape exactly\n  got: 3 numbers for (4, 4) (16 elements)",
    ),
    (("conv2d", "--stride", "0"), "stride must be a whole number, at least 1, or 2 of them\n  got: 0"),
    (("conv2d", "--stride", "x"), "stride must be a whole number, at least 1, or 2 of them\n  got: 'x'"),
    (
        ("conv2d", "--padding", "foo"),
        "padding must be a whole number, at least 0, or 2 of them, or one of 'same', 'valid'\n  got: 'foo'",
    ),
    (
        ("conv2d", "--cell", "9,9"),
        "a cell is a position in the output, whose shape is (3, 3)\n  got: 9,9\n  positions count from 0",
    ),
    (("conv2d", "--cell", "a"), "--cell takes a position, such as 0,0,1,1\n  got: 'a'"),
    (("linear", "--upstream", "3x3"), "the upstream gradient has the shape of the output, (1,)\n  got: (3, 3)"),
    (
        ("softmax", "--got", "2x2"),
        "--got takes a number, or an array of the output's shape: [[1,2],[3,4]], @y.npy\n  got: '2x2'",
    ),
    (
        ("conv2d", "4x4"),
        "each value must follow its option; --grad, --all and --exact take no value\n  got: 4x4\n  --input 4x4?",
    ),
    (
        ("adam", "--grad", "2"),
        "each value must follow its option; --grad, --all and --exact take no value\n  got: 2\n  --gradient 2?",
    ),
    (
        ("softmax", "--input", "[1,", "2]"),
        "each value must follow its option; --grad, --all and --exact take no value\n"
        "  got: 2]\n  quote a literal: '[1, 2]'",
    ),
    (
        ("conv2d", "-o", "/no/such/place/x.txt"),
        "cannot write to /no/such/place/x.txt: No such file or directory",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_INPUT, ids=lambda each: " ".join(each)[:40])
def test_bad_input_is_one_clear_message_and_exit_2(arguments, message):
    assert run("explain", *arguments) == (2, "", f"opcheck: {message}\n")


def test_groups_that_do_not_divide_are_refused():
    ran = run("explain", "conv2d", "--input", "4x4x4", "--weight", "2x3x2x2", "--groups", "3")
    assert (ran.code, ran.out) == (2, "")
    assert "groups must divide the input channels" in ran.err
    assert "got: input (4, 4, 4), weight (2, 3, 2, 2) and groups=3" in ran.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("explain", "conv2d", "--inptu", "4x4"), "--inptu"),
        (("explain", "conv2d", "--format", "pdf"), "'pdf' is not one of 'text', 'json', 'latex', 'markdown', 'html'"),
        (("explain", "conv2d", "--width", "5"), "5 is not in the range 20<=x<=1000"),
        (("explain", "conv2d", "--dtype", "int8"), "'int8' is not one of 'float64', 'float32', 'float16', 'bfloat16'"),
        (("nope",), "No such command 'nope'"),
    ],
)
def test_wrong_usage_says_where_the_options_are_listed(arguments, says):
    ran = run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    first, *_, last = ran.err.rstrip().split("\n")
    assert first.startswith("opcheck: ") and says in first
    assert last.startswith("Try: opcheck") and last.endswith("--help")


def test_explain_of_nothing_says_how_it_is_called():
    ran = run("explain")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("Usage: opcheck explain OP [OPTIONS]\n")


@pytest.mark.parametrize("grad", [(), ("--grad",)])
@pytest.mark.parametrize("format", FORMATS)
def test_what_is_printed_is_what_a_file_gets(tmp_path, format, grad):
    path = tmp_path / "out"
    arguments = ("explain", "conv2d", *grad, "--format", format)
    printed = run(*arguments)
    assert (printed.code, printed.err) == (0, "")
    assert run(*arguments, "-o", str(path)) == (0, "", "")
    assert path.read_text(encoding="utf-8") == printed.out
    assert [each.name for each in tmp_path.iterdir()] == ["out"]


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / "there").mkdir()
    ran = run("explain", "conv2d", "-o", str(tmp_path / "there"))
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"opcheck: cannot write to {tmp_path / 'there'}: ")
    assert [each.name for each in tmp_path.iterdir()] == ["there"]


def test_arrays_come_from_files(tmp_path):
    np.save(tmp_path / "x.npy", np.array([[1.0, 2.0], [3.0, 4.0]]))
    (tmp_path / "w.csv").write_text("1,0\n0,1\n")
    (tmp_path / "w.json").write_text("[[1, 0], [0, 1]]")
    by_csv = run("explain", "conv2d", "--input", f"@{tmp_path / 'x.npy'}", "--weight", f"@{tmp_path / 'w.csv'}")
    by_json = run("explain", "conv2d", "--input", "[[1,2],[3,4]]", "--weight", f"@{tmp_path / 'w.json'}")
    assert by_csv.code == 0
    assert by_csv == by_json
    assert "= 1·1 + 2·0 + 3·0 + 4·1" in " ".join(by_csv.out.split())


def test_json_is_json():
    document = json.loads(run("explain", "linear", "--format", "json").out)
    assert document["schema"] == "opcheck.explanation/1"


def test_a_flag_may_be_spelled_as_torch_spells_it():
    as_torch, as_unix = (run("explain", "max_pool2d", f"--{flag}", "2") for flag in ("kernel_size", "kernel-size"))
    assert as_torch.code == 0
    assert as_torch == as_unix


def test_the_help_of_an_operator_says_how_values_are_written():
    shown = " ".join(run("explain", "conv2d", "--help").out.split())
    assert "An ARRAY is 4x4, [[1,2],[3,4]], @x.npy" in shown and shown.endswith("A VALUE of several numbers is 2,1.")
    assert run("explain", "conv2d", "--input", "5x5", "--stride", "2,1").code == 0
