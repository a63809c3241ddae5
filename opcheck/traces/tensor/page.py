"""The parts of the page of a tensor program. Its tables are in the order of execution: `step` changes nothing."""

import math
from collections.abc import Sequence

import numpy as np

from opcheck.errors import Refused
from opcheck.language import say
from opcheck.steps import Block, Prose
from opcheck.traces.page import Options, Sections
from opcheck.traces.tensor import tables
from opcheck.traces.tensor.arrays import arrays
from opcheck.traces.tensor.checks import checks, hessian_checks
from opcheck.traces.tensor.trace import ArrayTrace
from opcheck.traces.tensor.written import call_of
from opcheck.traces.witness import Check

WIDEST = 24  # rows and columns of a matrix that somebody may read


class TensorSections(Sections):
    def __init__(self, trace: ArrayTrace) -> None:
        self.trace, self.more = trace, "torch"
        self.is_scalar = len(trace.outputs) == 1 and trace.nodes[trace.outputs[0]].value.size == 1

    def heading(self) -> list[Block]:
        return [*tables.heading(self.trace), *(Prose(note, "note") for note in self.trace.notes)]

    def sweeps(self, options: Options) -> list[Block]:
        trace = self.trace
        blocks = tables.values_table(trace, options.everything)
        if not self.is_scalar:
            return [*blocks, Prose(self.why_no_sweeps(), "note")]
        if options.mode != "reverse" and trace.tracked:
            blocks += tables.tangents_table(trace, options.everything)
        if options.mode != "forward" and trace.tracked:
            for _ in range(options.passes):
                trace.reverse(np.full(trace.value.shape, options.seed))
            blocks += tables.adjoints_table(trace, options.seed, options.everything)
        return blocks

    def why_no_sweeps(self) -> str:
        shapes = [tables.shape(self.trace.nodes[id].value) for id in self.trace.outputs]
        if len(shapes) == 1:
            return say("The output has the shape {shape}: modes and gradients are shown for one number, and --jacobian "
                       "shows the derivatives of an array.", shape=shapes[0])  # fmt: skip
        return say("The outputs have the shapes {shapes}. (Modes and gradients are shown for one number.)",
                   shapes=", ".join(shapes))  # fmt: skip

    def arrays(self, options: Options) -> list[Block]:
        backward = self.is_scalar and options.mode != "forward" and bool(self.trace.tracked)
        return arrays(self.trace, options.seed, backward)

    def gradients(self) -> list[Block]:
        return [tables.gradients_table(self.trace)] if self.is_scalar else []

    def matrices(self, options: Options) -> list[Block]:
        trace, blocks = self.trace, list[Block]()
        if options.jacobian:
            blocks += [self.jacobian(name) for name in trace.tracked]
            blocks.append(self.cost())
        if options.hessian:
            blocks.append(self.hessian())
        if options.hvp is not None:
            product = trace.hessian_vector_product(options.hvp)
            blocks.append(tables.arrays_table(say("Hessian times v, by forward over reverse"), product))
        return blocks

    def jacobian(self, name: str) -> Block:
        trace = self.trace
        output = trace.read(trace.outputs[0])
        rows, columns = places("f", output.shape), places(name, trace.read(trace.inputs[name]).shape)
        if len(trace.outputs) > 1:
            raise Refused(say("a Jacobian needs a single output"), got=say("{n} outputs", n=len(trace.outputs)))
        self.readable(
            say("Jacobian"), len(rows), len(columns), say("in Python, .jacobian({name}) returns it", name=repr(name))
        )
        return tables.matrix(say("Jacobian"), rows, columns, trace.jacobian(name))

    def cost(self) -> Block:
        """The sweeps that all Jacobians together need by either mode."""
        into = sum(self.trace.read(self.trace.inputs[name]).size for name in self.trace.tracked)
        out = self.trace.read(self.trace.outputs[0]).size
        told = say("sweeps needed: {m} in forward mode (one per element of an input), {n} in reverse mode (one per "
            "element of the output)", m=into, n=out)  # fmt: skip
        return Prose(told, "note")

    def hessian(self) -> Block:
        trace = self.trace
        shapes = {name: trace.read(trace.inputs[name]).shape for name in trace.tracked}
        labels = [each for name, shape in shapes.items() for each in places(name, shape)]
        self.readable(say("Hessian"), len(labels), len(labels), say("ask for its product with a direction (--hvp)"))
        found = trace.hessian()
        halves = [[block.reshape(math.prod(shapes[a]), math.prod(shapes[b])) for b, block in row.items()]
                  for a, row in found.items()]  # fmt: skip
        return tables.matrix(say("Hessian, by forward over reverse"), labels, labels, np.block(halves))

    def readable(self, what: str, rows: int, columns: int, fix: str) -> None:
        if max(rows, columns) > WIDEST:
            raise Refused(
                say("a {what} of {m}×{n} is too large to read: at most {most} rows and columns are "
                    "shown", what=what, m=rows,
                    n=columns, most=WIDEST), fix=fix,
            )  # fmt: skip

    def checks(self, options: Options) -> list[Check]:
        if not self.is_scalar or not self.trace.tracked:
            return []
        found = checks(self.trace, options.check)
        if options.hessian or options.hvp is not None:
            ones = {name: np.ones(self.trace.read(self.trace.inputs[name]).shape) for name in self.trace.tracked}
            v = ones if options.hvp is None else {name: np.asarray(x, float) for name, x in options.hvp.items()}
            found += hessian_checks(self.trace, v, options.check)
        return found

    def hints(self, shown: Sequence[Block]) -> list[Block]:
        operators = sorted({call.op.name for call in map(call_of, self.trace.nodes) if call})
        if not operators:
            return tables.legend(shown)
        names = ", ".join(f"opcheck explain {name} --grad" for name in operators)
        told = say(
            "The operators' rules ({op}.vjp is that of opcheck.reference.{op}), worked out on small numbers: {names}",
            op=operators[0],
            names=names,
        )
        return [*tables.legend(shown), Prose(told, "hint")]


def places(name: str, shape: tuple[int, ...]) -> list[str]:
    """x[0,0], x[0,1], ...; for a number, just its name."""
    return [f"{name}[{','.join(map(str, at))}]" if at else name for at in np.ndindex(*shape)]
