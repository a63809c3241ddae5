"""A page that moves, in a real browser: what its script makes of it, and how it fits on a phone."""

import pytest

import opcheck
from opcheck import explain
from opcheck.render import render
from tests.render.browser import asked, asked_on_a_phone, needs_browser

pytestmark = [needs_browser, pytest.mark.slow]

STATE = """{
  count: document.querySelector(".count").textContent, said: document.querySelector(".said").textContent,
  live: document.querySelector(".said").getAttribute("aria-live"), play: document.querySelector(".play").textContent,
  slider: document.querySelector(".slider").value, wide: document.documentElement.scrollWidth <= innerWidth,
  still: document.querySelector(".still").open, hash: location.hash,
  grids: [...document.querySelectorAll(".stage figure:not(.off) .grid")].map((grid) => [...grid.querySelectorAll("td")]
    .map((at) => (at.classList.contains("marked") ? "[" : "") + (at.querySelector(".off") ? "" : at.innerText))),
  windows: [...document.querySelectorAll(".window")].map((each) => each.hidden),
  lines: [...document.querySelectorAll(".frame:not(.off)")].map((each) => each.dataset.title),
}"""
PRESS = """(() => { const seen = []; for (const key of KEYS) {
  document.body.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
  seen.push(document.querySelector(".count").textContent.split(" ")[1]); } return seen; })()"""


def test_a_link_opens_the_page_at_its_step(tmp_path):
    page = explain("conv2d", shapes={"input": (4, 4)}).render("html")
    state = asked(page, STATE, tmp_path, "#step=6")
    assert (state["count"], state["slider"], state["hash"]) == ("step 6 of 9", "6", "#step=6")
    assert state["said"].startswith("step 6 of 9: y[1,2] equals 7 times 1")
    assert (state["play"], state["live"], state["still"]) == ("play", "polite", False)
    assert state["lines"] == ["step 6 of 9"]
    x, w, y = state["grids"]
    assert x == ["1", "2", "3", "4", "5", "6", "[7", "[8", "9", "10", "[11", "[12", "13", "14", "15", "16"]
    assert w == ["[1", "[2", "[3", "[4"]
    assert y == ["44", "54", "64", "84", "94", "[104", "", "", ""]
    assert state["windows"] == [False, False, False]


def test_keys_move_it_and_its_ends_hold(tmp_path):
    page = explain("conv2d", shapes={"input": (4, 4)}).render("html")
    keys = '["ArrowRight", "ArrowRight", "ArrowLeft", "End", "ArrowRight", "Home", "ArrowLeft", "x"]'
    assert asked(page, PRESS.replace("KEYS", keys), tmp_path, "#step=2") == ["3", "4", "3", "9", "9", "1", "1", "1"]


def test_it_plays_by_itself_unless_motion_is_unwelcome(tmp_path):
    page = explain("max_pool2d", shapes={"input": (4, 4)}).render("html")
    playing = asked(page, STATE, tmp_path, budget=3000)
    assert (playing["count"], playing["play"], playing["live"]) == ("step 3 of 4", "pause", "off")
    assert asked(page, STATE, tmp_path, budget=20000)["play"] == "play"  # it ended
    calm = asked(page, STATE, tmp_path, "", "--force-prefers-reduced-motion", budget=20000)
    assert (calm["count"], calm["play"]) == ("step 1 of 4", "play")


FITS = """{
  inside: document.documentElement.clientWidth, page: document.documentElement.scrollWidth, window: innerWidth,
  letters: [...document.querySelectorAll(".diagram")].map((each) => 12 * each.clientWidth / each.viewBox.baseVal.width),
  drawing: [...document.querySelectorAll(".drawing")].map((each) => [each.clientWidth, each.scrollWidth]),
  shade: [...document.querySelectorAll(".drawing")].map((each) => getComputedStyle(each).backgroundAttachment),
}"""
LONG = "sin(a*b)+cos(c*d)*exp(e1/f)-sqrt(g*h)+max(a,c)*tanh(d)+ln(g)+sigmoid(h)*a**2"


@pytest.mark.parametrize("kind", ["conv2d", "softmax", "adam", "x1*x2 - sin(x2)", LONG])
def test_a_phone_need_not_scroll_the_page_sideways(kind, tmp_path):
    """What is wider scrolls by itself, under a shade that says so, and its letters stay readable."""
    if kind.isidentifier():
        options = {"shapes": {"input": (1, 2, 5, 5), "weight": (1, 2, 3, 3)}, "padding": 1} if kind == "conv2d" else {}
        page = explain(kind, **options).render("html")
    else:
        names = [
            name for name in ("a", "b", "c", "d", "e1", "f", "g", "h", "x1", "x2") if name in kind.replace("exp", "")
        ]
        page = render(opcheck.trace(kind, at=dict.fromkeys(names, 2)).page(moves=True).step, "html")
    found = asked_on_a_phone(page, FITS, tmp_path, "#step=5")
    assert found["window"] == 360
    assert found["page"] <= found["inside"]
    assert all(pixels >= 9 for pixels in found["letters"])
    if kind == LONG:
        ((inside, across),) = found["drawing"]
        assert across > inside
        assert found["shade"] == ["local, local, scroll, scroll"]
