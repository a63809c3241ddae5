"""Renderers: from steps to text, LaTeX, Markdown, HTML and JSON. They see steps only."""

from importlib import import_module
from typing import Any

from opcheck.language import say
from opcheck.steps import Block, Board, Diagram, Motion, Pictures, Plot, Step, Table

FORMATS = ("text", "json", "latex", "markdown", "html")
DRAWING = ("json", "html")  # these know motions, boards, plots, pictures and diagrams


def render(step: Step, format: str = "text", **options: Any) -> str:
    """The document in one of FORMATS; each renderer takes the options that it knows."""
    module = import_module(f"opcheck.render.{format}")
    text: str = module.render(step if format in DRAWING else still(step), module.Options.of(options))
    return text


def still(step: Step, diagrams: bool = False) -> Step:
    """The document without motion; its diagrams as tables, unless `diagrams` can be drawn."""
    blocks: list[Block] = []
    for block in step.blocks:
        match block:
            case Motion(_, blocks_at_rest) | Board(_, _, _, blocks_at_rest):
                blocks += still(Step("", blocks_at_rest), diagrams).blocks
            case Diagram(boxes) if not diagrams:
                rows = tuple((box.title, ", ".join(filter(None, box.details))) for box in boxes)
                blocks.append(Table((say("node"), ""), rows, say("computational graph")))
            case Plot() | Pictures() if not diagrams:
                continue
            case Step():
                blocks.append(still(block, diagrams))
            case _:
                blocks.append(block)
    return step._replace(blocks=tuple(blocks))
