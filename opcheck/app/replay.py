"""`opcheck replay CASE.json`: run one saved case again."""

from pathlib import Path

import click

from opcheck import backends, catalog
from opcheck.app import findings
from opcheck.language import say
from opcheck.spec import Refused
from opcheck.verify import casefile
from opcheck.verify.claims import chosen
from opcheck.verify.report import Report
from opcheck.verify.run import check_trial
from opcheck.verify.snippet import snippet


@click.command()
@click.argument("case", type=click.Path(path_type=Path))
@click.option("--impl", default="torch", metavar="IMPL", show_default=True, help="As of opcheck verify.")
@click.option("--arrays", type=click.Choice(["numpy", "torch"]), help="What FILE.py:NAME takes.")
@click.option("--device", default="cpu", show_default=True, metavar="cpu|cuda", help="Where torch tensors live.")
@click.option("--snippet", "as_snippet", is_flag=True, help="Print the case as Python that needs numpy or torch only.")
def command(case: Path, impl: str, arrays: str | None, device: str, as_snippet: bool) -> int:
    """Run one saved case again: every claim, on the same bits."""
    data = casefile.load(case)
    trial = casefile.from_json(data)
    op = catalog.get(trial.case.op)
    if as_snippet:
        click.echo(snippet(op, trial, data))
        return 0
    backend = backends.load(impl, arrays or "", device)
    lacks = backend.lacks(op, trial.case)
    if lacks:
        raise Refused(say("{impl} does not take {name}", impl=impl, name=lacks), got=str(case))
    report = Report(backend=backend.name, version=backend.version(), trials=1)
    check_trial(op, trial, backend, report, chosen(None))
    findings.show(report, impl, {})
    return 0 if report.agrees else 1
