"""The site in a real browser: edits, undo, links, what is impossible, and that nothing leaves the machine."""

import json

import pytest

from opcheck.render.pictures import png
from tests.render.browser import asked, needs_browser

pytestmark = [needs_browser, pytest.mark.slow]
SETTLED = "document.querySelectorAll('.see iframe').length === 1 && document.querySelector('.see').ariaBusy !== 'true'"
PAGE = "document.querySelector('.see iframe').contentDocument.querySelector('main').textContent"


def test_an_edit_a_sentence_undo_and_the_link(browser, served, tmp_path):
    browser.messages.clear()
    browser.requests.clear()
    browser.open(f"{served.address}explain/linear?input=[[1,2]]&weight=[[3,4]]")
    browser.until("document.querySelectorAll('.numbers input').length === 4")
    browser.type("[data-field=input] .numbers td:nth-child(2) input", "10")
    browser.until(f"location.search.includes('10') && {SETTLED} && {PAGE}.includes('43')")
    assert browser.do("location.search") == "?input=[[1,10]]&weight=[[3,4]]"
    link = browser.do("location.href")

    browser.type("#f-weight", "[[3,4],[5]]")
    told = browser.until("document.querySelector('#said-weight').textContent")
    assert told == "weight must be rectangular: rows of equal length. Got [0] has 2 entries, [1] has 1 entry."
    assert browser.do("document.querySelector('#f-weight').getAttribute('aria-invalid')") == "true"
    assert "43" in browser.do(PAGE)  # what was possible stays

    browser.do("document.querySelector('.undo').click()")
    browser.until(f"location.href === {json.dumps(link)} && !document.querySelector('#said-weight').textContent")
    browser.do("document.querySelector('.undo').click()")
    browser.until(f"location.search.includes('[[1,2]]') && {SETTLED} && !{PAGE}.includes('43')")
    browser.do("document.querySelector('.redo').click()")
    browser.until(f"location.href === {json.dumps(link)} && {SETTLED} && {PAGE}.includes('43')")

    browser.do("document.querySelector('[name=grad]').click()")
    browser.until(f"{SETTLED} && {PAGE}.includes('gradient of weight')")
    assert "linear(" in browser.do("document.querySelector('.code pre').textContent")
    saved = browser.do("fetch(document.querySelector('.save').href).then((found) => found.text())")
    assert not browser.messages
    assert all(each.startswith((served.address, "data:")) for each in browser.requests)
    assert "gradient of weight" in asked(saved, "document.querySelector('main').textContent", tmp_path)


def test_all_of_the_page_is_printed(browser, served):
    browser.open(f"{served.address}explain/conv2d")
    browser.until(f"{SETTLED} && {PAGE}.includes('step 9')")
    browser.do("window.dispatchEvent(new Event('beforeprint'))")
    browser.call("Emulation.setEmulatedMedia", media="print")
    copy = "document.querySelector('.printed').shadowRoot"
    assert browser.do("getComputedStyle(document.querySelector('.see iframe')).display") == "none"
    seen = f"[...{copy}.querySelectorAll('.still *')].filter((each) => each.getBoundingClientRect().height).length"
    assert browser.do(seen) > 100
    assert "step 9" in browser.do(f"{copy}.querySelector('.still').textContent")
    assert browser.do("document.documentElement.scrollHeight") > 1200  # several sheets of paper
    browser.call("Emulation.setEmulatedMedia", media="")
    browser.do("window.dispatchEvent(new Event('afterprint'))")
    assert browser.do("document.querySelector('.printed')") is None


def test_on_a_phone_the_calculation_is_in_sight_while_a_number_is_edited(browser, served):
    browser.open(f"{served.address}explain/conv2d", 375, 740)
    browser.until(
        f"{SETTLED} && {PAGE}.includes('step 9') && document.querySelectorAll('.numbers input').length === 20"
    )
    browser.do("document.querySelector('#f-weight').scrollIntoView({block: 'end'})")
    frame = "document.querySelector('.see iframe')"
    top = f"{frame}.getBoundingClientRect().top"
    for part in (".answer", "td[data-line]"):
        box = f"{frame}.contentDocument.querySelector('{part}').getBoundingClientRect()"
        assert browser.do(f"{top} >= -1 && {top} + {box}.bottom < innerHeight && {box}.top >= 0"), part
    assert browser.do("document.querySelector('#f-weight').getBoundingClientRect().bottom <= innerHeight + 1")


def test_a_browser_that_keeps_nothing_edits_all_the_same(browser, served):
    script = "Object.defineProperty(window, 'sessionStorage', {get() { throw new DOMException('denied'); }})"
    added = browser.call("Page.addScriptToEvaluateOnNewDocument", source=script)["identifier"]
    try:
        browser.messages.clear()
        browser.open(f"{served.address}explain/linear?input=[[1,2]]&weight=[[3,4]]")
        browser.until("document.querySelectorAll('.numbers input').length === 4")
        browser.type("[data-field=input] .numbers td:nth-child(2) input", "10")
        browser.until(f"location.search.includes('10') && {SETTLED} && {PAGE}.includes('43')")
        assert not browser.messages
    finally:
        browser.call("Page.removeScriptToEvaluateOnNewDocument", identifier=added)


def test_what_an_address_has_wrong_stays_said_until_something_changes(browser, served):
    browser.open(f"{served.address}explain/linear?input=[[1,2]]&weight=[[3,4]]&strid=2")
    browser.until("document.querySelectorAll('.numbers input').length === 4")
    assert "linear has no argument of this name" in browser.do("document.querySelector('.general').textContent")
    browser.type("[data-field=input] .numbers td:nth-child(2) input", "10")
    browser.until("!document.querySelector('.general').textContent")


def test_a_marked_number_becomes_an_exercise_that_hides_it(browser, served):
    browser.open(f"{served.address}explain/linear?input=[[1,2]]&weight=[[3,4]]")
    browser.until(f"{SETTLED} && {PAGE}.includes('11')")
    browser.do("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    of = "document.querySelector('.see iframe').contentDocument.querySelector('.input .gradient td[data-line]')"
    browser.do(f"{of}.click()")
    browser.do("document.querySelector('.exercise').click()")
    assert browser.until("window.copied") == f"{served.address}practice/linear?input=[[1,2]]&weight=[[3,4]]&ask=x[0,0]"
    assert "opcheck serve" in browser.do("document.querySelector('.toast').textContent")
    browser.open(browser.do("window.copied"))
    assert browser.do("document.querySelector('.question h3').textContent").startswith("What is x̄[0,0]")
    browser.type("#answer", "3")
    browser.press("Enter")
    assert browser.until("document.querySelector('.verdict').textContent") == "Right."
    assert browser.do("document.querySelector('.next a').pathname") == "/explain/linear"


PASTE = """(([selector, text]) => {
  const data = new DataTransfer();
  data.setData("text", text);
  const paste = new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true});
  document.querySelector(selector).dispatchEvent(paste);
})(%s)"""


def test_a_block_of_a_spreadsheet_fills_the_cells_or_becomes_the_array(browser, served):
    browser.open(f"{served.address}explain/linear?input=[[1,2],[3,4]]&weight=[[3,4]]")
    browser.until("document.querySelectorAll('.numbers input').length === 6")
    browser.do(PASTE % json.dumps(["[data-field=input] .numbers input", "5\t0,5\r\n7\t-8\r\n"]))
    browser.until(f"location.search.includes('input=[[5,0.5],[7,-8]]') && {SETTLED}")
    browser.do(PASTE % json.dumps(["#f-weight", "1 2; 3 4; 5 6"]))
    browser.until(f"location.search.includes('weight=[[1,2],[3,4],[5,6]]') && {SETTLED} && {PAGE}.includes('53')")
    browser.type("[data-field=input] .numbers input", "")
    browser.do("document.activeElement.blur()")
    assert browser.do("document.querySelector('[data-field=input] .numbers input').value") == "0"


def test_an_expression_gets_fields_for_its_variables(browser, served):
    browser.open(f"{served.address}trace?of=a*b")
    browser.until("document.querySelectorAll('.variables input').length === 2")
    browser.type("#f-of", "a*b + c")
    browser.until("document.querySelectorAll('.variables input').length === 3")
    browser.type("#f-c", "7")
    browser.until(f"location.search.includes('at.c=7') && {SETTLED} && {PAGE}.includes('9')")


def test_a_function_and_an_operator_are_traced_with_the_numbers_that_stand_there(browser, served):
    browser.messages.clear()
    browser.open(f"{served.address}trace?of=neuron&at.x1=3")
    browser.until(f"{SETTLED} && {PAGE}.includes('neuron(x1, x2, w)')")
    fields = "[...document.querySelectorAll('.variables input')].map((field) => field.value || field.placeholder)"
    assert browser.do(fields) == ["3", "2", "0.5"]
    browser.open(f"{served.address}explain/linear?input=[[1,2]]&weight=[[3,4]]&grad=1")
    browser.until(f"{SETTLED} && document.querySelector('a.traced').search.includes('at.weight')")
    browser.open(browser.do("document.querySelector('a.traced').href"))
    browser.until(f"{SETTLED} && {PAGE}.includes('linear(input, weight)')")
    assert browser.do(fields) == ["[[1,2]]", "[[3,4]]"]
    assert not browser.messages


def test_an_operator_is_found_by_typing(browser, served):
    browser.open(served.address)
    browser.type("#search", "kernel slides image")
    assert browser.do("[...document.querySelectorAll('.found li:not([hidden])')].length") < 5
    browser.type("#search", "softmax")
    browser.press("Enter")
    browser.until("location.pathname.startsWith('/explain/')")


def test_a_problem_is_answered(browser, served):
    browser.open(f"{served.address}practice/linear?seed=1&number=1&level=1")
    browser.type("#answer", "0")
    browser.press("Enter")
    assert browser.until("document.querySelector('.verdict').textContent").startswith("Not yet")
    browser.do("document.querySelector('.skip').click()")
    browser.until("!document.querySelector('.next').hidden")


FITS = "document.documentElement.scrollWidth <= innerWidth"


@pytest.mark.parametrize("width", [320, 768, 1920])
def test_it_fits_every_width(browser, served, width):
    for path in ("", "explain/conv2d?input=6x6&padding=1", "trace", "practice/conv2d?seed=2&number=1", "learn/10"):
        browser.open(f"{served.address}{path}", width)
        assert browser.do(FITS), (path, browser.do("document.documentElement.scrollWidth"))


def test_a_link_that_is_wrong_says_so_and_shows_what_its_form_shows(browser, served):
    browser.open(f"{served.address}explain/linear?dtype=float9")  # no word of its list, so that the field is empty
    browser.until(f"{SETTLED} && {PAGE}.includes('linear') && !document.querySelector('.instead')")
    browser.open(f"{served.address}explain/linear?cell=x")
    told = "A cell is a position in the output, such as 0,1. Got 'x'."
    assert browser.do("document.querySelector('.instead').textContent") == told
    browser.messages.clear()  # that the answer to a wrong link is 400


def test_kernels_and_a_picture_of_ones_own(browser, served, tmp_path):
    browser.open(f"{served.address}explain/conv2d")
    browser.until("document.querySelectorAll('[data-field=weight] .numbers input').length === 4")
    browser.do("(() => { const e = document.querySelector('[data-field=weight] select.tries'); e.value = 'sobel-x'; "
               "e.dispatchEvent(new Event('change', {bubbles: true})); })()")  # fmt: skip
    browser.until("document.querySelectorAll('[data-field=weight] .numbers input').length === 9")
    assert browser.do("location.search") == "?weight=sobel-x"

    (tmp_path / "edge.png").write_bytes(png(((0.0, 0.0, 255.0),) * 3))
    (tmp_path / "none.png").write_text("no picture")
    field = browser.call("Runtime.evaluate", expression="document.querySelector('[data-field=input] input[type=file]')")
    browser.call("DOM.setFileInputFiles", files=[str(tmp_path / "edge.png")], objectId=field["result"]["objectId"])
    browser.until(
        f"location.search.includes('[[0,0,255],[0,0,255],[0,0,255]]') && {SETTLED} && {PAGE}.includes('1020')"
    )
    browser.call("DOM.setFileInputFiles", files=[str(tmp_path / "none.png")], objectId=field["result"]["objectId"])
    assert browser.until("document.querySelector('#said-input').textContent") == "This file is not a picture."

    (tmp_path / "large.png").write_bytes(png(((0.0, 0.0, 255.0, 255.0) * 20,) * 40))
    browser.call("DOM.setFileInputFiles", files=[str(tmp_path / "large.png")], objectId=field["result"]["objectId"])
    told = browser.until("document.querySelector('[data-field=input] .aside').textContent")
    assert told == "The picture of 40×80 pixels was reduced to 14×28."
