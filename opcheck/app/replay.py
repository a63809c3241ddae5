"""`opcheck replay CASE.json`: run one saved case again."""

import json
from pathlib import Path
from typing import Any

import click

from opcheck import backends, specs
from opcheck.app import completion, findings
from opcheck.app.output import Named
from opcheck.backends.allowance import allowance
from opcheck.language import say
from opcheck.operators.spec import Refused
from opcheck.verification import casefile
from opcheck.verification import known as deviations
from opcheck.verification.diagnosis.snippet import snippet
from opcheck.verification.narrowing import Narrowing
from opcheck.verification.report import Report
from opcheck.verification.run import check_again
from opcheck.verification.verdict import Status
from opcheck.verification.workers.alone import Alone
from opcheck.verification.workers.sweep import PATIENCE
from opcheck.verification.workers.worker import Target


@click.command()
@click.argument("case", type=Named(path_type=Path), required=False)
@click.option("--known", metavar="NAME", help="The stored case of a known deviation (KNOWN.md) instead of a file.")
@click.option(
    "--impl",
    metavar="IMPL",
    shell_complete=completion.files,
    help="As in opcheck verify. [default: torch, or the library where --known was found]",
)
@click.option("--arrays", type=click.Choice(["numpy", "torch"]), help="What FILE.py:NAME takes.")
@click.option("--device", default="cpu", show_default=True, metavar="cpu|cuda", help="Where torch tensors live.")
@click.option("--allow", default="", metavar="NAME,...", help="As in opcheck verify.")
@click.option("--stable", is_flag=True, help="As in opcheck verify.")
@click.option(
    "--snippet", "as_snippet", is_flag=True, help="Print the case as Python code that needs only numpy or torch."
)
def command(
    case: Path | None, known: str | None, impl: str | None, arrays: str | None, device: str, allow: str, stable: bool,
    as_snippet: bool,
) -> int:  # fmt: skip
    """Run one saved case again: every claim, on the same bits."""
    permitted = allowance(allow)
    deviation = find(known) if known else None
    data = json.loads(deviation.case) if deviation else load(case)
    impl = impl or (deviation.backend if deviation else "torch")
    trial = casefile.from_json(data)
    narrowing = Narrowing({name: trial.case.params[name] for name in trial.fixed if name in trial.case.params})
    op = narrowing.of(specs.get(trial.case.op))
    fatal = data.get("status") in (Status.CRASHED.value, Status.MEMORY.value, Status.TIMED_OUT.value)
    casefile.check(op, trial, data, fatal)
    if as_snippet:
        backend = backends.load(impl, arrays or "", device) if impl != "torch" else None
        click.echo(snippet(op, trial, data, impl, backend))
        return 0
    backend = backends.load(impl, arrays or "", device)
    backend.allow, backend.stable = permitted, stable
    lacks = backend.lacks(op, trial.case)
    if lacks:
        raise Refused(say("{impl} does not take {name}", impl=impl, name=lacks), got=str(case))
    claim = str(data.get("claim", ""))
    if fatal:
        with Alone(Target(impl, arrays or "", device, narrowing, permitted, stable), PATIENCE) as process:
            report = process.check(trial, claim)
    else:
        report = Report(backend=backend.name, version=backend.version(), trials=1)
        check_again(op, trial, backend, report, claim)
    findings.show(report, "", {})
    return 0 if report.agrees else 1


def load(case: Path | None) -> dict[str, Any]:
    if case is None:
        raise Refused(
            say("which case?"), fix=say("opcheck replay CASE.json; opcheck verify saves one for each failure")
        )
    return casefile.load(case)


def find(name: str) -> deviations.Deviation:
    """The known deviation of that name; raises Refused."""
    found = deviations.find(name)
    if found is None:
        names = ", ".join(each.name for each in deviations.every())
        raise Refused(say("there is no known deviation {name}", name=name), fix=say("they are {names}", names=names))
    return found
