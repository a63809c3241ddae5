"""The parts of the page of a function of numbers."""

from opcheck.language import say
from opcheck.steps import Block, Prose
from opcheck.traces.page import Options, Sections
from opcheck.traces.scalar import tables
from opcheck.traces.scalar.checks import checks, symbolic_gradient
from opcheck.traces.scalar.hessian_checks import hessian_checks
from opcheck.traces.scalar.trace import Trace
from opcheck.traces.witness import Check


class ScalarSections(Sections):
    def __init__(self, trace: Trace) -> None:
        self.trace, self.more = trace, say("sympy and torch")

    def heading(self) -> list[Block]:
        return tables.heading(self.trace)

    def sweeps(self, options: Options) -> list[Block]:
        trace = self.trace
        ahead = trace.forward() if options.mode != "reverse" and trace.tracked else None
        if options.step:
            blocks = tables.in_order(trace, ahead)
        else:
            blocks = tables.values_table(trace, options.everything)
            blocks += tables.tangents_table(ahead, options.everything) if ahead else []
        outputs = range(len(trace.graph.outputs)) if options.mode != "forward" and trace.tracked else ()
        for output in outputs:
            if not trace.lines.names[trace.graph.outputs[output]]:
                continue  # a constant
            sweep, *_ = [trace.reverse(options.seed, output) for _ in range(options.passes)]
            if len(outputs) > 1:
                blocks.append(Prose(say("from output {k} of {n}:", k=output + 1, n=len(outputs)), "text"))
            blocks += (
                tables.backwards_in_order(sweep) if options.step else tables.adjoints_table(sweep, options.everything)
            )
        return blocks

    def gradients(self) -> list[Block]:
        return tables.gradients_tables(self.trace) if len(self.trace.graph.outputs) == 1 else []

    def matrices(self, options: Options) -> list[Block]:
        trace, blocks = self.trace, list[Block]()
        if options.jacobian:
            blocks += self.jacobian()
        if options.hessian:
            blocks.append(tables.matrix(say("Hessian, by forward over reverse"), trace.hessian()))
        if options.hvp is not None:
            blocks.append(tables.product_table(options.hvp, trace.hessian_vector_product(options.hvp)))
        if trace.fractions and len(trace.graph.outputs) == 1:
            for name, formula in symbolic_gradient(trace).items():
                blocks.append(Prose(say("sympy: ∂f/∂{name} = {formula}", name=name, formula=formula)))
        return blocks

    def jacobian(self) -> list[Block]:
        found = self.trace.jacobian()
        names = [f"f{k + 1}" for k in range(len(found.rows))] if len(found.rows) > 1 else ["f"]
        rows = {name: dict(zip(found.names, row, strict=True)) for name, row in zip(names, found.rows, strict=True)}
        sweeps = say(
            "sweeps needed: {m} in forward mode (one per input), {n} in reverse mode (one per output)",
            m=found.sweeps["forward"], n=found.sweeps["reverse"],
        )  # fmt: skip
        return [tables.matrix(say("Jacobian"), rows), Prose(sweeps, "note")]

    def checks(self, options: Options) -> list[Check]:
        found = checks(self.trace, options.check, options.mode)
        if options.hessian or options.hvp is not None:
            v = dict.fromkeys(self.trace.tracked, 1) if options.hvp is None else options.hvp
            found += hessian_checks(self.trace, v, options.check)
        return found
