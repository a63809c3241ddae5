"""Who refuses the same wrong implementations, after how many cases, and who accuses right ones: opcheck and its peers.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.peers [OP ...] [--samples 40] [--cases 300] [--json]

Mutants are those of `python -m opcheck.verification.mutation --form torch`, for the operators that have OpInfo samples
(torch's own test inputs; they need `pip install expecttest`). A peer sees a mutant as its user would:

- assert_close: outputs and gradients (random cotangent) beside torch's on OpInfo samples in float32, by default;
- allclose 1e-2: outputs, and gradients of their sum, beside torch's on five random inputs;
- gradcheck: torch.autograd.gradcheck on OpInfo samples in float64, slow and fast mode.

Right implementations are the definition in six orders of summation (tests/verification/alternatives.py): a peer's rate
is the share of (implementation, sample) pairs that it refuses. In the last table n grows.
"""

import json
import statistics
import sys
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import click
import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from opcheck import catalog, verify
from opcheck.backends.base import given
from opcheck.choosers import RandomChooser
from opcheck.spec import Op
from opcheck.verification.bridge import torch_form
from opcheck.verification.mutation.mutants import Reference, torch_mutants
from opcheck.verification.mutation.score import kill
from tests.verification.alternatives import ORDERS, linear, orders_of

Function = Callable[..., Any]


class Sample(NamedTuple):
    """One call: tensors by name, and parameters as a caller writes them."""

    tensors: dict[str, Any]
    params: dict[str, Any]


class Peer(NamedTuple):
    """A way of testing: its name, where its samples are from, and whether it refuses a function on one of them."""

    name: str
    samples: Callable[[Op, int], list[Sample]]
    refuses: Callable[[Op, Function, Sample], bool]


# --- samples ----------------------------------------------------------------------------------------------------------


def opinfo(op: Op, dtype: Any) -> list[Sample]:
    """OpInfo's samples of an operator that are calls of ours (not those with dtype= or out=)."""
    from torch.testing._internal.common_methods_invocations import op_db

    info = next((each for each in op_db if each.name in (op.name, f"nn.functional.{op.name}")), None)
    samples = []
    for each in info.sample_inputs("cpu", dtype, requires_grad=False) if info else ():
        try:
            bound = op.signature.bind(each.input, *each.args, **each.kwargs).arguments
        except TypeError:
            continue
        tensors = {name: value for name, value in bound.items() if isinstance(value, torch.Tensor)}
        params = {name: value for name, value in bound.items() if name not in tensors and value is not None}
        inputs = {each.name for each in op.inputs}
        if set(tensors) <= inputs and not set(params) & inputs:
            samples.append(Sample(tensors, params))
    right = torch_form(op, Reference(op))
    return [each for each in samples if answers(op, right, each)]


def spread(dtype: Any) -> Callable[[Op, int], list[Sample]]:
    """At most so many of them, evenly from the whole list."""

    def chosen(op: Op, most: int) -> list[Sample]:
        samples = opinfo(op, dtype)
        return [samples[k * len(samples) // most] for k in range(most)] if len(samples) > most else samples

    return chosen


def five_random(op: Op, most: int) -> list[Sample]:
    samples = []
    for seed in range(5):
        case = op.sample(RandomChooser(seed))
        tensors = {
            name: torch.from_numpy(np.array(array)).to(torch.float32 if array.dtype.kind == "f" else torch.int64)
            for name, array in case.arrays.items()
        }
        samples.append(Sample(tensors, dict(case.params)))
    return samples


def answers(op: Op, function: Function, sample: Sample) -> bool:
    try:
        function(**sample.tensors, **given(op, sample.params))
    except Exception:
        return False
    return True


# --- ways of testing --------------------------------------------------------------------------------------------------


def of_torch(op: Op) -> Function:
    names = {each.name for each in op.inputs}
    return lambda **call: op.torch(
        torch, {n: v for n, v in call.items() if n not in names}, **{n: v for n, v in call.items() if n in names}
    )


def outputs_and_gradients(op: Op, function: Function, sample: Sample, ones: bool) -> list[Any]:
    """What a test compares: every output, and the gradients for a random cotangent or for one of ones."""
    tensors = {name: tensor.detach().clone() for name, tensor in sample.tensors.items()}
    leaves = [
        tensors[each.name].requires_grad_()
        for each in op.inputs
        if each.differentiable and each.name in tensors and tensors[each.name].is_floating_point()
    ]
    found = function(**tensors, **given(op, sample.params))
    results = list(found) if isinstance(found, (tuple, list)) else [found]
    smooth = [each for each in results if each.is_floating_point() and each.requires_grad]
    generator = torch.Generator().manual_seed(0)
    cotangents = [
        torch.ones_like(each) if ones else torch.randn(each.shape, generator=generator, dtype=each.dtype)
        for each in smooth
    ]
    gradients = torch.autograd.grad(smooth, leaves, cotangents, allow_unused=True) if smooth and leaves else ()
    zero = [torch.zeros_like(leaf) if g is None else g for leaf, g in zip(leaves, gradients, strict=False)]
    return [each.detach() for each in results] + zero


def refused_by_assert_close(op: Op, function: Function, sample: Sample) -> bool:
    right = outputs_and_gradients(op, of_torch(op), sample, ones=False)
    try:
        torch.testing.assert_close(outputs_and_gradients(op, function, sample, ones=False), right, equal_nan=True)
    except Exception:
        return True
    return False


def refused_by_allclose(op: Op, function: Function, sample: Sample) -> bool:
    right = outputs_and_gradients(op, of_torch(op), sample, ones=True)
    try:
        got = outputs_and_gradients(op, function, sample, ones=True)
        return not all(torch.allclose(a.to(b.dtype), b, rtol=1e-2, atol=1e-2) for a, b in zip(got, right, strict=True))
    except Exception:
        return True


def refused_by_gradcheck(fast: bool) -> Callable[[Op, Function, Sample], bool]:
    def refused(op: Op, function: Function, sample: Sample) -> bool:
        names = [
            each.name
            for each in op.inputs
            if each.differentiable and each.name in sample.tensors and sample.tensors[each.name].is_floating_point()
        ]
        fixed = {name: tensor for name, tensor in sample.tensors.items() if name not in names}

        def called(*leaves: Any) -> Any:
            found = function(**dict(zip(names, leaves, strict=True)), **fixed, **given(op, sample.params))
            return found[0] if isinstance(found, (tuple, list)) else found

        leaves = [sample.tensors[name].detach().clone().requires_grad_() for name in names]
        try:
            return not torch.autograd.gradcheck(called, leaves, fast_mode=fast, raise_exception=False)
        except Exception:
            return True

    return refused


PEERS = (
    Peer("assert_close, OpInfo samples", spread(torch.float32), refused_by_assert_close),
    Peer("allclose 1e-2, five inputs", five_random, refused_by_allclose),
    Peer("gradcheck, slow", spread(torch.float64), refused_by_gradcheck(False)),
    Peer("gradcheck, fast", spread(torch.float64), refused_by_gradcheck(True)),
)


# --- measurements -----------------------------------------------------------------------------------------------------


def kills(ops: list[Op], samples: int, cases: int) -> dict[str, list[int]]:
    """For each way of testing and each mutant: after how many cases it was refused, 0 if it lived."""
    found: dict[str, list[int]] = {"opcheck": [], **{peer.name: [] for peer in PEERS}}
    for op in track(ops, "mutants", console=Console(stderr=True), disable=not sys.stderr.isatty()):
        prepared = {peer.name: peer.samples(op, samples) for peer in PEERS}
        for mutant in torch_mutants(op):
            found["opcheck"].append(kill(op, mutant, cases).cases)
            for peer in PEERS:
                function = mutant.build().candidate  # a fresh one: some remember their calls
                refused = (k for k, each in enumerate(prepared[peer.name], 1) if peer.refuses(op, function, each))
                found[peer.name].append(next(refused, 0))
    return found


def alarms(ops: list[Op], samples: int, cases: int) -> dict[str, tuple[int, int]]:
    """For each way of testing: how many right answers it refused, of how many."""
    found: dict[str, tuple[int, int]] = dict.fromkeys(["opcheck", *(peer.name for peer in PEERS)], (0, 0))
    for op in track(ops, "right ones", console=Console(stderr=True), disable=not sys.stderr.isatty()):
        prepared = {peer.name: peer.samples(op, samples) for peer in PEERS}
        for right in orders_of(op):
            report = verify(op.name, right.function, arrays="numpy", cases=cases, claims=right.claims)
            refused = {each.trial.address for each in report.failures if each.trial}
            found["opcheck"] = plus(found["opcheck"], len(refused), report.trials)
            function = torch_form(op, right.function)
            for peer in PEERS:
                wrong = sum(peer.refuses(op, function, each) for each in prepared[peer.name])
                found[peer.name] = plus(found[peer.name], wrong, len(prepared[peer.name]))
    return found


def plus(count: tuple[int, int], wrong: int, total: int) -> tuple[int, int]:
    return count[0] + wrong, count[1] + total


def long_sums(inputs: int = 10) -> dict[int, dict[str, tuple[int, int]]]:
    """The same of `linear`, 16 rows by 16, as the dot products grow: right answers refused, of all."""
    from opcheck.spec import Case
    from opcheck.verification.casefile import Trial
    from opcheck.verification.check import Check
    from opcheck.verification.claims.correctness import numbers
    from opcheck.verification.mutation.mutants import backend

    op, rng = catalog.get("linear"), np.random.default_rng(0)
    found: dict[int, dict[str, tuple[int, int]]] = {}
    for n in (16, 128, 1024, 4096):
        row = dict.fromkeys(["opcheck", PEERS[0].name, PEERS[1].name], (0, 0))
        for order in ORDERS:
            function = named(linear(order), order.__name__)
            for _ in range(inputs):
                arrays = {name: rng.normal(size=(16, n)).astype(np.float32) for name in ("input", "weight")}
                tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
                right = op.torch(torch, {}, **tensors).numpy()
                got = function(arrays["input"], arrays["weight"])
                trial = Trial(Case("linear", {name: a.astype(np.float64) for name, a in arrays.items()}, {}))
                check = Check(op, trial, backend(function))
                row["opcheck"] = plus(row["opcheck"], int(any(each.verdict for each in numbers(check))), 1)
                pair = torch.from_numpy(got), torch.from_numpy(right)
                row[PEERS[0].name] = plus(row[PEERS[0].name], int(not passes(*pair)), 1)
                close = torch.allclose(*pair, rtol=1e-2, atol=1e-2)
                row[PEERS[1].name] = plus(row[PEERS[1].name], int(not close), 1)
        found[n] = row
    return found


def named(function: Function, name: str) -> Function:
    function.__name__ = name
    return function


def passes(got: Any, right: Any) -> bool:
    try:
        torch.testing.assert_close(got, right)
    except AssertionError:
        return False
    return True


# --- tables -----------------------------------------------------------------------------------------------------------


def shown(killed: dict[str, list[int]], accused: dict[str, tuple[int, int]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("tested by", no_wrap=True)
    for heading in ("mutants refused", "score", "median case", "right ones accused", "rate"):
        table.add_column(heading, justify="right")
    for name, counts in killed.items():
        dead = [each for each in counts if each]
        wrong, total = accused[name]
        table.add_row(
            name, f"{len(dead)} of {len(counts)}", f"{len(dead) / max(1, len(counts)):.1%}",
            f"{statistics.median(dead):g}" if dead else "–", f"{wrong} of {total}", f"{wrong / max(1, total):.2%}",
        )  # fmt: skip
    return table


def lengths(found: dict[int, dict[str, tuple[int, int]]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", title="right dot products accused, by n")
    table.add_column("tested by", no_wrap=True)
    for n in found:
        table.add_column(str(n), justify="right")
    for name in next(iter(found.values())):
        table.add_row(name, *(f"{row[name][0]} of {row[name][1]}" for row in found.values()))
    return table


@click.command(help=__doc__.split("\n", 1)[0])
@click.argument("ops", nargs=-1)
@click.option("--samples", default=40, show_default=True, help="OpInfo samples of an operator, at most.")
@click.option("--cases", default=300, show_default=True, help="Cases of opcheck for a mutant; a tenth for a right one.")
@click.option("--json", "as_json", is_flag=True)
def main(ops: tuple[str, ...], samples: int, cases: int, as_json: bool) -> None:
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chosen = [catalog.get(name) for name in ops] if ops else list(catalog.every())
        known = [op for op in chosen if opinfo(op, torch.float32)]
        killed, accused = kills(known, samples, cases), alarms(known, samples, max(1, cases // 10))
        by_length = long_sums()
    if as_json:
        click.echo(json.dumps({"killed": killed, "accused": accused, "by_length": by_length}))
        return
    console = Console(highlight=False, width=max(80, Console().width))
    console.print(shown(killed, accused))
    console.print(lengths(by_length))
    console.print(f"operators: {', '.join(op.name for op in known)}")
    left = [op.name for op in chosen if op not in known]
    if left:
        console.print(f"without OpInfo samples, left out: {', '.join(left)}")


if __name__ == "__main__":
    main()
