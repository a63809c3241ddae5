"""The fast references against torch and onnx's ReferenceEvaluator: python -m tests.benchmarks.reference [OPERATOR ...]

float64, one thread, medians of rounds in which all contenders take turns. The reference is called as a user calls it,
checks included. Our VJP starts from the inputs, so its limit is on the ratio to torch's forward and backward together;
the ratio to torch's backward pass alone, on what its forward pass recorded, stands beside it.
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

from opcheck import catalog, reference
from tests.benchmarks.measure import Run, medians
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

    def recorded() -> Any:
        return op.torch(torch, work.params, **tensors)

    output = recorded()
    cotangent = np.random.default_rng(0).normal(size=tuple(output.shape))
    upstream = torch.tensor(cotangent)
    return {
        "opcheck": lambda: function.vjp(cotangent, **work.arrays, **work.params),
        "torch": lambda: torch.autograd.grad(recorded(), leaves, upstream),
        "torch backward": lambda: torch.autograd.grad(output, leaves, upstream, retain_graph=True),
    }


def tensors_of(work: Workload) -> dict[str, Any]:
    return {name: torch.tensor(array) for name, array in work.arrays.items()}


COLUMNS = ("opcheck ms", "torch ms", "ratio", "limit", "torch backward ms", "ratio", "onnx ms", "ratio")


def row(label: str, limit: float | None, times: dict[str, float]) -> tuple[str, ...]:
    """Milliseconds and ratios; a ratio to torch that is over its limit is marked."""
    cells = [label, f"{1000 * times['opcheck']:.4g}"]
    for peer in ("torch", "torch backward", "onnx"):
        ratio = times["opcheck"] / times[peer] if peer in times else math.nan
        cells += [f"{1000 * times[peer]:.4g}", f"{ratio:.3g}"] if peer in times else ["", ""]
        if peer == "torch":
            cells.append("" if limit is None else f"{limit}{' !' if ratio > limit else ''}")
    return tuple(cells)


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    table = Table("", title=f"reference, float64, 1 thread, torch {torch.__version__}, numpy {np.__version__}")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for workloads, limited in ((LARGE, True), (SMALL, False)):
        for make in workloads:
            work = make()
            if names and work.op not in names:
                continue
            table.add_row(*row(work.label, work.forward_limit if limited else None, medians(forward(work))))
            table.add_row(*row("  vjp", work.vjp_limit if limited else None, medians(vjp(work))))
        table.add_section()
    Console().print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
