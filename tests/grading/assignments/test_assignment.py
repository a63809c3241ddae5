"""Assignments: what a file says, and messages with file, line and field for what it may not say."""

import os
from pathlib import Path

import pytest

from opcheck.errors import Refused
from opcheck.grading import conventions
from opcheck.grading.assignments.assignment import FEEDBACK, parse, read
from opcheck.grading.assignments.scaffold import scaffold, single
from opcheck.grading.assignments.toml_lines import line_of, lines
from opcheck.operators import catalog

FULL = """\
title = "Homework 2"
convention = "cs231n"
feedback = "diagnosis"
seed = 7
forbidden = ["torch", "scipy"]

[limits]
seconds = 5
total_seconds = 20
memory = 512
output = 8
processes = 1

[[question]]
operator = "linear"
name = "affine"

[[question]]
operator = "conv2d"
entry = "my_conv"
depends_on = ["affine"]
hidden = true
dtype = "float64"
points = { forward = 2, "vjp:weight" = 1.5, "special values" = 1 }
[question.parameters]
stride = [1, 2]
padding = [0]
kernel_size = [[3, 3], 2]
"""


def test_a_whole_file():
    asked = parse(FULL)
    assert (asked.title, asked.seed, asked.feedback, asked.forbidden) == (
        "Homework 2",
        7,
        "diagnosis",
        ("torch", "scipy"),
    )
    assert (asked.limits.seconds, asked.limits.total_seconds, asked.limits.memory) == (5, 20, 512 << 20)
    affine, conv = asked.questions
    assert affine.op.name == "linear" and affine.points == {"forward": 4, "vjp": 4, "shapes": 1}
    assert affine.entry.forward[0] == "affine_forward" and affine.convention.name == "cs231n"
    assert conv.entry.forward == ("my_conv",) and conv.hidden and conv.depends_on == ("affine",)
    assert conv.points == {"forward": 2, "special values": 1, "vjp:weight": 1.5}
    assert conv.scope.ranges["stride"] == (1, 2) and conv.scope.ranges["kernel_size"] == ((3, 3), 2)
    assert asked.points == 9 + 4.5
    assert "my_conv" in asked.names and "affine_backward" in asked.names


def test_the_digest_changes_with_what_is_asked(tmp_path):
    assert parse(FULL).digest == parse(FULL).digest != parse(FULL.replace("stride = [1, 2]", "stride = [1]")).digest


REFUSED = {
    "seed = 7": ("seed = -1", 'line 4, seed: must be "fresh" or a whole number. Got -1'),
    'feedback = "diagnosis"': (
        'feedback = "everything"',
        "line 3, feedback: must be one of score, part, counterexample, diagnosis, worked calculation. Got 'everything'",
    ),
    'convention = "cs231n"': (
        'convention = "cs229"',
        "line 2, convention: there is no convention 'cs229'. They are "
        "functional, functional_in_out, cs231n, cmu, cmu2022, coursera, layer, layer_out_in, layer_columns, module, "
        "eecs498, cs336, needle, minitorch, d2l, any, or a .py file beside the assignment",
    ),
    "seconds = 5": ("seconds = 0", "line 8, limits.seconds: must be a number above 0. Got 0"),
    "processes = 1": ("processes = 4", "line 12, limits.processes: a submission gets one process. Got 4"),
    "memory = 512": ('memory = "512"', "line 10, limits.memory: must be a number above 0. Got '512'"),
    "output = 8": ("outputs = 8", "line 11, limits.outputs: there is no such field"),
    'forbidden = ["torch", "scipy"]': (
        'forbidden = ["numpy"]',
        "line 5, forbidden: a forbidden module is a top-level name, and not numpy. Got 'numpy'",
    ),
    'operator = "conv2d"': (
        'operator = "conv2s"',
        "line 19, question.operator: there is no operator 'conv2s'. Did you mean",
    ),
    'name = "affine"': ('name = "affine"\nentry = 3', "line 17, question.entry: must be a string in quotes. Got 3"),
    'depends_on = ["affine"]': (
        'depends_on = ["linear"]',
        "line 21, question.depends_on: a question depends on earlier ones: affine. Got 'linear'",
    ),
    "hidden = true": ('hidden = "yes"', "line 22, question.hidden: must be true or false. Got 'yes'"),
    'dtype = "float64"': (
        'dtype = "float16"',
        "line 23, question.dtype: must be one of float32, float64. Got 'float16'",
    ),
    "points = { forward = 2": (
        "points = { forwards = 2",
        "line 24, question.points.forwards: there is no such field. Parts "
        "are forward, vjp, shapes, dtype, accuracy, stability, special values, repeat, efficiency, "
        "vjp:input, vjp:weight, vjp:bias",
    ),
    "stride = [1, 2]": (
        "stride = [1, -2]",
        "line 26, question.parameters.stride: stride must be a whole number, at least 1, or 2 of them. Got -2",
    ),
    "padding = [0]": ("padding = []", "line 27, question.parameters.padding: must have at least one value. Got []"),
    "kernel_size = [[3, 3], 2]": (
        "kernel_size = [0]",
        "line 28, question.parameters.kernel_size: kernel_size must be a whole number, at least 1, or 2 of them. Got 0",
    ),
}


@pytest.mark.parametrize("old", REFUSED)
def test_what_is_wrong_is_refused_with_its_line_and_field(old):
    new, message = REFUSED[old]
    assert FULL.count(old) == 1
    with pytest.raises(Refused) as refused:
        parse(FULL.replace(old, new), "hw2.toml")
    said = str(refused.value)
    assert said.lower().startswith(f"hw2.toml, {message}".lower()), said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = ", "hw.toml is not TOML"),
        ("", "hw.toml, line 1, question: an assignment has at least one [[question]]. Got none"),
        ("question = 3", "hw.toml, line 1, question: must be written as [[question]]. Got 3"),
        ("[[question]]\n", "hw.toml, line 1, question.operator: is missing"),
        ('[[question]]\noperator = "relu"\n[[question]]\noperator = "relu"\n', "two questions are called relu"),
        (
            'convention = "cmu"\n[[question]]\noperator = "nll_loss"\n',
            "convention cmu has no nll_loss. It has adam",
        ),
        (
            'convention = "cs231n"\n[[question]]\noperator = "conv2d"\n[question.parameters]\ndilation = [2]',
            "hw.toml, line 4, question.parameters: the convention cannot express any of the values of dilation. "
            "Got (2,)",
        ),
        (
            '[[question]]\noperator = "conv2d"\n[question.parameters]\nstride = [2]\npadding = ["same"]',
            "hw.toml, line 3, question.parameters: ",
        ),
        ('[[question]]\noperator = "linear"\n[question.parameters]\nbias = [1]', "bias must be true or false"),
        (
            '[[question]]\noperator = "relu"\n[question.parameters]\ndims = [[1]]',
            "hw.toml, line 4, question.parameters.dims: dims must be a whole number, at least 1. Got (1,)",
        ),
        (
            '[[question]]\noperator = "conv2d"\n[question.parameters]\nkernel_size = [[]]',
            "kernel_size must be a whole number, at least 1, or 2 of them. Got ()",
        ),
        (
            '[[question]]\noperator = "relu"\n[limits]\nmemory = 1\n',
            "hw.toml, line 4, limits.memory: must be at least 128 (MiB): numpy alone needs most of that. Got 1",
        ),
        (
            'arrays = "torch"\n[[question]]\noperator = "relu"\n[limits]\nmemory = 512\n',
            "hw.toml, line 5, limits.memory: must be at least 1024 (MiB): torch alone needs most of that. Got 512",
        ),
        ('convention = "mine.py"\n[[question]]\noperator = "linear"', "there is no file mine.py for the convention"),
    ],
)
def test_other_refusals(text, message):
    with pytest.raises(Refused) as refused:
        parse(text, "hw.toml")
    assert message.lower() in str(refused.value).lower()


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(Refused, match="cannot read the assignment"):
        read(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'title = "\xe9"')
    with pytest.raises(Refused, match="UTF-8"):
        read(tmp_path / "latin.toml")


def test_a_device_a_fifo_or_a_deep_text_is_no_assignment(tmp_path):
    with pytest.raises(Refused, match=r"at most 4 MiB. Got /dev/zero"):
        read(Path("/dev/zero"))
    os.mkfifo(tmp_path / "hw.toml")
    with pytest.raises(Refused, match="an assignment has at least one"):
        read(tmp_path / "hw.toml")  # into which nobody writes
    with pytest.raises(Refused, match=r"hw.toml is nested too deeply"):
        parse("a = " + "[" * 5000, "hw.toml")


def test_an_assignment_may_come_out_of_a_pipe(tmp_path):
    reading, writing = os.pipe()
    os.write(writing, FULL.encode())
    os.close(writing)
    assert read(Path(f"/dev/fd/{reading}")).title == "Homework 2"
    os.close(reading)


@pytest.mark.parametrize("name", conventions.NAMES)
def test_the_scaffold_of_every_operator_is_valid(name):
    ops = sorted(conventions.get(name).entries)
    text = scaffold(ops, name)
    assert max(map(len, text.splitlines())) <= 80
    asked = parse(text)
    assert [question.op.name for question in asked.questions] == ops
    for question in asked.questions:  # what is printed asks what would be asked without it
        plain = parse(f'convention = "{name}"\n[[question]]\noperator = "{question.op.name}"').questions[0]
        assert (
            set(plain.scope.ranges["stride"]) - {None} == set(question.scope.ranges["stride"]) - {None}
            if ("stride" in plain.scope.ranges)
            else True
        )
        assert plain.points == question.points


def test_one_operator_without_a_file():
    assert [question.op for question in single("Conv2d").questions] == [catalog.get("conv2d")]


def test_levels_of_feedback_include_those_before():
    for k, level in enumerate(FEEDBACK):
        asked = parse(f'feedback = "{level}"\n[[question]]\noperator = "relu"')
        assert [asked.shows(each) for each in FEEDBACK] == [j <= k for j in range(len(FEEDBACK))]


def test_lines_of_keys():
    found = lines(FULL)
    assert found["question", 1, "parameters", "stride"] == 26 and found["limits", "memory"] == 10
    assert line_of(("question", 1, "parameters", "stride", 0), found) == 26
    assert line_of(("nothing",), found) == 1
