"""A board in a real browser: pointing, pinning, keys, touch, what is said, and how it fits a narrow page."""

import json
import re

import numpy as np
import pytest

from opcheck import explain
from opcheck.operators import catalog
from opcheck.steps import Board
from tests.render.browser import asked, asked_on_a_phone, needs_browser

pytestmark = [needs_browser, pytest.mark.slow]

HELP = """
const cell = (table, k) => document.querySelectorAll("table.grid")[table].querySelectorAll("td[data-line]")[k];
const send = (at, type, kind = "mouse") => at.dispatchEvent(new PointerEvent(type, {bubbles: true, pointerType: kind}));
const press = (key) =>
  document.body.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
const text = (name) => document.querySelector(name).textContent;
const marks = () => [...document.querySelectorAll("td.part")].map((at) => `${at.textContent}:${at.dataset.k}`);
const state = () => ({ result: text(".answer .result"), count: text(".count"), marks: marks(), hash: location.hash,
  asked: [...document.querySelectorAll("td.asked")].map((at) => at.textContent),
  twin: [...document.querySelectorAll("td.twin")].map((at) => at.textContent),
  sums: [...document.querySelectorAll(".card .sum")].map((at) => at.textContent),
  uses: [...document.querySelectorAll(".uses li")].map((at) => at.textContent), said: text(".said") });
"""
X, X_BAR, W, W_BAR, Y, Y_BAR = range(6)


def page() -> str:
    return explain("conv2d", shapes={"input": (4, 4)}).render("html")


def told(actions: str, tmp_path, fragment: str = "", shown: str | None = None, **options) -> list:
    """What the page says after each of some actions."""
    steps = ", ".join(f"() => {{ {action} }}" for action in actions.split("; "))
    question = f"(() => {{ {HELP} return [{steps}].map((act) => (act(), state())); }})()"
    return asked(shown or page(), question, tmp_path, fragment, **options)


def test_a_link_opens_the_page_at_its_step(tmp_path):
    (state,) = told("1", tmp_path, "#step=6")
    assert (state["count"], state["hash"], state["asked"], state["twin"]) == (
        "step 6 of 9: y1,2",
        "#step=6",
        ["104"],
        ["6"],
    )
    assert (
        state["said"]
        == "step 6 of 9: y[1,2] equals 7 times 1 plus 8 times 2 plus 11 times 3 plus 12 times 4 equals 104"
    )
    assert state["marks"] == ["7:1", "8:2", "11:3", "12:4", "1:1", "2:2", "3:3", "4:4"]
    assert state["sums"] == ["Σ 7", "Σ 23", "Σ 56", "Σ 104"]


def test_pointing_asks_and_clicking_keeps(tmp_path):
    actions = (
        f"send(cell({X_BAR}, 0), 'pointerover'); send(document.querySelector('.stage'), 'pointerleave'); "
        f"send(cell({W}, 1), 'pointerover'); cell({W_BAR}, 3).click(); send(cell({X}, 0), 'pointerover', 'touch'); "
        "press('Enter'); press('ArrowLeft'); press('ArrowLeft'); press('End'); press('ArrowRight')"
    )
    found = told(actions, tmp_path)
    gradient, left, weight, pinned, touched, twin, back, first, last, beyond = found
    assert (gradient["result"], gradient["twin"]) == ("x‾0,0=1", ["1"])
    assert gradient["marks"] == ["1:1", "1:1"]  # w[0,0] and the gradient of y[0,0]
    assert left["result"] == "y0,0=44"
    assert len(weight["uses"]) == 9 + 9  # each output, and the gradient of what it meets there
    assert weight["uses"][0] == "y0,0:x0,1·w0,1=2·2=4"
    assert pinned["result"] == touched["result"] == "w‾1,1=573"
    assert pinned["sums"][-1] == "Σ 573"
    assert pinned["hash"].startswith("#line=")
    assert twin["result"] == "w1,1=4"
    assert [each["count"] for each in (back, first, last, beyond)] == [
        f"step {k} of 4: w{at}" for k, at in ((3, "1,0"), (2, "0,1"), (4, "1,1"), (4, "1,1"))
    ]


@pytest.mark.parametrize(
    ("op", "options"),
    [
        ("conv2d", {"shapes": {"input": (2, 4, 4)}, "padding": 1}),
        ("softmax", {"input": np.array([0.5, -1.25, 2.0])}),
        ("layer_norm", {}),
        ("max_pool2d", {"shapes": {"input": (4, 4)}, "grad": True}),
    ],
)
def test_every_number_that_it_says_is_one_of_the_document(op, options, tmp_path):
    explanation = explain(op, **options)
    (board,) = (block for block in explanation.document("html").blocks if isinstance(block, Board))
    shown = explanation.render("html")
    texts = set(json.loads(re.search(r'class="numbers">(.*?)</script>', shown, re.DOTALL)[1])["texts"])
    question = f"""(() => {{ {HELP} const said = new Set();
      for (const at of document.querySelectorAll(".stage td[data-line]")) {{ at.click();
        for (const n of document.querySelectorAll(".answer .value, .answer .sum, .answer .result"))
          said.add(n.textContent.split(/[=≈Σ]/).pop().trim());
        said.add(at.textContent); }}
      return [...said]; }})()"""
    said = {number.replace("×10−0", "e−0") for number in asked(shown, question, tmp_path)}
    assert len(said) > 5
    assert {number for number in said if "×" not in number} <= texts
    assert len(board.lines) < 2000


def test_it_plays_when_it_is_told_to(tmp_path):
    (state,) = told("1", tmp_path, budget=20000)
    assert state["count"].startswith("step 1 of 9")
    played = page().replace("</body>", "<script>document.querySelector('.play').click()</script></body>")
    (state,) = told("1", tmp_path, shown=played, budget=20000)
    assert state["count"].startswith("step 9 of 9")


FITS = """{ page: document.documentElement.scrollWidth, inside: document.documentElement.clientWidth,
  same: [...document.querySelectorAll("table.grid")].map((table) =>
    new Set([...table.querySelectorAll("td")].map((at) => Math.round(at.getBoundingClientRect().width))).size) }"""


@pytest.mark.parametrize("op", ["conv2d", "lstm_cell", "cross_entropy"])
def test_the_narrowest_phone_need_not_scroll_the_page_sideways(op, tmp_path):
    shown = explain(op, **({"shapes": {"input": (1, 2, 5, 5)}, "padding": 1} if op == "conv2d" else {})).render("html")
    found = asked_on_a_phone(shown, FITS, tmp_path, width=320)
    assert found["page"] <= found["inside"]
    assert set(found["same"]) == {1}  # cells of one width, padding included


def test_a_single_number_is_led_up_to_by_all_that_it_is_made_of(tmp_path):
    shown = explain("mse_loss").render("html")
    first, second, last = told("1; press('Home'); press('End')", tmp_path, shown=shown)
    assert first["count"] == last["count"] == "step 4 of 4: L"
    assert second["count"] == "step 1 of 4: ℓ0"


def test_where_a_number_goes_breaks_before_a_sign_and_is_not_cut(tmp_path):
    def program(hidden_state: "2 3"):  # noqa: F722
        next_hidden_state = hidden_state * hidden_state[::-1] * 1.123456 + hidden_state * 0.123456
        return next_hidden_state.sum()

    shown = explain(program, grad=True).render("html")
    question = f"""(() => {{ {HELP} cell(0, 0).click(); const found = [...document.querySelectorAll(".uses li")];
      return found.map((at) => [at.clientWidth > 0, at.scrollWidth - at.clientWidth]); }})()"""
    found = asked(shown, question, tmp_path, width=700)
    assert found and all(seen and cut <= 0 for seen, cut in found)


@pytest.mark.parametrize(
    ("name", "shapes", "spoken"),
    [
        ("avg_pool2d", {"input": (2, 2)}, "(1 plus 2 plus 3 plus 4) divided by 4"),
        ("mse_loss", {"input": (2,)}, ") divided by 2"),
        ("sigmoid", {"input": (2,)}, "sigma(minus 1)"),
        ("adam", {"params": (1,)}, "1 times 10 to the power minus 8"),
    ],
)
def test_what_is_said_keeps_its_parentheses_and_says_powers_of_ten(name, shapes, spoken, tmp_path):
    known = {each.name for each in catalog.get(name).inputs}
    shown = explain(name, shapes={key: shape for key, shape in shapes.items() if key in known}).render("html")
    said = []
    for step in ("#step=1", "#step=3"):
        said += [state["said"] for state in told("1", tmp_path, step, shown)]
    assert any(spoken in each for each in said), said


def test_of_equal_numbers_the_first_one_wins(tmp_path):
    shown = explain("max_pool2d", np.ones((2, 2)), kernel_size=2).render("html")
    question = "[...document.querySelectorAll('.card')].map((card) => card.classList.contains('won'))"
    assert asked(shown, question, tmp_path) == [True, False, False, False]
    assert "of equal numbers in a window the first one gets the gradient" in shown
