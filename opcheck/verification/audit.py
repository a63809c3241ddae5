"""Audit of a torch.nn.Module: every leaf that the catalogue knows, against the reference, on the leaf's own inputs.

The module runs once, forward and backward, with hooks that keep the inputs and outputs of each leaf. Each leaf is
judged on its own: an error of the layer before it is part of its input and does not count against it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from opcheck import specs
from opcheck.backends import device as devices
from opcheck.backends import environment
from opcheck.backends.allowance import Allowance, allowance
from opcheck.backends.base import Backend, Outputs, Session
from opcheck.backends.tensors import TensorSession, require_torch, to_numpy
from opcheck.language import counted, say
from opcheck.operators.spec import Array, Case, Op, Refused
from opcheck.verification.casefile import Trial
from opcheck.verification.check import Check
from opcheck.verification.claims.correctness import numbers, shape, vjp
from opcheck.verification.report import Report, sentence
from opcheck.verification.run import named
from opcheck.verification.verdict import Status, Verdict


@dataclass
class Leaf:
    """One call of one leaf: its place, its operator, its inputs and its outputs."""

    name: str
    op: Op
    case: Case
    dtype: str
    module: Any
    device: str
    outputs: dict[str, Array]
    cotangent: dict[str, Array] = field(default_factory=dict)
    gradients: dict[str, Array] = field(default_factory=dict)


@dataclass
class Audit:
    """What the audit found: `first` is the first leaf, in order of execution, that deviates."""

    report: Report
    checked: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)  # leaves that the catalogue does not have
    uncovered: list[str] = field(default_factory=list)  # parameters that were part of no check
    deviating: list[tuple[str, Verdict]] = field(default_factory=list)
    lower: list[tuple[str, Verdict]] = field(default_factory=list)  # explained by a lower precision, such as TF32

    @property
    def agrees(self) -> bool:
        return not self.deviating

    @property
    def first(self) -> tuple[str, Verdict] | None:
        return self.deviating[0] if self.deviating else None

    def __str__(self) -> str:
        several = counted(len(self.checked), "{n} leaf checked", "{n} leaves checked")
        lines = [f"{several}: {', '.join(self.checked)}" if self.checked else several]
        if self.unknown:
            lines.append(say("not in the catalogue: {names}", names=", ".join(self.unknown)))
        if self.uncovered:
            lines.append(say("parameters that no check covered: {names}", names=", ".join(self.uncovered)))
        for name, verdict in self.lower:
            precision = say(verdict.details["precision"][0])
            lines.append(
                say("{name}: {claim} in lower precision: {how}", name=name, claim=verdict.claim, how=precision)
            )
        for name, verdict in self.deviating:
            lines.append(
                say("{name} deviates: {claim}: {what}", name=name, claim=verdict.claim, what=sentence(verdict))
            )
        return "\n".join(lines)


@environment.judging()
def audit(
    module: Any, *inputs: Any, seed: int = 0, allow: str | Iterable[str] = (), strict_precision: bool = False
) -> Audit:
    """Run `module(*inputs)` and its backward pass (for a random cotangent) and check each leaf, layer by layer.

    Deviations that a lower precision explains are named, and accepted if that precision is allowed: by torch's switches
    on CUDA, or
    by `allow` ("tf32,flush-to-zero"); "none", or strict_precision, allows nothing.
    Raises Refused if the module is not a torch.nn.Module, CouldNotRun without torch.
    """
    torch, permitted = require_torch(), allowance(allow, strict_precision)
    if not isinstance(module, torch.nn.Module):
        raise Refused(say("audit takes a torch.nn.Module and its inputs"), got=type(module).__name__)
    result = Audit(Report(backend=type(module).__name__, version=f"torch {torch.__version__}"))
    covered: set[int] = set()
    for leaf in _recorded(torch, module, inputs, seed, result.unknown):
        covered |= {id(each) for name, each in leaf.module.named_parameters() if name in leaf.case.arrays}
        result.checked.append(f"{leaf.name} ({leaf.op.name})")
        trial = Trial(leaf.case, leaf.dtype, "real", cotangent=leaf.cotangent, tangents=dict(leaf.gradients))
        check = Check(leaf.op, trial, Recorded(leaf, permitted))
        claims = (shape, numbers, vjp) if leaf.cotangent else (shape, numbers)
        for claim in claims:
            findings = list(claim(check))
            for finding in findings:
                if finding.verdict is not None:
                    finding.verdict = named(finding.verdict, check, check.backend, "", False)
                    lower = finding.verdict.status is Status.LOWER_PRECISION
                    (result.lower if lower else result.deviating).append((leaf.name, finding.verdict))
                result.report.add(leaf.op.name, leaf.dtype, finding)
            if any(finding.verdict for finding in findings):
                break
    result.uncovered = [name for name, each in module.named_parameters() if id(each) not in covered]
    return result


class Recorded(Backend):
    """A leaf's recorded answers as an implementation."""

    def __init__(self, leaf: Leaf, permitted: Allowance) -> None:
        self.leaf, self.name, self.allow = leaf, leaf.name, permitted
        self.has_tensor_cores = leaf.device != "cpu"

    def lower(self, dtype: str, convolves: bool) -> frozenset[str]:
        usual = super().lower(dtype, convolves)
        return devices.lower(require_torch(), usual, convolves) if self.has_tensor_cores else usual

    def open(self, op: Op, case: Case, dtype: str, layout: str = "contiguous", gradients: bool = True) -> Session:
        if case.arrays is self.leaf.case.arrays:
            return RecordedSession(self.leaf)
        torch, module = require_torch(), self.leaf.module

        def call(tensors: dict[str, Any]) -> Any:
            """The leaf itself on other numbers, to test its precision."""
            held = {name: tensors[name] for name in tensors if torch.is_tensor(getattr(module, name, None))}
            return torch.func.functional_call(module, held, tuple(t for n, t in tensors.items() if n not in held))

        return TensorSession(torch, op, case, dtype, call, self.leaf.device, layout, gradients)


class RecordedSession(Session):
    def __init__(self, leaf: Leaf) -> None:
        self.leaf = leaf
        self.dtypes = dict.fromkeys(leaf.outputs, leaf.dtype)

    def attempt(self) -> None:
        """It ran already."""

    def outputs(self) -> Outputs:
        return self.leaf.outputs

    def vjp(self, cotangent: Mapping[str, Array]) -> dict[str, Array]:
        return self.leaf.gradients


def known_as(leaf: Any) -> Op | None:
    """The operator that a leaf module computes, by its class or the nearest torch.nn class that it is made from."""
    for kind in type(leaf).__mro__:
        if kind.__module__.startswith("torch.nn.modules.module"):
            return None
        try:
            return specs.get(f"nn.{kind.__name__}")
        except Refused:
            continue
    return None


def _recorded(torch: Any, module: Any, inputs: Any, seed: int, unknown: list[str]) -> list[Leaf]:
    """Every call of every known leaf, in order of execution, with the cotangent that reached it."""
    calls: list[tuple[str, Any, tuple[Any, ...], tuple[Any, ...]]] = []
    cotangents: dict[int, Any] = {}
    taken: list[tuple[Any, ...]] = []

    # what is given and what is answered are copied at once: a layer may work in place, as ReLU(inplace=True) does
    def copied(tensors: Any) -> tuple[Any, ...]:
        each = tensors if isinstance(tensors, tuple) else (tensors,)
        return tuple(t.detach().clone() if torch.is_tensor(t) else t for t in each)

    def take(leaf: Any, given: tuple[Any, ...]) -> None:
        taken.append(copied(given))

    def hook(name: str) -> Any:
        def keep(leaf: Any, given: tuple[Any, ...], answer: Any) -> None:
            k = len(calls)
            calls.append((name, leaf, taken.pop(), copied(answer)))
            first = answer[0] if isinstance(answer, tuple) else answer
            if torch.is_tensor(first) and first.requires_grad:
                first.register_hook(lambda g: cotangents.__setitem__(k, g.detach().clone()))

        return keep

    handles = []
    for name, leaf in module.named_modules():
        if not list(leaf.children()):
            if known_as(leaf) is None:
                unknown.append(f"{name or '(itself)'} ({type(leaf).__name__})")
            else:
                handles.append(leaf.register_forward_pre_hook(take))
                handles.append(leaf.register_forward_hook(hook(name or type(leaf).__name__)))
        elif list(leaf.parameters(recurse=False)):  # it computes something itself, besides what its children do
            unknown.append(f"{name or '(itself)'} ({type(leaf).__name__})")
    try:
        answer = module(*[i.clone() if torch.is_tensor(i) else i for i in inputs])
        first = answer[0] if isinstance(answer, (tuple, list)) else answer
        if torch.is_tensor(first) and first.requires_grad:
            generator = torch.Generator().manual_seed(seed)
            direction = torch.randn(first.shape, generator=generator, dtype=torch.float64).to(first)
            torch.autograd.grad(
                first, [p for p in module.parameters() if p.requires_grad], direction, allow_unused=True
            )
    finally:
        for handle in handles:
            handle.remove()
    return [_leaf(torch, *call, cotangents.get(k)) for k, call in enumerate(calls)]


def _leaf(torch: Any, name: str, leaf: Any, given: tuple[Any, ...], answers: Any, cotangent: Any) -> Leaf:
    """A call as a case, with the gradients that the leaf gives for its cotangent."""
    op = known_as(leaf)
    assert op is not None
    first = [each.name for each in op.inputs][: len(given)]
    tensors = dict(zip(first, given, strict=True))
    for each in op.inputs:
        held: Any = getattr(leaf, each.name, None)
        if each.name not in tensors and torch.is_tensor(held):
            tensors[each.name] = held.detach()
    params = {each.name: getattr(leaf, each.name) for each in op.params if hasattr(leaf, each.name)}
    case = Case(op.name, {n: to_numpy(torch, t) for n, t in tensors.items()}, {n: _plain(v) for n, v in params.items()})
    _, shapes = op.checked(case)
    outputs = {n: to_numpy(torch, t) for n, t in zip(shapes, answers, strict=True)}
    dtype, device = str(answers[0].dtype).removeprefix("torch."), str(answers[0].device)
    made = Leaf(name, op, case, dtype, leaf, device, outputs)
    if cotangent is not None:
        made.cotangent = {op.outputs[0].name: to_numpy(torch, cotangent)}
        made.gradients = _gradients(torch, op, leaf, given, tensors, cotangent)
    return made


def _gradients(
    torch: Any, op: Op, leaf: Any, given: Any, tensors: Mapping[str, Any], cotangent: Any
) -> dict[str, Array]:
    """The leaf's own gradients, from its own call on the inputs that it had."""
    names = [each.name for each in op.inputs]
    inputs = [g.detach().clone().requires_grad_(g.is_floating_point()) if torch.is_tensor(g) else g for g in given]
    wanted = {n: t for n, t in zip(names, inputs, strict=False) if torch.is_tensor(t) and t.requires_grad}
    wanted |= {n: p for n, p in leaf.named_parameters() if n in tensors and p.requires_grad}
    answer = leaf(*(i.clone() if torch.is_tensor(i) else i for i in inputs))  # it may work in place
    first = answer[0] if isinstance(answer, tuple) else answer
    found = torch.autograd.grad(first, list(wanted.values()), cotangent, allow_unused=True)
    return {
        n: np.zeros(tuple(t.shape)) if g is None else to_numpy(torch, g)
        for (n, t), g in zip(wanted.items(), found, strict=True)
        if op.input(n).differentiable
    }


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, (tuple, list)) else value
