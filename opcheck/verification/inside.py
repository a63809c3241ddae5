"""Known deviations of torch's operators inside somebody's own program: a kernel is not to blame for them.

A call that failed is made again, and each of torch's operators that ran is looked up with the values that it got. Where
one is known to deviate there, and does, the call is made a third time with that operator's right answer in its place:
the failure is the operator's if it is gone then.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from opcheck import backends
from opcheck.backends.base import Backend, Session
from opcheck.errors import Refused
from opcheck.operators import catalog
from opcheck.operators.spec import Case, Op, widened
from opcheck.verification.casefile import LAYOUTS, Trial
from opcheck.verification.check import Check, Finding
from opcheck.verification.known import Deviation, every
from opcheck.verification.verdict import Status, Verdict

Ran = tuple[Op, Trial]  # an operator of torch that ran, with what it got
Replays = Callable[[Op, Trial, Backend], set[str]]  # the names of the known deviations that a trial shows
LIBRARY = "torch"


def explained(finding: Finding, check: Check, question: Callable[[Check], list[Finding]], replays: Replays) -> Finding:
    """The finding under the names of known deviations of the operators that ran, where these explain it."""
    if check.backend.name in backends.KNOWN or not hasattr(check.backend, "torch"):
        return finding
    lacked = [each for each in every() if each.missing and any(words in finding.left_out for words in each.messages)]
    if finding.left_out and not lacked:
        return finding
    ran = _ran(check)
    if finding.left_out:
        names = {each.name for op, trial in ran for each in _possible(op, trial) if each in lacked}
        message = finding.left_out
    else:
        torch = backends.load(LIBRARY, device=getattr(check.backend, "device", "cpu"))
        possible = [(op, trial, {each.name for each in _possible(op, trial) if not each.missing}) for op, trial in ran]
        names = {name for op, trial, known in possible if known for name in replays(op, trial, torch) & known}
        right = Check(check.op, check.trial, _Corrected(check.backend, {op for op, _, known in possible if known}))
        if not names or any(each.verdict is not None for each in question(right)):
            return finding
        message = finding.verdict.message if finding.verdict is not None else ""
    if not names:
        return finding
    verdict = finding.verdict or Verdict(Status.KNOWN, finding.claim, check.trial, message=message)
    verdict = replace(verdict, status=Status.KNOWN, details={"known": ", ".join(sorted(names))})
    return replace(finding, verdict=verdict, left_out="")


def _possible(op: Op, trial: Trial) -> list[Deviation]:
    """The known deviations whose conditions hold."""
    version = backends.load(LIBRARY).version()
    return [each for each in every() if each.where(trial, "", LIBRARY, version) is not None]


@cache
def _counterparts() -> Mapping[str, Op]:
    """The operators of which deviations in torch are known, by the name of torch's function."""
    names = {name for each in every() if each.backend == LIBRARY and not each.fatal for name in each.operators}
    ops = (catalog.get(name) for name in sorted(names))
    return {op.torch_function.rpartition(".")[2]: op for op in ops if op.torch_forward_mode and not op.draws}


def _ran(check: Check) -> list[Ran]:
    """Every call of such an operator in the program's call, with what it got."""
    found: list[Ran] = []

    def note(op: Op, case: Case, tensors: Mapping[str, Any], call: Callable[[], Any]) -> Any:
        layout = next((layout for each in tensors.values() for layout in [_layout(each)] if layout != LAYOUTS[0]),
                      LAYOUTS[0])  # fmt: skip
        found.append((op, _trial(op, case, layout)))
        return call()

    trial = check.trial
    watched = _Watched(check.backend, note)
    with suppress(Exception):  # what it raises was found already
        watched.open(check.op, trial.case, trial.dtype, trial.layout).outputs()
    return found


def _trial(op: Op, case: Case, layout: str) -> Trial:
    """The call as its own case, with upstream gradients in which no two places are alike."""
    _, shapes = op.checked(case)
    smooth = {each.name for each in op.outputs if each.differentiable}
    seeds = {n: np.arange(1.0, 1 + np.prod(shape, dtype=int)).reshape(shape) for n, shape in shapes.items()
             if n in smooth}  # fmt: skip
    tangents = {
        n: np.ones(a.shape) for n, a in case.arrays.items() if op.input(n).differentiable and a.dtype.kind == "f"
    }
    finite = all(np.isfinite(a).all() for a in case.arrays.values())
    return Trial(case, case.dtype, "real" if finite else "special", layout, seeds, tangents)


def _layout(tensor: Any) -> str:
    if tensor.is_contiguous():
        return "contiguous"
    last = tensor.ndim == 4 and tensor.permute(0, 2, 3, 1).is_contiguous()
    return "channels_last" if last else "transposed"


Instead = Callable[[Op, Case, Mapping[str, Any], Callable[[], Any]], Any]


class _Watched(Backend):
    """A torch candidate whose calls of known operators go through `instead(op, case, tensors, call)`."""

    def __init__(self, inner: Any, instead: Instead) -> None:
        self.inner, self.torch, self.instead, self.name = inner, inner.torch, instead, inner.name
        self.layouts, self.freezes = inner.layouts, inner.freezes

    def open(self, op: Op, case: Case, dtype: str, layout: str = "contiguous", gradients: bool = True) -> Session:
        session: Any = self.inner.open(op, case, dtype, layout, gradients)
        call = session.call

        def watched(tensors: dict[str, Any]) -> Any:
            with _mode(self.torch, self.instead):
                return call(tensors)

        session.call = watched
        return session  # type: ignore[no-any-return]


class _Corrected(_Watched):
    """A torch candidate in which some operators give the reference's answer, gradient and tangent."""

    def __init__(self, inner: Any, ops: set[Op]) -> None:
        def instead(op: Op, case: Case, tensors: Mapping[str, Any], call: Callable[[], Any]) -> Any:
            return _right(inner.torch, op, case, tensors) if op in ops else call()

        super().__init__(inner, instead)


def _mode(torch: Any, instead: Instead) -> AbstractContextManager[Any]:
    """While it is entered, calls of operators with known deviations go through `instead`."""

    class Mode(torch.overrides.TorchFunctionMode):  # type: ignore[misc]
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            def call() -> Any:
                return function(*args, **(kwargs or {}))

            op = _counterparts().get(getattr(function, "__name__", ""))
            if op is None:
                return call()
            try:
                given = dict(op.signature.bind(*args, **(kwargs or {})).arguments)
                tensors = {name: each for name, each in given.items() if isinstance(each, torch.Tensor)}
                arrays = {name: _array(torch, each) for name, each in tensors.items()}
                kind = next(each.dtype for each in tensors.values() if each.is_floating_point())
                case = op.case(**{**given, **arrays})._replace(dtype=str(kind).removeprefix("torch."))
            except (
                Refused,
                TypeError,
                RuntimeError,
                StopIteration,
            ):  # another function of that name, or a call within a transform
                return call()
            return instead(op, case, tensors, call)

    mode: AbstractContextManager[Any] = Mode()
    return mode


def _array(torch: Any, tensor: Any) -> Any:
    with torch.no_grad():
        plain = torch.autograd.forward_ad.unpack_dual(tensor).primal.detach().cpu()
        return (plain.double() if plain.is_floating_point() else plain).numpy().copy()


def _right(torch: Any, op: Op, case: Case, tensors: Mapping[str, Any]) -> Any:
    """The reference's answer in the place of torch's."""
    names = list(tensors)
    like = next(each for each in tensors.values() if each.is_floating_point())
    p, shapes = op.checked(case)
    arrays = widened(case.arrays)
    outputs = list(shapes)

    def tensor(array: Any) -> Any:
        made = torch.from_numpy(np.array(array))
        return made.to(like.device, like.dtype) if made.is_floating_point() else made.to(like.device)

    class Right(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(*values: Any) -> Any:
            found = op.by_name(op.forward(p, **arrays), shapes)
            return tuple(tensor(found[name]) for name in outputs)

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            pass

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            seeds = {name: _array(torch, g) for name, g in zip(outputs, gradients, strict=True)}
            found = op.vjp(p, seeds if len(op.outputs) > 1 else seeds[outputs[0]], **arrays)
            return tuple(tensor(found[name]) if name in found else None for name in names)

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> Any:
            given = {name: _array(torch, t) for name, t in zip(names, tangents, strict=True) if t is not None}
            found = op.by_name(op.jvp(p, given, **arrays), shapes)
            return tuple(tensor(found[name]) for name in outputs)

    with np.errstate(all="ignore"):
        made = Right.apply(*tensors.values())
    return made if len(outputs) > 1 else made[0]
