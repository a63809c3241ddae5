"""A page that moves, in a real browser: what its script makes of it, and how it fits on a phone."""

import pytest

import opcheck
from opcheck import explain
from opcheck.render import render
from tests.render.browser import asked, asked_on_a_phone, needs_browser

pytestmark = [needs_browser, pytest.mark.slow]

STATE = """{ count: document.querySelector(".count").textContent, play: document.querySelector(".play").textContent,
  live: document.querySelector(".said").getAttribute("aria-live") }"""


def test_it_plays_by_itself_unless_motion_is_unwelcome(tmp_path):
    page = render(opcheck.trace("x*y", at={"x": 2, "y": 3}).page(moves=True).step, "html")
    playing = asked(page, STATE, tmp_path, budget=3000)
    assert (playing["count"].partition(":")[0], playing["play"], playing["live"]) == ("step 3 of 9", "pause", "off")
    assert asked(page, STATE, tmp_path, budget=20000)["play"] == "play"  # it ended
    calm = asked(page, STATE, tmp_path, budget=20000, calm=True)
    assert (calm["count"].partition(":")[0], calm["play"]) == ("step 1 of 9", "play")


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
