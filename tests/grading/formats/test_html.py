"""The pages: self-contained, nothing in them runs or loads, and a phone shows them."""

import html.parser
import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opcheck.grading import formats
from opcheck.grading.formats import wording
from tests.grading import examples
from tests.grading.formats.support import ASSIGNMENT, one, rendered

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
VOID = {"meta", "br"}


class Page(html.parser.HTMLParser):
    """What a browser would find: tags, links, whether they are closed, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value for name, value in attrs if name in ("href", "src")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_html_of_a_class_leads_to_every_student_and_none_of_them_back():
    names = ["ada", "Zoë Müller (s1)", "a/../b", "ADA", "<b>"]
    pages = rendered("html", *map(examples.result, names))
    index = Page(pages.pop("index.html"))
    files = [file.replace("ë", "%C3%AB").replace("ü", "%C3%BC") for file in pages]
    assert [link for link in index.links if not link.startswith("#")][-len(files) :] == files
    assert len(pages) == len(names)
    assert all(re.fullmatch(r"students/[\w.-]+\.html", file) and "/." not in file for file in pages)
    assert len({file.casefold() for file in pages}) == len(names)
    for name, page in zip(names, pages.values(), strict=True):
        assert Page(page).links == []
        assert name in Page(page).text


def test_bars_and_mistakes_lead_to_their_students():
    page = rendered("html", examples.result("ada"), examples.result("bob"), examples.result("eve", wrong=0))[
        "index.html"
    ]
    targets = {link[1:] for link in Page(page).links if len(link) > 1 and link[0] == "#"}
    assert targets == {"bar-4", "bar-10", "question-1-full", "question-2-full", "question-2-none", "mistake-1"}
    for target, names in (("mistake-1", ["ada", "bob"]), ("bar-10", ["eve"]), ("question-2-none", ["ada", "bob"])):
        shown = re.search(rf'<p class="who" id="{target}">.*?</p>', page)[0]
        assert Page(shown).links == [*(f"students/{name}.html" for name in names), "#"]


def test_what_most_of_a_class_lose_is_flagged():
    told = "100 % lose points for conv2d, forward: check the assignment"
    results = [examples.result(f"s{k}") for k in range(5)]
    assert told in rendered("html", *results)["index.html"] and told in rendered("text", *results)[""]
    assert told not in rendered("text", *results[:4])[""]  # too few to tell
    some = [*results[:3], *(examples.result(f"r{k}", wrong=0) for k in range(4))]
    assert "check the assignment" not in rendered("text", *some)[""]


@given(result=examples.results() | st.just(examples.hostile()))
def test_a_page_holds_nothing_that_runs_or_loads(result):
    for text in (one("html", result), *rendered("html", result, examples.result()).values()):
        page = Page(text)
        assert not page.tags & {"script", "iframe", "img", "link", "object", "embed", "form", "base"}
        assert not [name for name in page.attributes if name.startswith("on")]
        assert all(re.fullmatch(r"students/[\w.%-]+\.html|#[\w-]*", link) for link in page.links)
        assert "default-src 'none'" in text
        assert not re.search(r"url\(|@import", text)


def test_a_mistake_is_told_by_the_catalogues_sentence():
    from opcheck.operators import catalog

    conv = catalog.get("conv2d")
    asked = examples.Titled(questions=(examples.Asked("conv2d", conv),))
    known = conv.mistakes[0]
    assert wording.mistake(asked, "conv2d", known.name) == known.sentence
    assert wording.mistake(asked, "conv2d", "of_no_name") == "of no name"
    assert wording.mistake(asked, "linear", known.name) == known.name.replace("_", " ")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize("file", ["index.html", "students/hostile.html", "students/ada.html"])
def test_a_phone_shows_a_page_without_scrolling_sideways(tmp_path, file):
    results = [examples.result("ada"), replace(examples.hostile(), student="hostile"), examples.every_outcome()]
    formats.write("html", results, ASSIGNMENT, tmp_path)
    measured = """<body style="margin:0">
        <iframe id="phone" src="FILE" style="width:390px;height:800px;border:0"></iframe>
        <script>onload = () => { const page = document.getElementById("phone").contentDocument.documentElement;
        document.title = `${page.scrollWidth} of ${page.clientWidth}, ${page.scrollHeight} high`; }</script>"""
    (tmp_path / "phone.html").write_text(measured.replace("FILE", file))
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
               "--allow-file-access-from-files", "--dump-dom", "--virtual-time-budget=2000",
               f"--user-data-dir={tmp_path}/profile", (tmp_path / "phone.html").as_uri()]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    title = re.search(r"<title>(\d+) of (\d+), (\d+) high</title>", done.stdout)
    assert title, done.stdout[:500]
    assert int(title[1]) <= int(title[2])
    assert int(title[3]) > 300, "an empty page"
