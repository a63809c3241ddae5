"""`opcheck verify`: check torch, another framework or your own kernel against the definitions."""

import json
import os
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import click

from opcheck import files, specs
from opcheck.app import completion, failures, findings, page, reports
from opcheck.app.interruption import interruption
from opcheck.app.output import File, write
from opcheck.app.progress import Progress
from opcheck.language import say
from opcheck.operators import catalog
from opcheck.operators.spec import Refused


@click.command()
@click.argument("ops", nargs=-1, metavar="[OP]...", shell_complete=completion.operators)
@click.option("--all", "everything", is_flag=True, help="Every operator.")
@click.option("--spec", "specs_", multiple=True, metavar="FILE.py:NAME", shell_complete=completion.files,
              help="A function over arrays annotated with their shapes, your own operator, a torch module, or a "
                   "definition in JSON.")  # fmt: skip
@click.option(
    "--fix",
    multiple=True,
    metavar="NAME=VALUE",
    help="Fix a parameter to the one value that the implementation supports.",
)
@click.option("--shapes", multiple=True, metavar='NAME="N C"', help="The shapes that it was written for: letters "
    "stand for any size from 1, numbers for themselves.")  # fmt: skip
@click.option("--impl", default="torch", metavar="IMPL", show_default=True, shell_complete=completion.files,
              help="torch, torch:compile, torch:func, torch:autocast, jax, onnx, onnxruntime, tinygrad, FILE.py:NAME,"
                   " module:NAME, FILE.c:NAME, FILE.so:NAME, FILE.json or \"sh:COMMAND\".")  # fmt: skip
@click.option("--module", metavar="FILE.py:FACTORY", shell_complete=completion.files,
              help="Audit a torch.nn.Module layer by layer; FACTORY() returns the module and its inputs.")  # fmt: skip
@click.option("--arrays", type=click.Choice(["numpy", "torch"]), help="What FILE.py:NAME takes.  [default: torch if "
              "its file imports torch]")  # fmt: skip
@click.option("--device", default="cpu", show_default=True, metavar="cpu|cuda", help="Where torch tensors live.")
@click.option(
    "--dtype", default="float32", show_default=True, metavar="TYPE,...", help="float64, float32, float16, bfloat16."
)
@click.option("--claims", metavar="CLAIM,...", help="Check only these claims (--list-claims).")
@click.option(
    "--cases",
    type=click.IntRange(1),
    help="Random cases for each operator and type, after the directed ones.  [default: 300]",
)
@click.option(
    "--seconds", type=click.FloatRange(0, min_open=True), help="Time for each operator and type, instead of --cases."
)
@click.option("--exhaustive", is_flag=True, help="Every combination of parameters in a small scope, up to --cases.")
@click.option("--seed", type=click.IntRange(0), help="Repeat a run.  [default: a new seed, printed]")
@click.option("--jobs", type=click.IntRange(1), help="Worker processes.  [default: one for each core; 2 on CUDA]")
@click.option("--in-process", is_flag=True, help="No worker process: faster to start, but a crash ends the run.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Seconds that a worker process has for one "
              "case.  [default: 60]")  # fmt: skip
@click.option("--executor", metavar="dask://HOST:PORT", help="Spread the run over a dask cluster.")
@click.option("--no-known", is_flag=True, help="Count known deviations as failures.")
@click.option(
    "--allow",
    metavar="NAME,...",
    help="Lower precisions to accept: tf32, bfloat16-inputs, float16-inputs, transforms, flush-to-zero, ..., or "
    "none.  [default: on CUDA what torch's switches allow]",
)
@click.option("--stable", is_flag=True, help="Fail a form that loses digits where a stable one exists.")
@click.option("--strict-precision", is_flag=True, help="Same as --allow none.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--junit", type=File(), metavar="FILE", help="Write a JUnit report too.")
@click.option("--html", type=File(), metavar="FILE", help="Write a page too (one file).")
@click.option("--save", type=File(files.check_folder), metavar="DIR",
              help="Save failing cases here.  [default: opcheck-cases]")  # fmt: skip
@click.option("--list-known", is_flag=True, help="Print the known deviations of released libraries (KNOWN.md).")
@click.option("--list-claims", is_flag=True, help="Print what is checked, one line per claim.")
def command(**options: Any) -> int:
    """Check an implementation of operators against their definitions: shapes, dtypes, exact results, rounding within
    a proven bound, special values, gradients, tangents, memory layouts, purity.

    \b
    Try: opcheck verify --all
         opcheck verify conv2d --impl kernels.py:conv2d --dtype float32,bfloat16
         opcheck verify --spec specs.py:attention --impl kernels.py:attention

    The table has a line for each operator: exact is checked on inputs that round nothing, round (rounding) within a
    proven bound, special on NaN, infinities and zeros with a sign, vjp are gradients, jvp tangents, rest is all else
    that --list-claims names. .41 means that the worst error is 0.41 of its bound, = that all is equal to the last bit,
    a cross and 3 that three checks differ, a dash that there was nothing to check, +k that known deviations were met,
    +p that some were computed in a lower precision.
    """
    if options["list_claims"]:
        return list_claims()
    if options["list_known"]:
        from opcheck.verification import known

        click.echo(known.page(), nl=False)
        return 0
    if options["module"]:
        from opcheck.app.audit import audit_module

        code: int = audit_module(options)
        return code
    return run(options)


def list_claims() -> int:
    from opcheck.verification.claims import EVERY

    width = max(len(claim.name) for claim in EVERY)
    for claim in EVERY:
        click.echo(f"{claim.name:<{width}}  {say(claim.sentence)}")
    return 0


def asked(options: dict[str, Any]) -> list[str]:
    """The names of the operators and specs that are to be verified; raises Refused if there are none."""
    if options["everything"]:
        return [op.name for op in catalog.every()]
    names = [specs.get(op).name for op in (*options["ops"], *options["specs_"])]
    if not names:
        fix = say("name some, or give --all (opcheck ops lists them) or --spec FILE.py:NAME")
        raise Refused(say("which operators?"), fix=fix)
    return names


def run(options: dict[str, Any]) -> int:
    """Verify and show what was found; the exit code is 0 if all agree, 1 if something differs, 3 if nothing could
    run."""
    from opcheck.verification import api
    from opcheck.verification import run as runner

    names = asked(options)
    start = time.time()
    # stdout is the report's; workers keep what an implementation prints to themselves
    aside = redirect_stdout(sys.stderr)
    with aside, Progress() as progress:
        report = api.verify(
            names,
            options["impl"],
            arrays=options["arrays"] or "",
            dtype=options["dtype"],
            device=options["device"],
            cases=options["cases"],
            seconds=options["seconds"],
            seed=options["seed"],
            fixed=given("--fix", options["fix"], names),
            shapes=pairs("--shapes", options["shapes"]),
            claims=options["claims"].split(",") if options["claims"] else None,
            jobs=0 if options["in_process"] else options["jobs"] or default_jobs(options["device"]),
            executor=connect(options["executor"]),
            exhaustive=options["exhaustive"],
            known=not options["no_known"],
            **digits(options),
            timeout=options["timeout"],
            progress=progress,
        )
    nothing = "" if report.interrupted else runner.nothing_checked(report)
    saved = findings.save(report, options["save"] or Path("opcheck-cases"), options["impl"])
    how = failures.command(
        options["impl"], options["arrays"], options["device"], options["allow"] or "", options["stable"]
    )
    if options["as_json"]:
        click.echo(json.dumps({**report.to_json(), "nothing_checked": nothing}))
    else:
        findings.show(report, how, saved)
    if options["junit"]:
        write(reports.junit(report, start), options["junit"])
    if options["html"]:
        write(page.html(report, options["impl"], how, saved), options["html"])
    if nothing and report.agrees:
        from opcheck.errors import CouldNotRun

        raise CouldNotRun(nothing)
    if not report.agrees:
        return 1
    return interruption.code if report.interrupted else 0


def digits(options: dict[str, Any]) -> dict[str, Any]:
    """What is said of lower precisions and lost digits."""
    return {"allow": options["allow"] or "", **{name: options[name] for name in ("strict_precision", "stable")}}


def pairs(flag: str, words: tuple[str, ...]) -> dict[str, str]:
    """The values of NAME=VALUE words by name; raises Refused for any other word."""
    found = {}
    for word in words:
        name, sign, text = word.partition("=")
        if not sign or not name.strip().isidentifier():
            raise Refused(say("{flag} takes a name and its value: {flag} NAME=VALUE", flag=flag), got=repr(word))
        found[name.strip().replace("-", "_")] = text.strip().strip("\"'")
    return found


def given(flag: str, words: tuple[str, ...], names: list[str]) -> dict[str, Any]:
    """The values of parameters, parsed by the operators that have them."""
    found: dict[str, Any] = dict(pairs(flag, words))
    for op in map(specs.get, names):
        for each in op.params:
            if isinstance(text := found.get(each.name), str):
                found[each.name] = each.kind.parse(each.name, text)
    return found


def default_jobs(device: str) -> int:
    """One process per core; on a GPU fewer, since each process takes some of its memory."""
    return cores() if device == "cpu" else min(cores(), 2)


def cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def connect(address: str | None) -> Any:
    """An executor on the dask cluster at that address; raises CouldNotRun if there is none."""
    if address is None:
        return None
    from opcheck.verification.workers.cluster import dask_executor

    return dask_executor(address)
