"""Printed tables, taken apart again."""

import re

from opcheck.render import render
from opcheck.steps import Step, Table


def rows_of(blocks):
    """The rows of tables as text prints them, taken apart at their rules."""
    for block in blocks:
        lines = render(Step("", (block._replace(title=""),)), "text", width=1000, interactive=False).splitlines()
        rule = next(k for k, line in enumerate(lines) if set(line) == {"─", " "})
        spans = [match.span() for match in re.finditer("─+", lines[rule])]
        for line in lines[rule + 1 :]:
            yield [cut(line, *span) for span in spans]


def cut(line, start, end):
    """The characters in cells start..end: marks over letters take no cell."""
    cells, found = -1, ""
    for character in line:
        cells += character not in "\u0304\u0307"
        if start <= cells < end:
            found += character
    return found.strip()


def markdown_rows(blocks):
    """The rows of tables in Markdown, their TeX names and numbers written as text writes them."""
    for block in blocks:
        assert isinstance(block, Table)
        _, _, *rows = render(Step("", (block._replace(title=""),)), "markdown").splitlines()
        for row in rows:
            yield [plain(cell) for cell in re.split(r"(?<!\\) \| ", row[2:-2])]


def plain(cell):
    if not (cell.startswith("$") and cell.endswith("$")):
        return re.sub(r"\\(.)", r"\1", cell).strip()
    text = re.sub(
        r"\\(bar|dot)\{(\w+)\}", lambda found: found[2] + {"bar": "\u0304", "dot": "\u0307"}[found[1]], cell[1:-1]
    )
    text = re.sub(r"_\{(-?\d+)\}", lambda found: found[1].translate(str.maketrans("-0123456789", "₋₀₁₂₃₄₅₆₇₈₉")), text)
    text = re.sub(r" \\times 10\^\{(-?)(\d+)\}", lambda found: f"e{found[1]}{int(found[2]):02d}", text)
    return text.replace(r"\infty", "∞").replace(r"\mathrm{NaN}", "NaN").replace("-", "−")
