"""The mutation score: how many wrong implementations the verifier refuses, and after how many cases.

python -m opcheck.verification.mutation [OP ...] [--form numpy|torch] [--cases 300] [--seed 0] [--derived] [--json]
"""

import json
import statistics
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

import click

from opcheck.language import say
from opcheck.operators import catalog
from opcheck.operators.program import derived_bounds
from opcheck.operators.spec import Op
from opcheck.verification import claims
from opcheck.verification.mutation.mutants import Mutant, numpy_mutants, torch_mutants
from opcheck.verification.reach import within_reach
from opcheck.verification.report import Report
from opcheck.verification.run import Shard, check_trial, trials


@dataclass(frozen=True)
class Kill:
    """What became of one mutant: after how many cases it was refused (0: it lived), and by which claim."""

    op: str
    name: str
    form: str
    cases: int
    claim: str


def kill(op: Op, mutant: Mutant, cases: int = 300, seed: int = 0, dtype: str = "float32") -> Kill:
    """Run cases until one is refused."""
    (found,) = kills(op, [mutant], cases, seed, dtype)
    return found


def kills(op: Op, mutants: Iterable[Mutant], cases: int = 300, seed: int = 0, dtype: str = "float32") -> list[Kill]:
    """Run each mutant's cases until one is refused. All are asked one case before the next: what is right of it is
    worked out once."""
    mutants = list(mutants)
    found = [Kill(op.name, mutant.name, mutant.form, 0, "") for mutant in mutants]
    alive = {k: (mutant.build(), Report()) for k, mutant in enumerate(mutants)}
    for count, (index, made) in enumerate(trials(op, Shard(op.name, dtype, seed, 0, cases)), start=1):
        for k, (backend, report) in list(alive.items()):
            possible = within_reach(op, made, backend, report)
            if possible is None:
                continue
            check_trial(op, possible, backend, report, claims.EVERY, index, known=False)
            if report.failures:
                found[k] = replace(found[k], cases=count, claim=report.failures[0].claim)
                del alive[k]
        if not alive:
            break
    return found


def score(ops: Iterable[Op], forms: Iterable[str], cases: int = 300, seed: int = 0) -> list[Kill]:
    """Every mutant of some operators."""
    makers = {"numpy": numpy_mutants, "torch": torch_mutants}
    return [each for op in ops for form in forms for each in kills(op, makers[form](op), cases, seed)]


def summary(found: list[Kill]) -> str:
    killed = [each.cases for each in found if each.cases]
    return say(
        "{killed} of {total} mutants refused; median {median} cases to the kill, at most {most}",
        killed=len(killed),
        total=len(found),
        median=f"{statistics.median(killed):g}" if killed else "–",
        most=max(killed, default=0),
    )


@click.command()
@click.argument("ops", nargs=-1)
@click.option("--form", "forms", type=click.Choice(["numpy", "torch"]), multiple=True, default=("numpy",))
@click.option("--cases", type=click.IntRange(1), default=300, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--derived", is_flag=True, help="With the bounds that follow from programs, for every operator.")
@click.option("--json", "as_json", is_flag=True)
def main(ops: tuple[str, ...], forms: tuple[str, ...], cases: int, seed: int, derived: bool, as_json: bool) -> None:
    """Print the mutation score; exit 1 if a mutant lived."""
    chosen = [catalog.get(name) for name in ops] if ops else list(catalog.every())
    with derived_bounds(chosen if derived else ()):
        found = score(chosen, forms, cases, seed)
    lived = [each for each in found if not each.cases]
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found]))
    else:
        for each in lived:
            click.echo(say("lived: {op} {name} ({form})", op=each.op, name=each.name, form=each.form))
        click.echo(summary(found))
    sys.exit(1 if lived else 0)
