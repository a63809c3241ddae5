"""Who refuses the same wrong implementations, after how many cases, and who accuses right ones: opcheck and its peers.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.peers [OP ...] [--samples 40] [--right 3] [--cases 300] [--json]

Mutants are those of `python -m opcheck.verification.mutation --form torch`, for the operators that have OpInfo samples
(torch's own test inputs; they need `pip install expecttest`). A peer sees a mutant as its user would:

- assert_close: outputs and gradients (random cotangent) beside torch's on OpInfo samples in float32, by default;
- allclose 1e-2: outputs, and gradients of their sum, beside torch's on five random inputs;
- gradcheck: torch.autograd.gradcheck on OpInfo samples in float64, slow and fast mode.

Right implementations are the definition in six orders of summation (tests/verification/alternatives.py), or in one
where nothing is summed: a peer's rate is the share of (implementation, sample) pairs that it refuses. They run in
Python, and gradcheck calls them once for each number: it has the smallest samples only. In the last table n grows.
"""

import json
import statistics
import sys
import warnings

import click
import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from opcheck import verify
from opcheck.operators import catalog
from opcheck.operators.choosers import RandomChooser
from opcheck.operators.spec import Op
from opcheck.verification.bridge import torch_form
from opcheck.verification.mutation.mutants import torch_mutants
from opcheck.verification.mutation.score import kill
from opcheck.verification.truth.definition import Definition
from tests.benchmarks.ways import PEERS, Function, opinfo, smallest
from tests.verification.alarms import MOST_NODES
from tests.verification.alternatives import ORDERS, linear, orders_of

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


def alarms(ops: list[Op], samples: int, right: int, cases: int) -> dict[str, tuple[int, int]]:
    """For each way of testing: how many right answers it refused, of how many."""
    found: dict[str, tuple[int, int]] = dict.fromkeys(["opcheck", *(peer.name for peer in PEERS)], (0, 0))
    for op in track(ops, "right ones", console=Console(stderr=True), disable=not sys.stderr.isatty()):
        prepared = {peer.name: peer.samples(op, samples) for peer in PEERS}
        prepared |= {peer.name: smallest(prepared[peer.name], right) for peer in PEERS if peer.is_slow}
        orders = list(zip(orders_of(op), orders_of(op, MOST_NODES), strict=True))
        for whole, limited in orders if adds(op) else orders[:1]:
            report = verify(op.name, limited.function, arrays="numpy", cases=cases, claims=limited.claims)
            refused = {each.trial.address for each in report.failures if each.trial}
            left_out = sum(sum(row.left_out.values()) for (*_, claim), row in report.rows.items() if claim == "answers")
            found["opcheck"] = plus(found["opcheck"], len(refused), report.trials - left_out)
            function = torch_form(op, whole.function)
            for peer in PEERS:
                wrong = sum(peer.refuses(op, function, each) for each in prepared[peer.name])
                found[peer.name] = plus(found[peer.name], wrong, len(prepared[peer.name]))
    return found


def adds(op: Op) -> bool:
    """Whether there is a sum, whose order makes a difference."""
    definitions = [Definition(op, op.sample(RandomChooser(seed))) for seed in range(8)]  # some are empty
    return any(each.outputs() and "sum" in {node.op for node in each.tape.nodes} for each in definitions)


def plus(count: tuple[int, int], wrong: int, total: int) -> tuple[int, int]:
    return count[0] + wrong, count[1] + total


def long_sums(inputs: int = 10) -> dict[int, dict[str, tuple[int, int]]]:
    """The same of `linear`, 16 rows by 16, as the dot products grow: right answers refused, of all."""
    from opcheck.operators.spec import Case
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


def passes(got: torch.Tensor, right: torch.Tensor) -> bool:
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
@click.option("--right", default=3, show_default=True, help="Samples, the smallest, of gradcheck on right ones.")
@click.option("--cases", default=300, show_default=True, help="Cases of opcheck for a mutant; a tenth for a right one.")
@click.option("--json", "as_json", is_flag=True)
def main(ops: tuple[str, ...], samples: int, right: int, cases: int, as_json: bool) -> None:
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        chosen = [catalog.get(name) for name in ops] if ops else list(catalog.every())
        known = [op for op in chosen if opinfo(op, torch.float32)]
        killed, accused = kills(known, samples, cases), alarms(known, samples, right, max(1, cases // 10))
        by_length = long_sums()
    if as_json:
        click.echo(json.dumps({"killed": killed, "accused": accused, "by_length": by_length}))
        return
    console = Console(highlight=False, width=max(80, Console().width))
    console.print(shown(killed, accused))
    console.print(lengths(by_length))
    console.print(f"OpInfo samples of an operator: {samples} at most; gradcheck on right ones: the {right} smallest")
    console.print(f"operators: {', '.join(op.name for op in known)}")
    left = [op.name for op in chosen if op not in known]
    if left:
        console.print(f"without OpInfo samples, left out: {', '.join(left)}")


if __name__ == "__main__":
    main()
