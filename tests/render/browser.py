"""A page in a real browser without a window: what the document has become when the page's script has run."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="needs chromium")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")


def asked(page: str, question: str, directory: Path, fragment: str = "", *flags: str, budget: int = 2000) -> Any:
    """The value of the JavaScript expression `question` on the page, after `budget` virtual milliseconds."""
    tell = f'Object.assign(document.createElement("pre"), {{id: "answer", textContent: JSON.stringify({question})}})'
    answer = f"<script>setTimeout(() => document.body.append({tell}), {budget - 200})</script>"
    path = directory / "page.html"
    path.write_text(page.replace("</body>", answer + "</body>"), encoding="utf-8")
    address = path.as_uri() + fragment
    profile = f"--user-data-dir={directory / 'profile'}"
    command = [str(BROWSER), *FLAGS, profile, *flags, f"--virtual-time-budget={budget}", "--dump-dom", address]
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r'<pre id="answer">(.*?)</pre>', dumped, re.DOTALL)
    assert found, dumped[-2000:]
    return json.loads(html.unescape(found[1]))
