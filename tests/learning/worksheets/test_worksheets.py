"""Worksheets: what stands in every blank is computed a second time and read back from what is printed."""

import re

import numpy as np
import pytest

from opcheck.app import run
from opcheck.learning import drawing
from opcheck.learning.worksheets import FORMATS, drawn
from opcheck.learning.worksheets.exercise import LETTERS, LEVELS
from opcheck.learning.worksheets.networks import NETWORKS, find
from opcheck.learning.worksheets.paper import letter, printed, written
from opcheck.operators import catalog
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
    assert text.index("h[0]") < text.index("z[1]") < text.index("z̄[1]") < text.index("w̄[1,0]")


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
