"""The whole page of a trace: evaluation, sweeps, matrices, graph and checks, as `opcheck trace` prints it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from opcheck.autodiff import tables
from opcheck.autodiff.checks import checks, symbolic_gradient
from opcheck.autodiff.document import Traced
from opcheck.autodiff.motion import moving
from opcheck.autodiff.scalars import Trace
from opcheck.language import say
from opcheck.steps import Block, Formula, Prose, Step, Symbol

NO_BREAK = "\u00a0"


class Page(NamedTuple):
    """A document, and whether one of its checks failed."""

    step: Step
    differs: bool


def page(
    trace: Trace,
    *,
    mode: str = "both",
    step: bool = False,
    check: bool = False,
    passes: int = 1,
    seed: float = 1.0,
    jacobian: bool = False,
    hessian: bool = False,
    hvp: Mapping[str, Any] | None = None,
    everything: bool = False,
    room: int = 0,
    moves: bool = False,
) -> Page:
    """What the options ask for; with `room` columns, the graph as text if it is readable there; or as a motion.

    The reverse sweeps count as backward passes: `trace.gradients` has them afterwards.
    """
    blocks: list[Block] = []
    forward = trace.forward() if mode != "reverse" and trace.tracked else None
    if step:
        blocks += tables.in_order(trace, forward)
    else:
        blocks += tables.values_table(trace, everything)
        if forward is not None:
            blocks += tables.tangents_table(forward, everything)
    outputs = range(len(trace.graph.outputs)) if mode != "forward" and trace.tracked else ()
    for output in outputs:
        sweeps = [trace.reverse(seed, output) for _ in range(passes)]
        if len(outputs) > 1:
            blocks.append(Prose(say("from output {k} of {n}:", k=output + 1, n=len(outputs)), "text"))
        blocks += tables.backwards_in_order(sweeps[0]) if step else tables.adjoints_table(sweeps[0], everything)
    blocks = [*tables.heading(trace), *(moving(trace.boxes(), blocks, trace.fractions) if moves else blocks)]
    if len(trace.graph.outputs) == 1:
        blocks.append(tables.gradients_table(trace))
    blocks += drawn(trace, room)
    blocks += matrices(trace, jacobian, hessian, hvp)
    if trace.fractions:
        blocks += symbolic(trace)
    found = checks(trace, check)
    blocks += [Prose(each.text, "note") for each in found]
    if found and not check:
        blocks.append(Prose(say("(--check asks sympy and torch as well)"), "hint"))
    return Page(Step("", tuple(blocks)), any(each.holds is False for each in found))


def drawn(trace: Traced, room: int) -> list[Block]:
    """The graph as text, where it stays readable and the page has room for it."""
    from opcheck.autodiff.drawing import text_or_none

    text = text_or_none(trace.boxes()) if room else None
    if text is None or max(map(len, text.splitlines())) > room:
        return []
    lines = tuple(Prose(line.replace(" ", NO_BREAK), "drawing") for line in text.splitlines())
    return [Step(say("computational graph"), lines)]


def matrices(trace: Trace, jacobian: bool, hessian: bool, hvp: Mapping[str, Any] | None) -> list[Block]:
    blocks: list[Block] = []
    if jacobian:
        found = trace.jacobian()
        names = [f"f{k + 1}" for k in range(len(found.rows))] if len(found.rows) > 1 else ["f"]
        rows = {name: dict(zip(found.names, row, strict=True)) for name, row in zip(names, found.rows, strict=True)}
        blocks.append(tables.matrix(say("Jacobian"), rows))
        sweeps = found.sweeps
        blocks.append(Prose(say("forward mode needs {m} sweeps for it (one an input), reverse mode {n} (one an output)",
                                m=sweeps["forward"], n=sweeps["reverse"]), "note"))  # fmt: skip
    if hessian:
        blocks.append(tables.matrix(say("Hessian, by forward over reverse"), trace.hessian()))
    if hvp is not None:
        product = trace.hessian_vector_product(hvp)
        direction = ", ".join(f"{name}={x}" for name, x in hvp.items())
        blocks.append(
            Prose(say("Hessian times ({direction}), by one forward sweep over the reverse sweep", direction=direction))
        )
        blocks += [Formula(Symbol(name), (tables.number(x),)) for name, x in product.items()]
    return blocks


def symbolic(trace: Trace) -> list[Block]:
    """sympy's derivative as a formula."""
    if len(trace.graph.outputs) != 1:
        return []
    found = symbolic_gradient(trace)
    return [Prose(say("sympy: ∂f/∂{name} = {formula}", name=name, formula=formula)) for name, formula in found.items()]
