"""Worksheets: what stands in every blank is computed a second time and read back from what is printed."""

import re
from fractions import Fraction

import numpy as np
import pytest

from opcheck import specs
from opcheck.app import run
from opcheck.explanation.closed import Reading, Text
from opcheck.learning import drawing
from opcheck.learning.worksheets import FORMATS, drawn
from opcheck.learning.worksheets.exercise import LETTERS, LEVELS
from opcheck.learning.worksheets.networks import NETWORKS, call, find, shaped
from opcheck.learning.worksheets.paper import letter, printed, settled, written
from opcheck.operators import catalog
from opcheck.steps import Number
from tests.learning.worksheets.support import checked, filled
from tests.render.test_formats import structure

NAMES = (*NETWORKS, *(op.name for op in catalog.every()))
COUNT = 6  # of each; python -m tests.learning.worksheets.hunt draws ten thousand


@pytest.mark.share(10)
@pytest.mark.parametrize("name", NAMES)
def test_every_blank_is_right_and_no_exercise_is_harder_than_its_level(name):
    sheet = drawn(find(name) or catalog.get(name), COUNT, seed=1)
    assert all(checked(exercise) for exercise in sheet.exercises)
    assert {exercise.level for exercise in sheet.exercises} <= set(range(1, len(LEVELS) + 1))


def test_a_wrong_number_in_a_blank_would_be_found():
    sheet = drawn(catalog.get("linear"), 2, seed=1, level=1)
    exercise = sheet.exercises[0]
    *others, last = exercise.blanks
    wrong = last._replace(value=last.value._replace(value=last.value.value + 1))
    with pytest.raises(AssertionError):
        checked(exercise._replace(blanks=(*others, wrong)))


def test_a_network_is_worked_out_from_its_input_to_a_gradient():
    exercise = drawn(find("mlp_loss"), 1, seed=1, level=4).exercises[0]
    text = filled(exercise)
    assert text.index("h[0]") < text.index("z[1]") < text.index("z̄[1]") < text.index("w̄[")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", ["conv2d", "softmax", "mlp"])
def test_the_sheet_has_no_answer_and_the_key_has_them_all(name, format):
    sheet = drawn(find(name) or catalog.get(name), 6, seed=2)
    paper, key = printed(sheet, format), printed(sheet, format, key=True)
    assert not any(sign in paper + key for sign in LETTERS)
    for exercise in sheet.exercises:
        for blank in exercise.blanks:
            assert written(blank).replace("−", "-") in key.replace("−", "-")
    if format == "html":
        assert paper.count("<main>") == key.count("</main>") == paper.count("<h1>") == 1
        boxes = sum(len(exercise.blanks) for exercise in sheet.exercises)
        assert len(re.findall(r'class="(?:blank|box)"', paper)) == boxes
        assert len(re.findall(r'<span class="l">', key)) == boxes


@pytest.mark.share(8)
@pytest.mark.parametrize("name", NAMES)
def test_latex_has_no_sign_that_latex_lacks(name):
    sheet = drawn(find(name) or catalog.get(name), 6, seed=3)
    for key in (False, True):
        structure(printed(sheet, "latex", key=key))


def test_latex_is_balanced_and_has_a_box_for_every_blank():
    sheet = drawn(catalog.get("conv2d"), 6, seed=1)
    text = printed(sheet, "latex")
    assert len(re.findall(r"\\blank\{[a-z]\}", text)) == sum(len(each.blanks) for each in sheet.exercises)
    assert text.count("{") == text.count("}")
    assert text.count(r"\begin") == text.count(r"\end")
    assert "\u0304" not in text


def test_letters_of_blanks_are_those_of_the_alphabet():
    assert "".join(map(letter, LETTERS)) == "abcdefghijklmnopqrstuvwxyz"


def test_the_command_writes_the_sheet_and_its_answers(tmp_path, capsys):
    path = tmp_path / "sheet.html"
    assert run(["practice", "mlp", "--worksheet", "6", "--seed", "4", "-o", str(path)]) == 0
    assert "mlp: exercises" in path.read_text()
    assert "mlp: answers" in (tmp_path / "sheet-answers.html").read_text()
    assert "sheet-answers.html" in capsys.readouterr().err
    again = path.read_text()
    assert run(["practice", "mlp", "--worksheet", "6", "--seed", "4", "-o", str(path)]) == 0
    assert path.read_text() == again
    assert run(["practice", "linear", "--worksheet", "2", "--level", "6", "--format", "markdown"]) == 0
    assert capsys.readouterr().out.count("## Level") >= 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--worksheet", "3"], "which operator is the worksheet for?"),
        (["linear", "-o", "x.html"], "-o and --open are for worksheets"),
        (["linear", "--level", "6"], "the levels go from 1 to 5"),
        (["nothing", "--worksheet", "3"], "there is no operator 'nothing'"),
    ],
)
def test_what_is_impossible_is_said(words, sentence, capsys):
    assert run(["practice", *words]) == 2
    assert sentence in capsys.readouterr().err


def test_exponentials_get_small_numbers_and_parameters_that_do_nothing_are_not_drawn():
    softmax = catalog.get("softmax")
    conv, ignoring = catalog.get("conv2d"), catalog.get("cross_entropy")
    for seed in range(30):
        rng = np.random.default_rng(seed)
        assert abs(drawing.drawn(softmax, 2, rng).case.arrays["input"]).max() <= drawing.SOFT
        case = drawing.drawn(conv, 4, rng).case
        assert case.params.get("padding_mode", "zeros") == "zeros" or np.any(case.params["padding"])
        case = drawing.drawn(ignoring, 4, rng).case
        if case.params.get("ignore_index", -100) != -100:
            assert case.params["ignore_index"] in case.arrays["target"]


@pytest.mark.parametrize("format", ["html", "latex", "markdown"])
def test_a_sheet_says_what_is_computed_and_with_which_parameters(format):
    """A class that has the sheet only can solve it."""
    conv = printed(drawn(catalog.get("conv2d"), 6, seed=1), format)
    assert conv.count("stride") >= 6  # in each exercise
    assert conv.count({"html": 'class="clause"', "latex": r"\sum_{u}", "markdown": r"\sum_{u}"}[format]) == 1
    layers = printed(drawn(find("mlp"), 2, seed=1, level=5), format)
    assert {"html": ">max<", "latex": r"\max(0, h)", "markdown": r"\max(0, h)"}[format] in layers
    own = specs.get(shaped(x="2")(lambda x: x * x))
    assert "x * x" in printed(drawn(own, 1, seed=1), format)


def test_the_formula_of_the_attention_head_is_what_it_computes():
    op = find("attention")
    calculation = call(op, np.random.default_rng(3))
    arrays = calculation.case.arrays
    text = Text.read(NETWORKS["attention"].formula)
    numbers = {name: np.vectorize(Fraction, otypes=[object])(array) for name, array in arrays.items()}
    expected = np.asarray(op.forward(calculation.p, **arrays))
    reading = Reading(text, {**numbers, "y": expected.astype(object)}, {"D": 4})
    for at in np.ndindex(*expected.shape):
        assert float(reading.element(at)) == pytest.approx(expected[at], rel=1e-12)


def test_the_ending_of_a_file_says_its_format(tmp_path, capsys):
    assert run(["practice", "relu", "--worksheet", "1", "-o", str(tmp_path / "r.tex")]) == 0
    assert (tmp_path / "r-answers.tex").read_text().startswith(r"\documentclass")
    assert run(["explain", "relu", "-o", str(tmp_path / "r.html")]) == 0
    assert (tmp_path / "r.html").read_text().startswith("<!DOCTYPE html>")
    assert run(["explain", "relu", "--format", "text", "-o", str(tmp_path / "r.md")]) == 0
    assert (tmp_path / "r.md").read_text().startswith("relu")
    capsys.readouterr()
    for command in (["practice", "relu", "--worksheet", "1"], ["explain", "relu"]):
        assert run([*command, "-o", str(tmp_path / "r.pdf")]) == 2
        assert "-o r.html is a page, and a browser prints it as a PDF" in capsys.readouterr().err
    assert run(["practice", "relu", "--worksheet", "1", "-o", str(tmp_path / "r.json")]) == 2
    assert "a worksheet is written as html, latex, markdown" in capsys.readouterr().err


def test_answers_in_markdown_are_paragraphs_of_their_own():
    key = printed(drawn(find("mlp_loss"), 6, seed=1), "markdown", key=True)
    lines = key.splitlines()
    starts = [k for k, line in enumerate(lines) if line.startswith(("**", "## "))]
    assert len(starts) > 6
    assert all(lines[k - 1] == "" for k in starts)


def test_something_is_to_be_worked_out_in_every_exercise():
    for seed in (5, 6, 11):  # of a layer that is off
        sheet = drawn(find("mlp_loss"), 1, seed=seed, level=5)
        assert all(any(blank.value.value for blank in each.blanks) for each in sheet.exercises)


def test_a_mean_of_equal_numbers_is_one_of_them():
    near = Fraction(2) + Fraction(1, 10**40)
    assert settled(Number(near, inexact=True)) == Number(Fraction(2))
    assert settled(Number(Fraction(2001, 1000), inexact=True)).inexact


def test_the_gradient_of_a_loss_by_itself_is_one():
    (each,) = drawn(find("mlp_loss"), 1, seed=2, level=4).exercises
    assert each.problem.upstream == 1
