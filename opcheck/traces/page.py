"""The whole page of a trace: evaluation, sweeps, matrices, graph and checks, as `opcheck trace` prints it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from opcheck.language import say
from opcheck.steps import Block, Prose, Step
from opcheck.traces.drawing import text_or_none
from opcheck.traces.motion import moving
from opcheck.traces.traced import Traced
from opcheck.traces.witness import Check

NO_BREAK = "\u00a0"
CROSSING, MOST_CROSSINGS = "┼", 6


class Options(NamedTuple):
    """What a page shows: the command's flags. Its reverse sweeps count as backward passes (`trace.gradients`)."""

    mode: str = "both"
    step: bool = False  # one step per line instead of tables
    check: bool = False  # ask sympy and torch as well
    passes: int = 1
    seed: float = 1.0
    jacobian: bool = False
    hessian: bool = False
    hvp: Mapping[str, Any] | None = None
    everything: bool = False
    room: int = 0  # columns for the graph as text; 0: do not draw it
    moves: bool = False  # the sweeps as a motion
    closed: Sequence[Block] = ()  # the gradients in closed form


class Sections(ABC):
    """The parts of the page of one trace."""

    more: str  # the witnesses that --check asks as well

    @abstractmethod
    def heading(self) -> list[Block]:
        """What is traced, and at which inputs."""

    @abstractmethod
    def sweeps(self, options: Options) -> list[Block]:
        """The evaluation, and the sweeps of the modes that were asked for."""

    @abstractmethod
    def gradients(self) -> list[Block]:
        """The accumulated gradients."""

    @abstractmethod
    def matrices(self, options: Options) -> list[Block]:
        """Jacobian, Hessian and its product with a direction, as far as they were asked for."""

    def arrays(self, options: Options) -> list[Block]:
        """Every line as its array."""
        return []

    @abstractmethod
    def checks(self, options: Options) -> list[Check]:
        """Independent checks of what is shown."""

    def hints(self, shown: Sequence[Block]) -> list[Block]:
        """What the words in `shown` mean, and where to read more."""
        return []


class Page(NamedTuple):
    """A document, and whether one of its checks failed."""

    step: Step
    differs: bool


def page(trace: Traced, options: Options) -> Page:
    """What the options ask for."""
    sections = trace.sections()
    sweeps = sections.sweeps(options)
    blocks = sections.heading()
    blocks += moving(trace.boxes(), sweeps, trace.fractions) if options.moves else sweeps
    blocks += sections.arrays(options) if options.everything or options.moves else []
    blocks += untracked(trace) if options.mode == "forward" else [*sections.gradients(), *options.closed]
    blocks += drawn(trace, options.room)
    blocks += sections.matrices(options)
    blocks += sections.hints(sweeps)
    found = sections.checks(options)
    blocks += [Prose(each.text, "note") for each in found]
    if found and not options.check:
        blocks.append(Prose(say("(--check asks {more} as well)", more=sections.more), "hint"))
    return Page(Step("", tuple(blocks)), any(each.holds is False for each in found))


def untracked(trace: Traced) -> list[Block]:
    """Where no table says so: the inputs that nothing is differentiated by."""
    names = ", ".join(name for name in trace.inputs if name not in trace.tracked)
    return [Prose(say("not tracked: {names}", names=names), "note")] if names else []


def drawn(trace: Traced, room: int) -> list[Block]:
    """The graph as text, where it stays readable and the page has room for it."""
    if not room or not trace.boxes():
        return []
    text = text_or_none(trace.boxes())
    if text is None or max(map(len, text.splitlines())) > room or text.count(CROSSING) > MOST_CROSSINGS:
        told = say("the computational graph is too wide to read here: --graph svg -o graph.svg draws it")
        return [Prose(told, "hint")]
    lines = tuple(Prose(line.replace(" ", NO_BREAK), "drawing") for line in text.splitlines())
    return [Step(say("computational graph"), lines)]
