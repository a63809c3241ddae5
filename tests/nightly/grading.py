"""Hunts for what grading promises of every operator, too long for a test.

    nice python -m tests.nightly.grading right --seeds 2000     right solutions and forms, by every convention
    nice python -m tests.nightly.grading named                  mistakes, single and in pairs of one operator

`right` prints whatever lost marks: by which convention, in which precision, with which seed. `named` prints how many
mistakes lost marks, how many were named first or second, and those of which that is not so.
"""

import itertools
import time
from collections.abc import Iterator
from dataclasses import replace

import click

from opcheck.grading import conventions
from opcheck.grading.assignments.assignment import Question, parse
from opcheck.grading.assignments.check import Caught, _solution, one
from opcheck.grading.conventions.base import several
from opcheck.operators import catalog
from opcheck.operators.spec import Mistake, Op

DTYPES = ("float32", "float64")


@click.group()
def hunts() -> None:
    pass


def _asked(convention: str, op: str, dtype: str, entry: str = "") -> str:
    named = f'entry = "{entry}"\n' if entry else ""
    head = f'convention = "{convention}"\ndtype = "{dtype}"\npartial = "cases"\nfeedback = "part"\nforbidden = []\n'
    return f'{head}[[question]]\noperator = "{op}"\n{named}'


@hunts.command()
@click.option("--seeds", default=100)
@click.option("--first", default=0)
@click.option("--convention", "only", default="", help="Of this one alone.")
def right(seeds: int, first: int, only: str) -> None:
    began, wrong = time.monotonic(), 0
    for name in [only] if only else [*conventions.NAMES, *conventions.COURSES]:
        for op, entries in conventions.get(name).entries.items():
            for entry, dtype in itertools.product({each.forward[0] for each in several(entries)}, DTYPES):
                try:
                    wrong += _lost(
                        _asked(name, op, dtype, entry), range(first, first + seeds), f"{name} {entry} {dtype}"
                    )
                except Exception as error:
                    print(f"{name} {entry} {dtype}: {type(error).__name__}: {error}", flush=True)
                    wrong += 1
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
    print(f"{wrong} lost marks")


def _lost(text: str, seeds: range, what: str) -> int:
    asked = parse(text)
    (question,) = asked.questions
    forms = question.op.forms if question.convention.name == "functional" else ()
    wrong = 0
    with _solution(question) as loaded:
        for seed, form in itertools.product(seeds, (None, *forms)):
            found = one(question, asked, loaded, form, seed)  # type: ignore[arg-type]  # a form has a name, too
            if found.caught:
                lost = [(each.part, each.message) for each in found.checks if each.score < each.points]
                print(f"{what} {form.name if form else ''} seed {seed}: {lost}", flush=True)
                wrong += 1
    return wrong


@hunts.command()
@click.option("--op", "only", default="", help="Of this operator alone.")
@click.option("--most", default=60, help="Pairs of one operator, as many of each.")
@click.option("--seed", default=0)
def named(only: str, most: int, seed: int) -> None:
    totals = {"single": [0, 0, 0], "pairs": [0, 0, 0]}
    for op in [catalog.get(only)] if only else catalog.every():
        asked = parse(_asked("functional", op.name, "float32"))
        (question,) = asked.questions
        counts = {"single": [0, 0, 0], "pairs": [0, 0, 0]}
        with _solution(question) as loaded:
            for kind, mistake in _mistakes(op, question, most):
                found = one(question, replace(asked, feedback="part"), loaded, mistake, seed)
                names = {name for each in found.checks for name in each.mistakes[:2]}
                told = bool(names) and names <= {*mistake.name.split()}
                for count in (counts[kind], totals[kind]):
                    count[0] += 1
                    count[1] += found.caught
                    count[2] += told or found.named
                if not found.caught or not (told or found.named):
                    print(f"  {op.name} {mistake.name}: {_became(found)}", flush=True)
        print(op.name, *(f"{kind} {n} lost {lost} named {k}" for kind, (n, lost, k) in counts.items()), flush=True)
    print("all", *(f"{kind} {n} lost {lost} named {k}" for kind, (n, lost, k) in totals.items()))


def _mistakes(op: Op, question: Question, most: int) -> Iterator[tuple[str, Mistake]]:
    """Each mistake, and pairs of those that are both of the output or both of gradients."""
    wrong = [each for each in op.mistakes if not each.is_subgradient]
    yield from (("single", each) for each in wrong)
    pairs = [
        (a, b)
        for a, b in itertools.combinations(wrong, 2)
        if (a.forward is None) == (b.forward is None) and (a.vjp is None) == (b.vjp is None)
    ]
    for a, b in pairs[:: max(1, len(pairs) // most)]:
        yield "pairs", Mistake(f"{a.name} {b.name}", "")


def _became(found: Caught) -> str:
    lost = [f"{each.part}: {each.message[:90]} {[*each.mistakes]}" for each in found.checks if each.score < each.points]
    return "; ".join(lost) or "full marks"


if __name__ == "__main__":
    hunts()
