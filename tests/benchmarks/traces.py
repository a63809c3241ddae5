"""How long traces take, beside micrograd-style closures and torch. Run: python -m tests.benchmarks.traces [--quick]

By the clock. The contenders take turns; a figure is the least of several runs, a ratio the median of those within each
round. Threads: one (set OMP_NUM_THREADS=1 before).
"""

import gc
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from opcheck import reference, tracing
from opcheck.autodiff import value_and_gradient
from tests.benchmarks.measure import ratio, taken

ROOT = Path(__file__).parents[2]


class Value:
    """A number with its gradient, as micrograd has it: closures over the graph, and a depth-first order of it."""

    def __init__(self, data: float, children: tuple["Value", ...] = ()) -> None:
        self.data, self.grad, self.previous = data, 0.0, set(children)
        self.backward_one: Callable[[], None] = lambda: None

    def __add__(self, other: "Value") -> "Value":
        out = Value(self.data + other.data, (self, other))

        def backward() -> None:
            self.grad += out.grad
            other.grad += out.grad

        out.backward_one = backward
        return out

    def __mul__(self, other: "Value") -> "Value":
        out = Value(self.data * other.data, (self, other))

        def backward() -> None:
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out.backward_one = backward
        return out

    def tanh(self) -> "Value":
        t = math.tanh(self.data)
        out = Value(t, (self,))

        def backward() -> None:
            self.grad += (1 - t * t) * out.grad

        out.backward_one = backward
        return out

    def backward(self) -> None:
        order: list[Value] = []
        seen: set[Value] = set()

        def visit(node: "Value") -> None:
            if node not in seen:
                seen.add(node)
                for child in node.previous:
                    visit(child)
                order.append(node)

        visit(self)
        self.grad = 1.0
        for node in reversed(order):
            node.backward_one()


def program(x: Any, y: Any, nodes: int, tanh: Callable[[Any], Any]) -> Any:
    """A deep chain of `nodes` operations on two numbers that are used again and again."""
    a = x
    for _ in range(nodes // 4):
        a = tanh(a * y + x) * y
    return a


def by_opcheck(nodes: int) -> tuple[float, float]:
    tape = tracing.Tape()
    x, y = tape.input("x", 0.5), tape.input("y", 0.7)
    out = program(x, y, nodes, tracing.tanh)
    graph = tape.graph(out)
    values = tracing.values(graph)
    tracing.forward(graph, {x.id: 1.0}, values)
    adjoints = tracing.reverse(graph, {out.id: 1.0}, values)
    return adjoints[x.id], adjoints[y.id]


def by_closures(nodes: int) -> tuple[float, float]:
    x, y = Value(0.5), Value(0.7)
    program(x, y, nodes, Value.tanh).backward()
    return x.grad, y.grad


def by_torch(nodes: int) -> tuple[float, float]:
    import torch

    x, y = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (0.5, 0.7))
    program(x, y, nodes, torch.tanh).backward()
    return x.grad.item(), y.grad.item()


def scalars(times: int) -> None:
    sys.setrecursionlimit(10**7)  # the closures recurse
    print("scalar graph, seconds (opcheck: record, values, forward and reverse; the others: no forward mode)")
    print("   nodes   opcheck  closures     torch")
    assert by_opcheck(1000) == by_closures(1000) == by_torch(1000)
    for nodes in (25_000, 50_000, 100_000, 200_000):
        runs = {run.__name__: partial(run, nodes) for run in (by_opcheck, by_closures, by_torch)}
        found = taken(runs, times, at_least=0.0, at_most=math.inf, before=gc.collect)
        figures = "".join(f"{min(seconds):10.3f}" for seconds in found.values())
        ratios = [f"{ratio(found['by_opcheck'], found[name]):.2f}" for name in ("by_closures", "by_torch")]
        print(f"{nodes:8}{figures}   opcheck takes {ratios[0]} times as long as closures, {ratios[1]} times as torch")


def classifier(times: int) -> None:
    """One forward and reverse sweep of the 784-512-512-10 classifier at batch 64, float64."""
    import torch

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    sizes = (784, 512, 512, 10)
    images, labels = rng.normal(size=(64, 784)), rng.integers(0, 10, size=64)
    arrays = []
    for into, out in pairwise(sizes):
        arrays += [rng.normal(size=(out, into)) / math.sqrt(into), np.zeros(out)]

    def loss(*parameters: Any) -> Any:
        x = images
        for k in range(0, len(parameters), 2):
            x = reference.linear(x, parameters[k], parameters[k + 1])
            x = reference.relu(x) if k + 2 < len(parameters) else x
        return reference.cross_entropy(x, labels)

    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    x_torch, t_torch = torch.tensor(images), torch.tensor(labels)

    def torch_step() -> Any:
        x = x_torch
        for k in range(0, len(tensors), 2):
            x = torch.nn.functional.linear(x, tensors[k], tensors[k + 1])
            x = torch.relu(x) if k + 2 < len(tensors) else x
        return torch.autograd.grad(torch.nn.functional.cross_entropy(x, t_torch), tensors)

    found = taken(
        {"opcheck": lambda: value_and_gradient(loss)(*arrays), "torch": torch_step}, 3 * times, before=gc.collect
    )
    ours, theirs = found.values()
    print(f"classifier 784-512-512-10, batch 64, float64: opcheck {min(ours) * 1e3:.1f} ms, "
          f"torch {min(theirs) * 1e3:.1f} ms ({ratio(ours, theirs):.2f} times)")  # fmt: skip


def cold_start(times: int) -> None:
    """With compiled files at hand, as an installed package has them."""
    base = [sys.executable, "-c", "import rich.console, rich.table, click"]
    ours = [sys.executable, "cli.py", "trace", "ln(x1)+x1*x2-sin(x2)", "--at", "x1=2,x2=5"]
    with tempfile.TemporaryDirectory() as cache:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = cache

        def run(command: list[str]) -> None:
            subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)

        commands = {"ours": partial(run, ours), "base": partial(run, base)}
        a, b = taken(commands, 3 * times, at_least=0.0, at_most=math.inf).values()
    print(f"cold start: opcheck trace {min(a) * 1e3:.0f} ms, importing rich and click {min(b) * 1e3:.0f} ms "
          f"({ratio(a, b):.2f} times)")  # fmt: skip


if __name__ == "__main__":
    repeats = 3 if "--quick" in sys.argv else 9
    scalars(repeats)
    classifier(repeats)
    cold_start(repeats)
