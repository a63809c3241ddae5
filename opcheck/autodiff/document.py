"""What a trace and its sweeps have in common: they are documents that any renderer can print."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from opcheck.steps import Step

if TYPE_CHECKING:
    from opcheck.autodiff.drawing import Boxes
    from opcheck.autodiff.page import Page


class Document(ABC):
    """str() is text for a terminal of 80 columns; Jupyter shows HTML or LaTeX."""

    @abstractmethod
    def step(self) -> Step:
        """What is shown."""

    @property
    def fractions(self) -> bool:
        """Whether numbers are shown as fractions."""
        return False

    def render(self, format: str = "text", **options: Any) -> str:
        """As "text", "markdown", "latex", "html" or "json"; the options are those of `opcheck explain`."""
        from opcheck.render import render

        return render(self.step(), format, **{"fractions": self.fractions, **options})

    def __str__(self) -> str:
        return self.render("text", interactive=False)

    def _repr_html_(self) -> str:
        return self.render("html", page=False)

    def _repr_latex_(self) -> str:
        return self.render("latex", page=False)


class Traced(Document):
    """A trace, of numbers or of arrays: it can be drawn, written as data, and printed as a whole page."""

    @abstractmethod
    def boxes(self) -> "Boxes":
        """The nodes of its graph, for drawing."""

    @abstractmethod
    def page(self, **options: Any) -> "Page":
        """What `opcheck trace` prints for these options."""

    @abstractmethod
    def to_json(self) -> str:
        """Everything as data, "schema": "opcheck.trace/1"."""

    def _repr_html_(self) -> str:
        return super()._repr_html_() + self.draw("svg")

    def draw(self, notation: str = "text") -> str:
        """The computational graph as "text", "dot", "mermaid" or "svg"."""
        from opcheck.autodiff.drawing import draw

        return draw(self, notation)
