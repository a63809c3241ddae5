"""What a trace and its sweeps have in common: they are documents that any renderer can print."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from opcheck.errors import Refused
from opcheck.language import say
from opcheck.steps import Step
from opcheck.traces.gradients import Gradient

if TYPE_CHECKING:
    from opcheck.traces.drawing import Boxes
    from opcheck.traces.page import Page, Sections


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
    """A trace, of numbers or of arrays: it can be drawn, written as data, and printed as a whole page.

    `inputs` is the node of each input by name, `tracked` the inputs that derivatives are taken by, and `gradients` what
    the reverse sweeps left behind at each input.
    """

    def __init__(self, title: str, inputs: Mapping[str, int], wrt: Iterable[str] | None) -> None:
        self.title, self.inputs = title, inputs
        self.tracked = tuple(inputs) if wrt is None else tuple(dict.fromkeys(map(self._known, wrt)))
        self.zero_gradients()

    def zero_gradients(self) -> None:
        """Forget what the reverse sweeps left behind."""
        self.gradients = {name: Gradient(name in self.tracked) for name in self.inputs}

    def _known(self, name: str) -> str:
        if name not in self.inputs:
            known = ", ".join(self.inputs) or say("none")
            raise Refused(say("there is no input {name}", name=name), fix=say("the inputs are {known}", known=known))
        return name

    def _tracks(self, name: str) -> str:
        if self._known(name) not in self.tracked:
            raise Refused(
                say("{name} is not tracked, so nothing is differentiated with respect to it", name=name),
                fix=say("the tracked inputs are {names}", names=", ".join(self.tracked) or say("none")),
            )
        return name

    # --- what it looks like ---------------------------------------------------------------------------------------

    @abstractmethod
    def boxes(self) -> "Boxes":
        """The nodes of its graph, for drawing."""

    @abstractmethod
    def sections(self) -> "Sections":
        """The parts of its page."""

    @abstractmethod
    def to_json(self) -> str:
        """Everything as data, "schema": "opcheck.trace/1"."""

    def page(self, **options: Any) -> "Page":
        """What `opcheck trace` prints: see `opcheck.traces.page.Options`."""
        from opcheck.traces.page import Options, page

        return page(self, Options(**options))

    def _repr_html_(self) -> str:
        return super()._repr_html_() + self.draw("svg")

    def draw(self, notation: str = "text") -> str:
        """The computational graph as "text", "dot", "mermaid" or "svg"."""
        from opcheck.traces.drawing import draw

        return draw(self, notation)


def forward_or_reverse(mode: str | None, sweeps: Mapping[str, int]) -> str:
    """The mode of a Jacobian: the one that needs fewer sweeps unless `mode` says which; raises Refused."""
    if mode is not None and mode not in sweeps:
        raise Refused(say("the mode is forward or reverse"), got=repr(mode))
    return mode or min(sweeps, key=sweeps.__getitem__)
