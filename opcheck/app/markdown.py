"""Markdown for a terminal: rich's, but with headings on the left and code without a background."""

from typing import Any, ClassVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown
from rich.padding import Padding
from rich.text import Text


class PlainHeading(Heading):
    """A heading is on the left, underlined with characters, which needs no colour; rich would draw boxes."""

    LINES: ClassVar[dict[str, str]] = {"h1": "═", "h2": "─", "h3": "╌"}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(self.text.plain, style="bold")
        if self.tag in self.LINES:
            yield Text(self.LINES[self.tag] * min(self.text.cell_len, options.max_width))


class PlainCode(CodeBlock):
    """A code block that is not run: indented, in the terminal's own colours."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Padding(Text(str(self.text).rstrip(), no_wrap=True, overflow="ignore"), (0, 0, 0, 2))


class LessonMarkdown(Markdown):
    elements: ClassVar[dict[str, Any]] = {
        **Markdown.elements, "heading_open": PlainHeading, "fence": PlainCode, "code_block": PlainCode,
    }  # fmt: skip


HELD = "\ue000"  # a non-breaking space: rich breaks lines at every space that Unicode has
UNBROKEN = 30  # columns of code within a sentence that stay on one line


def markdown(text: str) -> Markdown:
    """`text` as something that a rich console prints; HELD in what is printed stands for a space."""
    page = LessonMarkdown(text, hyperlinks=False)
    for token in page.parsed:
        for part in token.children or ():
            if part.type == "code_inline" and len(part.content) <= UNBROKEN:
                part.content = part.content.replace(" ", HELD)
    return page
