"""Renderers: from steps to text, LaTeX, Markdown, HTML and JSON. They see steps only."""

from importlib import import_module
from typing import Any

from opcheck.steps import Step

FORMATS = ("text", "json", "latex", "markdown", "html")


def render(step: Step, format: str = "text", **options: Any) -> str:
    """The document in one of FORMATS; each renderer takes the options that it knows."""
    module = import_module(f"opcheck.render.{format}")
    text: str = module.render(step, module.Options.of(options))
    return text
