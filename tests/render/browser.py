"""A page in a real browser without a window: what the document has become when the page's script has run."""

import html
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="needs chromium")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")


def asked(page: str, question: str, directory: Path, fragment: str = "", *flags: str, budget: int = 2000) -> Any:
    """The value of the JavaScript expression `question` on the page, after `budget` virtual milliseconds."""
    document = page.replace("</body>", answer(question, budget) + "</body>")
    return answered(document, fragment, directory, flags, budget)


def asked_on_a_phone(page: str, question: str, directory: Path, fragment: str = "", width: int = 360) -> Any:
    """The same where the page has `width` pixels: in a frame, for no window is as narrow as that."""
    budget = 2000
    (directory / "narrow.html").write_text(page, encoding="utf-8")
    frame = f'<iframe src="narrow.html{fragment}" style="border: 0; width: {width}px; height: 800px"></iframe>'
    told = answer(f"frames[0].eval({json.dumps(f'({question})')})", budget)
    return answered(f"<body>{frame}{told}</body>", "", directory, ("--allow-file-access-from-files",), budget)


def answer(question: str, budget: int) -> str:
    tell = f'Object.assign(document.createElement("pre"), {{id: "answer", textContent: JSON.stringify({question})}})'
    return f"<script>setTimeout(() => document.body.append({tell}), {budget - 200})</script>"


def answered(document: str, fragment: str, directory: Path, flags: Sequence[str], budget: int) -> Any:
    path = directory / "page.html"
    path.write_text(document, encoding="utf-8")
    address = path.as_uri() + fragment
    profile = f"--user-data-dir={directory / 'profile'}"
    command = [str(BROWSER), *FLAGS, profile, *flags, f"--virtual-time-budget={budget}", "--dump-dom", address]
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r'<pre id="answer">(.*?)</pre>', dumped, re.DOTALL)
    assert found, dumped[-2000:]
    return json.loads(html.unescape(found[1]))
