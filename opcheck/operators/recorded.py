"""Operators of the catalogue in a tensor program: their own fast reference, VJP and JVP are the rule.

A recorded VJP is a node like any other, so it has a rule as well: that is the operator's second derivative.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from opcheck.errors import Refused
from opcheck.language import say
from opcheck.operators.second_derivatives import vjp_tangent
from opcheck.operators.spec import Case, Op, Params, results_of
from opcheck.programs.arrays import ArrayTape, TracedArray, recording
from opcheck.programs.bound import running
from opcheck.programs.elements import ElementView
from opcheck.programs.rule import Rule, plus
from opcheck.programs.running import Format, Running


class Call:
    """One call of an operator: which of its arguments are given, its checked parameters, and its outputs."""

    def __init__(self, op: Op, case: Case, p: Params, outputs: Sequence[str]) -> None:
        self.op, self.case, self.p, self.outputs = op, case, p, tuple(outputs)
        self.names = tuple(case.arrays)
        self.differentiable = [name for name in self.outputs if op.output(name).differentiable]
        self.takes_dicts = sum(output.differentiable for output in op.outputs) > 1

    def arrays(self, args: Sequence[Any]) -> dict[str, Any]:
        return dict(zip(self.names, args, strict=True))

    def forward(self, *args: Any) -> Any:
        return self.op.forward(self.p, **self.arrays(args))

    def pulled(self, *args: Any, given: tuple[str, ...]) -> dict[str, Any]:
        """The cotangents of the inputs; `args` are the cotangents of the outputs `given`, then the inputs."""
        cotangents, inputs = args[: len(given)], args[len(given) :]
        g = dict(zip(given, cotangents, strict=True)) if self.takes_dicts else cotangents[0]
        found: dict[str, Any] = self.op.vjp(self.p, g, **self.arrays(inputs))
        return found

    def vjp(self, g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool]) -> list[Any]:
        by_output = g if isinstance(g, dict) else {self.outputs[0]: g}
        given = tuple(by_output)
        operands = (*by_output.values(), *args)
        traced = next((x for x in operands if isinstance(x, TracedArray)), None)
        wanted = [name if need else "" for name, need in zip(self.names, needed, strict=True)]
        if traced is None:
            found = self.pulled(*operands, given=given)
            return [found.get(name) for name in wanted]
        bundle = traced.tape.record(self.backward, operands, given=given)
        return [item(bundle, name) if name in bundle.value else None for name in wanted]

    def jvp(self, tangents: Sequence[Any], out: Any, args: Sequence[Any]) -> Any:
        given = {name: t for name, t in zip(self.names, tangents, strict=True) if t is not None}
        result = self.op.jvp(self.p, given, **self.arrays(args))
        return self.op.by_name(result, self.differentiable) if isinstance(out, dict) else result

    def running(self, f: Format, out: Any, *args: Running) -> Any:
        """By the operator's own program, whose inputs come with errors."""
        tape = ArrayTape(expanded=True)
        inputs = [tape.input(name, arg.value) for name, arg in zip(self.names, args, strict=True)]
        with recording(tape):
            results = results_of(self.op, self.op.program(self.p, **self.arrays(inputs)))
        ids = {name: tape.lifted(result).id for name, result in results.items()}
        found = running(tape.nodes, f, {x.id: arg for x, arg in zip(inputs, args, strict=True)}, only=ids.values())
        by_name = {name: found[id] for name, id in ids.items()}
        return by_name if isinstance(out, dict) else by_name[self.outputs[0]]

    def element(self, read: Any, at: Any, shapes: Sequence[Any]) -> Any:
        """By the operator's definition; of several outputs, `at` begins with the name of one."""
        views: dict[str, Any] = {}
        for k, name in enumerate(self.names):
            array = self.case.arrays[name]
            reader = partial(read, k)
            views[name] = ElementView(array, reader, read.made) if array.dtype.kind == "f" else array
        output, place = (at[0], at[1:]) if at and isinstance(at[0], str) else (self.outputs[0], at)
        return self.op.by_name(self.op.element(self.p, place, **views), self.outputs)[output]

    @property
    def rule(self) -> Rule:
        return Rule(self.op.name, self.forward, self.vjp, self.jvp, self.running, self.element)

    # --- second derivatives: the rule of a recorded VJP -----------------------------------------------------------

    @property
    def backward(self) -> Rule:
        return Rule(
            f"{self.op.name} (VJP)", self.pulled, self.pulled_vjp, self.pulled_jvp, _only_expanded, _only_expanded
        )

    def pulled_jvp(self, tangents: Sequence[Any], out: Any, args: Sequence[Any], given: tuple[str, ...]) -> Any:
        """How the VJP moves: linearly with the cotangents, and as `vjp_tangent` says with the inputs."""
        cotangents, inputs = args[: len(given)], args[len(given) :]
        moved: dict[str, Any] = {}
        if any(t is not None for t in tangents[: len(given)]):
            steps = [np.zeros(np.shape(g)) if t is None else t for t, g in zip(tangents, cotangents, strict=False)]
            moved = self.pulled(*steps, *inputs, given=given)
        along = {name: t for name, t in zip(self.names, tangents[len(given) :], strict=True) if t is not None}
        if along:
            moved = plus(moved, self.vjp_tangent(dict(zip(given, cotangents, strict=True)), inputs, along))
        return moved

    def pulled_vjp(
        self, g: dict[str, Any], out: Any, args: Sequence[Any], needed: Sequence[bool], given: tuple[str, ...]
    ) -> list[Any]:
        """⟨g, VJP(c; x)⟩ is ⟨c, JVP(g; x)⟩: by c it is that JVP, and by x the tangent of
        the VJP along g, for a Hessian is symmetric."""
        cotangents, inputs = args[: len(given)], args[len(given) :]
        if any(isinstance(x, TracedArray) for x in (*g.values(), *args)):
            raise Refused(
                say("{op} has first and second derivatives, and this program asks for a third", op=self.op.name),
                fix=say("write that part with array arithmetic (@, +, np.exp, ...), which has all of them"),
            )
        pushed: dict[str, Any] = {}
        if any(needed[: len(given)]):
            pushed = self.op.by_name(self.op.jvp(self.p, g, **self.arrays(inputs)), self.differentiable)
        found: dict[str, Any] = {}
        if any(needed[len(given) :]):
            found = self.vjp_tangent(dict(zip(given, cotangents, strict=True)), inputs, g)
        return [*(pushed.get(name) for name in given), *(found.get(name) for name in self.names)]

    def vjp_tangent(self, cotangents: dict[str, Any], inputs: Sequence[Any], along: dict[str, Any]) -> dict[str, Any]:
        case = Case(self.op.name, self.arrays(inputs), self.case.params)
        return vjp_tangent(self.op, self.p, case, cotangents, along)


def _only_expanded(*_: Any, **__: Any) -> Any:
    raise NotImplementedError("a recorded VJP has no bound and no elements: those are read from an expanded program")


def _item_vjp(g: Any, out: Any, args: Sequence[Any], needed: Sequence[bool], name: str) -> list[Any]:
    return [{name: g}]


ITEM = Rule(
    "item",
    lambda outputs, name: outputs[name],
    _item_vjp,
    lambda tangents, out, args, name: tangents[0].get(name),
    lambda f, out, bundle, name: bundle[name],
    lambda read, at, shapes, name: read(0, (name, *at)),
)


def item(bundle: TracedArray, name: str) -> TracedArray:
    """One output of a node that has several."""
    return bundle.tape.record(ITEM, (bundle,), name=name)


def record(tape: ArrayTape, op: Op, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """A call of `opcheck.reference.<op>` with traced arrays among its arguments: one node, and one for each output."""
    try:
        bound = op.parted(op.signature.bind(*args, **op.gathered(kwargs)).arguments)
    except TypeError:
        bound = {}  # op.case says what is wrong
    plain = {name: x.value if isinstance(x, TracedArray) else x for name, x in bound.items()}
    case = op.completed(op.case(**plain) if bound else op.case(*args, **kwargs))
    p, shapes = op.checked(case)
    if tape.expanded:
        given = {
            name: bound[name] if isinstance(bound.get(name), TracedArray) else x for name, x in case.arrays.items()
        }
        results = results_of(op, op.program(p, **given, **op.widest))
        found = tuple(tape.lifted(results[name]) for name in shapes if name not in op.updated(shapes))
        return found if len(found) > 1 else found[0]
    call = Call(op, case, p, list(shapes))
    operands = (
        bound[name] if isinstance(bound.get(name), TracedArray) else array for name, array in case.arrays.items()
    )
    result = tape.record(call.rule, operands)
    if isinstance(result.value, dict):
        outputs = tuple(item(result, name) for name in shapes if name not in op.updated(shapes))
        return outputs if len(outputs) > 1 else outputs[0]
    return result
