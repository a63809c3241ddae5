"""Small things that explain once got wrong in front of a student."""

import pytest

from opcheck.app import run
from opcheck.render.signs import Signs
from opcheck.steps import Symbol


def told(capsys, *words):
    code = run(list(words))
    found = capsys.readouterr()
    return code, " ".join((found.out + found.err).split())


@pytest.mark.parametrize(
    ("got", "element", "sentence"),
    [
        ("94", "y[1,1]", "Equal: this is the exact value."),
        ("-94", "y[1,1]", "The sign is wrong: a minus is missing, or there is one too many."),
        ("7", "y[0,0]", "Not explained by"),
    ],
)
def test_an_observed_number_is_looked_for_in_every_element(capsys, got, element, sentence):
    code, text = told(capsys, "explain", "conv2d", "--input", "4x4", f"--got={got}")
    assert code == 0
    assert f"{element} " in text.partition("element expected")[2]
    assert sentence in text
    assert "--printed-digits" not in text  # whole numbers are printed as they are


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["adam", "--grad", "[1,2]"], "--gradient [1,2]?"),
        (["cross_entropy", "--input", "1x3", "--target", "2"], "one class is --target [2]"),
        (["conv2d", "--input", "4x4", "--cell", "0"], "a cell is a position in the output, whose shape is (3, 3)"),
    ],
)
def test_a_refusal_offers_what_was_meant(capsys, words, sentence):
    code, text = told(capsys, "explain", *words)
    assert code == 2
    assert sentence in text


def test_fractions_say_what_is_none(capsys):
    assert "it is not a fraction" in told(capsys, "explain", "softmax", "--input", "[1,2]", "--exact")[1]
    assert "it is not a fraction" not in told(capsys, "explain", "linear", "--input", "2", "--exact")[1]


def test_the_formula_of_label_smoothing_has_its_epsilon(capsys):
    words = ("explain", "cross_entropy", "--input", "1x3")
    assert "with q[n,c] = (1 − ε)·[c = t[n]] + ε/C" in told(capsys, *words, "--label-smoothing", "0.1")[1]
    assert "(1 − ε)" not in told(capsys, *words)[1]


def test_a_page_is_opened_at_once(capsys, monkeypatch, tmp_path):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    path = tmp_path / "page.html"
    for words in (["explain", "relu", "--input", "3"], ["trace", "x*x", "--at", "x=2"]):
        assert told(capsys, *words, "--open", "-o", str(path))[0] == 0
        assert path.read_text().startswith("<!DOCTYPE html>")
    assert opened == [path.as_uri()] * 2
    monkeypatch.setattr("webbrowser.open", lambda address: False)
    assert told(capsys, "explain", "relu", "--open", "-o", str(path))[0] == 3


def test_what_is_no_fraction_is_written_in_symbols(capsys):
    text = told(capsys, "explain", "softmax", "--input", "[1,2]", "--exact")[1]
    assert "y[0] = e[0]/S = exp(−1)/(exp(−1) + 1) ≈ 0.2689" in text
    assert "y[1] = 1/(exp(−1) + 1) ≈ 0.7311" in text
    text = told(capsys, "explain", "layer_norm", "--input", "[1,2,3]", "--exact")[1]
    assert "2/3 = 2/3" not in text
    assert "y[1] = 0/√(200003/300000) = 0" in text


def test_a_large_array_is_shown_in_part(capsys):
    code, text = told(capsys, "explain", "relu", "--input", "5000x5000", "--cell", "0,1")
    assert code == 0
    assert "step 2 of 25000000 y[0,1] = max(0, x[0,1]) = max(0, −12499999) = 0" in " ".join(text.split())


def test_a_word_has_its_bar_over_the_whole_of_it():
    from opcheck.render import tex

    assert tex.TeX().write(Symbol("hidden_state", (0,), adjoint=True)).startswith(r"\overline{\mathrm{hidden}\_")
    assert Signs().write(Symbol("hidden_state", (0,), adjoint=True)) == "hidden_statē[0]"
    assert Signs().write(Symbol("b_o", adjoint=True)) == "b̄_o"
