"""Pages for everybody: names and headings for a screen reader, contrast in light and dark, forced colours, print, zoom.

axe looks as well: that of the package axe-core-python, or of `npm pack axe-core` and OPCHECK_AXE=package/axe.min.js.
"""

import json
import os
from importlib import resources
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import opcheck
from opcheck.app import page as report_page
from opcheck.learning.worksheets import drawn
from opcheck.learning.worksheets.paper import printed
from opcheck.operators import catalog
from opcheck.render import render
from tests.grading import examples
from tests.grading.formats.support import rendered
from tests.render.browser import needs_browser

pytestmark = [needs_browser, pytest.mark.slow]
SERVED = ("/", "/explain/conv2d?input=4x4&grad=1", "/trace", "/practice/conv2d?seed=2&number=1", "/learn", "/learn/10",
          "/practice")  # fmt: skip
SAVED = ("conv2d", "softmax", "trace", "program", "verify", "class", "student", "sheet")
CONTRAST = """(() => {
  const brush = Object.assign(document.createElement("canvas"), {width: 1, height: 1})
    .getContext("2d", {willReadFrequently: true});
  const read = (text) => {
    brush.clearRect(0, 0, 1, 1); brush.fillStyle = text; brush.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = brush.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => top.slice(0, 3).map((c, k) => c * top[3] + below[k] * (1 - top[3]));
  const behind = (at) => {
    const layers = [];
    for (let each = at; each; each = each.parentElement) layers.push(read(getComputedStyle(each).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), read("Canvas").slice(0, 3));
  };
  const light = (c) => c.map((x) => x / 255).map((x) => x <= .04045 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4)
    .reduce((sum, x, k) => sum + x * [.2126, .7152, .0722][k], 0);
  const ratio = (a, b) => (Math.max(light(a), light(b)) + .05) / (Math.min(light(a), light(b)) + .05);
  const found = [];
  for (const at of document.querySelectorAll("body *")) {
    const own = [...at.childNodes].some((each) => each.nodeType === 3 && each.data.trim());
    const style = getComputedStyle(at);
    const seen = at.checkVisibility({visibilityProperty: true, opacityProperty: true});
    if (!own || !seen || at.closest("script, style, svg, [disabled], .hidden, .said")) continue;
    if (style.color === "rgba(0, 0, 0, 0)") continue;
    const below = behind(at), shown = ratio(over(read(style.color), below), below);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    if (shown < (large ? 3 : 4.5)) found.push([at.tagName, at.className, at.textContent.slice(0, 30), shown]);
  }
  return JSON.stringify(found);
})()"""
FITS = "document.documentElement.scrollWidth <= innerWidth"
NAMED = ("button", "link", "textbox", "combobox", "slider", "checkbox", "Iframe", "searchbox", "spinbutton", "image")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Pages in files, by name."""
    folder = tmp_path_factory.mktemp("pages")
    for name, page in {**explained(), **reported()}.items():
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    return {name: (folder / f"{name}.html").as_uri() for name in SAVED}


def explained():
    def halved(hidden_state: "N D"):  # noqa: F722
        shifted = hidden_state - 1.0
        return np.tanh(shifted) * 0.5

    return {
        "conv2d": opcheck.explain("conv2d", shapes={"input": (4, 4)}, grad=True).render("html"),
        "softmax": opcheck.explain("softmax", [1.0, 2.0, 3.0], dim=0).render("html"),
        "trace": render(opcheck.trace("ln(x1)+x1*x2-sin(x2)", at={"x1": 2, "x2": 5}).page(moves=True).step, "html"),
        "program": opcheck.explain(halved, shapes={"hidden_state": (2, 3)}, grad=True).render("html"),
    }


def reported():
    report = opcheck.verify("relu", lambda input: -np.maximum(input, 0), cases=5, seed=1, claims=("exact", "special"))
    students = rendered("html", examples.result("ada"), examples.result("bob"), examples.result("eve", wrong=0))
    return {
        "verify": report_page.html(report, "kernels.py:relu", "", {}),
        "class": students["index.html"],
        "student": students["students/ada.html"],
        "sheet": printed(drawn(catalog.get("lstm_cell"), 6, seed=5), "html"),  # of long formulas,
    }


@pytest.fixture(scope="module", params=[*SAVED, *SERVED])
def page_of(request, browser, saved, served):
    """A page of each kind, opened once: nothing of it may reach the console whatever is done with it."""
    name = request.param
    browser.messages.clear()
    yield saved[name] if name in saved else served.address + name[1:]
    assert browser.messages == []


@pytest.fixture
def page(browser, page_of):
    """The page with a width and with features of a medium; everything is as usual afterwards."""

    def opened(width=1280, media="", **features):
        asked = [{"name": key.replace("_", "-"), "value": value} for key, value in features.items()]
        browser.call("Emulation.setEmulatedMedia", media=media, features=asked)
        if browser.do("location.href").partition("#")[0] == page_of:
            browser.resize(width)
        else:
            browser.open(page_of, width)
        browser.do("document.getAnimations().forEach((each) => each.finish())")  # colours fade from one to another
        return browser

    yield opened
    browser.call("Emulation.setEmulatedMedia", media="", features=[])


def test_everything_that_answers_has_a_name_and_the_page_an_order(page):
    browser = page()
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    nameless = [node["role"]["value"] for node in nodes if not node.get("ignored")
                and node.get("role", {}).get("value") in NAMED and not node.get("name", {}).get("value")]  # fmt: skip
    assert nameless == []
    assert browser.do("document.documentElement.lang") == "en"
    assert browser.do("document.title")
    assert browser.do("document.querySelectorAll('main, [role=main]').length") == 1
    levels = browser.do("JSON.stringify([...document.querySelectorAll('h1, h2, h3, h4')].map(h => +h.tagName[1]))")
    levels = json.loads(levels)
    assert levels[0] == 1 and all(b <= a + 1 for a, b in pairwise(levels))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_written_can_be_read(page, scheme):
    assert json.loads(page(prefers_color_scheme=scheme).do(CONTRAST)) == []


def test_forced_colours_leave_what_is_asked_marked(page):
    browser = page(forced_colors="active")
    assert json.loads(browser.do(CONTRAST)) == []
    marked = browser.do("""[...document.querySelectorAll("td.asked, td.part")].every((at) =>
      getComputedStyle(at).outlineStyle !== "none" && parseFloat(getComputedStyle(at).outlineWidth) >= 2)""")
    assert marked
    paper = browser.do("getComputedStyle(document.body).backgroundColor")
    bars = browser.do("""[...document.querySelectorAll(".histogram a.bar, .question .meter > *")].map((at) =>
      getComputedStyle(at).backgroundColor)""")
    assert paper not in bars


@pytest.mark.parametrize("width", [320, 640])  # a phone, and 1280 at 200 %
def test_it_fits_a_narrow_page_and_a_zoomed_one(page, width):
    browser = page(width)
    assert browser.do(FITS), browser.do("document.documentElement.scrollWidth")


def test_on_paper_nothing_is_cut_and_the_calculation_is_there(page):
    browser = page(665, "print")  # what the margins leave of A4, at 96 dots an inch
    assert browser.do(FITS)
    assert browser.do("""[...document.querySelectorAll("body *")].every((at) => !at.checkVisibility() ||
      !["auto", "scroll"].includes(getComputedStyle(at).overflowX) || at.scrollWidth <= at.clientWidth + 1)""")
    assert len(browser.call("Page.printToPDF")["data"]) > 1000


SCROLLS = """[...document.querySelectorAll(".answer, .answer *")].some((at) =>
  ["auto", "scroll"].includes(getComputedStyle(at).overflowY) && at.scrollHeight > at.clientHeight)"""


def test_an_answer_has_no_scroll_bar(browser, saved):
    for name in ("softmax", "conv2d", "program"):
        browser.open(saved[name])
        browser.until("document.querySelector('.answer .result') !== null")
        assert not browser.do(SCROLLS), name


def test_these_tests_see_what_is_wrong(browser, saved):
    browser.open(saved["softmax"], 320)
    browser.until("document.querySelector('.answer .result') !== null")
    browser.do("""document.querySelector("main").insertAdjacentHTML("beforeend",
      '<p style="color: #aaa; background: #fff">faint</p><p style="width: 400px">wide</p>')""")
    assert [each[2] for each in json.loads(browser.do(CONTRAST))] == ["faint"]
    assert not browser.do(FITS)
    browser.do("document.querySelector('.answer').style.maxHeight = '2em'")
    assert browser.do(SCROLLS)


@pytest.fixture(scope="module")
def axe():
    """axe's own code."""
    if "OPCHECK_AXE" in os.environ:
        return Path(os.environ["OPCHECK_AXE"]).read_text(encoding="utf-8")
    pytest.importorskip("axe_core_python")
    return resources.files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")


def test_axe_finds_nothing(page, axe):
    browser = page(320)  # where most scrolls
    browser.do(axe + ";0")
    found = browser.do("axe.run().then((r) => JSON.stringify(r.violations.map((v) => [v.impact, v.id])))")
    assert json.loads(found) == []
