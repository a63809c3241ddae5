"""Derived error bounds against hand-written ones: python -m tests.benchmarks.bounds [OPERATOR ...] [--cases 300]

For each operator, over cases of the verifier's own stream (outputs, gradients and tangents): how much larger the bound
that follows from its program is than the one that the operator declares (that of its graph where it declares none),
how many elements are free (any answer would do), torch's largest error as a share of the derived bound, and the time
that both take. Free elements are those of finite random cases; in exact cases there must be none.
"""

import statistics
import time
from dataclasses import dataclass, field
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from opcheck.backends import load
from opcheck.backends.base import NoCounterpart
from opcheck.operators import catalog
from opcheck.operators.program import Derived, Program
from opcheck.operators.spec import Op
from opcheck.verification.check import Check, differs
from opcheck.verification.streams import trial

KINDS = ("output", "gradient", "tangent")


@dataclass
class Row:
    """What was measured of one operator."""

    ratios: list[Any] = field(default_factory=list)
    where: tuple[float, str] = (0.0, "")  # the largest ratio, and of what
    free: int = 0
    free_by_hand: int = 0
    free_exact: int = 0
    numbers: int = 0
    looser: int = 0  # elements that are exact by hand and not so by derivation
    error: float = 0.0
    seconds: dict[str, list[float]] = field(default_factory=lambda: {"hand": [], "derived": []})


def measured(op: Op, dtype: str, cases: int, seed: int) -> Row:
    row, backend = Row(), load("torch")
    for index in range(cases):
        made = trial(op, dtype, seed, index)
        by_hand, derived = Check(op, made, backend), Check(op, made, backend)
        derived.bounds.rounding = Derived()
        for kind in KINDS if made.policy != "special" and made.tangents else KINDS[:1]:
            _compare(row, by_hand, derived, kind, f"{kind} of case {index}")
    return row


def _compare(row: Row, by_hand: Check, derived: Check, kind: str, label: str) -> None:
    f, expected = derived.f.tiers()[0], derived.expected_of(kind)
    names = [name for name in expected if kind != "output" or derived.op.output(name).differentiable]
    tolerances = {}
    for name, check in (("hand", by_hand), ("derived", derived)):
        start = time.perf_counter()
        check.bounds_of(kind, f)
        row.seconds[name].append(time.perf_counter() - start)
        tolerances[name] = check.tolerance(kind, f, names)
    try:
        got = derived.got_of(kind)
    except NoCounterpart:
        got = {}
    for name in names:
        y, ours, theirs = expected[name], tolerances["derived"][name], tolerances["hand"][name]
        if name in got and derived.trial.policy != "special":
            _, ratio, _ = differs(got[name], y, ours, derived.f)
            wrong = differs(got[name], y, ours, derived.f)[0]
            if wrong.any():
                ratio = float(np.max((np.abs(got[name] - y) / np.maximum(ours, 1e-300))[wrong]))
            row.error = max(row.error, ratio)
        finite = np.isfinite(y) if derived.trial.policy != "special" else np.zeros(y.shape, bool)
        row.numbers += int(finite.sum())
        free = finite & np.isinf(ours) & (np.abs(y) < derived.f.largest / 8)
        row.free_exact += int((free & np.isfinite(theirs)).sum()) if derived.trial.policy == "exact" else 0
        row.free += int(free.sum())
        row.free_by_hand += int((finite & np.isinf(theirs)).sum())
        row.looser += int((finite & (theirs == 0) & (ours > 0)).sum())
        both = finite & (theirs > 0) & (ours > 0) & np.isfinite(theirs) & np.isfinite(ours)
        if both.any():
            ratios = ours[both] / theirs[both]
            row.ratios.append(ratios)
            row.where = max(row.where, (float(ratios.max()), f"{name}, {label}"))


@click.command(help=__doc__.split("\n", 1)[0])
@click.argument("ops", nargs=-1)
@click.option("--cases", default=300, show_default=True)
@click.option("--dtype", default="float32", show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(ops: tuple[str, ...], cases: int, dtype: str, seed: int) -> None:
    chosen = [catalog.get(name) for name in ops] or [op for op in catalog.every() if not isinstance(op, Program)]
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("operator", "median", "95 %", "largest", "where", "free", "by hand", "exact", "looser", "error",
                    "ms", "by hand"):  # fmt: skip
        shown.add_column(heading, justify="left" if heading in ("operator", "where") else "right", no_wrap=True)
    for op in chosen:
        row = measured(op, dtype, cases, seed)
        ratios = np.concatenate(row.ratios) if row.ratios else np.ones(1)
        times = {name: 1e3 * statistics.median(seconds) for name, seconds in row.seconds.items()}
        shown.add_row(
            op.name, *(f"{np.quantile(ratios, q):.2f}" for q in (0.5, 0.95, 1.0)), row.where[1],
            f"{row.free / max(1, row.numbers):.2%}", f"{row.free_by_hand / max(1, row.numbers):.2%}",
            str(row.free_exact), f"{row.looser / max(1, row.numbers):.2%}", f"{row.error:.3f}",
            f"{times['derived']:.2f}", f"{times['hand']:.2f}",
        )  # fmt: skip
    Console(highlight=False, soft_wrap=True, width=240).print(shown)


if __name__ == "__main__":
    main()
