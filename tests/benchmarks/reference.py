"""The fast references against torch: python -m tests.benchmarks.reference [OPERATOR ...]

float64, one thread, by the clock; all contenders take turns, a ratio is the median over these rounds, and milliseconds
are the least. "fresh": the same where before each call all free memory has gone back to the kernel, so that the call
pays for every page that it touches, as the first call of a process does. The reference is called as a user calls it,
checks included; so its VJP starts from the inputs, and is compared with torch's forward and backward pass together, its
JVP with torch's forward mode, and the forward pass also with onnx's ReferenceEvaluator. A step of torch's optimisers is
taken on copies of parameters and state, since ours leaves its arguments as they are.

Small calls are all overhead: the second table says how much of a call is spent around the operator's own arithmetic.
"""

import tests.benchmarks.one_thread  # noqa: F401 - before numpy and torch

# isort: split

import math
import sys
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.autograd import forward_ad

from opcheck import reference
from opcheck.operators import catalog
from opcheck.operators.spec import Array, widened
from tests.benchmarks.measure import Run, give_memory_back, ratio, taken
from tests.benchmarks.onnx_models import evaluator
from tests.benchmarks.workloads import LARGE, SMALL, Workload


def forward(work: Workload) -> dict[str, Run]:
    op, function = catalog.get(work.op), reference.function(work.op)
    tensors = tensors_of(work)
    contenders: dict[str, Run] = {
        "opcheck": lambda: function(**work.arrays, **work.params),
        "torch": lambda: op.torch(torch, work.params, **tensors),
    }
    model = evaluator(work)
    return {**contenders, "onnx": model} if model else contenders


def vjp(work: Workload) -> dict[str, Run]:
    op, function = catalog.get(work.op), reference.function(work.op)
    tensors = tensors_of(work)
    leaves = [tensor.requires_grad_() for tensor in tensors.values() if tensor.is_floating_point()]

    def outputs() -> Any:
        return _real(op.torch(torch, work.params, **tensors))

    cotangents = [noise(tuple(output.shape)) for output in outputs()]
    upstream = [torch.tensor(cotangent) for cotangent in cotangents]
    given = cotangents[0] if len(cotangents) == 1 else tuple(cotangents)
    return {
        "opcheck": lambda: function.vjp(given, **work.arrays, **work.params),
        "torch": lambda: torch.autograd.grad(outputs(), leaves, upstream),
    }


def jvp(work: Workload) -> dict[str, Run]:
    op, function = catalog.get(work.op), reference.function(work.op)
    tensors = tensors_of(work)
    tangents = {name: noise(array.shape) for name, array in work.arrays.items() if array.dtype.kind == "f"}
    directions = {name: torch.tensor(tangent) for name, tangent in tangents.items()}

    def dual() -> Any:
        with forward_ad.dual_level():
            moving = {name: forward_ad.make_dual(tensors[name], each) for name, each in directions.items()}
            return forward_ad.unpack_dual(op.torch(torch, work.params, **{**tensors, **moving})).tangent

    ours: dict[str, Run] = {"opcheck": lambda: function.jvp(tangents, **work.arrays, **work.params)}
    return {**ours, "torch": dual} if op.torch_forward_mode else ours


def tensors_of(work: Workload) -> dict[str, Any]:
    return {name: torch.tensor(array) for name, array in work.arrays.items()}


def noise(shape: tuple[int, ...]) -> Array:
    return np.asarray(np.random.default_rng(0).normal(size=shape))


def _real(result: Any) -> list[Any]:
    return list(result.values()) if isinstance(result, dict) else [result]


KINDS = {"forward": forward, "vjp": vjp, "jvp": jvp}


def against_torch(names: list[str]) -> Table:
    """Milliseconds, and the ratio to torch's; a ratio that is over its limit is marked."""
    table = Table("", title=f"reference, float64, 1 thread, torch {torch.__version__}, numpy {np.__version__}")
    for column in (
        "forward ms",
        "/ torch",
        "fresh",
        "/ onnx",
        "VJP ms",
        "/ torch",
        "fresh",
        "JVP ms",
        "/ torch",
        "fresh",
    ):
        table.add_column(column, justify="right", no_wrap=True)
    for make in LARGE:
        work = make()
        if names and work.op not in names:
            continue
        cells = []
        for kind, contenders in KINDS.items():
            runs = contenders(work)
            used, fresh = taken(runs), taken(runs, before=give_memory_back)
            cells.append(f"{1000 * min(used['opcheck']):.3g}")
            cells += [_ratio(times, "torch", work.limits[kind]) for times in (used, fresh)]
            if kind == "forward":
                cells.append(_ratio(used, "onnx"))
        table.add_row(work.label, *cells)
    return table


def _ratio(times: dict[str, list[float]], peer: str, limit: float = math.inf) -> str:
    if peer not in times:
        return ""
    found = ratio(times["opcheck"], times[peer])
    return f"{found:.2g}" + (" !" if found > limit else "")


def small_calls(names: list[str]) -> Table:
    """Least microseconds of a call, of which around the operator, and of torch's."""
    table = Table("", title="small calls, microseconds: whole call, of that around the operator; torch")
    for kind in KINDS:
        for column in (kind, "around", "torch"):
            table.add_column(column, justify="right", no_wrap=True)
    for make in SMALL:
        work = make()
        if names and work.op not in names:
            continue
        cells = []
        for kind, contenders in KINDS.items():
            rounds = taken({**contenders(work), "operator": bare(work, kind)})
            times = {name: min(seconds) for name, seconds in rounds.items()}
            cells += [
                f"{1e6 * times['opcheck']:.0f}",
                f"{1e6 * (times['opcheck'] - times['operator']):.0f}",
                f"{1e6 * times['torch']:.0f}" if "torch" in times else "",
            ]
        table.add_row(work.label, *cells)
    return table


def bare(work: Workload, kind: str) -> Run:
    """The operator's own forward, VJP or JVP, on arguments that are checked and settled."""
    op = catalog.get(work.op)
    case = op.case(**work.arrays, **work.params)
    p, shapes = op.checked(case)
    arrays = widened(case.arrays)
    if kind == "forward":
        return lambda: op.forward(p, **arrays)
    if kind == "jvp":
        tangents = {name: noise(array.shape) for name, array in arrays.items() if array.dtype.kind == "f"}
        return lambda: op.jvp(p, tangents, **arrays)
    cotangents = {each.name: noise(shapes[each.name]) for each in op.outputs if each.name in shapes}
    several = sum(each.differentiable for each in op.outputs) > 1
    given: Any = cotangents if several else next(iter(cotangents.values()))
    return lambda: op.vjp(p, given, **arrays)


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    console = Console(width=140)
    console.print(against_torch(names))
    console.print(small_calls(names))


if __name__ == "__main__":
    main(sys.argv[1:])
