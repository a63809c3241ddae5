"""A page in a real browser without a window: what the document has become when the page's script has run."""

import atexit
import json
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.web.browser import Browser

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="needs chromium")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")


def asked(
    page: str, question: str, directory: Path, fragment: str = "", budget: int = 2000, width: int = 800,
    calm: bool = False,
) -> Any:  # fmt: skip
    """The value of the JavaScript expression `question` on the page, after `budget` virtual milliseconds.

    calm: where motion is unwelcome.
    """
    path = directory / "page.html"
    answer = f"<script>setTimeout(() => {{ window.answer = JSON.stringify({question}) }}, {budget - 200})</script>"
    path.write_text(page.replace("</body>", answer + "</body>"), encoding="utf-8")
    with window().tab() as tab:
        features = [{"name": "prefers-reduced-motion", "value": "reduce"}] if calm else []
        tab.call("Emulation.setEmulatedMedia", features=features)
        tab.open(path.as_uri() + fragment, width, 600)
        tab.pass_time(budget)
        return json.loads(tab.do("window.answer"))


def asked_on_a_phone(page: str, question: str, directory: Path, fragment: str = "", width: int = 360) -> Any:
    """The same where the page has `width` pixels."""
    return asked(page, question, directory, fragment, width=width)


@cache
def window() -> "Browser":
    """One browser for all questions of a process."""
    from tests.web.browser import Browser

    folder = Path(mkdtemp())
    found = Browser(folder)

    def end() -> None:
        found.close()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    return found
